"""Control groups: what the processes of a partition may use together, what they used, and all of them at once.

Version 1 and version 2 are both used where they are; without root, or where neither can be written, there are none.
A partition has a group with its limits, and below it one for its services and one for what the node runs in its name
(configurations, checks of promises). Whatever runs in either is the partition's use.

One hierarchy says which processes there are (`tracking`): version 2, which hybrid machines have besides, since it ends
a group at once; else that of `pids`. There each service, and each call of the node's, has a group of its own, so that
what it leaves behind is known and ends with it; and there is the group of the partition's init.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from freehold.node.isolation import group
from freehold.node.settings import Limits

_ROOT = Path("/sys/fs/cgroup")
PARENT = "freehold"
_SERVICES, _CHECKS, _INIT = "services", "checks", "init"
_CONTROLLERS = ("cpu", "memory", "pids")
_PERIOD = 100_000
"""Microseconds over which processor time is shared out."""
_calls = itertools.count()


class Groups:
    """The folders of a partition's groups."""

    def __init__(self, services: list[str], checks: list[str], tracking: str = "") -> None:
        self.services = services
        """What a service writes itself into, besides a group of its own below `tracked`."""
        self.checks = checks
        """What a child that the node starts in the partition's name writes itself into, likewise."""
        self.tracking = tracking
        """The partition's folder where its processes are known; empty where there are no groups."""

    @property
    def tracked(self) -> str:
        """Below it each service has a group of its own."""
        return f"{self.tracking}/{_SERVICES}" if self.tracking else ""

    @property
    def init(self) -> str:
        """The file of the group in which the partition's init is alone."""
        return f"{self.tracking}/{_INIT}/cgroup.procs" if self.tracking else ""

    def call(self) -> str:
        """Make a group of its own for something that the node runs in the partition's name; return its folder."""
        if not self.tracking:
            return ""
        folder = f"{self.tracking}/{_CHECKS}/{next(_calls)}"
        os.makedirs(folder, exist_ok=True)
        return folder


def tracking(tag: str) -> str:
    """Return the folder in which a partition's processes are known; empty when there is none."""
    root = _tracking_root()
    return f"{root / PARENT / tag}" if root else ""


def create(tag: str, limits: Limits) -> Groups:
    """Make a partition's groups, with these limits; none if impossible. `tag` is `NODE/PARTITION`."""
    if os.geteuid() != 0:
        return Groups([], [])
    if _is_v2():
        return _create_v2(tag, limits)
    return _create_v1(tag, limits)


def limited() -> set[str]:
    """Return which of cpu, memory and pids can be limited here."""
    if os.geteuid() != 0:
        return set()
    if _is_v2():
        try:
            return {*(_ROOT / "cgroup.controllers").read_text().split()} & {*_CONTROLLERS}
        except OSError:
            return set()
    return {name for name in _CONTROLLERS if (_ROOT / name / "cgroup.procs").exists()}


def version() -> int:
    """Return which version is used here: 1, 2, or 0 for none."""
    if os.geteuid() != 0:
        return 0
    return 2 if _is_v2() else 1 if (_ROOT / "cpuacct" / "cpuacct.usage").exists() else 0


def end(tag: str, seconds: float) -> bool:
    """Kill all in a partition's groups and remove them; return whether nothing is left in time."""
    deadline = time.monotonic() + seconds
    # Where all are known first: whoever is ended there leaves the other groups.
    ended = [
        group.end(f"{base / PARENT / tag}", max(0.0, deadline - time.monotonic()))
        for base in sorted(_bases(), key=lambda base: base != _tracking_root())
    ]
    return all(ended)


def remove_node(node: str) -> None:
    """End all in the groups of a node's partitions, and remove them and its own."""
    for base in _bases():
        for part in [path.name for path in (base / PARENT / node).glob("*/")]:
            end(f"{node}/{part}", 10)
        try:
            (base / PARENT / node).rmdir()
        except OSError:
            continue


def partitions(node: str) -> list[str]:
    """Return the partitions of a node in which something runs."""
    root = _tracking_root()
    groups = (root / PARENT / node).glob(f"*/{_SERVICES}") if root else ()
    return sorted(path.parent.name for path in groups if group.members(str(path)))


def cpu_ms(tag: str) -> float | None:
    """Return the processor time of all that ran in a partition's name in milliseconds; None when there is no group."""
    try:
        return int((_ROOT / "cpuacct" / PARENT / tag / "cpuacct.usage").read_text()) / 1e6
    except OSError:
        pass
    try:
        lines = (_ROOT / PARENT / tag / "cpu.stat").read_text().split()
        return int(lines[lines.index("usage_usec") + 1]) / 1e3
    except (OSError, ValueError):
        return None


def written(tag: str) -> int | None:
    """Return the bytes that a partition had written to disks; None where the kernel does not say."""
    try:
        text = (_ROOT / "blkio" / PARENT / tag / "blkio.throttle.io_service_bytes_recursive").read_text()
        return sum(int(line.split()[2]) for line in text.splitlines() if " Write " in line)
    except OSError:
        pass
    try:
        words = (_ROOT / PARENT / tag / "io.stat").read_text().split()
        return sum(int(word[7:]) for word in words if word.startswith("wbytes="))
    except OSError:
        return None


