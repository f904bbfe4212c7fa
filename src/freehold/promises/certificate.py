"""A certificate is good for some time yet."""

import ssl
import tempfile
import time
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class CertificateValid:
    """The certificate in a PEM file does not expire within so many days."""

    path: str
    days: float = 7.0
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            # The standard library shows the fields of a certificate only through this old test function.
            fields = ssl._ssl._test_decode_cert(self.path)  # type: ignore[attr-defined]
        except (OSError, ssl.SSLError) as error:
            return Assessment(False, f"{self.path} cannot be read: {error}")
        left = (ssl.cert_time_to_seconds(fields["notAfter"]) - time.time()) / 86400
        if left < self.days:
            return Assessment(False, f"{self.path} expires in {left:.0f} days" if left > 0 else f"{self.path} expired")
        return Assessment(True, f"{self.path} is good for {left:.0f} days")


@dataclass(frozen=True)
class CertificateMatchesKey:
    """A certificate and a key (PEM) belong together."""

    path: str
    key: str
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.path, self.key)
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
        try:
            pem = ssl.get_server_certificate((self.host, self.port), timeout=self.timeout)
        except (OSError, ssl.SSLError) as error:
            return Assessment(False, f"{self.host} port {self.port} shows no certificate: {error}")
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(pem)
            file.flush()
            found = CertificateValid(file.name, self.days).check()
        return Assessment(found.kept, found.message.replace(file.name, f"the certificate of {self.host}"))
