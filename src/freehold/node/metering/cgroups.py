"""A control group for each partition: its processor time is then exact, whatever its processes do.

Version 1 and version 2 are both used where they are; without root, or where neither can be written, there are
none and the meter reads `/proc` instead. Limits come with strong isolation; here groups only measure.
"""

import os
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
PARENT = "freehold"


def create(tag: str) -> list[str]:
    """Make a partition's groups and return their folders; none if impossible. `tag` is `NODE/PARTITION`."""
    if os.geteuid() != 0:
        return []
    for base in _bases():
        folder = base / PARENT / tag
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        return [str(folder)]
    return []


def remove(tag: str) -> None:
    """Remove a partition's groups; what still has processes stays."""
    for base in _bases():
        try:
            (base / PARENT / tag).rmdir()
        except OSError:
            continue


def remove_node(node: str) -> None:
    """Remove the groups of a node's partitions and its own; what still has processes stays."""
    for base in _bases():
        for part in [path.name for path in (base / PARENT / node).glob("*/")]:
            remove(f"{node}/{part}")
        remove(node)


def cpu_ms(tag: str) -> float | None:
    """Return the processor time of a partition's group in milliseconds; None when there is no group."""
    try:
        return int((_V1 / PARENT / tag / "cpuacct.usage").read_text()) / 1e6
    except OSError:
        pass
    try:
        lines = (_V2 / PARENT / tag / "cpu.stat").read_text().split()
        return int(lines[lines.index("usage_usec") + 1]) / 1e3
    except (OSError, ValueError):
        return None


def processes(tag: str) -> list[int]:
    """Return the processes of a partition's group; none when there is no group."""
    for base in (_V1, _V2):
        try:
            return [int(pid) for pid in (base / PARENT / tag / "cgroup.procs").read_text().split()]
        except OSError:
            continue
    return []


def _bases() -> list[Path]:
    if (_V1 / "cpuacct.usage").exists():
        return [_V1]
    if (_V2 / "cgroup.controllers").exists():
        return [_V2]
    return []
