"""From notices to messages on their way: each notice in one message, each message some process's to send.

What a kill can do: before a commit nothing happened; after it the rows say what is to be done. Between the moment at
which a receiver has a message and the commit that says so lies the one gap that no protocol closes: then it is sent
again, under the same id, by which receivers drop the second.
"""

from django.conf import settings
from django.db.models import F, Q

from freehold.failpoints import failpoint
from freehold.master.foundation import clock, ids
from freehold.master.foundation.transactions import writing
from freehold.master.notifications.models import Cause, MessageSettings, Notice, OutgoingMessage
from freehold.master.notifications.states import MessageState
from freehold.master.people import letters
from freehold.master.people.identity import RIGHTS, Scope
from freehold.master.people.models import Membership, Role

WINDOW = 10 * 60 * clock.SECOND
"""Milliseconds in which a person gets `MessageSettings.most` messages, and then one more with all others."""
USUAL_MOST = 5
CLAIM = 10 * 60 * clock.SECOND
"""Milliseconds for which a message is one process's: longer than any attempt takes (`mail.TIMEOUT`)."""
_MINUTE, _HOUR = 60 * clock.SECOND, 3600 * clock.SECOND
PAUSES = (10 * clock.SECOND, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, clock.DAY)
"""Milliseconds after each attempt that failed."""
LIFETIME = 3 * clock.DAY
"""How long a message is tried."""
LONGEST_WAIT = 2 * clock.DAY
"""No pause, quiet hours or digest has anything wait for longer."""
BATCH = 500
"""People, or notices to webhooks, for whom messages are made before others have their turn."""


def make_mails() -> int:
    """Make messages to some of the people who have notices that are due; return to how many, 0 when nobody has."""
    if not settings.SMTP_URL:
        return 0
    due = Notice.objects.filter(message=None, person__isnull=False, due_at__lte=clock.now())
    people = list(due.order_by("person_id").values_list("person_id", flat=True).distinct()[:BATCH])
    for person in people:
        _make_for_person(person)
    return len(people)


def make_letters() -> int:
    """Make messages of some of the letters that were asked for; return of how many, 0 when there are none."""
    if not settings.SMTP_URL:
        return 0
    now = clock.now()
    with writing():
        waiting = letters.pass_on(BATCH)
        for letter in waiting:
            _new_message(now, letter=letter.id)
    return len(waiting)


def make_for_webhooks() -> int:
    """Make messages of some of the notices to webhooks that are due; return of how many, 0 when there are none."""
    now = clock.now()
    with writing():
        due = Notice.objects.select_for_update().filter(message=None, webhook__isnull=False, due_at__lte=now)
        notices = list(due.order_by("id")[:BATCH])
        for notice in notices:
            notice.message = _new_message(now, webhook=notice.webhook_id)
        Notice.objects.bulk_update(notices, ["message"])
    return len(notices)


def unlearn_future() -> int:
    """Have what waits for a moment that a clock which ran ahead set be due now; return how much did."""
    now = clock.now()
    late, claimed = Q(due_at__gt=now + LONGEST_WAIT), Q(claimed_until__gt=now + CLAIM + clock.AHEAD)
    waiting = OutgoingMessage.objects.filter(state=MessageState.WAITING)
    with writing():
        return (
            Notice.objects.filter(late, message=None).update(due_at=now)
            + waiting.filter(late).update(due_at=now)
            + waiting.filter(claimed).update(claimed_until=now)
        )


def claim_mail() -> OutgoingMessage | None:
    """Return a mail that is due, letters first, which is this process's to send for a while; None if there is none."""
    # Somebody sits before a page and waits for it.
    return _claim(Q(letter__isnull=False)) or _claim(Q(person__isnull=False))


def claim_for_webhooks(most: int) -> list[OutgoingMessage]:
    """Return messages that are due, one for each of so many webhooks, which are this process's to send for a while."""
    messages: list[OutgoingMessage] = []
    while len(messages) < most:
        other_webhooks = Q(webhook__isnull=False) & ~Q(webhook__in=[message.webhook_id for message in messages])
        if (message := _claim(other_webhooks)) is None:
            break
        messages.append(message)
    return messages


def _claim(whose: Q) -> OutgoingMessage | None:
    now = clock.now()
    waiting = OutgoingMessage.objects.filter(whose, state=MessageState.WAITING, due_at__lte=now, claimed_until__lte=now)
    while (message := waiting.order_by("due_at", "id").first()) is not None:
        with writing():
            # Of two processes that found it, the first changes the row; for the second it has another claim by then.
            mine = OutgoingMessage.objects.filter(
                id=message.id, state=MessageState.WAITING, claimed_until=message.claimed_until
            ).update(claimed_until=now + CLAIM, attempts=F("attempts") + 1)
        if mine:
            failpoint("message-claimed")
            message.refresh_from_db()
            return message
    return None


