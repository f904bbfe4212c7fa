"""A node's unpacked Debian packages: where they are, and when they are forgotten."""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def opened(node: Path) -> Iterator[Path]:
    """Yield the folder that holds a folder for each package, for one process at a time."""
    folder = node / "packages"
    folder.mkdir(mode=0o711, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def prune(node: Path) -> None:
    """Forget the packages that no release has any more: nothing else links to their files."""
    if not (node / "packages").exists():
        return
    with opened(node) as folder:
        for package in folder.iterdir():
            if not _is_linked(package):
                shutil.rmtree(package)


def forget(node: Path, inodes: set[int]) -> None:
    """Forget the packages that have one of these files, for it is damaged."""
    if not inodes or not (node / "packages").exists():
        return
    with opened(node) as folder:
        for package in folder.iterdir():
            if any(status.st_ino in inodes for status in _files(package)):
                shutil.rmtree(package)


def _is_linked(package: Path) -> bool:
    return any(status.st_nlink > 1 for status in _files(package))


def _files(package: Path) -> Iterator[os.stat_result]:
    for parent, _, files in os.walk(package):
        statuses = (os.lstat(os.path.join(parent, name)) for name in files)
        yield from (status for status in statuses if stat.S_ISREG(status.st_mode))
