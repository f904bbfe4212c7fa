"""`freehold software build`: a release built as a node builds it, on this machine, with its log to be seen."""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from freehold.node.isolation import cgroups
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.software.build import build as build_on_node
from freehold.protocol import archive


@dataclass(frozen=True)
class Built:
    """A release that was built."""

    folder: Path
    seconds: float
    programs: tuple[str, ...]
    """What stands in its `bin/`."""
    size: int
    """Bytes on disk."""


def build(folder: Path, *, keep: bool = False) -> Built:
    """Build a release in a folder of its own, removed unless it is kept; its log goes to standard error.

    Raise BuildError or ArchiveError saying why it cannot be built.
    """
    root = Path(tempfile.mkdtemp(prefix="freehold-build-", dir="/var/tmp"))
    root.chmod(0o711)
    is_kept = False
    try:
        built = _build(folder, root)
        is_kept = keep
    finally:
        if not is_kept:
            shutil.rmtree(root, ignore_errors=True)
    return built


def _build(folder: Path, root: Path) -> Built:
    paths = Paths(root)
    packed = archive.pack(folder)
    release = archive.digest(packed)
    for each in (paths.software, paths.cache):
        each.mkdir()
    paths.software.chmod(0o755)
    # A node takes an archive that it has from its cache: here nobody is to be asked for it.
    (paths.cache / f"{release}.tar.gz").write_bytes(packed)
    settings = Settings(f"kit-{os.getpid()}", os.geteuid() != 0)
    began = time.monotonic()
    try:
        with _followed(paths.software / f"{release}.log"):
            build_on_node(paths, settings, Link("", paths.authority), release)
    finally:
        cgroups.remove_node(settings.tag)
    built = paths.software / release
    programs = tuple(sorted(path.name for path in (built / "bin").glob("*")))
    return Built(built, time.monotonic() - began, programs, _size(built))


@contextmanager
def _followed(log: Path) -> Iterator[None]:
    """Show a log while it grows."""
    ended = threading.Event()

    def follow() -> None:
        shown = 0
        while True:
            last = ended.wait(0.1)
            if log.exists():
                with log.open("rb") as file:
                    file.seek(shown)
                    new = file.read()
                shown += len(new)
                sys.stderr.write(new.decode(errors="replace"))
                sys.stderr.flush()
            if last:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
