"""All writes of causes: one that is found is written with a notice for each who is to know, in one transaction."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError

from freehold.master.foundation import clock, ids
from freehold.master.foundation.transactions import writing
from freehold.master.notifications.hours import next_awake
from freehold.master.notifications.kinds import LASTING, CauseEvent, CauseKind
from freehold.master.notifications.models import Cause, MessageSettings, MutedKind, Notice, Webhook
from freehold.master.people.identity import RIGHTS, Scope
from freehold.master.people.models import Membership, Role

BATCH = 500
"""Causes of one transaction."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundCause:
    """Something that happened, as it was found in the rooms below."""

    kind: CauseKind
    project: str
    """Id."""
    subject: str
    opened_at: int
    detail: dict[str, Any]
    scope: Scope = Scope.READ
    """What somebody must be allowed to do in the project to be told."""
    key: str = ""
    """Of what several projects are told in one message to who is in both; else made of kind, subject and time."""
    author: str = ""
    """E-mail of who did it, and need not be told."""

    @property
    def occurrence(self) -> str:
        """What it is called, this time."""
        if self.key:
            return self.key
        return f"{self.kind}:{self.subject}" + (f":{self.opened_at}" if self.kind in LASTING else "")


@dataclass(frozen=True)
class FoundEnd:
    """A cause that is over."""

    cause: str
    """Id."""
    is_told: bool = True
    """Whether those who were told of it are told of its end; not of what its people ended themselves."""
    detail: dict[str, Any] | None = None


def open_causes(causes_found: Sequence[FoundCause]) -> int:
    """Write down what was found, with notices; return how many are new.

    Another Master on the same database may find the same at the same moment: the constraints let one of both write.
    """
    count = 0
    for start in range(0, len(causes_found), BATCH):
        part = causes_found[start : start + BATCH]
        try:
            count += _open(part)
        except IntegrityError:
            # One of them is there by now. The others are not held up by it.
            count += sum(map(_open_alone, part))
    return count


def end_causes(ends: Iterable[FoundEnd]) -> int:
    """Note that causes are over, and give notice of it; return how many ended."""
    count = 0
    for end in ends:
        with writing():
            open_one = Cause.objects.filter(id=end.cause, ended_at=None)
            if open_one.update(ended_at=clock.now(), ending=json.dumps(end.detail or {})):
                count += 1
                if end.is_told:
                    _tell_of_end(end.cause)
    return count


def _open_alone(cause: FoundCause) -> int:
    try:
        return _open([cause])
    except IntegrityError:
        _log.info("%s was noticed by another process", cause.occurrence)
        return 0


def _open(causes_found: Sequence[FoundCause]) -> int:
    now = clock.now()
    causes = [
        Cause(
            id=ids.new("caus"), project_id=new.project, kind=new.kind.value, subject=new.subject, key=new.occurrence,
            scope=new.scope.value, detail=json.dumps(new.detail), opened_at=new.opened_at, noticed_at=now,
            ended_at=None if new.kind in LASTING else new.opened_at,
        )
        for new in causes_found
    ]  # fmt: skip
    authors = {cause.id: new.author for cause, new in zip(causes, causes_found, strict=True)}
    with writing():
        Cause.objects.bulk_create(causes)
        notices = [*_for_people(causes, authors, now), *_for_webhooks(causes, now)]
        # Who was told of the same as a member of another project is not told again.
        Notice.objects.bulk_create(notices, ignore_conflicts=True)
    return len(causes)


def _for_people(causes: list[Cause], authors: dict[str, str], now: int) -> Iterable[Notice]:
    """Yield a notice for each person who may know of a cause by their role, and did not say no to its kind."""
    if not settings.SMTP_URL:
        return
    projects = {cause.project_id for cause in causes}
    members = defaultdict[str, list[Membership]](list)
    for member in Membership.objects.filter(project__in=projects, person__is_active=True).select_related("person"):
        members[member.project_id].append(member)
    people = {member.person_id for of_project in members.values() for member in of_project}
    hours = MessageSettings.objects.in_bulk(people)
    muted = set(MutedKind.objects.filter(project__in=projects).values_list("person_id", "project_id", "kind"))
    for cause in causes:
        for member in members[cause.project_id]:
            person = member.person
            if Scope(cause.scope) not in RIGHTS[Role(member.role)] or person.email == authors[cause.id]:
                continue
            if (person.id, cause.project_id, cause.kind) not in muted:
                due_at = next_awake(now, hours.get(person.id))
                is_held = due_at > now
                yield Notice(
                    cause=cause, event=CauseEvent.OPENED.value, key=cause.key, person_id=person.id, due_at=due_at,
                    is_held=is_held,
                )  # fmt: skip


def _for_webhooks(causes: list[Cause], now: int) -> Iterable[Notice]:
    """Yield a notice for each webhook whose maker may know of a cause now."""
    projects = {cause.project_id for cause in causes}
    hooks = Webhook.objects.filter(project__in=projects, maker__is_active=True)
    makers = {hook.maker_id for hook in hooks}
    members = Membership.objects.filter(project__in=projects, person__in=makers)
    roles = {(person, project): role for person, project, role in members.values_list("person", "project", "role")}
    for cause in causes:
        for hook in hooks:
            role = roles.get((hook.maker_id, cause.project_id))
            may = RIGHTS[Role(role)] if role and hook.project_id == cause.project_id else frozenset()
            if Scope(cause.scope) in may and cause.scope in hook.scopes.split():
                yield Notice(cause=cause, event=CauseEvent.OPENED.value, key=cause.key, webhook_id=hook.id, due_at=now)


def _tell_of_end(cause: str) -> None:
    """Give notice of an end to those who were given notice of the beginning."""
    now = clock.now()
    begun = list(Notice.objects.filter(cause=cause, event=CauseEvent.OPENED.value))
    hours = MessageSettings.objects.in_bulk([notice.person_id for notice in begun if notice.person_id])
    notices = [
        Notice(
            cause_id=cause, event=CauseEvent.ENDED.value, key=notice.key, person_id=notice.person_id,
            webhook_id=notice.webhook_id, due_at=due_at, is_held=due_at > now,
        )
        for notice in begun
        for due_at in [next_awake(now, hours.get(notice.person_id)) if notice.person_id else now]
    ]  # fmt: skip
    Notice.objects.bulk_create(notices, ignore_conflicts=True)
