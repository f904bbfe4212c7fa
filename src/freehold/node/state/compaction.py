"""What becomes of reports that wait for months: their history is thinned, what they amount to is not.

Pure. Each stage takes more away; the outbox takes as many as it must. Nothing that is billed goes: counters are
cumulative, so fewer readings of them say as much, at fewer moments.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence

import msgspec

from freehold.protocol.report import (
    AssessmentReport,
    HostFacts,
    InstanceReport,
    Item,
    PublicationReport,
    ReportBody,
    SoftwareReport,
    UsageReport,
)

HOUR, DAY = 3600.0, 86400.0
LARGEST_BODY = 100_000
"""Bytes of a report that is written anew, about."""

Timed = tuple[float, Item]
"""An item with the time of the report that it came in."""


def compact(bodies: Iterable[ReportBody], most: int) -> list[ReportBody]:
    """Return reports that say the same with less history: in `most` bytes, if that can be without losing use."""
    items: list[Timed] = [(body.at, item) for body in bodies for item in body.items]
    end = max((at for at, _ in items), default=0.0)
    for stage in _STAGES:
        items = stage(items, end)
        bodies = _pack(items)
        if sum(len(msgspec.json.encode(body)) for body in bodies) <= most:
            break
    return list(bodies)


def _last_states(items: Sequence[Timed], end: float) -> list[Timed]:
    """Of each release, instance, publication and of the machine: the last state. Of use: a reading an hour."""

    def key(at: float, item: Item) -> Hashable:
        match item:
            case HostFacts():
                return "host"
            case SoftwareReport():
                return "software", item.release
            case InstanceReport():
                return "instance", item.instance
            case PublicationReport():
                return "publication", item.instance
            case UsageReport():
                return "usage", item.instance, item.series, item.at // HOUR if item.at < end - DAY else item.at
        return None

    return _last_of_each(items, key)


def _changes(items: Sequence[Timed], end: float) -> list[Timed]:
    """Of each promise: when it began to be kept or broken, and the last result."""
    intervals: list[Timed] = []
    known: dict[Hashable, bool] = {}
    last = {(item.instance, item.promise): item for _, item in items if isinstance(item, AssessmentReport)}
    for at, item in items:
        if isinstance(item, AssessmentReport):
            key = (item.instance, item.promise)
            if known.get(key) == item.kept and last[key] is not item:
                continue
            known[key] = item.kept
        intervals.append((at, item))
    return intervals


def _per(period: float, age: float) -> Callable[[Sequence[Timed], float], list[Timed]]:
    """Of each promise, of what is older than `age`: in each period the last result, and the last that was broken."""

    def stage(items: Sequence[Timed], end: float) -> list[Timed]:
        def key(at: float, item: Item) -> Hashable:
            if isinstance(item, AssessmentReport) and item.at < end - age:
                return item.instance, item.promise, item.kept, item.at // period
            return None

        return _last_of_each(items, key)

    return stage


def _last_results(items: Sequence[Timed], end: float) -> list[Timed]:
    """Of each promise: the last result alone."""
    return _last_of_each(
        items, lambda at, item: (item.instance, item.promise) if isinstance(item, AssessmentReport) else None
    )


def _use_by_day(items: Sequence[Timed], end: float) -> list[Timed]:
    """Of use: a reading a day. There is nothing left that could go without losing some."""
    return _last_of_each(
        items, lambda at, item: (item.instance, item.series, item.at // DAY) if isinstance(item, UsageReport) else None
    )


_STAGES: tuple[Callable[[Sequence[Timed], float], list[Timed]], ...] = (
    _last_states,
    _changes,
    _per(HOUR, 7 * DAY),
    _per(DAY, DAY),
    _last_results,
    _use_by_day,
)


def _last_of_each(items: Sequence[Timed], key: Callable[[float, Item], Hashable]) -> list[Timed]:
    """Return the items without those that a later one of the same key takes the place of; key None: each stays."""
    seen: set[Hashable] = set()
    intervals: list[Timed] = []
    for at, item in reversed(items):
        name = key(at, item)
        if name is not None and name in seen:
            continue
        seen.add(name)
        intervals.append((at, item))
    return intervals[::-1]


def _pack(items: Sequence[Timed]) -> list[ReportBody]:
    """Return items as few reports, in their order; a report has the time of its last item."""
    bodies: list[ReportBody] = []
    packed: list[Item] = []
    size = 0
    for number, (at, item) in enumerate(items):
        packed.append(item)
        size += len(msgspec.json.encode(item))
        if size >= LARGEST_BODY or number == len(items) - 1:
            bodies.append(ReportBody(at, packed))
            packed, size = [], 0
    return bodies
