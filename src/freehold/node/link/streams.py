"""What a node is asked to show now: each stream on a thread of its own, a few at once, while somebody reads it.

A part is a request of its own, answered when the reader has room for it, so that what is written faster than it is read
is left out here, and nothing of it waits anywhere.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from freehold.node.errors import LinkError, NodeError
from freehold.node.runtime import NamedThread, Runtime
from freehold.node.upstream import Upstream
from freehold.protocol import MAX_MESSAGE, UNREADABLE
from freehold.protocol.stream import LOG, StreamAnswer, StreamPart, StreamPiece, StreamRequest

MOST_STREAMS = 16
"""Streams that are sent at once."""
LOOK_PERIOD = 1.0
"""Seconds between two looks at what is followed."""
ASK_PERIOD = 5.0
"""Seconds after which it is asked whether anybody still reads, when nothing was written."""
LONGEST_S = 1800.0
"""Whatever a Master says."""
PART_TIMEOUT = 60.0
"""Seconds for a part, for which the reader must have room first."""
_log = logging.getLogger(__name__)
_answers = msgspec.json.Decoder(StreamAnswer)


class LogReader(Protocol):
    """Reads the log of an instance from where it was read before."""

    def read(self) -> list[StreamPiece]:
        """Return what was written since the last call; at the first, the last lines. Raise NodeError."""


class Streams:
    """Sends what the Master asks to be shown. Safe from any thread."""

    def __init__(
        self,
        connect: Callable[[], Upstream],
        reader: Callable[[StreamRequest], LogReader],
        runtime: Runtime,
        over: Callable[[], bool],
    ) -> None:
        """`reader` gives what reads the logs that a request names; `over` says whether the agent ends."""
        self._connect, self._reader, self._runtime, self._over = connect, reader, runtime, over
        self._lock = threading.Lock()
        self._sent: set[str] = set()
        """Those that are being sent: a Master that does not know whether it was heard tells of one again."""

    def begin(self, requests: list[StreamRequest]) -> None:
        """Begin to send what is asked for, up to the bound, which its Master knows."""
        for request in requests:
            with self._lock:
                if request.stream in self._sent:
                    continue
                if len(self._sent) >= MOST_STREAMS:
                    _log.warning("a stream is not shown: %s are already", MOST_STREAMS)
                    return
                self._sent.add(request.stream)
            self._runtime.start(NamedThread(target=self._send, args=(request,), name="stream", daemon=True))

    def _send(self, request: StreamRequest) -> None:
        link = self._connect()
        try:
            self._show(request, _Sending(link, request.stream))
        except LinkError as error:
            _log.warning("stream: %s", error)
        except Exception:
            _log.exception("a stream failed")
        finally:
            link.close()
            with self._lock:
                self._sent.discard(request.stream)

    def _show(self, request: StreamRequest, sending: "_Sending") -> None:
        if request.kind != LOG:
            sending.end("The node's version of Freehold cannot show this yet.")
            return
        try:
            reader = self._reader(request)
            if not request.follow:
                sending.end("", reader.read())
                return
            self._follow(reader, sending)
        except LinkError:
            raise
        except NodeError as error:
            sending.end(str(error))

    def _follow(self, reader: LogReader, sending: "_Sending") -> None:
        began = self._runtime.monotonic()
        asked_at = began - ASK_PERIOD
        while not self._over() and self._runtime.monotonic() - began < LONGEST_S:
            pieces = reader.read()
            if pieces or self._runtime.monotonic() - asked_at >= ASK_PERIOD:
                asked_at = self._runtime.monotonic()
                if not sending.part(pieces):
                    return
            self._runtime.sleep(LOOK_PERIOD)
        sending.end("The node's agent is restarting; ask again." if self._over() else "")


class _Sending:
    """One stream on its way: parts are numbered, for a request may be repeated."""

    def __init__(self, link: Upstream, stream: str) -> None:
        self._link, self._stream, self._number = link, stream, 0

    def part(self, pieces: list[StreamPiece], *, over: bool = False, why: str = "") -> bool:
        """Send pieces; return whether more is wanted."""
        self._number += 1
        body = msgspec.json.encode(StreamPart(self._number, pieces, over, why[:MAX_MESSAGE]))
        _, content, _ = self._link.call("POST", f"/node/v1/streams/{self._stream}", body, timeout=PART_TIMEOUT)
        try:
            return _answers.decode(content).more
        except UNREADABLE as error:
            raise LinkError(f"The Master's answer to a stream is not understood ({error}).") from None

    def end(self, why: str, pieces: list[StreamPiece] | None = None) -> None:
        self.part(pieces or [], over=True, why=why)
