"""What people decide about messages: when, of what, who else is told, and that a dead one is tried again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.db import IntegrityError

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.transactions import audit, writing
from freehold.master.notifications import queries
from freehold.master.notifications.kinds import CauseKind
from freehold.master.notifications.models import MessageSettings, MutedKind, OutgoingMessage, Webhook
from freehold.master.notifications.queries import kinds_in, usual_settings
from freehold.master.notifications.states import MessageState
from freehold.master.notifications.webhooks import check_url, shown_secret
from freehold.master.people import actions as people
from freehold.master.people import quotas
from freehold.master.people.identity import Caller
from freehold.master.people.models import Role
from freehold.master.people.quotas import Quota
from freehold.protocol.problem import FieldError

LARGEST_MOST = 1000
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class MessageChoice:
    """What somebody changes; None leaves it as it is."""

    language: str | None = None
    """A code of `settings.LANGUAGES`; empty: the Master's own."""
    time_zone: str | None = None
    quiet_hours: str | None = None
    """`22:00-07:00`, in the time zone; empty: none."""
    most: int | None = None
    """Messages in ten minutes; the others come together."""
    kinds: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    """By project and kind, whether mail tells of it."""


def choose(choice: MessageChoice, *, acting: Caller) -> None:
    """Change when and of what somebody is told, all of it or, with Invalid, nothing."""
    settings = MessageSettings.objects.filter(person=acting.person).first() or usual_settings(acting.person)
    wrong = [*_apply(choice, settings), *_unknown_kinds(choice, acting)]
    if wrong:
        raise Invalid(f"{wrong[0].field}: {wrong[0].rule}.", errors=wrong)
    with writing():
        if choice.language is not None:
            people.set_language(choice.language, acting=acting)
        settings.save()
        for project, kinds in choice.kinds.items():
            _mute(acting, project, kinds)
        audit(acting.actor, "messages.choose", acting.person)


def add_webhook(project: str, url: str, *, acting: Caller) -> tuple[str, Webhook]:
    """Have an address be told what its maker may know in a project; return its secret, shown only now, and its row.

    Raise Invalid for what is no such address, Conflict for one that is there.
    """
    check_url(url)
    webhook = Webhook(
        id=ids.new("hook"), project_id=acting.projects[project], maker_id=acting.person, url=url,
        scopes=" ".join(sorted(acting.scopes)), created_at=clock.now(),
    )  # fmt: skip
    there = Webhook.objects.filter(project=webhook.project_id)
    try:
        with writing():
            quotas.check(webhook.project_id, Quota.WEBHOOKS, there.count)
            webhook.save(force_insert=True)
            audit(acting.actor, "webhook.add", webhook.id, project=webhook.project_id, host=urlsplit(url).hostname)
    except IntegrityError:
        raise Conflict("This address is a webhook of the project already.", remedy="Remove that one first.") from None
    return shown_secret(webhook.id), webhook


def remove_webhook(webhook: Webhook, *, acting: Caller) -> None:
    """Have an address be told nothing any more, also not what waits for it."""
    with writing():
        audit(acting.actor, "webhook.remove", webhook.id, project=webhook.project_id)
        webhook.delete()


def try_webhook(webhook: Webhook, *, acting: Caller) -> OutgoingMessage:
    """Send a webhook a message that tells of nothing; return it."""
    now = clock.now()
    with writing():
        audit(acting.actor, "webhook.test", webhook.id, project=webhook.project_id)
        return OutgoingMessage.objects.create(
            id=ids.new("msg"), webhook=webhook, due_at=now, made_at=now, queued_at=now
        )


def own_webhook(project: str, identity: str, *, acting: Caller) -> Webhook:
    """Return a webhook that the caller made, or any as an owner of its project; raise NotFound for all others."""
    rows = Webhook.objects.filter(project=acting.projects[project])
    if acting.roles[project] is not Role.OWNER:
        rows = rows.filter(maker=acting.person)
    webhook = None if "\0" in identity else rows.filter(id=identity).first()
    if webhook is None:
        raise NotFound(
            f"There is no webhook '{identity}' of yours in '{project}'.", remedy="See: freehold webhook list."
        )
    return webhook


def message_of(webhook: Webhook, identity: str) -> OutgoingMessage:
    """Return a message to a webhook; raise NotFound."""
    message = None if "\0" in identity else OutgoingMessage.objects.filter(id=identity, webhook=webhook).first()
    if message is None:
        raise NotFound(f"There is no message '{identity}' to this webhook.", remedy="See: freehold webhook messages.")
    return message


def retry(message: OutgoingMessage, *, acting: Caller) -> None:
    """Put a dead message back, to be sent now; raise Conflict for any other."""
    now = clock.now()
    with writing():
        dead = OutgoingMessage.objects.filter(id=message.id, state=MessageState.DEAD)
        if not dead.update(state=MessageState.WAITING, attempts=0, due_at=now, queued_at=now, claimed_until=0):
            raise Conflict(f"The message {message.id} is not dead.", remedy="Only what was given up is put back.")
        audit(acting.actor, "message.retry", message.id)


def own_message(identity: str, *, acting: Caller) -> OutgoingMessage:
    """Return a message to the caller; raise NotFound, the same for one of others."""
    message = None if "\0" in identity else queries.messages_to(acting.person).filter(id=identity).first()
    if message is None:
        raise NotFound(f"There is no message '{identity}' to you.", remedy="See `freehold notifications sent`.")
    return message


def _apply(choice: MessageChoice, settings: MessageSettings) -> list[FieldError]:
    """Put a choice into a person's settings; return what of it cannot be."""
    wrong = []
    if choice.time_zone is not None:
        if choice.time_zone not in available_timezones():
            wrong.append(FieldError("time_zone", "a name such as Europe/Paris", choice.time_zone))
        settings.time_zone = choice.time_zone
    if choice.most is not None:
        if not 1 <= choice.most <= LARGEST_MOST:
            wrong.append(FieldError("most", f"1 to {LARGEST_MOST}", choice.most))
        settings.most = choice.most
    if choice.quiet_hours is not None:
        settings.quiet_from = settings.quiet_until = None
        if choice.quiet_hours:
            parts = _QUIET.fullmatch(choice.quiet_hours)
            if parts is None or parts[1] + parts[2] == parts[3] + parts[4]:
                wrong.append(FieldError("quiet_hours", "two times, such as 22:00-07:00", choice.quiet_hours))
            else:
                settings.quiet_from = int(parts[1]) * 60 + int(parts[2])
                settings.quiet_until = int(parts[3]) * 60 + int(parts[4])
    return wrong


def _unknown_kinds(choice: MessageChoice, acting: Caller) -> list[FieldError]:
    wrong = []
    for project, kinds in choice.kinds.items():
        if project not in acting.projects:
            wrong.append(FieldError(f"kinds.{project}", "one of your projects", project))
            continue
        known = kinds_in(acting, project)
        wrong += [
            FieldError(f"kinds.{project}", f"of {', '.join(known) or 'nothing: your role is told of nothing'}", kind)
            for kind in kinds
            if kind not in known
        ]
    return wrong


def _mute(acting: Caller, project: str, kinds: Mapping[str, bool]) -> None:
    for kind, is_told in kinds.items():
        muted: dict[str, Any] = {
            "person_id": acting.person,
            "project_id": acting.projects[project],
            "kind": CauseKind(kind),
        }
        if is_told:
            MutedKind.objects.filter(**muted).delete()
        else:
            MutedKind.objects.get_or_create(**muted)
