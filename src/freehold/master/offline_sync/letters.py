"""Opening letters and signing receipts. The file is described in `freehold.protocol.letter`."""

import base64
import hashlib
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    MappingKeyResolver,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from freehold.master.fleet import queries
from freehold.master.fleet.authority import Authority
from freehold.master.foundation.errors import Malformed, Unauthenticated
from freehold.protocol import OLDEST_VERSION, UNREADABLE, VERSION
from freehold.protocol.letter import (
    COVERED,
    PEER,
    RECEIPT_COVERED,
    RECEIPT_TAG,
    TAG,
    Receipt,
    Response,
    Sealed,
    SignedRequest,
    info,
)
from freehold.protocol.report import ReportBatch

_SUITE = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SIGNED = {name.lower(): name for name in (PEER, "Content-Digest", "Signature-Input", "Signature")}
_REMEDY = "Have the node write its letter anew: freehold node letter write FILE."


def open_letter(sealed: Sealed, authority: Authority) -> tuple[str, ReportBatch]:
    """Return the node that wrote a letter, and the batch in it.

    Its certificate may be over by now, for letters travel slowly; it must be ours and not revoked. Raise
    Unauthenticated or Forbidden when the letter does not prove whose it is, Malformed when it holds no batch.
    """
    headers = {_SIGNED[name.lower()]: value for name, value in sealed.headers.items() if name.lower() in _SIGNED}
    peer = headers.get(PEER, "")
    try:
        der = base64.b64decode(peer.strip(":"), validate=True)
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Unauthenticated(f"The letter has no {PEER} header with a certificate.", remedy=_REMEDY) from None
    node = queries.identify(hashlib.sha256(der).hexdigest(), "node", renewing=True)
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Only(node, key))
    try:
        # However old: what was applied already is not applied again.
        verifier.verify(
            SignedRequest(headers), max_age=None, expect_tag=TAG, require_components=COVERED, body=sealed.content
        )
    except InvalidSignature as error:
        raise Unauthenticated(f"The letter's signature does not hold: {error}.", remedy=_REMEDY) from None
    try:
        content = _SUITE.decrypt(sealed.content, authority.private_key, info(node))
    except (InvalidTag, ValueError):
        raise Malformed("The letter is not for this Master, or was damaged.", remedy=_REMEDY) from None
    return node, _batch(content)


def sign(receipt: Receipt, authority: Authority) -> Sealed:
    """Return a receipt, signed with the authority's key."""
    content = msgspec.json.encode(receipt)
    keys = MappingKeyResolver(public_keys={}, private_keys={"authority": authority.private_key})
    response = Response({})
    HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=keys).sign(
        response,
        key_id="authority",
        label="master",
        tag=RECEIPT_TAG,
        covered_component_ids=RECEIPT_COVERED,
        body=content,
    )
    return Sealed(response.headers, content)


def _batch(content: bytes) -> ReportBatch:
    try:
        batch = msgspec.json.decode(content, type=ReportBatch)
    except UNREADABLE as error:
        raise Malformed(f"The letter holds no batch of reports: {error}") from None
    if not OLDEST_VERSION <= batch.version <= VERSION:
        raise Malformed(
            f"Protocol version {batch.version} is not spoken here.",
            remedy=f"Use a version from {OLDEST_VERSION} to {VERSION}.",
        )
    return batch


class _Only(HTTPSignatureKeyResolver):
    """Knows one key."""

    def __init__(self, name: str, key: Any) -> None:
        self._name, self._key = name, key

    def resolve_public_key(self, key_id: str) -> Any:
        return self._key if key_id == self._name else None
