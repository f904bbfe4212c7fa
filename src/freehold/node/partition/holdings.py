"""What a partition holds on the disk, and whether that is too much."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Held:
    """What a partition holds on the disk."""

    mb: float
    files: int


def measure(folder: str) -> Held:
    """Return what a folder holds, following no links; what goes away meanwhile is not counted."""
    blocks = files = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    files += 1
                    blocks += entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return Held(blocks * 512 / (1 << 20), files)


def too_much(held: Held, disk_mb: int, files: int) -> str:
    """Return why a partition holds too much, for people; empty when it does not. A limit of 0 is none."""
    if disk_mb and held.mb > disk_mb:
        return f"It holds {held.mb:.0f} MB; {disk_mb} MB are allowed."
    if files and held.files > files:
        return f"It holds {held.files} files; {files} are allowed."
    return ""
