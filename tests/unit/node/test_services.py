"""The promise `services`: what is said of an instance from what the supervisor told of each of its processes."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.node.services import WELL, Services, assess
from freehold.node.state.desired import Store
from freehold.node.supervisor.client import SupervisorEvent
from freehold.protocol.feed import Feed, WantedInstance
from freehold.protocol.states import Observed, Wanted

TWO = {"service/web": "7-1", "service/database": "7-2"}


def event(
    name: str = "service/web", version: str = "7-1", *, well: bool = True, deaths: int = 0, exit: int = 1
) -> SupervisorEvent:
    return SupervisorEvent("p0", name, well, deaths, exit, version)


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


def test_one_that_died_breaks_it_and_is_named_with_its_status_and_its_log() -> None:
    died = event(well=False, deaths=1, exit=127)
    assert assess(TWO, heard(died)) == (False, "web died right after its start, with status 127; see var/log/web.log")
    often = event("service/database", "7-2", well=False, deaths=3, exit=-9)
    kept, message = assess(TWO, heard(died, often)) or (True, "")
    assert not kept
    assert "web died" in message
    assert "database died 3 times in a row right after its start, the last time with status -9" in message
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
    store = Store(tmp_path / "store.sqlite")
    store.begin_epoch(1)
    wanted = WantedInstance("i", 5, "p0", "release", "default", Wanted.STARTED, "shop", msgspec.Raw(b"{}"))
    store.apply_feed(Feed(5, 0.0, 1.0, instances=[wanted]))
    yield store
    store.close()


def results(store: Store) -> list[tuple[bool, str]]:
    return [(kept, message) for _, _, kept, message in store.promises()]


def test_a_word_that_comes_before_the_configuration_is_noted_counts_after_it(store: Store) -> None:
    services = Services(store)
    services.hear(event())
    services.expect("p0", {"service/web": "7-1"})
    assert results(store) == []
    store.instance_is("i", 5, Observed.STARTED)
    desired = store.desired("i")
    assert desired is not None
    services.tell(desired)
    assert results(store) == [(True, WELL)]


def test_the_next_tenant_of_a_partition_inherits_no_word_of_the_former_one(store: Store) -> None:
    services = Services(store)
    services.expect("p0", {"service/web": "7-1"})
    services.hear(event())
    services.forget("p0")
    store.instance_is("i", 5, Observed.STARTED)
    services.expect("p0", {"service/web": "7-2"})
    services.tell_all()
    assert results(store) == []
    services.hear(event(version="7-2", well=False, deaths=1))
    assert [kept for kept, _ in results(store)] == [False]
    services.hear(event(version="7-2"))
    assert results(store) == [(True, WELL)]
