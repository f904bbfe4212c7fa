"""The door for nodes: `GET /node/v1/feed`, `POST /node/v1/reports` and `/node/v1/streams/…`. Bare ASGI, no Django.

The first two are called by every node all the time, and of the third many wait; everything rarer (enrolment,
certificates, archives) is answered by Django (`fleet/pages.py`).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import msgspec

from freehold.master.foundation.causes import failure
from freehold.master.foundation.certificates import check_date
from freehold.master.foundation.errors import Malformed, MasterError, TooLarge, Unauthenticated
from freehold.master.foundation.pace import JITTER, pace
from freehold.master.gateway.clocks import NodeClocks
from freehold.master.gateway.database import DatabaseConnection
from freehold.master.gateway.doubt import Judge
from freehold.master.gateway.feeds import read_feed
from freehold.master.gateway.reports import Done, ReportGap, ReportJob, Writer
from freehold.master.gateway.watch import CertificateIdentity, Revisions, Watcher, look_up
from freehold.master.streams.board import StreamBoard
from freehold.protocol import MAX_BODY, OLDEST_VERSION, UNREADABLE, VERSION
from freehold.protocol.feed import Feed
from freehold.protocol.problem import MEDIA_TYPE
from freehold.protocol.report import Applied, ReportBatch
from freehold.protocol.stream import StreamAnswer, StreamPart

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST_WAIT = 55.0
PEER = "freehold.peer"
"""Key of `scope["extensions"]` under which the server puts the SHA-256 of the client's certificate."""

STREAMS = "/node/v1/streams/"
MOST_PART = 2 * 1024 * 1024
"""Bytes of a part of a stream."""
_batches = msgspec.json.Decoder(ReportBatch)
_parts = msgspec.json.Decoder(StreamPart)


