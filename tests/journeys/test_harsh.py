"""A full disk, a read-only one, a jumping clock, an endless build, a flood of logs: neighbours keep their promises."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import gone, lives, page, shows, until
from freehold.node.supervisor.client import Supervisor
from support.machines import REPOSITORY, Cloud, Machine

PRIVILEGED = os.geteuid() == 0
SIZE_MB = 300
JUMPING = """
import os, time
_right = time.time
def _wrong():
    try:
        with open(os.environ["WRONG_BY_FILE"]) as file:
            return _right() + float(file.read() or 0)
    except OSError:
        return _right()
time.time = _wrong
"""
"""Read by every Python of the machine: its clock shows what a file says, from one moment to the next."""
DEVELOPING = b"[buildout]\nparts =\ndevelop = ${buildout:directory}/release\n"
FILLING = b"""
import os, time
with open(os.environ["HOME"] + "/data", "wb") as file:
    while True:
        file.write(b"x" * 2**20)
        time.sleep(0.005)
"""
FLOODING = b"""
import msgspec
from freehold.release import Context, Plan, Process, Release, Type

class Nothing(msgspec.Struct):
    pass

def plan(parameters: Nothing, context: Context) -> Plan:
    lines = "while :; do yes $(printf %0100d 0) | head -n 10000; sleep 1; done"
    return Plan(processes=(Process("flood", ("/bin/sh", "-c", lines)),))

release = Release("flood", "1.0", "For tests.", {"default": Type("Nothing", Nothing, Nothing, plan)})
"""
"""Ten thousand lines a second."""
pytestmark = pytest.mark.skipif(not PRIVILEGED, reason="a disk of its own takes root")


@pytest.fixture(scope="module", autouse=True)
def disk() -> Iterator[Path]:
    """A small disk, which is there before all that is on it and after."""
    place = Path("/var/tmp") / f"freehold-disk-{os.getpid()}"
    image = place.with_suffix(".image")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_MB * 2**20)
    _must("mkfs.ext4", "-q", "-m", "1", image)
    _must("mount", "-o", "loop", image, place)
    yield place
    _must("umount", "--lazy", place)
    place.rmdir()
    image.unlink()


def _must(*command: object) -> None:
    subprocess.run([str(one) for one in command], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    (folder / "sitecustomize.py").write_text(JUMPING)
    (folder / "wrong_by").write_text("0")
    return folder / "wrong_by"


@pytest.fixture(scope="module")
def machine(disk: Path, clock: Path, cloud: Cloud) -> Machine:
    made = cloud.machine(unprivileged=False, title="harsh", partitions=6, place=disk, start=False)
    made.environment = {"PYTHONPATH": str(clock.parent), "WRONG_BY_FILE": str(clock)}
    made.start()
    until(lambda: cloud.master.node_row("harsh")["partitions"] == 6)
    cloud.publish(REPOSITORY / "software" / "hello")
    return made


@pytest.fixture(scope="module")
def steady(cloud: Cloud, machine: Machine) -> Any:
    """The neighbour that nothing of this may touch."""
    return cloud.order("steady", parameters={"greeting": "steady"})


@contextmanager
def neighbours_unharmed(cloud: Cloud, machine: Machine, steady: Any) -> Iterator[None]:
    """See that the neighbour is the same before and after, serves, and is started again when it dies meanwhile."""
    pids = _pids(machine, steady)
    yield
    assert _pids(machine, steady) == pids, "it was not touched"
    _killed_and_back(machine, steady)


def _supply(cloud: Cloud, product: str) -> Any:
    rows = cloud.master.api("GET", "/projects/provider/supplies")
    return next(row for row in rows if row["product"] == product)


def _publish(cloud: Cloud, name: str, **files: bytes) -> str:
    files = {path.replace("_", "."): content for path, content in files.items()}
    release = cloud.master.publish(name, files=files)
    cloud.master.supply(name, "harsh")
    return release


def _remove(cloud: Cloud, machine: Machine, product: str, release: str) -> None:
    desired = {"product": product, "nodes": ["harsh"], "wanted": "removed"}
    cloud.master.api("PUT", "/projects/provider/supplies", desired)
    until(lambda: not (machine.root / "software" / release).exists(), 60)


@contextmanager
def filled(disk: Path, *, leave_mb: int) -> Iterator[None]:
    """Have a disk be full but for so many megabytes."""
    hog = disk / "hog"
    with hog.open("wb", buffering=0) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(0, shutil.disk_usage(disk).free - leave_mb * 2**20))
            while leave_mb == 0:
                file.write(b"x" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        hog.unlink()


def test_an_almost_full_disk_stops_builds_and_says_so_and_no_service(
    cloud: Cloud, machine: Machine, steady: Any, disk: Path
) -> None:
    with neighbours_unharmed(cloud, machine, steady), filled(disk, leave_mb=8):
        _publish(cloud, "late")
        until(lambda: _supply(cloud, "late")["observed"] == "failed", 30)
        assert "disk is almost full" in _supply(cloud, "late")["message"]
        shop = cloud.order("meanwhile", parameters={"greeting": "meanwhile"})
        assert "meanwhile" in page(shop["publication"]["url"]), "services still have room"
    until(lambda: _supply(cloud, "late")["observed"] == "available", 60, "the build, when there is room again")


def test_a_build_that_fills_the_disk_is_ended_before_services_are(
    cloud: Cloud, machine: Machine, steady: Any, disk: Path
) -> None:
    release = _publish(cloud, "filling", software_cfg=DEVELOPING, setup_py=FILLING)
    with neighbours_unharmed(cloud, machine, steady):
        until(lambda: _supply(cloud, "filling")["observed"] == "failed", 60)
        assert "filled the node's disk" in _supply(cloud, "filling")["message"]
    _remove(cloud, machine, "filling", release)


def test_a_full_disk_is_survived(cloud: Cloud, machine: Machine, steady: Any, disk: Path) -> None:
    agent, url = machine.agent_pid, steady["publication"]["url"]
    with filled(disk, leave_mb=0):
        _killed_and_back(machine, steady)
        _shown(machine)
        cloud.master.request("steady", "hello", parameters={"greeting": "steady too"})
    until(shows(url, "steady too"), 60, "what was wanted meanwhile")
    assert machine.agent_pid == agent
    assert lives(agent)


def _shown(machine: Machine) -> None:
    """See that who comes to see what is wrong is shown what runs."""
    (steady,) = (one for one in machine.status()["instances"] if one["title"] == "steady")
    assert [process["state"] for process in steady["processes"]] == ["running"]


def _killed_and_back(machine: Machine, steady: Any) -> None:
    (pid,) = _pids(machine, steady)
    os.kill(pid, signal.SIGKILL)
    until(gone([pid]))
    until(shows(steady["publication"]["url"], "steady"), 30, "the service, started again")


def _pids(machine: Machine, steady: Any) -> list[int]:
    """Return the neighbour's processes as the supervisor knows them, whatever the disk."""
    group = Supervisor(machine.root / "run").status()[steady["partition"]]
    return [process.pid for process in group.processes if process.pid]


