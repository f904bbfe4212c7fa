"""What happened, who is told of it, and the messages that leave the Master: one outbox.

A cause is found in the tables of the rooms below. Whoever is to know of it gets a notice in the same transaction; each
due notice is put into a message, alone or with others, in another one; messages are sent outside of transactions.
"""

from django.db import models
from django.db.models import Q

from freehold.master.people.models import MailLetter, Person, Project


class Cause(models.Model):
    """Something that happened in a project, or goes on."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    kind = models.TextField()
    """`kinds.CauseKind`."""
    subject = models.TextField()
    """What it is about: the id of a service, node, release, message, document or contract."""
    key = models.TextField()
    """CauseKind, subject and occurrence: who is told of one key as a member of several projects is told once."""
    scope = models.TextField()
    """What somebody must be allowed to do in the project to know of it."""
    detail = models.TextField()
    """JSON: what messages say of it, as it was when it was found."""
    ending = models.TextField(default="{}")
    """JSON: what messages say of its end."""
    opened_at = models.BigIntegerField()
    noticed_at = models.BigIntegerField()
    ended_at = models.BigIntegerField(null=True)
    """None while it goes on; what happens once ends as it begins."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key", "kind"], name="one_cause_an_occurrence"),
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], name="one_open_cause", condition=Q(ended_at__isnull=True)
            ),
        ]
        indexes = [models.Index(fields=["project", "id"], name="cause_of_project")]


class Webhook(models.Model):
    """An address of a project's own that is told of whatever its maker may know there."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    maker = models.ForeignKey(Person, on_delete=models.CASCADE)
    url = models.TextField()
    scopes = models.TextField()
    """Space-separated: what its maker could do when they made it; it is told of no more than that."""
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "url"], name="one_webhook_an_address")]


class OutgoingMessage(models.Model):
    """A message on its way: mail to a person, a letter, or to a webhook. Its id is the same each time it is sent."""

    id = models.TextField(primary_key=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, db_index=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, null=True)
    letter = models.OneToOneField(MailLetter, on_delete=models.CASCADE, null=True)
    """That it is: it goes to an address, tells of no cause, and waits for no hour."""
    state = models.TextField(default="waiting")
    """`states.MessageState`."""
    attempts = models.IntegerField(default=0)
    due_at = models.BigIntegerField()
    """When it is to be sent, or tried again."""
    claimed_until = models.BigIntegerField(default=0)
    """Until when it is some process's to send."""
    made_at = models.BigIntegerField()
    queued_at = models.BigIntegerField()
    """When it was made, or put back by hand: it is given up so long after that."""
    sent_at = models.BigIntegerField(null=True)
    error = models.TextField(default="")
    """Why it could not be sent when that was last tried."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=False, webhook__isnull=True, letter__isnull=True)
                | Q(person__isnull=True, webhook__isnull=False, letter__isnull=True)
                | Q(person__isnull=True, webhook__isnull=True, letter__isnull=False),
                name="a_message_goes_to_somebody",
            ),
            models.CheckConstraint(condition=Q(state__in=["waiting", "sent", "dead"]), name="message_state"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="message_waiting", condition=Q(state="waiting")),
            models.Index(fields=["person", "id"], name="message_of_person"),
        ]


class Notice(models.Model):
    """Somebody is to be told of a cause, or of its end."""

    cause = models.ForeignKey(Cause, on_delete=models.CASCADE)
    event = models.TextField()
    """`kinds.CauseEvent`."""
    key = models.TextField()
    """The cause's."""
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, db_index=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, null=True, db_index=False)
    due_at = models.BigIntegerField()
    """Not before: the end of the person's quiet hours, or of a pause after many messages."""
    is_held = models.BooleanField(default=False)
    """Whether it was held back so: all that was is told together."""
    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, null=True)
    """That tells it; None until there is one."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "key", "event"], name="one_notice_a_person"),
            models.UniqueConstraint(fields=["webhook", "key", "event"], name="one_notice_a_webhook"),
            models.CheckConstraint(
                condition=Q(person__isnull=True, webhook__isnull=False) | Q(person__isnull=False, webhook__isnull=True),
                name="a_notice_is_for_somebody",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], name="notice_open", condition=Q(message__isnull=True))]


class MessageSettings(models.Model):
    """When a person wants messages; who has none gets each at once."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True)
    time_zone = models.TextField(default="UTC")
    quiet_from = models.IntegerField(null=True)
    """Minutes after midnight there; None: no hour is quiet."""
    quiet_until = models.IntegerField(null=True)
    most = models.IntegerField(default=5)
    """Messages in ten minutes, beyond which the others come together in one."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__gte=0, quiet_from__lt=1440, quiet_until__gte=0, quiet_until__lt=1440),
                name="quiet_from_and_until",
            ),
            models.CheckConstraint(condition=Q(most__gte=1), name="at_least_one_message"),
        ]


class MutedKind(models.Model):
    """A person does not want to be told by mail of a kind of causes in a project."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, db_index=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    kind = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "project", "kind"], name="muted_once")]
