"""The streams that are open now: who asked for what, what came of it and is not read yet. In memory, and bounded.

People ask by Django's threads, nodes and those who wait by the event loop; nobody waits in a thread. A Master that ends
forgets its streams: readers ask anew, nodes hear that theirs are over. No Django here: the gateway needs it.
"""

import asyncio
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from freehold.escaping import encodable, escaped
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Busy, Conflict, NotFound
from freehold.master.streams.redaction import Redaction
from freehold.protocol.stream import StreamPart, StreamPiece, StreamRequest

MOST_OF_SERVICE, MOST_OF_PROJECT, MOST_OF_NODE, MOST = 4, 8, 16, 200
"""Streams that are open at once."""
PICKUP_S = 15.0
"""Seconds in which a node must begin: it waits for us all the time."""
TELL_S = 2.0
"""Seconds after which a node that did not begin is told again."""
LAST_LINES_S, FOLLOW_S = 45.0, 900.0
"""Seconds for which a stream may last."""
READER_S = 10.0
"""Seconds after which a reader who asks for no more has gone."""
KEPT_S = 60.0
"""Seconds for which what came is kept after the end."""
WAIT_S = 10.0
"""Seconds for which a reader waits for news at once."""
MOST_UNREAD = 128 * 1024
"""Characters that wait for their reader; until there is room the node waits."""
MOST_SENT = 32 * 1024 * 1024
"""Characters of a stream altogether."""
MOST_WAITING = 8
"""Requests that wait for news of one stream."""
_COLOUR = re.compile("\x1b\\[[0-9;]{0,32}m")


@dataclass(frozen=True)
class StreamSource:
    """Where a stream comes from, and whose service it is of."""

    project: str
    node: str


@dataclass(frozen=True)
class StreamNews:
    """What a reader is told."""

    pieces: list[StreamPiece]
    next: int
    """What to say next time: so many pieces were read, and need not be kept."""
    over: bool
    why: str


@dataclass
class OpenStream:
    """A stream between its request and a while after its end."""

    request: StreamRequest
    source: StreamSource
    redaction: Redaction
    began: float
    asked: float
    """When its reader asked last."""
    told: float | None = None
    """When the node was told of it; on a connection that had ended already, it may not have heard."""
    heard: bool = False
    """The node sent something."""
    number: int = 0
    """Of the last part that the node sent."""
    read: int = 0
    """Pieces that its reader has."""
    unread: deque[StreamPiece] = field(default_factory=deque)
    sent: int = 0
    over_at: float | None = None
    why: str = ""
    waiting: "set[asyncio.Future[None]]" = field(default_factory=set)
    readers: int = 0
    """Requests of readers that wait."""

    def size(self) -> int:
        return sum(len(piece.text) for piece in self.unread)

    def ends_at(self) -> float:
        """Return when it is over, if nothing happens until then."""
        ends = self.began + (FOLLOW_S if self.request.follow else LAST_LINES_S)
        if not self.heard:
            ends = min(ends, self.began + PICKUP_S)
        return ends if self.readers else min(ends, self.asked + READER_S)

    def waits_for(self, node: str) -> bool:
        return self.source.node == node and self.is_untold()

    def is_untold(self) -> bool:
        """Return whether the node must be told of it, or once more."""
        if self.heard or self.over_at is not None:
            return False
        return self.told is None or clock.passed() - self.told >= TELL_S

    def end(self, why: str) -> None:
        if self.over_at is None:
            self.over_at, self.why = clock.passed(), why


