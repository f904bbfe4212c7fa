"""Control groups: what the processes of a partition may use together, what they used, and all of them at once.

Version 1 and version 2 are both used where they are; without root, or where neither can be written, there are none.
A partition has a group with its limits, and below it one for its services and one for what the node runs in its name
(configurations, checks of promises): that counts against the limits, but nobody pays for it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from freehold.node.settings import Limits

_ROOT = Path("/sys/fs/cgroup")
PARENT = "freehold"
_SERVICES, _CHECKS = "services", "checks"
_CONTROLLERS = ("cpu", "memory", "pids")
_PERIOD = 100_000
"""Microseconds over which processor time is shared out."""


class Groups:
    """The folders of a partition's groups."""

    def __init__(self, services: list[str], checks: list[str]) -> None:
        self.services = services
        """What a service writes itself into."""
        self.checks = checks
        """What a child that the node starts in the partition's name writes itself into."""


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


def remove(tag: str) -> None:
    """Remove a partition's groups; what still has processes stays."""
    for base in _bases():
        for name in (_SERVICES, _CHECKS, ""):
            try:
                (base / PARENT / tag / name).rmdir()
            except OSError:
                continue


def remove_node(node: str) -> None:
    """Remove the groups of a node's partitions and its own; what still has processes stays."""
    for base in _bases():
        for part in [path.name for path in (base / PARENT / node).glob("*/")]:
            remove(f"{node}/{part}")
        try:
            (base / PARENT / node).rmdir()
        except OSError:
            continue


def cpu_ms(tag: str) -> float | None:
    """Return the processor time of a partition's services in milliseconds; None when there is no group."""
    try:
        return int((_ROOT / "cpuacct" / PARENT / tag / _SERVICES / "cpuacct.usage").read_text()) / 1e6
    except OSError:
        pass
    try:
        lines = (_ROOT / PARENT / tag / _SERVICES / "cpu.stat").read_text().split()
        return int(lines[lines.index("usage_usec") + 1]) / 1e3
    except (OSError, ValueError):
        return None


def processes(tag: str) -> list[int]:
    """Return the processes of a partition's services; none when there is no group."""
    for base in (_ROOT / "cpuacct", _ROOT):
        try:
            return [int(pid) for pid in (base / PARENT / tag / _SERVICES / "cgroup.procs").read_text().split()]
        except OSError:
            continue
    return []


def refusals(tag: str) -> dict[str, int]:
    """Return how often a partition was held to its limits, by what: memory (a process was killed), processes.

    The numbers begin anew with the group.
    """
    found, is_v2 = {}, _is_v2()
    for what, controller, names in (
        ("memory", "memory", ("memory.oom_control", "memory.events")),
        ("processes", "pids", ("pids.events", "pids.events")),
    ):
        key = b"oom_kill" if what == "memory" else b"max"
        if is_v2:
            # Of memory the limited group counts all. Of processes it does so since Linux 6.11; before, the group does
            # in which another process was refused.
            groups = ("",) if what == "memory" else ("", f"{_SERVICES}/", f"{_CHECKS}/")
            counts = [_count(f"{_ROOT}/{PARENT}/{tag}/{group}{names[1]}", key) for group in groups]
        else:
            # Version 1 counts an event in the group of the process that it struck.
            folder = f"{_ROOT}/{controller}/{PARENT}/{tag}"
            counts = [_count(f"{folder}/{group}/{names[0]}", key) for group in (_SERVICES, _CHECKS)]
        known = [count for count in counts if count is not None]
        if known:
            found[what] = sum(known)
    return found


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
    groups = Groups([], [])
    for controller in ("cpuacct", *_CONTROLLERS):
        if not (_ROOT / controller / "cgroup.procs").exists():
            continue
        folder = _ROOT / controller / PARENT / tag
        try:
            _make(folder)
            for name, value in settings.get(controller, []):
                _set(folder / name, value)
        except OSError:
            continue
        # A file for one thread: moving a whole process waits until every processor has passed by.
        groups.services.append(f"{folder}/{_SERVICES}/tasks")
        if controller != "cpuacct":
            groups.checks.append(f"{folder}/{_CHECKS}/tasks")
    return groups


def _create_v2(tag: str, limits: Limits) -> Groups:
    folder = _ROOT / PARENT / tag
    try:
        for parent in (_ROOT, _ROOT / PARENT, folder.parent, folder):
            parent.mkdir(exist_ok=True)
            here = {*(parent / "cgroup.controllers").read_text().split()} & {*_CONTROLLERS}
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
    return Groups([f"{folder}/{_SERVICES}/cgroup.procs"], [f"{folder}/{_CHECKS}/cgroup.procs"])


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


def _bases() -> Iterator[Path]:
    if _is_v2():
        yield _ROOT
        return
    for controller in ("cpuacct", *_CONTROLLERS):
        if (_ROOT / controller / "cgroup.procs").exists():
            yield _ROOT / controller
