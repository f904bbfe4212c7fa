"""The mail server that a Master sends by, as its operator names it."""

import ipaddress
import smtplib
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from freehold.master.foundation.errors import Invalid

TIMEOUT = 20.0
"""Seconds that the server may take for each of its answers."""


@dataclass(frozen=True)
class MailServer:
    """Where mail goes, and how."""

    host: str
    port: int
    is_tls: bool
    """TLS from the first byte (port 465); else by STARTTLS, which only a server on this machine may lack."""
    user: str = ""
    password: str = ""

    def connect(self) -> smtplib.SMTP:
        """Return a session with the server, logged in; raise OSError or smtplib.SMTPException."""
        context = ssl.create_default_context()
        if self.is_tls:
            session: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
            self._protect(session, context)
        if self.user:
            session.login(self.user, self.password)
        return session

    def _protect(self, session: smtplib.SMTP, context: ssl.SSLContext) -> None:
        session.ehlo()
        if session.has_extn("starttls"):
            session.starttls(context=context)
        elif not is_loopback(self.host):
            raise smtplib.SMTPNotSupportedError(f"{self.host} does not offer STARTTLS")


def parse(url: str, password_file: str) -> MailServer:
    """Return the server of `FREEHOLD_SMTP_URL`: `smtps://USER@HOST` or `smtp://USER@HOST`, maybe with a port.

    Raise Invalid for any other text, for a password in it, and for a file that cannot be read.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.query:
        raise Invalid("FREEHOLD_SMTP_URL is no mail server.", remedy="Write smtps://USER@HOST or smtp://USER@HOST:587.")
    if parts.password is not None:
        # Else it would be in the environment of each child process, and in what prints it.
        raise Invalid("FREEHOLD_SMTP_URL holds a password.", remedy="Put it into FREEHOLD_SMTP_PASSWORD_FILE.")
    is_tls = parts.scheme == "smtps"
    password = _read(password_file) if password_file else ""
    return MailServer(host, port or (465 if is_tls else 587), is_tls, unquote(parts.username or ""), password)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"FREEHOLD_SMTP_PASSWORD_FILE {path} cannot be read: {error}", remedy="See docs/notifications.md."
        ) from None
