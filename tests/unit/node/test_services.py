"""The promise `services`: what is said of an instance from what the supervisor told of each of its processes."""

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.node.services import WELL, Services, assess
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.supervisor.client import SupervisorEvent
from freehold.protocol.feed import Feed, WantedInstance
from freehold.protocol.states import Observed, Wanted

TWO = {"service/web": "7-1", "service/database": "7-2"}


def event(
    name: str = "service/web",
    version: str = "7-1",
    *,
    well: bool = True,
    deaths: int = 0,
    exit: int = 1,
    since: float = 0.0,
    lived: float = 0.0,
) -> SupervisorEvent:
    return SupervisorEvent("p0", name, well, deaths, exit, version, since, lived)


class Checks:
    """Checks of promises, of which the test says when the oldest of the last was ordered."""

    def __init__(self) -> None:
        self.at = math.inf
        self.asked: list[float] = []

    def measured(self, partition: str) -> float:
        return self.at

    def look_again(self, partition: str, since: float) -> None:
        self.asked.append(since)


def heard(*events: SupervisorEvent) -> dict[str, SupervisorEvent]:
    return {one.name: one for one in events}


def test_it_is_not_known_before_each_of_them_lived() -> None:
    database = event("service/database", "7-2")
    assert assess(TWO, {}) is None
    assert assess(TWO, heard(event())) is None
    assert assess(TWO, heard(event(), database)) == (True, WELL)


def test_that_a_former_version_lived_says_nothing_of_the_present_one() -> None:
    database = event("service/database", "7-2")
    assert assess(TWO, heard(event(version="7-0"), database)) is None
    assert assess(TWO, heard(event(version="7-0", well=False), database)) is None


@pytest.mark.parametrize("lived", [0.0, 0.1, 0.9])
def test_one_that_died_breaks_it_and_is_named_with_its_status_and_its_log(lived: float) -> None:
    died = event(well=False, deaths=1, exit=127, lived=lived)
    assert assess(TWO, heard(died)) == (False, "web died right after its start, with status 127; see var/log/web.log")
    often = event("service/database", "7-2", well=False, deaths=3, exit=-9, lived=2.5)
    kept, message = assess(TWO, heard(died, often)) or (True, "")
    assert not kept
    assert "web died" in message
    assert "database died 3 times in a row, the last time 2.5 s after its start, with status -9" in message
    late = event(well=False, deaths=0, exit=1, lived=4000.0)
    assert "web died 4000 s after its start, with status 1, and is started again" in assess(TWO, heard(late))[1]  # type: ignore[index]
    once = event("run/load", "7-3", well=False, exit=2)
    assert assess({"run/load": "7-3"}, heard(once)) == (
        False,
        "load, which runs once, ended with status 2; see var/log/load.log",
    )


def test_what_runs_nothing_has_no_such_promise() -> None:
    assert assess({}, heard(event())) is None


def test_a_supervisor_of_an_earlier_version_is_taken_by_its_word() -> None:
    assert assess({"service/web": ""}, {}) == (True, WELL)
    assert (assess({"service/web": ""}, heard(event(version="", well=False, deaths=3))) or (True,))[0] is False


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(Database(tmp_path / "store.sqlite"))
    store.begin_epoch(1)
    wanted = WantedInstance("i", 5, "p0", "release", "default", Wanted.STARTED, "shop", msgspec.Raw(b"{}"))
    store.apply_feed(Feed(5, 0.0, 1.0, instances=[wanted]))
    yield store
    store.close()


def results(store: Store) -> list[tuple[bool, str]]:
    return [(one.kept, one.message) for one in store.results.all()]


def test_a_word_that_comes_before_the_configuration_is_noted_counts_after_it(store: Store) -> None:
    services = Services(store.instances, store.results, store.clock, Checks())
    services.hear(event())
    services.expect("p0", {"service/web": "7-1"})
    assert results(store) == []
    store.instances.record_state("i", 5, Observed.STARTED)
    desired = store.instances.desired("i")
    assert desired is not None
    services.tell(desired)
    assert results(store) == [(True, WELL)]


def test_the_next_tenant_of_a_partition_inherits_no_word_of_the_former_one(store: Store) -> None:
    services = Services(store.instances, store.results, store.clock, Checks())
    services.expect("p0", {"service/web": "7-1"})
    services.hear(event())
    services.forget("p0")
    store.instances.record_state("i", 5, Observed.STARTED)
    services.expect("p0", {"service/web": "7-2"})
    services.tell_all()
    assert results(store) == []
    services.hear(event(version="7-2", well=False, deaths=1))
    assert [kept for kept, _ in results(store)] == [False]
    services.hear(event(version="7-2"))
    assert results(store) == [(True, WELL)]


def started(store: Store, services: Services, versions: dict[str, str]) -> None:
    """Have the instance run these, as its configuration does."""
    store.instances.record_state("i", 5, Observed.STARTED)
    services.expect("p0", versions)
    services.tell_all()


def test_a_death_breaks_it_at_once_however_long_the_service_lived(store: Store) -> None:
    services = Services(store.instances, store.results, store.clock, Checks())
    started(store, services, TWO)
    services.hear(event("service/database", "7-2"))
    services.hear(event())
    services.hear(event(well=False, deaths=0, lived=86_400.0))
    assert [kept for kept, _ in results(store)] == [False]
    services.hear(event())
    assert results(store) == [(True, WELL)]


def test_it_waits_for_a_check_of_each_promise_since_the_youngest_service_was_started(store: Store) -> None:
    checks = Checks()
    services = Services(store.instances, store.results, store.clock, checks)
    started(store, services, TWO)
    services.hear(event("service/database", "7-2", since=10.0))
    checks.at = 11.0
    services.hear(event(since=12.0))
    assert results(store) == [], "what was checked then was checked of another process"
    assert checks.asked == [12.0]
    services.measured("p0")
    assert (results(store), checks.asked) == ([], [12.0]), "one of its promises has no new result yet"
    checks.at = 12.1
    services.measured("p0")
    assert results(store) == [(True, WELL)]
    services.hear(event(well=False, deaths=1, lived=2.0))
    services.hear(event(since=20.0))
    assert [kept for kept, _ in results(store)] == [False], "and so after each death"
    checks.at = 20.1
    services.measured("p0")
    assert results(store) == [(True, WELL)]


def test_a_task_that_ends_well_later_needs_no_new_check(store: Store) -> None:
    checks = Checks()
    services = Services(store.instances, store.results, store.clock, checks)
    started(store, services, {"service/web": "7-1", "run/load": "7-2"})
    checks.at = 11.0
    services.hear(event(since=10.0))
    services.hear(event("run/load", "7-2", since=12.0))
    assert (results(store), checks.asked) == ([(True, WELL)], [])


def test_it_is_broken_while_what_was_kept_is_started_anew(store: Store) -> None:
    services = Services(store.instances, store.results, store.clock, Checks())
    services.recall(event())
    started(store, services, {"service/web": "7-1"})
    assert results(store) == [(True, WELL)], "what was told before we listened counts"
    started(store, services, {"service/web": "8-1"})
    assert [kept for kept, _ in results(store)] == [False]
    assert "web: started, and has not lived for long enough yet" in results(store)[0][1]
    services.hear(event(version="8-1"))
    assert results(store) == [(True, WELL)]


def test_what_was_heard_is_newer_than_what_is_recalled(store: Store) -> None:
    services = Services(store.instances, store.results, store.clock, Checks())
    services.hear(event(well=False, deaths=1))
    services.recall(event())
    started(store, services, {"service/web": "7-1"})
    assert [kept for kept, _ in results(store)] == [False]
