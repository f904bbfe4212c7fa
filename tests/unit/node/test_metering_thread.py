"""What is measured is kept at once, and told in the Master's rhythm."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold import kit
from freehold.node.metering import Meter
from freehold.node.metering.thread import MeteringThread
from freehold.node.runtime import Runtime
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.database import Database
from freehold.node.state.results import HEARTBEAT
from freehold.node.state.store import Store
from freehold.node.supervisor.client import GroupStatus, ProcessStatus, Supervisor
from freehold.protocol.feed import Feed, WantedInstance
from freehold.protocol.states import Observed, Wanted


class OfOne(Supervisor):
    """A supervisor of one process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def status(self) -> dict[str, GroupStatus]:
        return {"p0": GroupStatus(0, [ProcessStatus("service/web", self._pid, "running", "", 1.0, 0, None)])}


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def test_every_reading_is_kept_and_some_are_told(tmp_path: Path, sleeper: int) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    store.apply_feed(Feed(1, 0.0, 60.0, instances=[WantedInstance("shop", 1, "p0", "r", "default", Wanted.STARTED)]))
    store.instances.record_state("shop", 1, Observed.STARTED)
    settings = Settings(f"test{os.getpid()}", True, slots=[PartitionSlot("p0", "127.0.0.1")])
    meter = Meter(settings.tag, root_mode=False)
    paths, supervisor = Paths(tmp_path), OfOne(sleeper)
    metering = MeteringThread(paths, settings, store, supervisor, meter, lambda slot: "", lambda slot: "", Runtime())
    waited = store.outbox.count()
    metering.measure()
    metering.measure(tell=False)
    assert store.outbox.count() == waited + 1
    first = store.counters.all()["shop"]

    def grown() -> bool:
        metering.measure(tell=False)
        return store.counters.all()["shop"] != first

    kit.until(grown, what="some use")
    assert store.outbox.count() == waited + 1, "it is kept, and waits for its time"
    metering.measure()
    assert store.outbox.count() == waited + 2
    assert b'"usage"' in bytes(store.outbox.hand_out(10, 10**6)[-1].body)


def test_counters_that_an_older_agent_kept_go_on_as_another_series(tmp_path: Path, sleeper: int) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    store.apply_feed(Feed(1, 0.0, 60.0, instances=[WantedInstance("shop", 1, "p0", "r", "default", Wanted.STARTED)]))
    store.instances.record_state("shop", 1, Observed.STARTED)
    store.counters.save({"shop": '{"series":"old","cpu_ms":9000.0,"raw_cpu_ms":9000.0,"raw_exact":true}'}, [])
    settings = Settings(f"test{os.getpid()}", True, slots=[PartitionSlot("p0", "127.0.0.1")])
    meter, paths = Meter(settings.tag, root_mode=False), Paths(tmp_path)
    MeteringThread(paths, settings, store, OfOne(sleeper), meter, lambda slot: "", lambda slot: "", Runtime()).measure()
    told = bytes(store.outbox.hand_out(10, 10**6)[-1].body)
    assert b'"usage"' in told
    assert b'"old"' not in told, "a counter never goes back within its series"


def test_a_result_that_is_no_news_wakes_nobody_and_goes_along_with_what_is(tmp_path: Path) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    store.apply_feed(Feed(1, 0.0, 60.0, instances=[WantedInstance("shop", 1, "p0", "r", "default", Wanted.STARTED)]))
    store.results.record("shop", 1, "page", True, "", 1000)
    woken: list[int] = []
    store.database.when_changed(lambda: woken.append(1))
    store.results.record("shop", 1, "page", True, "", 1000 + HEARTBEAT)
    assert (woken, store.outbox.count()) == ([], 2)
    store.results.record("shop", 1, "page", False, "", 1001 + HEARTBEAT)
    assert (woken, store.outbox.count()) == ([1], 3)


def test_who_only_looks_sees_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    store.apply_feed(Feed(1, 0.0, 60.0, instances=[WantedInstance("shop", 1, "p0", "r", "default", Wanted.STARTED)]))
    looking = Store(Database(tmp_path / "node.sqlite", only_look=True))
    looking.outbox.add()
    assert [desired.instance for desired in looking.instances.all()] == ["shop"]
    assert store.outbox.count() == 0
    assert Store(Database(tmp_path / "new.sqlite", only_look=True)).instances.all() == []
    assert not (tmp_path / "new.sqlite").exists()
