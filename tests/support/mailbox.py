"""A real mail server of this process, and what came to it."""

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """Every message that the server took, in the order in which they came."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Answers to the next messages, instead of taking them."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 taken"

    def of(self, address: str) -> list[EmailMessage]:
        """Return what came for an address."""
        return [mail for mail in self.mails if mail["To"] == address]

    def subjects(self, address: str = "") -> list[str]:
        mails = self.of(address) if address else self.mails
        return [str(mail["Subject"]).removeprefix("[Freehold] ") for mail in mails]


def text(mail: EmailMessage) -> str:
    """Return the plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


@contextmanager
def mail_server(**more: Any) -> Iterator[Mailbox]:
    """Serve SMTP on the loopback, with more options of aiosmtpd."""
    box = Mailbox(free_port())
    server = Controller(box, hostname="127.0.0.1", port=box.port, ready_timeout=20, **more)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def free_port() -> int:
    """Return a port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