def processes(tag: str) -> tuple[list[int], list[int]]:
    """Return the processes of a partition's services, and what the node runs in its name; none without a group."""
    folder = tracking(tag)
    if not folder:
        return [], []
    return group.members(f"{folder}/{_SERVICES}"), group.members(f"{folder}/{_CHECKS}")


def refusals(tag: str) -> dict[str, int]:
    """Return how often a partition was held to its limits, by what: memory (a process was killed), processes.

    The numbers begin anew with the group.
    """
    controllers, is_v2 = {}, _is_v2()
    for limit, controller, names in (
        ("memory", "memory", ("memory.oom_control", "memory.events")),
        ("processes", "pids", ("pids.events", "pids.events")),
    ):
        key = b"oom_kill" if limit == "memory" else b"max"
        if is_v2:
            # Of memory the limited group counts all. Of processes it does so since Linux 6.11; before, the group does
            # in which another process was refused.
            groups = ("",) if limit == "memory" else ("", f"{_SERVICES}/", f"{_CHECKS}/")
            counts = [_count(f"{_ROOT}/{PARENT}/{tag}/{group}{names[1]}", key) for group in groups]
        else:
            # Version 1 counts an event in the group of the process that it struck.
            folder = f"{_ROOT}/{controller}/{PARENT}/{tag}"
            counts = [_count(f"{folder}/{group}/{names[0]}", key) for group in (_SERVICES, _CHECKS)]
        known = [count for count in counts if count is not None]
        if known:
            controllers[limit] = sum(known)
    return controllers


def _create_v1(tag: str, limits: Limits) -> Groups:
    settings = {
        # The first can never be more than the second: raised, it fails at first; lowered, the second does.
        "memory": [
            ("memory.limit_in_bytes", limits.memory_mb << 20),
            ("memory.memsw.limit_in_bytes", limits.memory_mb << 20),
            ("memory.limit_in_bytes", limits.memory_mb << 20),
        ],
        "pids": [("pids.max", limits.processes)],
        "cpu": [("cpu.cfs_period_us", _PERIOD), ("cpu.cfs_quota_us", _PERIOD * limits.cpu_percent // 100 or -1)],
    }
    groups = Groups([], [], tracking(tag))
    for controller in ("cpuacct", "blkio", *_CONTROLLERS):
        if not (_ROOT / controller / "cgroup.procs").exists():
            continue
        folder = _ROOT / controller / PARENT / tag
        try:
            _make(folder)
            for name, value in settings.get(controller, []):
                _set(folder / name, value)
        except OSError:
            continue
        if str(folder) != groups.tracking:
            # A file for one thread: moving a whole process waits until every processor has passed by.
            groups.services.append(f"{folder}/{_SERVICES}/tasks")
            groups.checks.append(f"{folder}/{_CHECKS}/tasks")
    if groups.tracking:
        _make(Path(groups.tracking))
    return groups


def _create_v2(tag: str, limits: Limits) -> Groups:
    folder = _ROOT / PARENT / tag
    try:
        for parent in (_ROOT, _ROOT / PARENT, folder.parent, folder):
            parent.mkdir(exist_ok=True)
            here = {*(parent / "cgroup.controllers").read_text().split()} & {*_CONTROLLERS, "io"}
            if here:
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(here)))
        _make(folder)
        for name, value in {
            "memory.max": limits.memory_mb << 20,
            "memory.swap.max": 0,
            "memory.oom.group": 0,
            "pids.max": limits.processes,
            "cpu.max": f"{_PERIOD * limits.cpu_percent // 100 or 'max'} {_PERIOD}",
        }.items():
            _set(folder / name, value)
    except OSError:
        return Groups([], [])
    # The group of its own into which each goes is below these.
    return Groups([], [], str(folder))


def _make(folder: Path) -> None:
    for name in (_SERVICES, _CHECKS):
        (folder / name).mkdir(parents=True, exist_ok=True)


def _set(path: Path, value: object) -> None:
    if path.exists():
        # What is used already may be more than the limit: it is then held to what it has.
        with contextlib.suppress(OSError):
            path.write_text(str(value))


def _count(path: str, key: bytes) -> int | None:
    """Return a number of a file with lines of a key and a number. Read often: no more than the calls that it takes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    words = os.read(descriptor, 4096).split()
    os.close(descriptor)
    return int(words[words.index(key) + 1]) if key in words else None


def _is_v2() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


def _tracking_root() -> Path | None:
    if os.geteuid() != 0:
        return None
    if _is_v2():
        return _ROOT
    for base, file in ((_ROOT / "unified", "cgroup.procs"), (_ROOT / "pids", "cgroup.procs")):
        if (base / file).exists():
            return base
    return None


def _bases() -> Iterator[Path]:
    if _is_v2():
        yield _ROOT
        return
    for name in ("unified", "cpuacct", "blkio", *_CONTROLLERS):
        if (_ROOT / name / "cgroup.procs").exists():
            yield _ROOT / name
