"""Reports that wait for months: history goes, states and use stay."""

from collections import defaultdict

import msgspec
from hypothesis import given
from hypothesis import strategies as some

from freehold.node.state.compaction import DAY, HOUR, compact
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
from freehold.protocol.states import Observed, SoftwareObserved

NAMES = some.sampled_from(["shop", "blog"])
REVISIONS = some.integers(1, 3)
STATES = some.sampled_from([Observed.STARTED, Observed.FAILED])


def size(bodies: list[ReportBody]) -> int:
    return sum(len(msgspec.json.encode(body)) for body in bodies)


def items(bodies: list[ReportBody]) -> list[Item]:
    return [item for body in bodies for item in body.items]


@some.composite
def histories(draw: some.DrawFn) -> list[ReportBody]:
    """Return what a node wrote in up to two weeks, oldest first; counters only grow."""
    bodies, at = [], 1e9
    counters: dict[str, int] = defaultdict(int)
    for _ in range(draw(some.integers(0, 60))):
        at += draw(some.sampled_from([1.0, 60.0, HOUR, 6 * HOUR]))
        said: list[Item] = []
        for kind in draw(some.lists(some.sampled_from("UAISPH"), max_size=4)):
            name = draw(NAMES)
            if kind == "U":
                counters[name] += draw(some.integers(0, 1000))
                said.append(UsageReport(name, at, cpu_ms=counters[name]))
            elif kind == "A":
                promise = draw(some.sampled_from(["page", "disk"]))
                said.append(AssessmentReport(name, draw(REVISIONS), promise, draw(some.booleans()), at))
            elif kind == "I":
                said.append(InstanceReport(name, draw(REVISIONS), draw(STATES)))
            elif kind == "S":
                said.append(SoftwareReport(name, SoftwareObserved.AVAILABLE))
            elif kind == "P":
                said.append(PublicationReport(name, draw(REVISIONS), {"at": at}))
            else:
                said.append(HostFacts([], cpus=draw(some.integers(1, 64))))
        bodies.append(ReportBody(at, said))
    return bodies


def conclusions(bodies: list[ReportBody]) -> dict[object, object]:
    """Return what a Master knows after it heard all this: the last of each."""
    known: dict[object, object] = {}
    for item in items(bodies):
        match item:
            case UsageReport() | InstanceReport() | PublicationReport():
                known[type(item), item.instance] = item
            case AssessmentReport():
                known["promise", item.instance, item.promise] = item
            case SoftwareReport():
                known["software", item.release] = item
            case HostFacts():
                known["host"] = item
    return known


@given(histories(), some.sampled_from([0, 500, 2000, 1 << 30]))
def test_however_much_is_thinned_the_master_comes_to_the_same_conclusions(bodies: list[ReportBody], most: int) -> None:
    thinned = compact(bodies, most)
    assert conclusions(thinned) == conclusions(bodies)
    assert [body.at for body in thinned] == sorted(body.at for body in thinned)
    assert set(map(msgspec.json.encode, items(thinned))) <= set(map(msgspec.json.encode, items(bodies)))


@given(histories(), some.sampled_from([0, 500, 2000]))
def test_thinning_what_was_thinned_changes_what_it_says_no_more(bodies: list[ReportBody], most: int) -> None:
    once = compact(bodies, most)
    assert items(compact(once, most)) == items(once)


@given(histories())
def test_use_of_each_day_stays_however_little_room_there_is(bodies: list[ReportBody]) -> None:
    def days(of: list[ReportBody]) -> set[tuple[str, float]]:
        return {(item.instance, item.at // DAY) for item in items(of) if isinstance(item, UsageReport)}

    assert days(compact(bodies, 0)) == days(bodies)


def test_promise_history_goes_before_the_hourly_readings_of_use_do() -> None:
    bodies = [
        ReportBody(
            at, [UsageReport("shop", at, cpu_ms=int(at)), AssessmentReport("shop", 1, "page", bool(n % 2), at, "x")]
        )
        for n, at in enumerate(float(minute) * 60 for minute in range(14 * 24 * 60))
    ]
    hours = {item.at // HOUR for item in items(bodies) if isinstance(item, UsageReport)}
    thinned = compact(bodies, size(bodies) // 8)
    assert size(thinned) <= size(bodies) // 8
    assert {item.at // HOUR for item in items(thinned) if isinstance(item, UsageReport)} == hours
    results = [item for item in items(thinned) if isinstance(item, AssessmentReport)]
    assert len(results) < len(bodies) / 10
    broken = {item.at // DAY for item in results if not item.kept}
    assert broken == {float(day) for day in range(14)}, "each day of trouble is still known"
