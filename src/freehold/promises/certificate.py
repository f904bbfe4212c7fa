"""A certificate is good for some time yet."""

import ssl
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
