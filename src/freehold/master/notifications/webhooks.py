"""Webhooks: signed messages to addresses of projects' own, by the Standard Webhooks specification.

An address is its maker's choice, so it is never trusted: the Master connects to public addresses only (as it looked
them up itself, once), follows nobody elsewhere, reads little, and waits for a bounded time.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11
from django.conf import settings
from django.utils import translation

from freehold import __version__
from freehold.master.fleet.authority import Authority
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.notifications.kinds import CauseEvent
from freehold.master.notifications.models import Notice, OutgoingMessage
from freehold.master.notifications.wording import entry
from freehold.protocol.problem import FieldError

DEADLINE = 15.0
"""Seconds for a connection, a request and the beginning of its answer."""
LONGEST_URL = 2000
_LARGEST_ANSWER = 64 * 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of IPv6 that stand for one of IPv4 (RFC 6052)."""


class ReceiverAway(Exception):
    """The receiver cannot be reached, or takes nothing now."""


class ReceiverRefused(Exception):
    """The receiver does not take this message now."""


class ReceiverGone(Exception):
    """The receiver wants no message any more."""


@dataclass(frozen=True)
class SignedMessage:
    """What is posted to a webhook."""

    url: str
    headers: dict[str, str]
    body: bytes


def check_url(url: str) -> None:
    """Raise Invalid for what is no address that a project may be told at."""
    schemes = ("https", "http") if settings.WEBHOOKS_INSIDE else ("https",)
    try:
        parts = urlsplit(url)
        is_good = (
            parts.scheme in schemes and bool(parts.hostname) and parts.username is None and not parts.fragment
            and (parts.port or 1) > 0 and url.isascii() and url.isprintable() and " " not in url
            and len(url) <= LONGEST_URL
        )  # fmt: skip
    except ValueError:
        is_good = False
    if not is_good:
        rule = f"{schemes[0]}://HOST/PATH, at most {LONGEST_URL} characters, without user and fragment"
        raise Invalid("This is no address of a webhook.", errors=[FieldError("url", rule)])


def secret_of(webhook: str) -> bytes:
    """Return the key of a webhook, by its id: it is kept nowhere, and is wherever the authority is."""
    key = Authority(Path(settings.ROOT) / "authority").webhook_key()
    return hmac.digest(key, webhook.encode(), hashlib.sha256)


def shown_secret(webhook: str) -> str:
    """Return the key of a webhook as its receiver is given it: `whsec_` and base64."""
    return f"whsec_{base64.b64encode(secret_of(webhook)).decode()}"


def compose(message: OutgoingMessage, notices: list[Notice]) -> SignedMessage:
    """Return what is posted of a message: the same body each time, signed with the time of this attempt."""
    assert message.webhook is not None
    body = json.dumps(_content(message, notices), ensure_ascii=False, separators=(",", ":")).encode()
    stamp = str(clock.now() // clock.SECOND)
    signed = b".".join([message.id.encode(), stamp.encode(), body])
    signature = base64.b64encode(hmac.digest(secret_of(message.webhook.id), signed, hashlib.sha256)).decode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"freehold/{__version__}",
        "webhook-id": message.id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }
    return SignedMessage(message.webhook.url, headers, body)


def post(message: SignedMessage) -> None:
    """Post a message; raise ReceiverAway, ReceiverRefused or ReceiverGone. Touches no database."""
    until = time.monotonic() + DEADLINE
    try:
        with _connect(urlsplit(message.url), until) as connection:
            status = _exchange(connection, message, until)
    except (OSError, h11.ProtocolError, UnicodeError) as error:
        raise ReceiverAway(str(error) or type(error).__name__) from None
    if status == 410:
        raise ReceiverGone("The receiver answers 410: it wants no messages any more.")
    if status == 429 or status >= 500:
        raise ReceiverAway(f"The receiver answers {status}.")
    if not 200 <= status < 300:
        raise ReceiverRefused(f"The receiver answers {status}.")


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, also where it stands for another one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.teredo is not None:
            return False
        within = (
            ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
            if parsed in _NAT64
            else parsed.ipv4_mapped or parsed.sixtofour
        )
        parsed = within or parsed
    return parsed.is_global and not parsed.is_multicast


def _content(message: OutgoingMessage, notices: list[Notice]) -> dict[str, Any]:
    if not notices:
        return {"type": "test", "timestamp": clock.iso(message.made_at), "data": {"title": "A test of this webhook"}}
    (notice,) = notices
    cause, event = notice.cause, CauseEvent(notice.event)
    is_over = event is CauseEvent.ENDED
    with translation.override("en"):
        words = entry(cause, event)
    return {
        "type": cause.kind,
        "timestamp": clock.iso(cause.ended_at if is_over else cause.noticed_at),
        "data": {
            "cause": cause.id,
            "event": event.value,
            "project": cause.project.name,
            "title": words.title,
            "since": clock.iso(cause.opened_at),
            "until": clock.iso(cause.ended_at) if is_over else None,
            "url": words.url,
            "detail": json.loads(cause.detail),
        },
    }


def _connect(url: SplitResult, until: float) -> socket.socket:
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    failure: OSError = OSError("its name has no address")
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = str(place[0])
        if not (settings.WEBHOOKS_INSIDE or is_public(address)):
            # Which one is nobody's to find out by webhooks.
            failure = OSError("its name leads to an address that is not public")
            continue
        try:
            # To the address that was looked at: looked up again, the name could lead elsewhere.
            connection = socket.create_connection((address, port), _left(until))
        except OSError as error:
            failure = error
            continue
        return _with_tls(connection, host) if url.scheme == "https" else connection
    raise failure


def _with_tls(connection: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _exchange(connection: socket.socket, message: SignedMessage, until: float) -> int:
    """Send a request and return the status of the final answer, of which nothing else is read."""
    url = urlsplit(message.url)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    headers = {
        "Host": host + (f":{url.port}" if url.port else ""), **message.headers,
        "Content-Length": str(len(message.body)), "Connection": "close",
    }  # fmt: skip
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_ANSWER)
    parts: list[h11.Event] = [
        h11.Request(method="POST", target=target, headers=list(headers.items())),
        h11.Data(data=message.body),
        h11.EndOfMessage(),
    ]
    connection.settimeout(_left(until))
    connection.sendall(b"".join(client.send(part) or b"" for part in parts))
    read = 0
    while not isinstance(event := client.next_event(), h11.Response):
        if event is not h11.NEED_DATA:
            continue
        connection.settimeout(_left(until))
        received = connection.recv(_LARGEST_ANSWER)
        read += len(received)
        if not received or read > _LARGEST_ANSWER:
            raise OSError("it answers nothing that can be read")
        client.receive_data(received)
    return int(event.status_code)


def _left(until: float) -> float:
    """Return the seconds left; raise TimeoutError when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
