"""A WebSocket server takes a connection, and answers (RFC 6455)."""

import base64
import hashlib
import os
import socket
import ssl
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

from freehold.promises.base import Assessment

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
            with self._connect() as sock:
                sock.settimeout(self.timeout)
                reader = self._shake_hands(sock)
                if not self.send:
                    return Assessment(True, f"{self.url} takes connections")
                sock.sendall(_frame(self.send.encode()))
                answer = _message(reader).decode(errors="replace")
        except (OSError, ValueError, struct.error) as error:
            return Assessment(False, f"{self.url} does not answer: {error}")
        return Assessment(self.contains in answer, f"{self.url} answers {answer[:100]!r}")

    def _connect(self) -> socket.socket:
        url = urlsplit(self.url)
        secure = url.scheme == "wss"
        sock = socket.create_connection((url.hostname or "", url.port or (443 if secure else 80)), self.timeout)
        if not secure:
            return sock
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(sock, server_hostname=url.hostname)

    def _shake_hands(self, sock: socket.socket) -> "socket.SocketIO":
        url = urlsplit(self.url)
        key = base64.b64encode(os.urandom(16)).decode()
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        reader = sock.makefile("rb")
        status = reader.readline(1000).decode(errors="replace").split()
        headers = {}
        while line := reader.readline(10_000).strip():
            name, _, value = line.decode(errors="replace").partition(":")
            headers[name.lower()] = value.strip()
        if len(status) < 2 or status[1] != "101":
            raise ValueError(f"it answers {' '.join(status[1:]) or 'nothing'} instead of switching protocols")
        expected = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
        if headers.get("sec-websocket-accept") != expected:
            raise ValueError("it did not take our key")
        return reader  # type: ignore[return-value]


def _frame(payload: bytes) -> bytes:
    mask = os.urandom(4)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + struct.pack("!H", len(payload))
    return b"\x81" + size + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _message(reader: "socket.SocketIO") -> bytes:
    """Return the first message of text or bytes, passing over what only keeps the connection alive."""
    while True:
        first, size = struct.unpack("!BB", reader.read(2) or b"")
        if size == 126:
            (size,) = struct.unpack("!H", reader.read(2) or b"")
        elif size == 127:
            (size,) = struct.unpack("!Q", reader.read(8) or b"")
        payload = reader.read(min(size, 1 << 20)) or b""
        if first & 15 in (1, 2):
            return payload
        if first & 15 == 8:
            raise ValueError("it closed the connection")
