"""The end of a partition's logs, read for who may see them; in a child, as the partition's user.

The partition may have put anything where a log should be. Each folder and file is opened below the one before and
followed through no link; only plain files are read, without waiting, and never more than the end of one.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec

from freehold.escaping import encodable
from freehold.node.errors import NodeError
from freehold.node.partition import layout
from freehold.node.partition.logs import first_byte
from freehold.protocol import UNREADABLE
from freehold.protocol.stream import Count, StreamPiece

MOST_FROM_ONE = 64 * 1024
"""Bytes of one log that are read at once."""
MOST_LOGS = 2 * layout.MOST_PROGRAMS + 1
MOST_NAMED = 20
"""Logs that are named when there is none of the name that was asked for."""
MOST_LOOKED_AT = 5000
"""Files among which they are found: a partition may make as many as it likes."""
_SUFFIX = ".log"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoSuchLog(NodeError):
    """There is no log of the process that was asked for; the message names some that there are."""


class LogPlace(msgspec.Struct, frozen=True):
    """How far a log was read."""

    inode: Count = 0
    offset: Count = 0


class LogOrder(msgspec.Struct, frozen=True):
    """What to read."""

    folder: str
    """Of the partition."""
    names: list[str]
    """Processes."""
    only: bool
    """They were asked for by name: one without a log is an error."""
    lines: int
    most: int
    """Bytes of all logs together."""
    places: dict[str, LogPlace] = {}
    """Where to go on, by process; without, the last lines are read."""
    follow: bool = False
    """A line that is not ended yet waits for its end."""


class LogAnswer(msgspec.Struct, frozen=True):
    """What was read."""

    pieces: Annotated[list[StreamPiece], msgspec.Meta(max_length=MOST_LOGS)]
    places: Annotated[dict[str, LogPlace], msgspec.Meta(max_length=MOST_LOGS)]


@dataclass
class PartitionLog:
    """The logs of one partition, read on from where they were read before."""

    call: Callable[[bytes], bytes]
    """Has `read` done as the partition's user, in its folder; raises NodeError."""
    order: LogOrder

    def read(self) -> list[StreamPiece]:
        """Return what was written since the last call; at the first, the last lines. Raise NodeError."""
        content = self.call(msgspec.json.encode(self.order))
        try:
            answer = _answers.decode(content)
        except UNREADABLE as error:
            raise NodeError(f"Its log cannot be read: {error}") from None
        self.order = msgspec.structs.replace(self.order, places=answer.places)
        return answer.pieces


def read(payload: bytes) -> bytes:
    """Read what a `LogOrder` (JSON) says; return a `LogAnswer` (JSON). Raise NoSuchLog."""
    order = msgspec.json.decode(payload, type=LogOrder)
    pieces, places = [], dict(order.places)
    most = max(1024, min(MOST_FROM_ONE, order.most // max(1, len(order.names))))
    with _logs_of(order.folder) as folder:
        for name in order.names:
            file = _open(folder, f"{name}{_SUFFIX}")
            if file < 0:
                if order.only:
                    raise NoSuchLog(_none(folder, name))
                continue
            try:
                piece, place = _piece(file, name, order, order.places.get(name), most)
            except OSError:
                continue
            finally:
                os.close(file)
            places[name] = place
            if piece.text or piece.left_out:
                pieces.append(piece)
    return msgspec.json.encode(LogAnswer(pieces, places))


_answers = msgspec.json.Decoder(LogAnswer)


def _piece(file: int, name: str, order: LogOrder, place: LogPlace | None, most: int) -> tuple[StreamPiece, LogPlace]:
    status = os.fstat(file)
    goes_on = place is not None and place.inode == status.st_ino and place.offset <= status.st_size
    # Begun anew, it is read from its beginning.
    first = place.offset if place is not None and goes_on else first_byte(file)
    start = max(first, status.st_size - most)
    content = os.pread(file, most, start)
    if start > first:
        # Half a line could hold half of a secret, which nobody would know again.
        cut = content.find(b"\n") + 1 or len(content)
        start, content = start + cut, content[cut:]
    end = start + len(content)
    if order.follow:
        whole = content.rfind(b"\n") + 1
        if not whole and len(content) >= most:
            start, content = end, b""
        else:
            end, content = start + whole, content[:whole]
    # A hole holds no words.
    shown = content.lstrip(b"\0")
    left_out = start - first if shown or not content else 0
    if place is None:
        lines = shown.split(b"\n")
        at_hand = len(lines) - (lines[-1] == b"")
        shown = b"\n".join(lines[max(0, at_hand - order.lines) :])
        left_out = left_out if at_hand < order.lines else 0
    text = encodable(shown.decode("utf-8", "backslashreplace"))
    return StreamPiece(name, text, left_out), LogPlace(status.st_ino, end)


@contextmanager
def _logs_of(folder: str) -> Iterator[int]:
    """Give the folder of a partition's logs, opened; -1 where there is none."""
    opened = os.open(folder, _FOLDER)
    try:
        for part in Path(layout.LOG).parts:
            inner = os.open(part, _FOLDER, dir_fd=opened)
            os.close(opened)
            opened = inner
    except OSError:
        os.close(opened)
        yield -1
        return
    try:
        yield opened
    finally:
        os.close(opened)


def _open(folder: int, name: str) -> int:
    """Return a plain file of a folder, opened; -1 where there is none that may be read."""
    if folder < 0 or "/" in name or "\0" in name or name.startswith("."):
        return -1
    try:
        # Looked at before it is opened: to open a device can already do something.
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return -1
        file = os.open(name, _FILE, dir_fd=folder)
    except (OSError, UnicodeError):
        return -1
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return -1


def _none(folder: int, name: str) -> str:
    there = []
    if folder >= 0:
        with os.scandir(folder) as entries:
            for entry in islice(entries, MOST_LOOKED_AT):
                if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                    there.append(encodable(entry.name.removesuffix(_SUFFIX)))
                if len(there) >= MOST_NAMED:
                    break
    hint = f"There are logs of: {', '.join(sorted(there))}." if there else "It has no logs yet."
    return f"There is no log of '{name}'. {hint}"
