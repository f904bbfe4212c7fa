"""A node in one page: the protocol spoken by hand, without Freehold's own agent.

Tests use it to talk to a real Master over real TLS, and it is the proof that `docs/protocol.md` is enough to
write another implementation.
"""

import hashlib
import http.client
import json
import ssl
import time
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Pocket:
    """A machine with a key; after `enrol` a node."""

    def __init__(self, folder: Path, host: str, port: int, authority: Path) -> None:
        self.folder, self.host, self.port = folder, host, port
        self.authority = authority
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.node = ""
        self.epoch = 0
        self.sequence = 0
        self.hash = "0" * 64
        self.statement = ""
        """The last one of the Master, shown with each request."""
        self.shows = 0.0
        """By how many seconds the clock of this machine, which something else keeps, differs; `is_kept`: whether."""
        self.is_kept = False
        self.date = 0.0
        """What the last answer said of the time."""
        self._connection: http.client.HTTPSConnection | None = None

    def signing_request(self) -> str:
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return request.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def enrol(self, token: str, title: str) -> None:
        status, answer = self.call(
            "POST",
            "/node/v1/enrol",
            {"token": token.split(".")[1], "title": title, "signing_request": self.signing_request()},
        )
        assert status == 200, answer
        self.node, self.epoch = answer["node"], answer["epoch"]
        self.keep(answer["certificate"])

    def keep(self, certificate: str) -> None:
        """Show this certificate from now on."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "pocket.pem").write_text(pem.decode() + certificate)
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return the status and the decoded answer."""
        if self._connection is None:
            context = ssl.create_default_context(cafile=str(self.authority))
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT if hasattr(ssl, "VERIFY_X509_STRICT") else ~0
            if (self.folder / "pocket.pem").exists():
                context.load_cert_chain(self.folder / "pocket.pem")
            self._connection = http.client.HTTPSConnection(self.host, self.port, context=context, timeout=70)
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        dated = {"Date": formatdate(time.time() + self.shows, usegmt=True)} if self.is_kept else {}
        try:
            self._connection.request(method, path, data, {**dated, **(headers or {})})
            response = self._connection.getresponse()
            content = response.read()
            self.date = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.headers.get_content_type() in ("application/json", "application/problem+json"):
            return response.status, json.loads(content)
        return response.status, content

    def feed(self, since: int = 0, wait: float = 0) -> tuple[int, Any]:
        return self.call("GET", f"/node/v1/feed?since={since}&wait={wait}&statement={self.statement}")

    def write(self, *items: dict[str, Any]) -> dict[str, Any]:
        """Return the next report of the chain with these items."""
        body = json.dumps({"at": time.time(), "items": items}, separators=(",", ":")).encode()
        self.hash = hashlib.sha256(bytes.fromhex(self.hash) + body).hexdigest()
        self.sequence += 1
        return {"sequence": self.sequence, "hash": self.hash, "body": json.loads(body)}

    def send(self, *reports: dict[str, Any]) -> tuple[int, Any]:
        # The body must travel as the very bytes that were hashed, so the batch is written compactly too.
        batch = {"epoch": self.epoch, "reports": reports, "version": 1, "statement": self.statement}
        status, answer = self.call("POST", "/node/v1/reports", raw=json.dumps(batch, separators=(",", ":")).encode())
        if status == 200:
            self.statement = answer.get("statement") or self.statement
        return status, answer

    def report(self, *items: dict[str, Any]) -> tuple[int, Any]:
        return self.send(self.write(*items))

    def offer(self, partitions: int = 4) -> tuple[int, Any]:
        """Say what this machine offers."""
        places = [{"name": f"p{number}", "address": f"127.7.0.{number + 1}"} for number in range(partitions)]
        return self.report(
            {
                "kind": "host",
                "partitions": places,
                "cpus": 2,
                "memory_mb": 2048,
                "disk_mb": 10000,
                "architecture": "x86_64",
            }
        )
