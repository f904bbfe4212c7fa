"""A WebSocket server takes a connection, and answers (RFC 6455)."""

import base64
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from freehold.promises.base import Assessment
from freehold.promises.connection import connect_tls

_MOST = 1024 * 1024
_MOST_HEADERS = 100
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class WebSocket:
    """A `ws` or `wss` URL takes a connection; with `send`, a message comes back that holds `contains`.

    The certificate of a wss server is not checked: a partition's server often has its own authority.
    """

    url: str
    send: str = ""
    contains: str = ""
    period: float = 120.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            url = urlsplit(self.url)
            if url.scheme not in ("ws", "wss") or not url.hostname:
                return Assessment(False, f"{self.url} is no URL of ws or wss")
            with self._connect() as sock, _deadline(sock, self.timeout):
                sock.settimeout(self.timeout)
                reader = self._shake_hands(sock)
                if not self.send:
                    return Assessment(True, f"{self.url} takes connections")
                sock.sendall(_frame(self.send.encode()))
                answer = _message(reader, sock.sendall).decode(errors="replace")
        except (OSError, ValueError, struct.error) as error:
            return Assessment(False, f"{self.url} does not answer: {error}")
        return Assessment(self.contains in answer, f"{self.url} answers {answer[:100]!r}")

    def _connect(self) -> socket.socket:
        url = urlsplit(self.url)
        if url.scheme == "wss":
            return connect_tls(url.hostname or "", url.port or 443, self.timeout)
        return socket.create_connection((url.hostname or "", url.port or 80), self.timeout)

    def _shake_hands(self, sock: socket.socket) -> "socket.SocketIO":
        url = urlsplit(self.url)
        key = base64.b64encode(os.urandom(16)).decode()
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        host = url.netloc.rpartition("@")[2]
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        reader = sock.makefile("rb")
        status = reader.readline(1000).decode(errors="replace").split()
        headers: dict[str, str] = {}
        while len(headers) <= _MOST_HEADERS and (line := reader.readline(10_000).strip()):
            name, _, value = line.decode(errors="replace").partition(":")
            headers[name.lower()] = value.strip()
        if len(status) < 2 or status[1] != "101":
            raise ValueError(f"it answers {' '.join(status[1:]) or 'nothing'} instead of switching protocols")
        expected = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
        if headers.get("sec-websocket-accept") != expected:
            raise ValueError("it did not take our key")
        return reader  # type: ignore[return-value]


@contextmanager
def _deadline(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End a conversation after so many seconds, however often a little of it comes."""
    timer = threading.Timer(seconds, lambda: sock.shutdown(socket.SHUT_RDWR))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _frame(payload: bytes, kind: int = 1) -> bytes:
    mask = os.urandom(4)
    if len(payload) < 126:
        size = bytes([0x80 | len(payload)])
    elif len(payload) < 1 << 16:
        size = bytes([0x80 | 126]) + struct.pack("!H", len(payload))
    else:
        size = bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([0x80 | kind]) + size + mask + masked


def _message(reader: "socket.SocketIO", answer: Callable[[bytes], None]) -> bytes:
    """Return the first message of text or bytes, its fragments joined; what keeps the connection alive is answered."""
    message, is_open = b"", False
    while True:
        first, size = struct.unpack("!BB", _exactly(reader, 2))
        final, kind = first & 0x80, first & 15
        if first & 0x70 or size & 0x80:
            raise ValueError("its frames are of another form than was agreed")
        if size == 126:
            (size,) = struct.unpack("!H", _exactly(reader, 2))
        elif size == 127:
            (size,) = struct.unpack("!Q", _exactly(reader, 8))
        if kind >= 8 and (size > 125 or not final):
            raise ValueError("its frames are of another form than was agreed")
        if len(message) + size > _MOST:
            raise ValueError(f"its message is longer than {_MOST} bytes")
        payload = _exactly(reader, size)
        if kind == 8:
            reason = payload[2:].decode(errors="replace")
            raise ValueError(f"it closed the connection{f': {reason}' if reason else ''}")
        if kind == 9:
            answer(_frame(payload, 10))
        if kind in (0, 1, 2):
            if (kind == 0) is not is_open:
                raise ValueError("its fragments do not belong together")
            message, is_open = message + payload, not final
            if final:
                return message


def _exactly(reader: "socket.SocketIO", size: int) -> bytes:
    data = reader.read(size) if size else b""
    if data is None or len(data) < size:
        raise ValueError("it closed the connection")
    return data
