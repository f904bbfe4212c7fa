"""Requests to the Master: one kept connection, TLS 1.3, its authority pinned, our certificate shown."""

import http.client
import ssl
from pathlib import Path

import msgspec

from freehold import transport
from freehold.node.clock import TimeKeeper, date, header
from freehold.node.errors import LinkDown, LinkError
from freehold.node.upstream import TIMEOUT, denied
from freehold.protocol import UNREADABLE
from freehold.protocol.problem import MEDIA_TYPE, Problem
from freehold.transport import BadAddress, Lost, NotTrusted, Reply, Transport, TransportError

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
        self._transport = Transport(master, self._context, most=MOST, opened=self._check_dates)

    def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = TIMEOUT
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of an answer; raise as `Upstream.call` says."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._time is not None and (moment := self._time.shows()) is not None:
            # By this a Master whose clock is wrong notices it.
            headers["Date"] = header(moment)
        try:
            reply = self._transport.exchange(method, path, body, headers, timeout=timeout)
        except NotTrusted as error:
            raise self._explain(error.error) from None
        except Lost as error:
            raise LinkDown(str(error)) from None
        except TransportError as error:
            raise LinkError(str(error)) from None
        if self._time is not None and (moment := date(reply.headers["Date"])) is not None:
            self._time.hear(moment)
        if reply.status >= 400:
            raise denied(_problem(reply))
        return reply.status, reply.content, dict(reply.headers.items())

    def close(self) -> None:
        """End the connection; the next request opens another, with the identity as it is then."""
        self._transport.close()

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=str(self._authority))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if self._identity is not None:
                context.load_cert_chain(*self._identity)
            if self._time is not None:
                context.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME
        except (OSError, ssl.SSLError) as error:
            raise LinkError(f"The node's identity cannot be read ({error}). Enrol the node again.") from None
        return context

    def _check_dates(self, connection: ssl.SSLSocket) -> None:
        """Raise LinkError for a certificate that is over, as far as we know what time it is."""
        shown = connection.getpeercert() if self._time is not None else None
        if not shown or self._time is None:
            return
        begins, ends = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
        if not self._time.believes(begins, ends):
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
    """Return a connection to a Master, not open yet; raise LinkError when its address is none."""
    try:
        return transport.connection_to(master, context, timeout)
    except BadAddress as error:
        raise LinkError(str(error)) from None


def _problem(reply: Reply) -> Problem:
    if reply.headers.get_content_type() == MEDIA_TYPE:
        try:
            return msgspec.json.decode(reply.content, type=Problem)
        except UNREADABLE:
            pass
    return Problem("unknown", f"{reply.status} {reply.reason}", reply.status)
