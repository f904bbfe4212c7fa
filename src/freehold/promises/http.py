"""An HTTP server answers as it should."""

import base64
import re
import socket
import time
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

from freehold.promises.base import Assessment
from freehold.promises.connection import connect_tls

_MOST = 1024 * 1024
"""Bytes of a body that are looked at; the rest is read only so far as to know that it is whole."""
_MOST_READ = 64 * 1024 * 1024
_MOST_INTERIM = 100
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class _Wrong(Exception):
    """What an answer lacks, in words."""


@dataclass(frozen=True)
class Http:
    """GET of a URL answers with a status, and its body contains a text.

    The certificate of an https server is checked where `authority` says against whose: a partition's server often has
    its own. Redirects are not followed: what answers there is another promise.
    """

    url: str
    status: int = 200
    contains: str = ""
    period: float = 60.0
    timeout: float = 10.0
    headers: tuple[str, ...] = ()
    """`Name: value`, each sent besides; one that is sent anyway is sent so instead."""
    user: str = ""
    """Who is asked for, with `password`: HTTP's basic authentication."""
    password: str = ""
    authority: str = ""
    """The file of certificates (PEM) that its server's must be signed by, for the host of the URL; `system`: those that
    the machine trusts."""

    def check(self) -> Assessment:
        try:
            sent = _sent(self.headers, self.user, self.password)
        except ValueError as error:
            return Assessment(False, str(error))
        try:
            url = urlsplit(self.url)
            if url.scheme not in ("http", "https") or not url.hostname:
                return Assessment(False, f"{self.url} is no URL of http or https")
            with _connect(url.scheme, url.hostname, url.port, self.timeout, self.authority) as sock:
                status, headers, body = _get(sock, url, sent, time.monotonic() + self.timeout)
        except (OSError, _Wrong, h11.ProtocolError, ValueError) as error:
            return Assessment(False, f"{self.url} does not answer: {error or type(error).__name__}")
        if status != self.status:
            there = headers.get("location", "")
            leads = f", which leads to {there[:300]}" if there and 300 <= status < 400 else ""
            return Assessment(False, f"{self.url} answers {status}{leads} instead of {self.status}")
        if self.contains:
            try:
                body = _plain(body, headers.get("content-encoding", ""))
            except _Wrong as error:
                return Assessment(False, f"{self.url} answers, but {error}")
            if self.contains.encode() not in body:
                return Assessment(False, f"{self.url} does not contain {self.contains!r}")
        return Assessment(True, f"{self.url} answers {status}")


def _sent(headers: tuple[str, ...], user: str, password: str) -> dict[str, str]:
    """Return headers by their names in small letters; raise ValueError, without a value, for one that is none."""
    by_name = {}
    for number, text in enumerate(headers, start=1):
        name, colon, value = text.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value.strip()):
            raise ValueError(f"headers: number {number} is no 'Name: value' of one line")
        by_name[name.lower()] = value.strip()
    if user:
        if ":" in user:
            raise ValueError("user: it has a colon, which ends a user's name in basic authentication")
        by_name["authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return by_name


def _connect(scheme: str, host: str, port: int | None, timeout: float, authority: str) -> socket.socket:
    if scheme == "https":
        return connect_tls(host, port or 443, timeout, authority)
    return socket.create_connection((host, port or 80), timeout)


def _get(sock: socket.socket, url: Any, sent: dict[str, str], deadline: float) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and the beginning of the body of the final answer; all of it in time, or OSError."""
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname.encode("idna").decode()
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=64 * 1024)
    headers = {
        "host": host + (f":{url.port}" if url.port else ""),
        "user-agent": "freehold-promise",
        "accept-encoding": "identity",
        **sent,
        "connection": "close",
    }
    request = h11.Request(method="GET", target=_target(url), headers=list(headers.items()))
    sock.sendall(connection.send(request) or b"")
    sock.sendall(connection.send(h11.EndOfMessage()) or b"")
    answer: h11.Response | None = None
    body, read, interim = b"", 0, 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            sock.settimeout(left)
            received = sock.recv(65536)
            if not received and answer is None:
                raise _Wrong("it closed the connection without an answer")
            connection.receive_data(received)
        elif isinstance(event, h11.InformationalResponse):
            interim += 1
            if interim > _MOST_INTERIM:
                raise _Wrong("it never comes to its answer")
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            read += len(event.data)
            body += bytes(event.data)[: max(0, _MOST - len(body))]
            if read > _MOST_READ:
                # As much as this is an answer, whole or not.
                break
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    assert answer is not None
    by_name = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    return answer.status_code, by_name, body


def _target(url: Any) -> str:
    """Return what is asked for: the path and the query, as a browser writes them."""
    text = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return "".join(letter if 0x21 <= ord(letter) < 0x7F else _quoted(letter) for letter in text)


def _quoted(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode(errors="surrogateescape"))


def _plain(body: bytes, encoding: str) -> bytes:
    """Return the beginning of a body as it is without compression, which was not asked for; raise _Wrong."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return body
    if named not in ("gzip", "x-gzip", "deflate"):
        raise _Wrong(f"compressed as {encoding[:40]!r}, though that was not asked for")
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, _MOST)
    except zlib.error as error:
        raise _Wrong(f"its compressed body cannot be read: {error}") from None