class NobodyToTell(Exception):
    """Whoever a message is for may not know what it says any more."""


def notices_of(message: OutgoingMessage) -> list[Notice]:
    """Return what a message tells that its reader may know now, what was noticed first first; raise NobodyToTell.

    A message waits for hours, and who left a project meanwhile reads nothing of it any more.
    """
    notices = list(Notice.objects.filter(message=message).select_related("cause__project").order_by("id"))
    reader = message.person_id if message.webhook is None else message.webhook.maker_id
    members = Membership.objects.filter(person=reader, person__is_active=True)
    roles = {project: Role(role) for project, role in members.values_list("project_id", "role")}
    readable = [notice for notice in notices if _may_know(roles.get(notice.cause.project_id), notice.cause)]
    if not readable and (notices or not roles):
        raise NobodyToTell("Who it is for may not know it any more.")
    return readable


def mark_sent(message: OutgoingMessage) -> None:
    """Note that a receiver has a message."""
    failpoint("message-sent")
    with writing():
        OutgoingMessage.objects.filter(id=message.id).update(
            state=MessageState.SENT, sent_at=clock.now(), claimed_until=0, error=""
        )


def mark_failed(message: OutgoingMessage, error: str, *, for_good: bool = False) -> None:
    """Note that a message could not be sent, and when it is tried again, if it is."""
    now = clock.now()
    pause = PAUSES[min(message.attempts, len(PAUSES)) - 1]
    is_dead = for_good or now + pause > message.queued_at + LIFETIME
    with writing():
        OutgoingMessage.objects.filter(id=message.id).update(
            state=MessageState.DEAD if is_dead else MessageState.WAITING,
            due_at=now + pause, claimed_until=0, error=error,
        )  # fmt: skip


def put_off_others(message: OutgoingMessage, error: str) -> None:
    """Note for all that waits for the receiver of a message, which cannot be reached, what holds for that message.

    So a receiver that is away is asked once in each pause, however much waits for it.
    """
    now = clock.now()
    pause = PAUSES[min(message.attempts, len(PAUSES)) - 1]
    same = Q(webhook=message.webhook_id) if message.webhook_id else Q(webhook__isnull=True)
    mergeable = OutgoingMessage.objects.filter(
        same, state=MessageState.WAITING, due_at__lte=now, claimed_until__lte=now
    )
    with writing():
        mergeable.filter(queued_at__lt=now + pause - LIFETIME).update(state=MessageState.DEAD, error=error)
        mergeable.update(due_at=now + pause, attempts=F("attempts") + 1, error=error)


def _may_know(role: Role | None, cause: Cause) -> bool:
    return role is not None and Scope(cause.scope) in RIGHTS[role]


def _make_for_person(person: str) -> None:
    now = clock.now()
    with writing():
        # Held until the commit: another Master waits here, and then finds none of them.
        notices = list(
            Notice.objects.select_for_update().filter(message=None, person=person, due_at__lte=now).order_by("id")
        )
        causes = list(dict.fromkeys(notice.cause_id for notice in notices))
        wanted = MessageSettings.objects.filter(person=person).values_list("most", flat=True).first() or USUAL_MOST
        recent = OutgoingMessage.objects.filter(person=person, made_at__gt=now - WINDOW).order_by("made_at")
        times = list(recent.values_list("made_at", flat=True))
        if not causes:
            return
        if len(times) >= wanted:
            # Enough for now: what comes meanwhile is told together when the window is over.
            Notice.objects.filter(id__in=[notice.id for notice in notices]).update(
                due_at=times[0] + WINDOW, is_held=True
            )
            return
        groups = _grouped(notices, causes, wanted - len(times))
        for group in groups:
            message = _new_message(now, person=person)
            together = [notice.id for notice in notices if notice.cause_id in group]
            Notice.objects.filter(id__in=together).update(message=message)


def _grouped(notices: list[Notice], causes: list[str], left: int) -> list[list[str]]:
    """Return the causes of each message: together what was held back; else each alone, if so many are left."""
    held = [cause for cause in causes if any(notice.is_held for notice in notices if notice.cause_id == cause)]
    groups = [*([held] if held else []), *([cause] for cause in causes if cause not in held)]
    return groups if len(groups) <= left else [causes]


def _new_message(
    now: int, *, person: str | None = None, webhook: str | None = None, letter: str | None = None
) -> OutgoingMessage:
    return OutgoingMessage.objects.create(
        id=ids.new("msg"), person_id=person, webhook_id=webhook, letter_id=letter, due_at=now, made_at=now,
        queued_at=now,
    )  # fmt: skip
