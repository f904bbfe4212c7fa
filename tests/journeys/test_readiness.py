"""What is ready, and when, while a service dies again and again: nothing is whose services do not live."""

import bisect
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import page, until
from freehold.node.partition.layout import SERVICES_PROMISE
from freehold.node.settings import Paths
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.supervisor.client import Supervisor
from support.machines import MODES, REPOSITORY, Cloud, Machine

SOON = 0.5
"""Seconds within which a node notices a death, on a machine that does much else."""


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    machine = cloud.machine(unprivileged=MODES[0] == "unprivileged", title="clinic")
    cloud.publish(REPOSITORY / "tests" / "releases" / "short-lived")
    cloud.publish(REPOSITORY / "software" / "hello")
    return machine


def told(machine: Machine, instance: str) -> list[tuple[float, bool]]:
    """Return when the promise `services` changed, and to what, the oldest first."""
    store = Store(Database(Paths(machine.root).store, only_look=True))
    try:
        return sorted((one.at, one.kept) for one in store.results.history(instance) if one.name == SERVICES_PROMISE)
    finally:
        store.close()


def moments(folder: Path, name: str) -> list[float]:
    return [float(line) for line in (folder / "srv" / name).read_text().split()]


def look(cloud: Cloud, title: str, until_starts: int, machine: Machine) -> list[Any]:
    """Return all that the Master shows of a service until it was started so often."""
    seen: list[Any] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        seen.append(cloud.master.show(title))
        starts = machine.folder(seen[-1]["partition"]) / "srv" / "starts" if seen[-1]["partition"] else None
        if starts and starts.exists() and len(starts.read_text().split()) >= until_starts:
            return seen
        time.sleep(0.02)
    raise AssertionError(seen[-1])


@pytest.mark.parametrize(("seconds", "starts", "times_ready"), [(0.3, 5, 1), (2, 5, 2)])
def test_a_service_that_dies_again_and_again_is_never_ready_while_it_is_dead(
    cloud: Cloud, machine: Machine, seconds: float, starts: int, times_ready: int
) -> None:
    title = f"dies-after-{seconds}".replace(".", "-")
    cloud.master.request(title, "short-lived", parameters={"seconds": seconds}, constraints={"node": "clinic"})
    seen = look(cloud, title, starts, machine)
    folder, changes = machine.folder(seen[-1]["partition"]), told(machine, seen[-1]["id"])
    started, died = moments(folder, "starts"), moments(folder, "deaths")
    assert 1 <= len([kept for _, kept in changes if kept]) <= times_ready, "after each death it has to live for longer"
    assert changes[-1][1] is False
    for at, kept in changes:
        if not kept:
            assert any(0 <= at - death < SOON for death in died), "each death is told at once"
            continue
        life = bisect.bisect(started, at) - 1
        assert died[life] > at - SOON, "it is told to live only while it does"
        assert life == 0 or at - started[life] > 0.8, "a copy that follows a death lives for a second before that"
    last = seen[-1]
    assert (last["state"], last["promises_kept"], last["ready"]) == ("started", False, False)
    assert re.search(r"after its start, with status 3; see var/log/program.log", last["message"]), last["message"]
    for shown in seen:
        assert not shown["ready"] or all(promise["kept"] for promise in shown["promises"])
    assert cloud.order(title, "short-lived", state="destroyed")["state"] == "destroyed"


def test_a_service_that_is_killed_is_not_ready_until_it_lives_and_serves_again(cloud: Cloud, machine: Machine) -> None:
    shop = cloud.order("killed", "hello", parameters={"greeting": "alive"}, constraints={"node": "clinic"})
    (pid,) = machine.pids("killed")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not cloud.master.show("killed")["ready"], 10)
    assert "died" in cloud.master.show("killed")["message"]
    assert cloud.ready("killed")["message"] == ""
    assert "alive" in page(shop["publication"]["url"])
    assert [kept for _, kept in told(machine, shop["id"])] == [True, False, True]


def test_an_agent_and_a_supervisor_that_start_again_take_no_readiness_from_what_lives(
    cloud: Cloud, machine: Machine
) -> None:
    shop = cloud.order("steady", "hello", parameters={"greeting": "steady"}, constraints={"node": "clinic"})
    machine.kill()
    machine.start()
    supervisor = machine.supervisor_pid
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: _pid(machine) not in (0, supervisor), 20)
    time.sleep(1.5)
    assert told(machine, shop["id"]) == told(machine, shop["id"])[:1]


def _pid(machine: Machine) -> int:
    try:
        return Supervisor(machine.root / "run").pid()
    except Exception:
        return 0
