"""Sealing letters and reading receipts: `cryptography` is large, so this runs in short-lived children only.

python -m freehold.node.link.letter_crypto seal < Order      # prints a list of `Sealed`
python -m freehold.node.link.letter_crypto open < Answers    # prints a list of `Receipt`
"""

import base64
import ssl
import sys
from datetime import UTC, datetime

import msgspec

from freehold.protocol.letter import (
    COVERED,
    PEER,
    RECEIPT_COVERED,
    RECEIPT_TAG,
    TAG,
    Receipt,
    Receipts,
    Response,
    Sealed,
    SignedRequest,
    info,
)


class SealOrder(msgspec.Struct, frozen=True):
    """What is to be sealed, by whom and for whom; keys are named by their files, or given as PEM."""

    node: str
    key: str
    """PEM file."""
    certificate: str
    """PEM file."""
    authority: str
    """PEM."""
    now: float
    contents: list[bytes]


class Answers(msgspec.Struct, frozen=True):
    """Receipts as they came, and by whose key they must be signed."""

    authority: str
    """PEM."""
    receipts: Receipts


def seal(order: SealOrder) -> list[Sealed]:
    """Return the contents sealed: encrypted to the authority, signed by the node."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric import ec
    from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
    from http_message_signatures.algorithms import ECDSA_P256_SHA256

    suite = hpke.Suite(hpke.KEM.P256, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    authority = x509.load_pem_x509_certificate(order.authority.encode()).public_key()
    assert isinstance(authority, ec.EllipticCurvePublicKey)
    with open(order.key, "rb") as file:
        key = file.read()
    with open(order.certificate) as text:
        peer = base64.b64encode(ssl.PEM_cert_to_DER_cert(text.read())).decode()
    keys = MappingKeyResolver(public_keys={}, private_keys={order.node: key})
    signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=keys)
    sealed = []
    for content in order.contents:
        closed = suite.encrypt(content, authority, info(order.node))
        request = SignedRequest({PEER: f":{peer}:"})
        signer.sign(
            request,
            key_id=order.node,
            created=datetime.fromtimestamp(order.now, UTC),
            label="node",
            tag=TAG,
            covered_component_ids=COVERED,
            body=closed,
        )
        sealed.append(Sealed(request.headers, closed))
    return sealed


def open_receipts(answers: Answers) -> list[Receipt]:
    """Return what the receipts say; raise InvalidSignature for one that the authority did not sign."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver
    from http_message_signatures.algorithms import ECDSA_P256_SHA256

    authority = x509.load_pem_x509_certificate(answers.authority.encode()).public_key()
    assert isinstance(authority, ec.EllipticCurvePublicKey)
    keys = MappingKeyResolver(public_keys={"authority": authority}, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=keys)
    receipts = []
    for sealed in answers.receipts.sealed:
        verifier.verify(
            Response(sealed.headers),
            # A receipt may have been on its way for months; what it says stays true.
            max_age=None,
            expect_tag=RECEIPT_TAG,
            require_components=RECEIPT_COVERED,
            body=sealed.content,
        )
        receipts.append(msgspec.json.decode(sealed.content, type=Receipt))
    return receipts


if __name__ == "__main__":
    order = sys.stdin.buffer.read()
    result: object
    if sys.argv[1] == "seal":
        result = seal(msgspec.json.decode(order, type=SealOrder))
    else:
        result = open_receipts(msgspec.json.decode(order, type=Answers))
    sys.stdout.buffer.write(msgspec.json.encode(result))
