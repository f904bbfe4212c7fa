"""Logs of a partition: none grows for ever, and of one that floods no more is kept than a bound.

Processes write their logs themselves: a pipe through us would end them, or hold them up, whenever we are upgraded. So
what they write cannot be held back, but it is thrown away, unread, as fast as they write it.
"""

import gzip
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freehold.node.partition import layout
from freehold.node.partition.layout import Rotation

LIMIT = 10 * 1024 * 1024
"""A log in `var/log` longer than this many bytes begins anew, unless the plan says otherwise."""
KEPT = 1
MOST_KEPT = 64 * 1024 * 1024
"""Of a former log that is longer, its end is kept."""
RATE = 256 * 1024
"""Bytes a second, since the last former log was kept, of which a further one is kept."""
_LOST = re.compile(rb"^freehold: ([0-9]{1,18}) bytes were not kept", re.MULTILINE)
_HEAD = 65536
_FORMER = (".gz", ".xz", ".bz2", ".zst")


class RotationOrder(msgspec.Struct, frozen=True):
    """What to rotate."""

    folder: str
    rotations: list[Rotation]


def too_long(folder: Path, rotations: list[Rotation]) -> bool:
    """Return whether a log of a partition is to be rotated. It looks only at sizes, and follows no links."""
    return any(True for _ in _due(folder, rotations))


def rotate(payload: bytes) -> bytes:
    """Rotate what is too long; in a child, as the partition's user. Processes go on writing: they append."""
    order = msgspec.json.decode(payload, type=RotationOrder)
    for path, keep in list(_due(Path(order.folder), order.rotations)):
        try:
            _rotate(path, keep)
        except OSError as error:
            # One that is not ours to write keeps no other from being rotated.
            print(f"{path} cannot be rotated: {error}", flush=True)
    return b""


def first_byte(log: int) -> int:
    """Return where what was written begins: who does not append goes on after the hole that emptying leaves."""
    try:
        return os.lseek(log, 0, os.SEEK_DATA)
    except OSError:
        # There is nothing but a hole, or a file system that knows of none.
        return 0


def _due(folder: Path, rotations: list[Rotation]) -> Iterator[tuple[str, int]]:
    named = {str(folder / rotation.path): rotation for rotation in rotations}
    for path, rotation in named.items():
        if _size(path) > rotation.most:
            yield path, rotation.keep
    try:
        with os.scandir(folder / layout.LOG) as entries:
            # Whatever programs call their logs; what is compressed is a former one.
            paths = [entry.path for entry in entries if not entry.name.endswith(_FORMER)]
    except OSError:
        return
    for path in paths:
        if path not in named and _size(path) > LIMIT:
            yield path, KEPT


def _rotate(path: str, keep: int) -> None:
    """Keep the content of a log compressed as `NAME.1.gz`, after moving the former ones on; begin it anew."""
    size = _size(path)
    if keep > 0 and min(size, MOST_KEPT) > RATE * max(1.0, time.time() - _kept_at(path)):
        _begin_anew(path, lost=size)
        return
    for number in range(keep - 1, 0, -1):
        if os.path.lexists(f"{path}.{number}.gz"):
            os.replace(f"{path}.{number}.gz", f"{path}.{number + 1}.gz")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as log:
        if keep > 0:
            log.seek(max(first_byte(log.fileno()), os.fstat(log.fileno()).st_size - MOST_KEPT))
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with (
                open(os.open(f"{path}.1.gz", flags, 0o600), "wb") as raw,
                gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) as archive,
            ):
                # A hole ends with a block, not with a word.
                block = log.read(1024 * 1024).lstrip(b"\0")
                while block:
                    archive.write(block)
                    block = log.read(1024 * 1024)
    _begin_anew(path, lost=max(0, size - MOST_KEPT) if keep > 0 else 0)


def _begin_anew(path: str, *, lost: int) -> None:
    """Empty a log; what of it was lost is said in the new one, together with what was said of that before."""
    with open(os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK), "r+b", buffering=0) as log:
        # Others write meanwhile: what was said need not be the first line.
        lost_line = _LOST.search(log.read(_HEAD)) if lost else None
        log.truncate(0)
        if lost:
            total = lost + (int(lost_line[1]) if lost_line else 0)
            log.write(b"freehold: %d bytes were not kept: more than %d a second were written here\n" % (total, RATE))


def _kept_at(path: str) -> float:
    """Return when a former log was kept last, in seconds since 1970; 0 when it was never, or at a time to come."""
    try:
        rotated_at = os.lstat(f"{path}.1.gz").st_mtime
    except OSError:
        return 0.0
    return rotated_at if rotated_at <= time.time() else 0.0


def _size(path: str) -> int:
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    # A hole holds no words, however long it is.
    return min(status.st_size, status.st_blocks * 512) if stat.S_ISREG(status.st_mode) else 0
