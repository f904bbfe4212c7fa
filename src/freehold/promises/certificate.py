"""A certificate is good for some time yet."""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.promises.base import Assessment
from freehold.promises.connection import connect_tls


@dataclass(frozen=True)
class CertificateValid:
    """The certificates in a PEM file are valid now, in their order, and do not expire within so many days."""

    path: str
    days: float = 7.0
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            chain = _read(Path(self.path).read_bytes())
        except (OSError, ValueError) as error:
            return Assessment(False, f"{self.path} cannot be read: {error}")
        return _assess(chain, self.path, self.days)


def _read(pem: bytes) -> "list[Any]":
    """Return the certificates of a PEM text, the server's own first; raise ValueError when there is none."""
    # Only workers that look at certificates need it.
    from cryptography import x509

    return list(x509.load_pem_x509_certificates(pem))


def _assess(chain: "list[Any]", subject: str, days: float) -> Assessment:
    """Say whether each certificate of a chain is good now, follows the one before, and is good for some days."""
    now, soonest = time.time(), float("inf")
    for number, certificate in enumerate(chain):
        name = subject if number == 0 else f"{subject}, certificate {number + 1} of {len(chain)},"
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        if begins > now:
            return Assessment(False, f"{name} is not valid before {_moment(begins)}")
        if ends <= now:
            return Assessment(False, f"{name} expired on {_moment(ends)}")
        if number and certificate.subject != chain[number - 1].issuer:
            return Assessment(False, f"{name} did not sign the one before it: the chain is in the wrong order")
        soonest = min(soonest, (ends - now) / 86400)
    if soonest < days:
        return Assessment(False, f"{subject} expires in {soonest:.0f} days")
    return Assessment(True, f"{subject} is good for {soonest:.0f} days")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass(frozen=True)
class CertificateMatchesKey:
    """A certificate and a key (PEM) belong together."""

    path: str
    key: str
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            # A key that needs a password is none that a server can use by itself; nobody is asked for it.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.path, self.key, password=lambda: b"")
        except (OSError, ssl.SSLError) as error:
            return Assessment(False, f"{self.path} and its key do not belong together: {error}")
        return Assessment(True, f"{self.path} and its key belong together")


@dataclass(frozen=True)
class ServerCertificate:
    """The certificate that a TLS server shows does not expire within so many days. Who signed it is not looked at."""

    host: str
    port: int = 443
    days: float = 7.0
    period: float = 3600.0
    timeout: float = 20.0

    def check(self) -> Assessment:
        subject = f"the certificate of {self.host}"
        try:
            with connect_tls(self.host, self.port, self.timeout) as sock:
                der = sock.getpeercert(binary_form=True)
        except (OSError, ValueError) as error:
            return Assessment(False, f"{self.host} port {self.port} shows no certificate: {error}")
        if der is None:
            return Assessment(False, f"{self.host} port {self.port} shows no certificate")
        try:
            return _assess(_read(ssl.DER_cert_to_PEM_cert(der).encode()), subject, self.days)
        except ValueError as error:
            return Assessment(False, f"{subject} cannot be read: {error}")
