"""Logs of a partition: none grows for ever."""

import gzip
import os
import stat
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


class Order(msgspec.Struct, frozen=True):
    """What to rotate."""

    folder: str
    rotations: list[Rotation]


def too_long(folder: Path, rotations: list[Rotation]) -> bool:
    """Return whether a log of a partition is to be rotated. It looks only at sizes, and follows no links."""
    return any(True for _ in _due(folder, rotations))


def rotate(payload: bytes) -> bytes:
    """Rotate what is too long; in a child, as the partition's user. Processes go on writing: they append."""
    order = msgspec.json.decode(payload, type=Order)
    for path, keep in list(_due(Path(order.folder), order.rotations)):
        try:
            _rotate(path, keep)
        except OSError as error:
            # One that is not ours to write keeps no other from being rotated.
            print(f"{path} cannot be rotated: {error}", flush=True)
    return b""


def _due(folder: Path, rotations: list[Rotation]) -> Iterator[tuple[str, int]]:
    named = {str(folder / rotation.path): rotation for rotation in rotations}
    for path, rotation in named.items():
        if _size(path) > rotation.most:
            yield path, rotation.keep
    try:
        with os.scandir(folder / layout.LOG) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".log")]
    except OSError:
        return
    for path in paths:
        if path not in named and _size(path) > LIMIT:
            yield path, KEPT


def _rotate(path: str, keep: int) -> None:
    """Keep the content of a log compressed as `NAME.1.gz`, after moving the former ones on; begin it anew."""
    for number in range(keep - 1, 0, -1):
        if os.path.lexists(f"{path}.{number}.gz"):
            os.replace(f"{path}.{number}.gz", f"{path}.{number + 1}.gz")
    with open(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "r+b") as log:
        if keep > 0:
            log.seek(max(0, os.fstat(log.fileno()).st_size - MOST_KEPT))
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with (
                open(os.open(f"{path}.1.gz", flags, 0o600), "wb") as raw,
                gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) as kept,
            ):
                while block := log.read(1024 * 1024):
                    kept.write(block)
        log.truncate(0)


def _size(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
