"""Logs of a partition's processes: none grows for ever."""

import os
import stat
from pathlib import Path

from freehold.node.partition import layout

LIMIT = 10 * 1024 * 1024
"""A log longer than this many bytes begins anew; its end stays beside it, as `NAME.log.1`."""


def too_long(folder: Path) -> bool:
    """Return whether a log of a partition is to be shortened. It looks only at sizes, and follows no links."""
    try:
        with os.scandir(folder / layout.LOG) as entries:
            return any(_counts(entry) for entry in entries)
    except OSError:
        return False


def shorten(payload: bytes) -> bytes:
    """Shorten what is too long; in a child, as the partition's user. Processes go on writing: they append."""
    with os.scandir(Path(payload.decode()) / layout.LOG) as entries:
        paths = [entry.path for entry in entries if _counts(entry)]
    for path in paths:
        try:
            _shorten(path)
        except OSError as error:
            # One that is not ours to write keeps no other from being shortened.
            print(f"{path} cannot be shortened: {error}", flush=True)
    return b""


def _shorten(path: str) -> None:
    with (
        open(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "r+b") as log,
        open(os.open(f"{path}.1", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as kept,
    ):
        log.seek(-LIMIT, os.SEEK_END)
        kept.write(log.read(LIMIT))
        log.truncate(0)


def _counts(entry: "os.DirEntry[str]") -> bool:
    if not entry.name.endswith(".log"):
        return False
    found = entry.stat(follow_symlinks=False)
    return stat.S_ISREG(found.st_mode) and found.st_size > LIMIT
