"""What an instance is, from what is wanted and what was said: as data."""

from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.ordering.status import ReportedState, Status, status
from freehold.protocol.meters import NAMES
from freehold.protocol.states import Wanted
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms


def _status(wanted: str = "started", **more: Any) -> Status:
    told: dict[str, Any] = {
        "gone": False, "observed": None, "observed_revision": None, "message": None, "promises": [],
        "results": [], "software": None, "software_message": None, "observed_at": 0, "now": LATER, **more,
    }  # fmt: skip
    if told["observed"] is not None and told["observed_revision"] is None:
        told["observed_revision"] = 5
    return status(Wanted(wanted), 5, **told)


def _told(promise: str = "web", kept: bool = True, revision: int = 5, message: str = "") -> ReportedState:
    return ReportedState(promise, revision, kept, message, 0)


LATER = 10 * 60_000
"""Ten minutes after it was started."""
UNBUILT = "Its release is not built yet on its node."
# what is known -> state, message, promises kept, ready
TABLE: list[tuple[dict[str, Any], tuple[str, str, bool, bool]]] = [
    ({}, ("waiting", UNBUILT, False, False)),
    ({"software": "available"}, ("waiting", "Its node has not taken it up yet.", False, False)),
    ({"software": "building"}, ("building", UNBUILT, False, False)),
    (
        {"software": "failed", "software_message": "no gcc"},
        ("failed", "The release cannot be built:\nno gcc", False, False),
    ),
    ({"observed": "waiting", "software": "building"}, ("building", UNBUILT, False, False)),
    ({"observed": "waiting", "message": "queued"}, ("waiting", "queued", False, False)),
    ({"observed": "configuring"}, ("configuring", "", False, False)),
    ({"observed": "failed", "message": "port taken"}, ("failed", "port taken", False, False)),
    ({"observed": "started"}, ("started", "", True, True)),
    ({"observed": "started", "promises": ["web"]}, ("started", "", False, False)),
    ({"observed": "started", "promises": ["web"], "results": [_told()]}, ("started", "", True, True)),
    (
        {"observed": "started", "promises": ["web"], "results": [_told(kept=False, message="503")]},
        ("started", "503", False, False),
    ),
    (
        {"observed": "started", "promises": ["web", "db"], "results": [_told()]},
        ("started", "", False, False),
    ),
    (
        {"observed": "started", "promises": ["web"], "results": [_told(revision=4)]},
        ("started", "", False, False),
    ),
    (
        {"observed": "started", "promises": ["web"], "results": [_told(), _told("old", kept=False)]},
        ("started", "", True, True),
    ),
    # Asked to change, but the node has not spoken of the change yet.
    ({"observed": "started", "observed_revision": 4}, ("configuring", "", False, False)),
    ({"observed": "failed", "observed_revision": 4}, ("failed", "", False, False)),
    (
        {"observed": "started", "observed_revision": 4, "software": "failed", "software_message": "x"},
        ("failed", "The release cannot be built:\nx", False, False),
    ),
    ({"wanted": "stopped", "observed": "stopped"}, ("stopped", "", False, True)),
    ({"wanted": "stopped", "observed": "started"}, ("stopping", "", False, False)),
    ({"wanted": "stopped", "observed": "started", "observed_revision": 4}, ("stopping", "", False, False)),
    ({"wanted": "stopped", "observed": "stopped", "observed_revision": 4}, ("configuring", "", False, False)),
    ({"wanted": "started", "observed": "stopped"}, ("configuring", "", False, False)),
    ({"wanted": "stopped"}, ("waiting", UNBUILT, False, False)),
    ({"wanted": "destroyed", "observed": "started"}, ("destroying", "", False, False)),
    ({"wanted": "destroyed", "observed": "destroyed"}, ("destroying", "", False, False)),
    ({"wanted": "destroyed", "gone": True}, ("destroyed", "", False, True)),
]


@pytest.mark.parametrize(("known", "expected"), TABLE)
def test_what_an_instance_is(known: dict[str, Any], expected: tuple[str, str, bool, bool]) -> None:
    found = _status(**known)
    assert (found.state, found.message, found.promises_kept, found.ready) == expected


BROKEN = _told(kept=False, message="503")


