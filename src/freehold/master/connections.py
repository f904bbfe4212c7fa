"""What one connection to the Master may take: a share of connections, the size of its headers, time to say its piece.

uvicorn bounds neither headers (with httptools) nor the time of a request, so its protocol is extended here.
"""

import asyncio
import hashlib
import resource
from collections import Counter
from typing import Any

import httptools
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold.master.foundation.addresses import network_of
from freehold.master.gateway.app import PEER

LARGEST_HEADER = 64 * 1024
"""Bytes of a request's line and headers."""
HANDSHAKE_S, HEADER_S, BODY_S = 10.0, 20.0, 300.0
"""Seconds for the handshake of TLS, for the headers of a request from its first byte, and for its body."""
PER_ADDRESS = 256
"""Connections without a client certificate that one address (of IPv6: one /64) may have."""
STRANGERS = 4096
"""Connections without a client certificate that all addresses may have together, at most half of the file descriptors:
the rest is for nodes."""


class Strangers:
    """Counts the connections that showed no client certificate."""

    def __init__(self, per_address: int = PER_ADDRESS, together: int = STRANGERS) -> None:
        self._per_address = per_address
        self._together = together
        self._by_address: Counter[str] = Counter()
        self._count = 0

    def enter(self, address: str) -> bool:
        """Count one more connection of an address; return False where it may have no more."""
        if self._count >= self._together or self._by_address[address] >= self._per_address:
            return False
        self._by_address[address] += 1
        self._count += 1
        return True

    def leave(self, address: str) -> None:
        self._count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


strangers = Strangers(together=min(STRANGERS, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2))


class Loop(uvloop.Loop):
    """The event loop, whose servers do not wait for ever for a handshake."""

    async def create_server(self, *arguments: Any, **named: Any) -> Any:
        if named.get("ssl") is not None:
            named.setdefault("ssl_handshake_timeout", HANDSHAKE_S)
        return await super().create_server(*arguments, **named)


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds, which also tells the application who the client proved to be.

    No released ASGI server passes the client certificate on (decision 0006), so it is read here once a
    connection.
    """

    _peer: dict[str, dict[str, str]] | None = None
    _address: str | None = None
    """Under which this connection is counted."""
    _waits_for = "header"
    """What of a request has not come whole: `header`, `body`, or nothing."""
    _timed = ""
    """What of it `_deadline` is for."""
    _deadline: asyncio.TimerHandle | None = None
    _header_size = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(True) if tls is not None else None
        if certificate:
            self._peer = {PEER: hashlib.sha256(certificate).hexdigest()}  # type: ignore[dict-item]
        else:
            address = network_of(self.client[0] if self.client else "")
            if not strangers.enter(address):
                self._refuse(b"503 Service Unavailable")
                return
            self._address = address
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._address is not None:
            strangers.leave(self._address)
            self._address = None
        self._stop_watching()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            # A polite end of TLS waits for the other side, and idle nodes do not read: it held every restart
            # for seconds.
            self.transport.abort()
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._waits_for == "header":
            self._header_size += len(data)
        super().data_received(data)
        if self._waits_for == "header" and self._header_size > LARGEST_HEADER:
            self._refuse(b"431 Request Header Fields Too Large")
        # Most requests come whole, at once, and are never timed.
        self._watch()

    def on_message_begin(self) -> None:
        self._waits_for, self._header_size = "header", 0
        super().on_message_begin()
        if self._peer is not None:
            self.scope["extensions"] = self._peer  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        self._waits_for = "body"
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > LARGEST_HEADER:
            self._refuse(b"431 Request Header Fields Too Large")
        if self._refused:
            # Nothing of this request goes to the application, and the parser stops here.
            raise httptools.HttpParserError("refused")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._waits_for = ""
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            super().send_400_response(msg)

    def _watch(self) -> None:
        if self._timed == self._waits_for:
            return
        self._stop_watching()
        if self._waits_for and not self._refused:
            self._timed = self._waits_for
            seconds = HEADER_S if self._timed == "header" else BODY_S
            self._deadline = self.loop.call_later(seconds, self._late)

    def _stop_watching(self) -> None:
        self._timed = ""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if self._refused:
            return
        self._refused = True
        self._stop_watching()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()
