"""The life of a service in one list: orders with their differences, what its node said, promises, moves, restarts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from freehold.master.catalog.queries import type_schemas
from freehold.master.catalog.secrets import is_secret
from freehold.master.foundation.models import AuditRow
from freehold.master.foundation.secret_mark import MARK
from freehold.master.monitoring import queries
from freehold.master.ordering import queries as ordering
from freehold.master.ordering.models import InstanceRow

MOST = 100
"""Events that are told, of all sources together; of each source no more are looked at."""
LONGEST_VALUE = 200
"""Characters of a value in a difference."""


class EventKind(StrEnum):
    """What happened."""

    ORDERED = "ordered"
    CHANGED = "changed"
    """Its release, its parameters or whether it is to run."""
    SAID = "said"
    """Its node told of another state."""
    KEPT = "kept"
    BROKEN = "broken"
    MOVED = "moved"
    RESTARTED = "restarted"
    REVEALED = "revealed"
    TO_END = "to-end"
    KEPT_ON = "kept-on"
    HANDED_OVER = "handed-over"
    ORPHANED = "orphaned"
    GONE = "gone"


_OF_VERB = {
    "instance.move": EventKind.MOVED,
    "instance.restart": EventKind.RESTARTED,
    "instance.reveal": EventKind.REVEALED,
    "instance.end": EventKind.TO_END,
    "instance.keep-on": EventKind.KEPT_ON,
    "instance.hand-over": EventKind.HANDED_OVER,
    "instance.orphaned": EventKind.ORPHANED,
    "instance.gone": EventKind.GONE,
}
_OF_OPERATORS = {EventKind.MOVED, EventKind.ORPHANED, EventKind.GONE}
"""Done by who runs the nodes, whose names customers are not told."""


@dataclass(frozen=True)
class Difference:
    """A parameter that became another; secrets stand as marks, and what was not there or is no more as None."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ServiceEvent:
    """One thing that happened to a service."""

    at: int
    kind: EventKind
    about: str = ""
    """A state, a promise, a process, or the version of a release."""
    message: str = ""
    actor: str = ""
    differences: list[Difference] = field(default_factory=list)


def of_instance(row: Mapping[str, Any]) -> tuple[list[ServiceEvent], bool]:
    """Return what happened to an instance lately, the newest first, and whether there is more, which is older."""
    orders, orders_cut = _orders(row["id"], row["type"])
    promises, promises_cut = queries.changes(row["id"], row["promises"])
    reports = list(InstanceRow.objects.filter(instance=row["id"]).order_by("-id")[: MOST + 1])
    acts = list(AuditRow.objects.filter(subject=row["id"], verb__in=_OF_VERB).order_by("-id")[: MOST + 1])
    events = [
        *orders,
        *_changes_of_state(reports[::-1]),
        *(_of_promise(result.at, result.promise, result.kept, result.message) for result in promises),
        *map(_of_act, acts[:MOST]),
    ]
    events.sort(key=lambda event: event.at, reverse=True)
    is_cut = orders_cut or promises_cut or max(len(reports), len(acts), len(events)) > MOST
    return events[:MOST], is_cut


def _orders(instance: str, type_name: str) -> tuple[list[ServiceEvent], bool]:
    rows, is_cut = ordering.history(instance, MOST + 1)
    rows.reverse()
    events = [_change(before, now, type_name) for before, now in pairwise(rows)]
    if rows and not is_cut:
        first = rows[0]
        events.append(
            ServiceEvent(first["at"], EventKind.ORDERED, first["version"], first["requested_state"], first["actor"])
        )
    return events, is_cut


def _change(before: dict[str, Any], now: dict[str, Any], type_name: str) -> ServiceEvent:
    version = "" if before["release"] == now["release"] else now["version"]
    state = "" if before["requested_state"] == now["requested_state"] else now["requested_state"]
    differences = _differences(before, now, type_name)
    return ServiceEvent(now["at"], EventKind.CHANGED, version, state, now["actor"], differences)


def _differences(before: dict[str, Any], now: dict[str, Any], type_name: str) -> list[Difference]:
    old, new = before["parameters"], now["parameters"]
    schemas = [type_schemas(row["release"], type_name).request for row in (before, now)]

    def shown(values: dict[str, Any], name: str) -> str | None:
        if name not in values:
            return None
        if any(is_secret(name, schema) for schema in schemas):
            return MARK
        value = values[name]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"

    names = sorted(old.keys() | new.keys())
    return [
        Difference(name, shown(old, name), shown(new, name))
        for name in names
        if name not in old or name not in new or old[name] != new[name]
    ]


def _changes_of_state(reports: list[InstanceRow]) -> Iterator[ServiceEvent]:
    last = None
    for report in reports:
        if (report.state, report.message) != last:
            yield ServiceEvent(report.at, EventKind.SAID, report.state, report.message)
        last = (report.state, report.message)


def _of_promise(at: int, promise: str, kept: bool, message: str) -> ServiceEvent:
    return ServiceEvent(at, EventKind.KEPT if kept else EventKind.BROKEN, promise, message)


def _of_act(act: AuditRow) -> ServiceEvent:
    kind = _OF_VERB[act.verb]
    detail = json.loads(act.detail)
    about = str(detail.get("process") or detail.get("ends_at") or "")
    return ServiceEvent(act.at, kind, about, "", "" if kind in _OF_OPERATORS else act.actor)
