"""Reports that a courier carries: sealed for the Master, signed by the node, receipted by the Master.

A letter is a file with HTTP requests that wait to be sent (`POST /node/v1/letters`). Each is signed after RFC 9421 with
the key of the node, whose certificate goes along (RFC 9440), and its content, a batch of reports, is encrypted to the
key of the Master's authority (HPKE, RFC 9180). Who carries it can lose it or deliver it twice, and nothing else.
"""

from dataclasses import dataclass, field

import msgspec

from freehold.protocol import VERSION
from freehold.protocol.report import Statement

PATH = "/node/v1/letters"
COVERED = ("@method", "@path", "client-cert")
"""What the node signs, besides the digest of the content."""
RECEIPT_COVERED = ("@status",)
TAG, RECEIPT_TAG = "freehold-letter", "freehold-receipt"
PEER = "Client-Cert"
MASTER = "https://master.invalid"
"""Stands for the Master in what is signed: a letter is for whoever holds the authority's key, at any address."""


class Sealed(msgspec.Struct, frozen=True):
    """One signed message: the headers that sign it, and its content."""

    headers: dict[str, str]
    content: bytes


class Letter(msgspec.Struct, frozen=True):
    """The file that a courier carries to the Master."""

    master: str
    """Its URL, as the node knows it."""
    authority: str
    """PEM: by whom the Master proves who it is."""
    node: str
    epoch: int
    sealed: list[Sealed]
    version: int = VERSION


class Receipt(msgspec.Struct, frozen=True):
    """What the Master says of a batch: it has the node's reports up to `sequence`."""

    node: str
    epoch: int
    sequence: int
    statement: Statement | msgspec.UnsetType = msgspec.UNSET
    """As in `freehold.protocol.report.Applied`."""


class Receipts(msgspec.Struct, frozen=True):
    """The file that a courier carries back: `Receipt`s, signed with the authority's key."""

    sealed: list[Sealed]
    version: int = VERSION


def info(node: str) -> bytes:
    """Return what binds a sealed content to its sender."""
    return f"freehold letter of {node}".encode()


@dataclass
class SignedRequest:
    """The request that is signed, in the form in which signatures are computed."""

    headers: dict[str, str]
    method: str = "POST"
    url: str = MASTER + PATH


@dataclass
class Response:
    """The answer that is signed."""

    headers: dict[str, str]
    status_code: int = 200
    request: SignedRequest | None = field(default=None)
