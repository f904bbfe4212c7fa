"""What a partition holds on the disk, and whether that is too much: also what is very deep, and what has no name."""

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from freehold.node.host import trees
from freehold.node.isolation import cgroups


@dataclass(frozen=True)
class DiskUsage:
    """What a partition holds on the disk."""

    mb: float
    files: int


@dataclass
class _Sum:
    blocks: int = 0
    files: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)
    """What has several names, or none, and was counted."""

    def add(self, status: os.stat_result) -> None:
        self.files += 1
        if status.st_nlink != 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in self.seen:
                return
            self.seen.add((status.st_dev, status.st_ino))
        self.blocks += status.st_blocks


def measure(folder: str, pids: Iterable[int] = ()) -> DiskUsage:
    """Return what a folder holds, following no links, with what these processes keep of it that has no name any more.

    What goes away meanwhile is not counted.
    """
    total = _Sum()

    def see(descriptor: int, entry: "os.DirEntry[str]") -> bool:
        total.add(entry.stat(follow_symlinks=False))
        return True

    trees.visit(folder, see)
    with contextlib.suppress(OSError):
        device = os.stat(folder).st_dev
        for pid in pids:
            for kind in ("fd", "map_files"):
                _add_nameless(f"/proc/{pid}/{kind}", device, total)
    return DiskUsage(total.blocks * 512 / (1 << 20), total.files)


def measure_partition(folder: str, tag: str) -> DiskUsage:
    """Return what a partition holds: in its folder, and what its processes, known by its control group, keep."""
    services, checks = cgroups.processes(tag)
    return measure(folder, [*services, *checks])


def _add_nameless(folder: str, device: int, total: _Sum) -> None:
    try:
        entries = os.listdir(folder)
    except OSError:
        return
    for name in entries:
        with contextlib.suppress(OSError):
            status = os.stat(f"{folder}/{name}")
            if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode):
                total.add(status)


def too_much(held: DiskUsage, disk_mb: int, files: int) -> str:
    """Return why a partition holds too much, for people; empty when it does not. A limit of 0 is none."""
    if disk_mb and held.mb > disk_mb:
        return f"It holds {held.mb:.0f} MB; {disk_mb} MB are allowed."
    if files and held.files > files:
        return f"It holds {held.files} files; {files} are allowed."
    return ""
