"""Use is counted once and all of it, whatever happens between a node and its Master."""

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold import kit
from freehold.master.foundation.errors import Busy
from freehold.master.gateway.reports import Done, ReportJob, Writer
from freehold.protocol.meters import NAMES
from support.metering import Mouth, master, send
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms

HOUR = 3600.0
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def used(instance: str) -> dict[int, dict[str, int | None]]:
    """Return what was used, by hour."""
    from freehold.master.usage.models import Hour

    rows = Hour.objects.filter(instance_id=instance).order_by("hour")
    return {row.hour: {"cpu_ms": row.cpu_ms, "network_in": row.network_in} for row in rows}


def total(instance: str, counter: str) -> int | None:
    values = [hour[counter] for hour in used(instance).values() if hour[counter] is not None]
    return sum(value or 0 for value in values) if values else None


@pytest.mark.parametrize("meter", NAMES)
def test_each_meter_is_counted_by_hour_and_so_far(rooms: "Rooms", mouth: Mouth, meter: str) -> None:
    from freehold.master.usage import queries
    from freehold.master.usage.models import Hour

    mouth.say(10 * HOUR, **{meter: 40})
    mouth.say(12 * HOUR, **{meter: 100})
    with master(rooms) as writer:
        assert send(writer, mouth, mouth.reports).refused == 0
    assert queries.so_far(mouth.instance) == {**dict.fromkeys(NAMES), meter: 100}
    assert sum(getattr(row, meter) for row in Hour.objects.filter(instance_id=mouth.instance)) == 100


@pytest.fixture
def mouth(rooms: "Rooms") -> Mouth:
    return a_mouth(rooms, "shop")


def a_mouth(rooms: "Rooms", title: str, machine: str = "n") -> Mouth:
    from freehold.master.fleet.models import Node
    from freehold.master.ordering.models import Instance

    node = Node.objects.filter(title=machine).first() or rooms.node(machine, partitions=500)
    rooms.supply(rooms.publish(tiny_release()), node)
    instance = rooms.request(title, constraints={"node": machine}).instance
    # Ordered a year ago, so that there is a past to be told of.
    Instance.objects.filter(id=instance).update(created_at=1)
    return Mouth(node.id, instance, node.epoch)


def test_use_between_two_readings_is_spread_over_the_hours_to_the_last_unit(rooms: "Rooms", mouth: Mouth) -> None:
    mouth.say(10.5 * HOUR, cpu_ms=0)
    mouth.say(13 * HOUR, cpu_ms=101)
    with master(rooms) as writer:
        send(writer, mouth, mouth.reports)
    assert {hour: one["cpu_ms"] for hour, one in used(mouth.instance).items()} == {10: 20, 11: 40, 12: 41, 13: 0}


def test_what_cannot_be_measured_is_unknown_and_not_zero(rooms: "Rooms", mouth: Mouth) -> None:
    mouth.say(HOUR, cpu_ms=5)
    mouth.say(HOUR + 1, cpu_ms=6, network_in=None)
    with master(rooms) as writer:
        send(writer, mouth, mouth.reports)
    assert used(mouth.instance) == {1: {"cpu_ms": 6, "network_in": None}}


def test_a_machine_installed_anew_begins_another_series_and_loses_nothing(rooms: "Rooms", mouth: Mouth) -> None:
    from freehold.master.usage import queries

    with master(rooms) as writer:
        mouth.say(HOUR, "first", cpu_ms=1000)
        send(writer, mouth, mouth.reports)
        mouth.enrol_anew()
        mouth.say(2 * HOUR, "second", cpu_ms=30)
        send(writer, mouth, mouth.reports)
        mouth.enrol_anew()
        # This time its memory survived: the same series goes on.
        mouth.say(3 * HOUR, "second", cpu_ms=50)
        send(writer, mouth, mouth.reports)
    assert queries.so_far(mouth.instance)["cpu_ms"] == 1050
    assert total(mouth.instance, "cpu_ms") == 1050


NEXT_YEAR = time.time() + 365 * 86400
"""Still ahead when the whole run has taken its time since this file was read."""

IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "less than before": ({"at": 2 * HOUR, "cpu_ms": 99}, "cpu_ms went from 100 to 99"),
    "below nothing": ({"at": 2 * HOUR, "network_in": -1}, "network_in went from 0 to -1"),
    "beyond numbers": ({"at": 2 * HOUR, "cpu_ms": 2**63}, "cpu_ms went from 100"),
    "in the future": ({"at": NEXT_YEAR, "cpu_ms": 101}, "in the future"),
    "before the instance was": ({"at": -HOUR, "cpu_ms": 101}, "not a time"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_the_impossible_is_set_aside_with_its_reason_and_what_follows_counts(
    rooms: "Rooms", mouth: Mouth, case: str
) -> None:
    from freehold.master.fleet.models import RefusedItem

    impossible, reason = IMPOSSIBLE[case]
    mouth.say(HOUR, cpu_ms=100)
    mouth.say(**impossible)
    mouth.say(3 * HOUR, cpu_ms=150)
    with master(rooms) as writer:
        assert send(writer, mouth, mouth.reports) == Done(3, 1)
    (refused,) = RefusedItem.objects.filter(node=mouth.node)
    assert reason in refused.reason
    assert mouth.instance in refused.item, "nothing of it is lost"
    assert total(mouth.instance, "cpu_ms") == 150


def test_use_of_before_the_order_is_impossible(rooms: "Rooms", mouth: Mouth) -> None:
    from freehold.master.ordering.models import Instance

    Instance.objects.filter(id=mouth.instance).update(created_at=int(time.time() * 1000))
    mouth.say(time.time() - 7200, cpu_ms=5)
    with master(rooms) as writer:
        assert send(writer, mouth, mouth.reports).refused == 1
    assert used(mouth.instance) == {}


@some.composite
def lives(draw: some.DrawFn) -> list[tuple[float, str, int, int]]:
    """Return readings as a node makes them: time, series, two counters; some with another series than before."""
    readings, at, series, cpu, network = [], HOUR, 0, 0, 0
    for _ in range(draw(some.integers(1, 12))):
        at += draw(some.sampled_from([1.0, 59.0, 1800.0, 5 * HOUR, 40 * 86400.0, -3.0]))
        if draw(some.integers(0, 5)) == 0:
            series, cpu, network = series + 1, 0, 0
        cpu += draw(some.integers(0, 10**7))
        network += draw(some.integers(0, 10**12))
        readings.append((max(at, 0.0), f"s{series}", cpu, network))
    return readings


@QUICK
@given(readings=lives(), cuts=some.lists(some.tuples(some.integers(0, 12), some.integers(0, 12), some.booleans())))
def test_the_sum_is_that_of_a_perfect_network(
    rooms: "Rooms", readings: list[tuple[float, str, int, int]], cuts: list[tuple[int, int, bool]]
) -> None:
    """Batches are cut anywhere, come twice, and the Master is killed in between: hours are those of one batch."""
    perfect, real = (a_mouth(rooms, f"{name}-{time.monotonic_ns()}", name) for name in ("perfect", "real"))
    for mouth in (perfect, real):
        mouth.enrol_anew()
        for at, series, cpu, network in readings:
            mouth.say(at, series, cpu_ms=cpu, network_in=network)
    with master(rooms) as writer:
        send(writer, perfect, perfect.reports)
    _deliver(rooms, real, cuts)
    last = {series: (cpu, network) for _, series, cpu, network in readings}
    assert used(real.instance) == used(perfect.instance)
    assert total(real.instance, "cpu_ms") == sum(cpu for cpu, _ in last.values())
    assert total(real.instance, "network_in") == sum(network for _, network in last.values())


def _deliver(rooms: "Rooms", mouth: Mouth, cuts: list[tuple[int, int, bool]]) -> None:
    """Send a node's reports in pieces, some again and again, to Masters that come and go."""
    reports, done = mouth.reports, 0
    for begin, size, killed in [*cuts, (0, len(reports), False)]:
        first = min(begin, done)
        with master(rooms) as writer:
            done = max(done, send(writer, mouth, reports[first : first + size]).sequence)
            if not killed:
                done = max(done, send(writer, mouth, reports[: done + 1]).sequence)
    with master(rooms) as writer:
        send(writer, mouth, reports)


def test_a_master_with_too_much_to_do_says_so_and_nothing_is_lost(
    rooms: "Rooms", mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    mouth.say(HOUR, cpu_ms=7)
    monkeypatch.setattr("freehold.master.gateway.reports.MOST_WAITING", 1500)
    writer = Writer(rooms.url)
    for _ in range(2):
        writer.submit(ReportJob(mouth.node, mouth.epoch, mouth.reports, 1000, lambda _: None))
    with pytest.raises(Busy, match="Many nodes report at once"):
        send(writer, mouth, mouth.reports)
    writer.start()
    kit.until(lambda: used(mouth.instance))
    assert send(writer, mouth, mouth.reports).sequence == 1, "there is room again"
    writer.stop()
    assert total(mouth.instance, "cpu_ms") == 7


def test_of_two_masters_that_remember_the_same_node_neither_counts_a_report_twice(rooms: "Rooms", mouth: Mouth) -> None:
    now = time.time()
    with master(rooms) as one, master(rooms) as other:
        mouth.say(now - 60, cpu_ms=0)
        send(one, mouth, mouth.reports)
        send(other, mouth, mouth.reports)
        mouth.say(now - 30, cpu_ms=700)
        # What the other one remembers of the chain is wrong from here on.
        assert send(one, mouth, mouth.reports).sequence == 2
        assert send(other, mouth, mouth.reports).sequence == 2
        mouth.say(now, cpu_ms=1000)
        assert send(other, mouth, mouth.reports[2:]).sequence == 3
        assert send(one, mouth, mouth.reports[1:]).sequence == 3
    assert total(mouth.instance, "cpu_ms") == 1000