class Gateway:
    """The ASGI application.

    `url` is the database's, `next_contact` seconds between contacts of an idle node, `judge` what makes and compares
    the Master's statements, `streams` those that people opened.
    """

    def __init__(self, url: str, next_contact: float, judge: Judge, streams: StreamBoard) -> None:
        self._url = url
        self._streams = streams
        self._judge = judge
        self._next_contact = next_contact
        self._revisions = Revisions()
        self._reader = DatabaseConnection(url)
        self._reading = ThreadPoolExecutor(1, "feed-reader")
        self._writer = Writer(url)
        self._clocks = NodeClocks()
        self._watcher: Watcher | None = None

    def start(self) -> None:
        """Start the threads; call it on the event loop that will serve."""
        loop = asyncio.get_running_loop()
        self._watcher = Watcher(self._url, self._revisions, self._judge.standing, self._clocks, loop)
        self._watcher.start()
        self._writer.start()
        self._streams.serve(loop, self._revisions.wake)

    def stop_waiting(self) -> None:
        """Answer every long poll, so that the server can stop at once."""
        self._revisions.release_all()
        self._streams.close()

    def stop(self) -> None:
        """Stop the threads, after all that was accepted is written."""
        if self._watcher is not None:
            self._watcher.stop()
            self._writer.stop()
        self._reading.shutdown()
        self._reader.close()
        self._judge.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            identity = await self._identify(scope)
            if scope["path"] == "/node/v1/feed" and scope["method"] == "GET":
                await self._feed(identity, scope, send)
            elif scope["path"] == "/node/v1/reports" and scope["method"] == "POST":
                await self._reports(identity, scope, receive, send)
            elif scope["path"].startswith(STREAMS) and scope["method"] == "POST":
                await self._stream(identity, scope, receive, send)
            else:
                raise Malformed(f"{scope['method']} {scope['path']} is not part of the protocol.")
        except MasterError as error:
            await send_problem(send, error)
        except Exception as error:
            await send_problem(send, failure(error, f"{scope['method']} {scope['path']} failed"))

    async def is_of_node(self, scope: Scope) -> bool:
        """Return whether a request shows the certificate of a node, which may be over: it may still renew by it."""
        try:
            await self._look_up(scope)
        except MasterError:
            return False
        return True

    async def _identify(self, scope: Scope) -> CertificateIdentity:
        identity = await self._look_up(scope)
        check_date(identity.not_after)
        return identity

    async def _look_up(self, scope: Scope) -> CertificateIdentity:
        fingerprint = scope.get("extensions", {}).get(PEER)
        if fingerprint is None:
            raise Unauthenticated(
                "This needs the client certificate of a node.", remedy="Enrol the node: freehold node enrol."
            )
        identity = self._revisions.identity(fingerprint)
        if identity is None:
            asked_at = self._revisions.updates
            identity = await self._read(look_up, self._reader, fingerprint)
            self._revisions.remember(fingerprint, identity, asked_at)
        # Also when its certificate is over, which it may be by our clock alone.
        for name, value in scope["headers"]:
            if name == b"date":
                self._clocks.note(identity.node, value.decode("latin-1"))
        return identity

    async def _feed(self, identity: CertificateIdentity, scope: Scope, send: Send) -> None:
        since, wait, statement, shows = _feed_query(scope["query_string"])
        # Before anything is asked of it, the node says what it heard last.
        await self._look_at(identity.node, statement, None)
        self._judge.refuse_in_doubt()
        if wait:
            self._streams.knows(identity.node, streams=shows)
        if since == 0 or since != self._revisions.of(identity.node) or (shows and self._streams.has(identity.node)):
            if await self._news(identity.node, since, shows, send):
                return
            self._revisions.learn(identity.node, since)
        if await self._revisions.newer(identity.node, since, wait):
            # What changed may be that this certificate was revoked.
            identity = await self._identify(scope)
            self._judge.refuse_in_doubt()
            if await self._news(identity.node, since, shows, send):
                return
        await send({"type": "http.response.start", "status": 204, "headers": [
            (b"next-contact", b"%d" % self._pace()),
        ]})  # fmt: skip
        await send({"type": "http.response.body", "body": b""})

    async def _news(self, node: str, since: int, shows: bool, send: Send) -> bool:
        """Answer with what changed, and what is to be shown; return whether there was anything."""
        feed: Feed = await self._read(read_feed, self._reader, node, since, self._pace())
        # Taken last: whoever is told of a stream is told once.
        streams = self._streams.take(node) if shows else []
        if not (feed.snapshot or streams) and feed.revision == since:
            return False
        await _send(send, 200, msgspec.json.encode(msgspec.structs.replace(feed, streams=streams)))
        return True

    async def _stream(self, identity: CertificateIdentity, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, MOST_PART)
        try:
            part = _parts.decode(body)
        except UNREADABLE as error:
            raise Malformed(f"Not a part of a stream: {error}") from None
        more = await self._streams.put(identity.node, scope["path"].removeprefix(STREAMS), part)
        await _send(send, 200, msgspec.json.encode(StreamAnswer(more)))

    async def _reports(self, identity: CertificateIdentity, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, MAX_BODY)
        try:
            batch = _batches.decode(body)
        except UNREADABLE as error:
            raise Malformed(f"Not a batch of reports: {error}") from None
        if not OLDEST_VERSION <= batch.version <= VERSION:
            raise Malformed(
                f"Protocol version {batch.version} is not spoken here.",
                remedy=f"Use a version from {OLDEST_VERSION} to {VERSION}.",
            )
        await self._look_at(identity.node, batch.statement or "", self._writer.head_of(identity.node))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done] = loop.create_future()

        def answer(result: Done | Exception) -> None:
            loop.call_soon_threadsafe(_resolve, future, result)

        self._writer.submit(ReportJob(identity.node, batch.epoch, batch.reports, len(body), answer))
        try:
            done = await future
        except ReportGap:
            # It may be ours to know less.
            self._judge.refuse_in_doubt()
            raise
        statement = self._judge.say(identity.node, batch.epoch, done.sequence) or msgspec.UNSET
        await _send(send, 200, msgspec.json.encode(Applied(done.sequence, self._pace(), done.refused, statement)))

    async def _look_at(self, node: str, statement: str, head: tuple[int, int] | None) -> None:
        if not self._judge.is_fine(node, statement, head):
            await self._read(self._judge.look, node, statement)

    async def _read(self, function: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._reading, function, *arguments)

    def _pace(self) -> float:
        # Spread, so that nodes that started together do not stay together.
        return round(pace(self._next_contact, self._revisions.count) * random.uniform(1 - JITTER, 1 + JITTER), 1)


def _resolve(future: "asyncio.Future[Done]", result: Done | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _feed_query(query: bytes) -> tuple[int, float, str, bool]:
    values = parse_qs(query.decode("ascii", "replace"))
    try:
        since = int(values.get("since", ["0"])[0])
        wait = min(float(values.get("wait", ["0"])[0]), LONGEST_WAIT)
    except ValueError:
        raise Malformed("`since` is a whole number and `wait` a number of seconds.") from None
    if not 0 <= since < 2**63 or not wait >= 0:
        raise Malformed("`since` and `wait` are not negative.")
    return since, wait, values.get("statement", [""])[0], values.get("streams") == ["1"]


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Return a request's body; raise TooLarge as soon as it is known to exceed `most` bytes."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise TooLarge(f"The body has {int(value)} bytes; at most {most} are accepted.")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The connection ended before the body did.")
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise TooLarge(f"The body has more than {most} bytes.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_problem(send: Send, error: MasterError) -> None:
    """Answer with a problem document."""
    await _send(send, error.status, msgspec.json.encode(error.problem()), MEDIA_TYPE.encode())


async def _send(send: Send, status: int, body: bytes, media_type: bytes = b"application/json") -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", media_type), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})
