"""Requests to the Master: one kept connection, TLS 1.3, its authority pinned, our certificate shown."""

import base64
import http.client
import os
import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from freehold.bodies import whole
from freehold.node.clock import TimeKeeper, date, header
from freehold.node.errors import LinkDown, LinkError
from freehold.node.upstream import TIMEOUT, denied
from freehold.protocol import UNREADABLE
from freehold.protocol.problem import MEDIA_TYPE, Problem

MOST = 64 * 1024 * 1024
"""Bytes of an answer at most: twice the largest archive."""
_X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""OpenSSL's flag, absent from Python's `ssl`: dates are judged by a clock that is better than this machine's."""


class Link:
    """A connection to the Master, by a proxy if there must be one. Not to be shared between threads."""

    def __init__(
        self,
        master: str,
        authority: Path,
        identity: tuple[Path, Path] | None = None,
        *,
        time: TimeKeeper | None = None,
    ) -> None:
        """`identity`: the node's certificate and key; without, the caller is nobody, as before enrolment.

        `time` is told what time it is for the Master, and judges the dates of its certificate; without, this
        machine's clock does.
        """
        self.master = master
        self._authority = authority
        self._identity = identity
        self._time = time
        self._connection: http.client.HTTPSConnection | None = None

    def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = TIMEOUT
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of an answer; raise as `Upstream.call` says."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        for attempt in (1, 2):
            fresh = self._connection is None
            connection = self._connection or self._connect()
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                connection.timeout = timeout
                if connection.sock is None:
                    connection.connect()
                    self._check_dates(connection)
                if self._time is not None and (moment := self._time.shows()) is not None:
                    # By this a Master whose clock is wrong notices it.
                    headers["Date"] = header(moment)
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                content = whole(response, MOST)
            except (OSError, http.client.HTTPException) as error:
                tls_error = error if isinstance(error, ssl.SSLError) else None
                if fresh and not _is_verdict(tls_error):
                    # Who refuses our certificate may hang up while we still write: why is there to be read.
                    tls_error = _last_words(connection) or tls_error
                self.close()
                if tls_error is not None and _is_verdict(tls_error):
                    raise self._explain(tls_error) from None
                # A kept connection may have ended meanwhile; every request of the protocol may be repeated.
                if fresh or attempt == 2:
                    raise LinkDown(f"{self.master} cannot be reached: {error!r}") from None
                continue
            if len(content) > MOST:
                self.close()
                raise LinkError(f"{self.master} answers {path} with more than {MOST} bytes, and is not listened to.")
            if self._time is not None and (moment := date(response.headers["Date"])) is not None:
                self._time.hear(moment)
            if response.status >= 400:
                raise denied(_problem(response, content))
            return response.status, content, dict(response.headers.items())
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the connection; the next request opens another, with the identity as it is then."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPSConnection:
        try:
            context = ssl.create_default_context(cafile=str(self._authority))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if self._identity is not None:
                context.load_cert_chain(*self._identity)
            if self._time is not None:
                context.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME
        except (OSError, ssl.SSLError) as error:
            raise LinkError(f"The node's identity cannot be read ({error}). Enrol the node again.") from None
        self._connection = connection_to(self.master, context)
        return self._connection

    def _check_dates(self, connection: http.client.HTTPSConnection) -> None:
        """Raise LinkError for a certificate that is over, as far as we know what time it is."""
        shown = connection.sock.getpeercert() if self._time is not None else None
        if not shown or self._time is None:
            return
        begins, ends = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
        if not self._time.believes(begins, ends):
            self.close()
            raise LinkError(
                f"{self.master} shows a certificate that is valid from {shown['notBefore']} to {shown['notAfter']}, "
                "and not now. Its provider has to renew it."
            )

    def _explain(self, error: ssl.SSLError) -> LinkError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return LinkError(
                f"{self.master} did not prove to be our Master: {error.verify_message}. "
                "Is the URL right? Is the clock of this machine right?"
            )
        return LinkError(
            f"{self.master} refused this node's certificate ({error.reason}): it comes from another Master. "
            "Enrol the node again with a new token."
        )


def connection_to(master: str, context: ssl.SSLContext, timeout: float = TIMEOUT) -> http.client.HTTPSConnection:
    """Return a connection to a Master, not open yet: through the proxy that the environment names, if it names one.

    `HTTPS_PROXY` and `NO_PROXY` say so, as to every other program. A proxy sees where we go, and nothing else. Raise
    LinkError when the Master's or the proxy's address is none.
    """
    host, port = host_and_port(master)
    proxy = _proxy_for(host)
    if not proxy:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        proxy_host, proxy_port = parts.hostname, parts.port
    except ValueError:
        proxy_host = proxy_port = None
    if proxy_host is None or parts.scheme != "http":
        raise LinkError("HTTPS_PROXY does not name a proxy; it looks like http://HOST:PORT.")
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
    connection = http.client.HTTPSConnection(proxy_host, proxy_port or 8080, timeout=timeout, context=context)
    connection.set_tunnel(host, port, headers)
    return connection


def _proxy_for(host: str) -> str:
    """Return the proxy that the environment names for a host; empty for none."""
    if not any(name.lower() == "https_proxy" for name in os.environ):
        return ""
    # Half a megabyte of memory, for those few who need it.
    from urllib.request import getproxies, proxy_bypass

    return "" if proxy_bypass(host) else getproxies().get("https", "")


def host_and_port(master: str) -> tuple[str, int | None]:
    """Return where a Master's URL leads; raise LinkError when it is none."""
    try:
        url = urlsplit(master)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if host is None or url.scheme != "https":
        raise LinkError(f"'{master}' is not a Master's URL; it looks like https://HOST:PORT.")
    return host, port


def _is_verdict(error: ssl.SSLError | None) -> bool:
    """Return whether an error says who is not believed, us or the Master; any other is a lost connection."""
    return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (getattr(error, "reason", None) or "")


def _last_words(connection: http.client.HTTPSConnection) -> ssl.SSLError | None:
    try:
        if connection.sock is not None:
            connection.sock.settimeout(1)
            connection.sock.recv(1)
    except ssl.SSLError as error:
        return error
    except OSError:
        pass
    return None


def _problem(response: http.client.HTTPResponse, content: bytes) -> Problem:
    if response.headers.get_content_type() == MEDIA_TYPE:
        try:
            return msgspec.json.decode(content, type=Problem)
        except UNREADABLE:
            pass
    return Problem("unknown", f"{response.status} {response.reason}", response.status)