@pytest.mark.parametrize("days", [366, -366])
def test_a_clock_that_jumps_by_a_year_moves_nothing(
    cloud: Cloud, machine: Machine, steady: Any, clock: Path, days: int
) -> None:
    with neighbours_unharmed(cloud, machine, steady):
        clock.write_text(str(days * 86400))
        try:
            title = f"jumped{days}"
            shop = cloud.order(title, parameters={"greeting": "on time"})
            assert "on time" in page(shop["publication"]["url"])
            cloud.master.request(title, "hello", state="destroyed")
            until(lambda: cloud.master.show(title)["state"] == "destroyed", 30)
        finally:
            clock.write_text("0")


def test_a_build_without_end_and_a_flood_of_logs_hinder_nobody(cloud: Cloud, machine: Machine, steady: Any) -> None:
    endless = _publish(cloud, "endless", software_cfg=DEVELOPING, setup_py=b"import time\ntime.sleep(10**6)\n")
    until(lambda: _supply(cloud, "endless")["observed"] == "building", 30)
    _publish(cloud, "flood", instance_py=FLOODING)
    with neighbours_unharmed(cloud, machine, steady):
        flood = cloud.order("flood", "flood")
        log = machine.folder(flood["partition"]) / "var" / "log" / "flood.log"
        until(lambda: log.exists() and log.stat().st_size > 3_000_000, 30, "thirty thousand lines")
        shop = cloud.order("beside", parameters={"greeting": "beside"})
        assert "beside" in page(shop["publication"]["url"])
        until(lambda: cloud.master.show("steady")["promises_kept"], 60, "the neighbour's promise")
    _remove(cloud, machine, "endless", endless)


def test_a_disk_that_becomes_read_only_stops_no_service_and_is_caught_up_with(
    cloud: Cloud, machine: Machine, steady: Any, disk: Path
) -> None:
    url = steady["publication"]["url"]
    # As ext4 does by itself when it cannot trust its disk any more.
    _must("mount", "-o", "remount,abort", disk)
    with pytest.raises(OSError, match="Read-only"):
        (disk / "new").touch()
    _killed_and_back(machine, steady)
    _shown(machine)
    cloud.master.request("steady", "hello", parameters={"greeting": "steady again"})
    machine.kill()
    _shown(machine)
    Supervisor(machine.root / "run").shutdown()
    image = disk.with_suffix(".image")
    until(lambda: subprocess.run(["umount", disk], capture_output=True).returncode == 0, 30, "the end of all processes")
    subprocess.run(["e2fsck", "-fy", image], capture_output=True, timeout=60)
    _must("mount", "-o", "loop", image, disk)
    machine.start()
    until(shows(url, "steady again"), 60, "what was wanted meanwhile")
