"""Loss of power on a node's own disk: what was not flushed is lost, in any order, and nothing that was told.

`FREEHOLD_POWER_CUTS=40 ./dev test tests/journeys/test_power.py` has so many cuts; `FREEHOLD_POWER_SEED` others.
"""

import contextlib
import mmap
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from freehold.kit.waiting import shows, until
from support.machines import REPOSITORY, Cloud, Machine

CUTS = int(os.environ.get("FREEHOLD_POWER_CUTS", "6"))
SEED = int(os.environ.get("FREEHOLD_POWER_SEED", "1"))
SIZE_MB = 400
MOST_STEPS = 400
"""Writes and flushes of the disk, from a wish to the cut."""
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="a disk of its own takes root and /dev/fuse"
)


class Power:
    """A disk that is mounted, loses its power, and comes back."""

    def __init__(self, image: Path, place: Path) -> None:
        self._image, self.place = image, place
        self._under = image.with_suffix(".fuse")
        for folder in (place, self._under):
            folder.mkdir()
        with image.open("wb") as file:
            file.truncate(SIZE_MB * 2**20)
        _must("mkfs.ext4", "-q", "-b", "4096", image)
        self._served: subprocess.Popen[str] | None = None
        self.on()

    def on(self) -> None:
        command = [
            sys.executable,
            str(REPOSITORY / "tests" / "support" / "lossy_disk.py"),
            str(self._image),
            str(self._under),
        ]
        self._served = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        until(lambda: (self._under / "disk").exists(), what="the disk")
        _must("mount", "-o", "loop", self._under / "disk", self.place)

    def fail_after(self, steps: int, seed: int) -> None:
        """Have it fail after so many writes and flushes."""
        assert self._served is not None
        assert self._served.stdin is not None
        self._served.stdin.write(f"cut {steps} {seed}\n")
        self._served.stdin.flush()

    def failed(self) -> bool:
        """Return whether it failed: its file cannot be read any more."""
        try:
            descriptor = os.open(self._under / "disk", os.O_RDONLY | os.O_DIRECT)
        except OSError:
            return True
        try:
            os.preadv(descriptor, [mmap.mmap(-1, 4096)], 0)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def off(self) -> None:
        """Unmount what is left of it."""
        for folder in (self.place, self._under):
            until(partial(_unmounted, folder), 30, "the disk's end")
        if self._served is not None:
            self._served.communicate(timeout=10)


def _must(*command: object) -> None:
    subprocess.run([str(one) for one in command], check=True, capture_output=True, timeout=60)


def _unmounted(folder: Path) -> bool:
    if os.path.ismount(folder):
        subprocess.run(["umount", folder], capture_output=True, timeout=60)
    return not os.path.ismount(folder)


@pytest.fixture(scope="module")
def power() -> Iterator[Power]:
    place = Path("/var/tmp") / f"freehold-power-{os.getpid()}"
    image = place.with_suffix(".image")
    made = Power(image, place)
    yield made
    made.off()
    for folder in (place, image.with_suffix(".fuse")):
        folder.rmdir()
    image.unlink()


@pytest.fixture(scope="module")
def machine(power: Power, cloud: Cloud) -> Iterator[Machine]:
    made = cloud.machine(unprivileged=False, title="powerless", partitions=6, place=power.place)
    yield made
    made.remove()
    cloud.machines.remove(made)


def everything_dies(machine: Machine) -> None:
    """End agent, supervisor, services and builds all at once, as the power does."""
    while alive := _of(machine):
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if machine._agent is not None:
            machine._agent.wait()
            machine._agent = None
        until(partial(_ended, alive), 30, "their end")


def _of(machine: Machine) -> set[int]:
    """Return the processes of a machine: those that name its folder, and theirs."""
    found: set[int] = set()
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        try:
            named = os.fsencode(machine.root) in (path / "cmdline").read_bytes()
            parent, state = _stat(pid)
        except OSError:
            continue
        if state == "Z":
            continue
        children.setdefault(parent, []).append(pid)
        if named:
            found.add(pid)
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found - {os.getpid()}


def _stat(pid: int) -> tuple[int, str]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), fields[0]


def _ended(pids: set[int]) -> bool:
    for pid in pids:
        with contextlib.suppress(OSError):
            if _stat(pid)[1] != "Z":
                return False
    return True


def test_power_is_lost_and_lost_again_and_everything_that_was_told_is_true(
    cloud: Cloud, machine: Machine, power: Power, hello_by_profile: Path
) -> None:
    chance = random.Random(SEED)
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.publish(hello_by_profile)
    wanted: dict[str, str] = {}
    for cut in range(CUTS):
        # The first ones fall into the builds. Every other is of a service that a profile configures.
        product = ("hello", "hello-profile")[cut % 2]
        title, greeting = f"{product}-{chance.randrange(2)}", f"greeting {cut}"
        steps, seed = int(MOST_STEPS ** chance.random()), chance.randrange(2**32)
        about = f"FREEHOLD_POWER_SEED={SEED}: cut {cut}, {steps} writes and flushes after '{title}' was wanted"
        power.fail_after(steps, seed)
        cloud.master.request(title, product, parameters={"greeting": greeting})
        wanted[title] = greeting
        until(partial(_failed_or_ready, power, cloud, title), 60, about)
        power.fail_after(0, seed)
        until(power.failed, 10, about)
        everything_dies(machine)
        power.off()
        power.on()
        machine.start()
        try:
            _as_wanted(cloud, machine, wanted)
        except AssertionError as error:
            pytest.fail(f"{about}\n{error}\n{machine.log()[-6000:]}")


def _failed_or_ready(power: Power, cloud: Cloud, title: str) -> bool:
    return power.failed() or bool(cloud.master.show(title)["ready"])


def _as_wanted(cloud: Cloud, machine: Machine, wanted: dict[str, str]) -> None:
    for title, greeting in wanted.items():
        shop = cloud.ready(title)
        until(shows(shop["publication"]["url"], greeting), 30, f"{title} with '{greeting}'")
    # The Master would refuse a number that comes again with other content.
    until(lambda: machine.status()["reports_waiting"] == 0, 60, "all told")
    until(lambda: cloud.master.chain("powerless") == machine.chain(), 60, "each report applied once, and nothing else")
    assert cloud.master.chain("powerless")[0] == 1, "it is the same node"
    assert cloud.master.sql("SELECT reason, item FROM fleet_refuseditem") == []
