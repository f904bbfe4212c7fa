"""All reads of messages: what somebody chose, and what was sent."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.notifications.kinds import CauseKind
from freehold.master.notifications.models import Cause, MessageSettings, MutedKind, Notice, OutgoingMessage, Webhook
from freehold.master.notifications.states import MessageState
from freehold.master.notifications.wording import entries
from freehold.master.people import letters
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Person, Role

_OPERATING = (CauseKind.NODE_SILENT, CauseKind.BUILD_FAILED, CauseKind.CERTIFICATE_ENDING)
ANSWERING = (Scope.READ, Scope.OPERATE, Scope.ACCOUNT)
"""Of what there is something to be told: one of them is needed."""


@dataclass(frozen=True)
class ChosenMessages:
    """When and of what somebody is told."""

    language: str
    time_zone: str
    quiet_from: str
    """`22:00`; empty: no hour is quiet."""
    quiet_until: str
    most: int
    kinds: dict[str, dict[CauseKind, bool]]
    """By project and kind, whether mail tells of it."""
    is_mail_sent: bool
    """Whether this Master sends mail at all."""

    @property
    def quiet_hours(self) -> str:
        return f"{self.quiet_from}-{self.quiet_until}" if self.quiet_from else ""


def chosen(acting: Caller) -> ChosenMessages:
    """Return what the caller chose, or what holds for who chose nothing."""
    row = MessageSettings.objects.filter(person=acting.person).first() or usual_settings(acting.person)
    muted = set(MutedKind.objects.filter(person=acting.person).values_list("project_id", "kind"))
    return ChosenMessages(
        language=Person.objects.values_list("language", flat=True).get(id=acting.person),
        time_zone=row.time_zone,
        quiet_from=_time(row.quiet_from),
        quiet_until=_time(row.quiet_until),
        most=row.most,
        kinds={
            project: {kind: (identity, kind.value) not in muted for kind in kinds_in(acting, project)}
            for project, identity in sorted(acting.projects.items())
        },
        is_mail_sent=bool(settings.SMTP_URL),
    )


def usual_settings(person: str) -> MessageSettings:
    """Return what holds for a person who chose nothing; it is not kept."""
    return MessageSettings(person_id=person)


def kinds_in(acting: Caller, project: str) -> list[CauseKind]:
    """Return what a caller can be told of in a project of theirs, by what they may do there."""
    return [
        kind
        for kind in CauseKind
        if any(acting.may(project, scope) for scope in _scopes(kind))
        and (kind is not CauseKind.CERTIFICATE_ENDING or acting.is_staff)
    ]


def _scopes(kind: CauseKind) -> tuple[Scope, ...]:
    if kind is CauseKind.TICKET_ANSWERED:
        return ANSWERING
    return (Scope.OPERATE,) if kind in _OPERATING else (Scope.READ,)


def messages_to(person: str) -> "QuerySet[OutgoingMessage]":
    """Return all messages to a person by mail, with the tests that they asked for."""
    return OutgoingMessage.objects.filter(Q(person=person) | Q(letter__in=letters.tests_to(person)))


def causes_in(project: str, acting: Caller, part: ListPart) -> list[Cause]:
    """Return a part of what happened in a project that the caller may know of, what was noticed last first."""
    scopes = [scope.value for scope in Scope if acting.may(project, scope)]
    rows = Cause.objects.filter(project=acting.projects[project], scope__in=scopes).select_related("project")
    return list(part_of(rows, ("-id",), "id", part))


def messages_to_webhook(webhook: Webhook) -> "QuerySet[OutgoingMessage]":
    """Return all messages to a webhook."""
    return OutgoingMessage.objects.filter(webhook=webhook)


def webhooks_of(project: str, part: ListPart) -> list[Webhook]:
    """Return a part of the webhooks of a project (its id), in the order in which they were made."""
    return list(part_of(Webhook.objects.filter(project=project).select_related("maker"), ("id",), "id", part))


def count_webhooks(project: str) -> int:
    """Return how many webhooks a project (its id) has."""
    return Webhook.objects.filter(project=project).count()


def shown_webhook(webhook: Webhook, project: str, acting: Caller) -> dict[str, Any]:
    """Return a webhook as lists show it: its path may be a secret, shown to who made it and to owners."""
    is_own = webhook.maker_id == acting.person or acting.roles[project] is Role.OWNER
    parts = urlsplit(webhook.url)
    return {
        "id": webhook.id, "url": webhook.url if is_own else f"{parts.scheme}://{parts.netloc}/…",
        "maker": webhook.maker.email, "created_at": webhook.created_at, "is_own": is_own,
    }  # fmt: skip


def part_of_messages(rows: "QuerySet[OutgoingMessage]", part: ListPart) -> list[OutgoingMessage]:
    """Return a part of messages, the newest first."""
    return list(part_of(rows, ("-id",), "id", part))


def count_open_causes() -> dict[str, int]:
    """Return how many causes of each kind are open."""
    return dict(Cause.objects.filter(ended_at=None).values_list("kind").annotate(number=Count("id")))


def count_unsent() -> dict[str, int]:
    """Return how many messages wait to be sent, and how many were given up."""
    states = (MessageState.WAITING, MessageState.DEAD)
    rows = OutgoingMessage.objects.filter(state__in=states).values_list("state").annotate(number=Count("id"))
    return {state.value: 0 for state in states} | dict(rows)


def titles(messages: Sequence[OutgoingMessage]) -> dict[str, list[str]]:
    """Return what messages say, in the language that is active, a line for each cause, by message."""
    by_message: dict[str, list[Notice]] = defaultdict(list)
    rows = Notice.objects.filter(Q(message__in=[message.id for message in messages]))
    for notice in rows.select_related("cause__project").order_by("id"):
        by_message[str(notice.message_id)].append(notice)
    tests = {message.id: [_("A test")] for message in messages if message.letter_id is not None}
    return tests | {message: [entry.title for entry in entries(notices)] for message, notices in by_message.items()}


def shown(message: OutgoingMessage, titles_of: dict[str, list[str]]) -> dict[str, Any]:
    """Return a message as lists of the panel and the API show it, with moments in milliseconds."""
    is_waiting = message.state == MessageState.WAITING
    return {
        "id": message.id, "titles": titles_of.get(message.id, []), "state": message.state, "attempts": message.attempts,
        "made_at": message.made_at, "sent_at": message.sent_at, "next_at": message.due_at if is_waiting else None,
        "error": message.error,
    }  # fmt: skip


def _time(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"
