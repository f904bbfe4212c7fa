"""Statements: what a Master knew, in a form that it alone can make, kept by its nodes and shown to it again.

A node's word is no reason for a Master to doubt itself; its own word is. An HMAC under a key that is derived from the
authority's costs two microseconds, and is restored wherever the authority is. Nothing in a statement is secret.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from freehold.protocol import UNREADABLE

_MAC = 32
"""Bytes of an HMAC-SHA256."""


class MasterStatement(msgspec.Struct, frozen=True, array_like=True):
    """What a Master knew when it answered a node."""

    node: str
    """To whom it said so."""
    generation: int
    epoch: int
    sequence: int
    """Up to where it had applied the node's reports of this epoch."""
    revision: int
    """Of the last change anywhere that some node had to know."""
    ledger: int
    """Id of the last batch of entries in any ledger; 0: none."""
    digest: str
    """Of that batch, and so of all before it."""
    at: int
    """Milliseconds since 1970 UTC, by the Master's clock."""


class ForgedError(ValueError):
    """What a node shows was never said to it."""


_decoder = msgspec.json.Decoder(MasterStatement)


class Statements:
    """Makes and reads the statements of the Master with this key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, statement: MasterStatement) -> str:
        """Return a statement as nodes keep it: base64url of its content and of the HMAC over that."""
        content = msgspec.json.encode(statement)
        return base64.urlsafe_b64encode(hmac.digest(self._key, content, hashlib.sha256) + content).decode()

    def read(self, text: str, node: str) -> MasterStatement:
        """Return what was said to a node; raise ForgedError for what was not, or not to it."""
        try:
            data = base64.b64decode(text, b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ForgedError("it is no statement of a Master") from None
        content = data[_MAC:]
        if not hmac.compare_digest(hmac.digest(self._key, content, hashlib.sha256), data[:_MAC]):
            raise ForgedError("its seal is not this Master's")
        try:
            statement = _decoder.decode(content)
        except UNREADABLE:
            raise ForgedError("it is of another version") from None
        if statement.node != node:
            raise ForgedError(f"it was said to {statement.node}")
        return statement
