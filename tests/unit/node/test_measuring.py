"""What is measured is kept at once, and told in the Master's rhythm."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold import kit
from freehold.node.measuring import Measuring
from freehold.node.settings import Paths, Place, Settings
from freehold.node.store import Store
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
    store = Store(tmp_path / "node.sqlite")
    store.apply_feed(Feed(1, 0.0, 60.0, instances=[WantedInstance("shop", 1, "p0", "r", "default", Wanted.STARTED)]))
    store.instance_is("shop", 1, Observed.STARTED)
    settings = Settings(f"test{os.getpid()}", True, places=[Place("p0", "127.0.0.1")])
    measuring = Measuring(Paths(tmp_path), settings, store, OfOne(sleeper))
    waited = store.outbox_size()
    measuring.measure()
    measuring.measure(tell=False)
    assert store.outbox_size() == waited + 1
    first = store.counters()["shop"]

    def grown() -> bool:
        measuring.measure(tell=False)
        return store.counters()["shop"] != first

    kit.until(grown, what="some use")
    assert store.outbox_size() == waited + 1, "it is kept, and waits for its time"
    measuring.measure()
    assert store.outbox_size() == waited + 2
    assert b'"usage"' in bytes(store.outbox(10, 10**6)[-1].body)
