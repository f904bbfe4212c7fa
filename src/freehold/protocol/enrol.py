"""How a node gets, and keeps, its identity."""

import msgspec

from freehold.protocol import VERSION


class EnrolRequest(msgspec.Struct, frozen=True):
    """The request body of `POST /node/v1/enrol`, sent without a client certificate."""

    token: str
    """The secret part of a one-time token."""
    title: str
    signing_request: str
    """PEM; the key stays on the node. The Master chooses the subject, whatever the request says."""
    version: int = VERSION


class EnrolAnswer(msgspec.Struct, frozen=True):
    """The node's new identity."""

    node: str
    epoch: int
    """Grows with each enrolment; reports are numbered from 1 within it."""
    certificate: str
    """PEM."""
    authority: str
    """PEM of the Master's certificate authority: the only one the node trusts."""


class EpochAnswer(msgspec.Struct, frozen=True):
    """The Master's answer to `POST /node/v1/epoch`: reports are numbered from 1 in it."""

    epoch: int


class CertificateRequest(msgspec.Struct, frozen=True):
    """The request body of `POST /node/v1/certificate` and `POST /node/v1/instances/ID/certificate`."""

    signing_request: str
    version: int = VERSION


class CertificateAnswer(msgspec.Struct, frozen=True):
    certificate: str
    authority: str


class Token(msgspec.Struct, frozen=True):
    """What an operator carries from the Master to a new node, as one word `fh1.SECRET.FINGERPRINT`."""

    secret: str
    authority_sha256: str
    """SHA-256 of the authority's DER certificate: the node checks it before it trusts the Master."""

    def __str__(self) -> str:
        return f"fh1.{self.secret}.{self.authority_sha256}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Return the token written in `text`; raise ValueError when it is not one."""
        prefix, _, encoded = text.strip().partition(".")
        secret, _, fingerprint = encoded.partition(".")
        if prefix != "fh1" or not secret or len(fingerprint) != 64:
            raise ValueError("not an enrolment token: it should look like fh1.SECRET.FINGERPRINT")
        return cls(secret, fingerprint)