@pytest.mark.parametrize(
    ("known", "health", "shown"),
    [
        ({"results": [_told()]}, "kept", "started"),
        ({"results": [BROKEN]}, "broken", "trouble"),
        ({"results": [BROKEN], "now": 59_000}, "starting", "starting"),
        ({"results": [], "now": 59_000}, "starting", "starting"),
        ({"results": []}, "unknown", "started"),
        ({"promises": []}, "kept", "started"),
        ({"results": [BROKEN], "last_heard": 0}, "unknown", "unreachable"),
        ({"results": [_told()], "last_heard": 0}, "unknown", "unreachable"),
        ({"wanted": "stopped"}, "", "stopping"),
    ],
)
def test_an_outage_is_told_from_a_start_and_from_silence(known: dict[str, Any], health: str, shown: str) -> None:
    found = _status(**{"observed": "started", "promises": ["web"], **known})
    assert (found.health, found.shown) == (health, shown)


@pytest.mark.parametrize(("known", "expected"), [case for case in TABLE if "gone" not in case[0]])
def test_of_a_node_that_is_not_heard_nothing_is_known_but_what_was(
    known: dict[str, Any], expected: tuple[str, str, bool, bool]
) -> None:
    found = _status(**known, last_heard=1_795_764_780_000)
    former, message, *_ = expected
    assert (found.last_known, found.ready, found.promises_kept) == (former, False, False)
    assert found.state == ("destroying" if former == "destroying" else "unreachable")
    assert found.message.startswith(f"Its node was last heard at 2026-11-27 07:33 UTC; it was {former} then.")
    assert found.message.endswith(message)


def test_what_is_gone_is_gone_wherever_its_node_is() -> None:
    assert _status("destroyed", gone=True, last_heard=0) == _status("destroyed", gone=True)


def test_the_last_result_of_each_promise_counts(rooms: "Rooms") -> None:
    from freehold.master.monitoring import queries
    from freehold.master.monitoring.models import Assessment

    rooms.supply(rooms.publish(tiny_release()), rooms.node("n"))
    first, second = rooms.request("a").instance, rooms.request("b").instance
    for instance, promise, kept in (
        (first, "web", False), (first, "db", True), (second, "web", False), (first, "web", True),
    ):  # fmt: skip
        Assessment.objects.create(instance_id=instance, revision=1, promise=promise, kept=kept, message="", at=1)
    latest = queries.latest([first, second])
    assert [(one.promise, one.kept) for one in latest[first]] == [("db", True), ("web", True)]
    assert [(one.promise, one.kept) for one in latest[second]] == [("web", False)]
    assert queries.latest([]) == {}


def test_many_instances_are_read_with_few_queries(rooms: "Rooms") -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from freehold.master.foundation.paging import ListPart
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import queries

    rooms.supply(rooms.publish(tiny_release()), rooms.node("n", partitions=30))
    for number in range(30):
        rooms.request(f"i{number}")
    with CaptureQueriesContext(connection) as captured:
        assert len(monitoring.pictures(queries.in_projects([rooms.shop], ListPart()))) == 30
    assert len(captured) == 5, "themselves, what is below them, results, what is announced, clusters"


def test_old_results_are_forgotten_but_never_the_last(rooms: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring import reconcile
    from freehold.master.monitoring.models import Assessment

    rooms.supply(rooms.publish(tiny_release()), rooms.node("n"))
    instance = rooms.request("a").instance
    old, now = clock.now() - 101 * clock.DAY, clock.now()
    for promise, at in (("web", old), ("web", old + 1), ("db", old), ("db", now)):
        Assessment.objects.create(instance_id=instance, revision=1, promise=promise, kept=True, message="", at=at)
    reconcile.clean_up()
    assert set(Assessment.objects.values_list("promise", "at")) == {("web", old + 1), ("db", now)}


def test_use_to_date_is_the_sum_of_all_series_and_none_is_not_zero(rooms: "Rooms") -> None:
    from freehold.master.usage import queries
    from freehold.master.usage.models import LastReading

    rooms.supply(rooms.publish(tiny_release()), rooms.node("n"))
    instance = rooms.request("a").instance
    assert set(queries.so_far(instance).values()) == {None}
    LastReading.objects.create(instance_id=instance, series="first", at=1, cpu_ms=5)
    LastReading.objects.create(instance_id=instance, series="second", at=2, cpu_ms=4, disk_mb_s=0)
    assert queries.so_far(instance) == {**dict.fromkeys(NAMES), "cpu_ms": 9, "disk_mb_s": 0}
