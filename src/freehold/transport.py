"""The one way to a Master over HTTPS, under the command line's client and the node's link.

A connection is kept, opened when it is needed, and goes through the proxy that the environment names. Every request of
ours may be repeated, so one that meets a kept connection's end is sent once more.
"""

import base64
import http.client
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote, urlsplit

from freehold.bodies import whole

TIMEOUT = 60.0
"""Seconds without a byte after which a connection is lost."""


class TransportError(Exception):
    """A request has no answer; the words say why."""


class BadAddress(TransportError):
    """The Master's, or the proxy's, address is none."""


class Lost(TransportError):
    """The Master cannot be reached."""


class AnswerTooLarge(TransportError):
    """An answer has more bytes than are listened to."""


class NotTrusted(TransportError):
    """One side does not believe who the other is."""

    def __init__(self, error: ssl.SSLError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Reply:
    """What a Master answers."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    content: bytes


class Transport:
    """A connection to one Master. Not to be shared between threads.

    `make_context` is called for each connection: certificates may be renewed between two. `opened` looks at a
    connection before anything is sent on it; what it raises ends the connection.
    """

    def __init__(
        self,
        master: str,
        make_context: Callable[[], ssl.SSLContext],
        *,
        most: int,
        opened: Callable[[ssl.SSLSocket], None] | None = None,
    ) -> None:
        self.master = master
        self._make_context = make_context
        self._most = most
        self._opened = opened
        self._connection: http.client.HTTPSConnection | None = None

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> Reply:
        """Return the answer to a request, whatever its status; raise TransportError when there is none."""
        for is_last in (False, True):
            is_fresh = self._connection is None
            if self._connection is None:
                self._connection = connection_to(self.master, self._make_context(), timeout)
            try:
                return self._ask(self._connection, method, path, body, headers or {}, timeout)
            except (OSError, http.client.HTTPException) as error:
                verdict = _verdict(error) or (_last_words(self._connection) if is_fresh else None)
                self.close()
                if verdict is not None:
                    raise NotTrusted(verdict) from None
                if is_fresh or is_last:
                    raise Lost(f"{self.master} cannot be reached: {str(error) or repr(error)}") from None
            except BaseException:
                self.close()
                raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Reply:
        connection.timeout = timeout
        if connection.sock is None:
            connection.connect()
            if self._opened is not None:
                self._opened(cast("ssl.SSLSocket", connection.sock))
        connection.sock.settimeout(timeout)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = whole(response, self._most)
        if len(content) > self._most:
            raise AnswerTooLarge(
                f"{self.master} answers {path} with more than {self._most} bytes, and is not listened to."
            )
        return Reply(response.status, response.reason, response.headers, content)


def connection_to(master: str, context: ssl.SSLContext, timeout: float = TIMEOUT) -> http.client.HTTPSConnection:
    """Return a connection to a Master, not open yet: through the proxy that the environment names, if it names one.

    `HTTPS_PROXY` and `NO_PROXY` say so, as to every other program. A proxy sees where we go, and nothing else. Raise
    BadAddress when the Master's or the proxy's address is none.
    """
    host, port = _host_and_port(master)
    proxy = _proxy_for(host)
    if not proxy:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        proxy_host, proxy_port = parts.hostname, parts.port
    except ValueError:
        proxy_host = proxy_port = None
    if proxy_host is None or parts.scheme != "http":
        raise BadAddress("HTTPS_PROXY does not name a proxy; it looks like http://HOST:PORT.")
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
    connection = http.client.HTTPSConnection(proxy_host, proxy_port or 8080, timeout=timeout, context=context)
    connection.set_tunnel(host, port, headers)
    return connection


def _host_and_port(master: str) -> tuple[str, int | None]:
    try:
        url = urlsplit(master)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if host is None or url.scheme != "https":
        raise BadAddress(f"'{master}' is not a Master's URL; it looks like https://HOST:PORT.")
    return host, port


def _proxy_for(host: str) -> str:
    """Return the proxy that the environment names for a host; empty for none."""
    if not any(name.lower() == "https_proxy" for name in os.environ):
        return ""
    # Half a megabyte of memory, for those few who need it.
    from urllib.request import getproxies, proxy_bypass

    return "" if proxy_bypass(host) else getproxies().get("https", "")


def _verdict(error: BaseException) -> ssl.SSLError | None:
    """Return an error that says who is not believed, the Master or us; any other is a lost connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error
    is_alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    return error if isinstance(error, ssl.SSLError) and is_alert else None


def _last_words(connection: http.client.HTTPSConnection) -> ssl.SSLError | None:
    """Return why the other side hung up: who refuses our certificate may do so while we still write."""
    try:
        if connection.sock is not None:
            connection.sock.settimeout(1)
            connection.sock.recv(1)
    except ssl.SSLError as error:
        return _verdict(error)
    except OSError:
        pass
    return None
