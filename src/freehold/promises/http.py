"""An HTTP server answers as it should."""

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from freehold.promises.base import Assessment

_MOST = 1024 * 1024


@dataclass(frozen=True)
class Http:
    """GET of a URL answers with a status, and its body contains a text.

    The certificate of an https server is not checked here: a partition's server often has its own authority.
    """

    url: str
    status: int = 200
    contains: str = ""
    period: float = 60.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        url = urlsplit(self.url)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection: http.client.HTTPConnection
        if url.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(
                url.hostname or "", url.port, timeout=self.timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=self.timeout)
        try:
            connection.request("GET", path, headers={"User-Agent": "freehold-promise"})
            answer = connection.getresponse()
            body = answer.read(_MOST)
        except (OSError, http.client.HTTPException) as error:
            return Assessment(False, f"{self.url} does not answer: {error}")
        finally:
            connection.close()
        if answer.status != self.status:
            return Assessment(False, f"{self.url} answers {answer.status} instead of {self.status}")
        if self.contains and self.contains.encode() not in body:
            return Assessment(False, f"{self.url} does not contain {self.contains!r}")
        return Assessment(True, f"{self.url} answers {answer.status}")