class StreamBoard:
    """All open streams. Safe from any thread; what waits does so on the event loop given to `serve`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: dict[str, OpenStream] = {}
        self._silent: set[str] = set()
        """Nodes that know no streams."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tell: Callable[[str], None] = lambda node: None

    def serve(self, loop: asyncio.AbstractEventLoop, tell: Callable[[str], None]) -> None:
        """Have streams go through this process: `tell` is called on the loop when a node is asked for one."""
        self._loop, self._tell = loop, tell

    def close(self) -> None:
        """End every stream: the server is stopping."""
        with self._lock:
            for stream in self._streams.values():
                self._end(stream, "The Master is restarting; ask again.")

    def open(self, source: StreamSource, redaction: Redaction, request: StreamRequest) -> str:
        """Ask a node to show something; return the stream's name. Raise Conflict, and Busy beyond the bounds."""
        with self._lock:
            self._tidy()
            if source.node in self._silent:
                raise Conflict(
                    "The node's version of Freehold does not show logs yet.", remedy="Its operator updates the node."
                )
            open_now = [stream for stream in self._streams.values() if stream.over_at is None]
            self._check("of this service", MOST_OF_SERVICE, (o.request.instance == request.instance for o in open_now))
            self._check(
                "of this project", MOST_OF_PROJECT, (stream.source.project == source.project for stream in open_now)
            )
            self._check("of this node", MOST_OF_NODE, (stream.source.node == source.node for stream in open_now))
            self._check("here", MOST, (True for _ in open_now))
            if len(self._streams) >= 2 * MOST:
                ended = (name for name, stream in self._streams.items() if stream.over_at is not None)
                del self._streams[next(ended)]
            now = clock.passed()
            stream = OpenStream(request, source, redaction, now, now)
            self._streams[request.stream] = stream
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, source.node)
        return request.stream

    def take(self, node: str) -> list[StreamRequest]:
        """Return what a node is to be told of."""
        with self._lock:
            self._tidy()
            waiting = [stream for stream in self._streams.values() if stream.waits_for(node)]
            for stream in waiting:
                stream.told = clock.passed()
            return [stream.request for stream in waiting]

    def has(self, node: str) -> bool:
        """Return whether a node is to be told of something."""
        with self._lock:
            return any(stream.waits_for(node) for stream in self._streams.values())

    def knows(self, node: str, *, streams: bool) -> None:
        """Note whether a node can show anything."""
        if streams:
            self._silent.discard(node)
        else:
            self._silent.add(node)

    def read(self, project: str, instance: str, name: str, after: int) -> StreamNews:
        """Return what came since so many pieces, which are forgotten; raise NotFound."""
        with self._lock:
            self._tidy()
            stream = self._streams.get(name)
            if stream is None or (stream.source.project, stream.request.instance) != (project, instance):
                raise NotFound("There is no such stream, or it was over a minute ago.", remedy="Ask for the log again.")
            stream.asked = clock.passed()
            # What is read is not kept.
            while stream.unread and stream.read < after:
                stream.unread.popleft()
                stream.read += 1
            self._wake(stream)
            unread, read, over, why = list(stream.unread), stream.read, stream.over_at is not None, stream.why
        # In the thread of who reads: the more secrets there are, the longer it takes.
        shown = [_shown(line, stream.redaction) for line in unread]
        return StreamNews(shown, read + len(unread), over, _safe(why, stream.redaction))

    async def news(self, name: str, after: int) -> None:
        """Wait for what a reader has not got yet: until the end of the last lines, for any news of what is followed."""
        until = clock.passed() + WAIT_S
        while True:
            with self._lock:
                stream = self._streams.get(name)
                if stream is None or stream.readers >= MOST_WAITING:
                    return
                self._tidy()
                is_news = stream.request.follow and stream.read + len(stream.unread) > after
                left = until - clock.passed()
                if stream.over_at is not None or is_news or left <= 0:
                    return
                stream.asked = clock.passed()
                stream.readers += 1
                future = self._future(stream)
                if stream.is_untold():
                    self._tell(stream.source.node)
                patience = min(left, stream.ends_at() - clock.passed() + 0.01)
            try:
                await self._changed(stream, future, patience if stream.heard else min(patience, TELL_S + 0.01))
            finally:
                with self._lock:
                    stream.readers -= 1
                    stream.asked = clock.passed()

    async def put(self, node: str, name: str, part: StreamPart) -> bool:
        """Take a part of a node, as soon as there is room; return whether more of it is wanted."""
        while True:
            with self._lock:
                self._tidy()
                stream = self._streams.get(name)
                if stream is None or stream.source.node != node or stream.over_at is not None:
                    return False
                stream.heard = True
                if part.number <= stream.number:
                    return True
                if not stream.unread or stream.size() < MOST_UNREAD:
                    return self._take(stream, part)
                future = self._future(stream)
            await self._changed(stream, future, max(0.01, stream.ends_at() - clock.passed() + 0.01))

    def _take(self, stream: OpenStream, part: StreamPart) -> bool:
        stream.number = part.number
        stream.sent += sum(len(piece.text) for piece in part.pieces)
        stream.unread += part.pieces
        if part.over:
            self._end(stream, part.why)
        elif stream.sent > MOST_SENT:
            self._end(stream, "So much of it is shown at once, and no more; ask again.")
        self._wake(stream)
        return stream.over_at is None

    def _tidy(self) -> None:
        now = clock.passed()
        for name, stream in list(self._streams.items()):
            if stream.over_at is not None:
                if now > stream.over_at + KEPT_S:
                    del self._streams[name]
            elif now > stream.ends_at():
                self._end(stream, _why(stream, now))

    def _end(self, stream: OpenStream, why: str) -> None:
        stream.end(why)
        self._wake(stream)

    def _future(self, stream: OpenStream) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        stream.waiting.add(future)
        return future

    def _wake(self, stream: OpenStream) -> None:
        waiting, stream.waiting = stream.waiting, set()
        for future in waiting:
            future.get_loop().call_soon_threadsafe(_wake_reader, future)

    async def _changed(self, stream: OpenStream, future: "asyncio.Future[None]", seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await future
        except TimeoutError:
            pass
        finally:
            with self._lock:
                stream.waiting.discard(future)

    @staticmethod
    def _check(where: str, most: int, matching: Iterable[bool]) -> None:
        if sum(matching) >= most:
            raise Busy(
                f"{most} logs {where} are being read at once, which is as many as may be.",
                remedy="End one of them, or try again in a minute.",
            )


def new_name() -> str:
    """Return a name for a stream that nobody guesses."""
    return secrets.token_urlsafe(24)


def _shown(piece: StreamPiece, redaction: Redaction) -> StreamPiece:
    return StreamPiece(_safe(piece.process, redaction), _safe(piece.text, redaction), piece.left_out)


def _safe(text: str, redaction: Redaction) -> str:
    """Return what people may see of a stranger's text: no secret, nothing that a terminal obeys, no colours."""
    return encodable(escaped(redaction.of(_COLOUR.sub("", text))))


def _why(stream: OpenStream, now: float) -> str:
    if not stream.heard:
        return "The node did not answer. It may be busy, or of a version that does not show logs yet."
    if now > stream.asked + READER_S and not stream.readers:
        return "Nobody read on."
    if stream.request.follow:
        return f"A log is followed for {FOLLOW_S / 60:g} minutes at once; ask again."
    return f"The node did not send all of it within {LAST_LINES_S:g} seconds."


def _wake_reader(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


streams = StreamBoard()
"""Those of this process."""
