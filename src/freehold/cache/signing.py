"""Who says so: entries signed by builders, vouched for by Masters, believed or not.

`cryptography` is large; nodes import this in short-lived children only.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freehold.cache.folder import CacheError, read
from freehold.protocol.cache import BUILT, VOUCHED, BuildStatement, CacheEntry

_HOW = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Trust:
    """Whose word is taken: that of builders named by their keys, and of builders that an authority vouches for."""

    keys: frozenset[str]
    """SHA-256 of public keys (SubjectPublicKeyInfo, DER), hexadecimal."""
    authority: str = ""
    """PEM; empty: nobody vouches."""


def sign(statement: BuildStatement, key: bytes, certificate: str) -> CacheEntry:
    """Return a statement signed by its builder's key (PEM)."""
    content = msgspec.json.encode(statement)
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return CacheEntry(content, certificate, private.sign(BUILT + content, _HOW))


def vouch(entry: CacheEntry, authority: ec.EllipticCurvePrivateKey) -> CacheEntry:
    """Return an entry for whose builder an authority vouches."""
    signed = VOUCHED + _digest(_key(entry)) + entry.statement
    return msgspec.structs.replace(entry, voucher=authority.sign(signed, _HOW))


def signer(entry: CacheEntry) -> str:
    """Return the key that signed an entry, as `Trust` names keys; raise CacheError when none did."""
    key = _key(entry)
    _verify(key, entry.signature, BUILT + entry.statement, "its builder's signature does not hold")
    return _digest(key).hex()


def fingerprint(certificate: str) -> str:
    """Return how `Trust` names the key of a certificate (PEM); raise CacheError when it is none."""
    return _digest(_public(certificate)).hex()


def certificate_sha256(certificate: str) -> str:
    """Return the SHA-256 of a certificate's DER form, as Masters know it; raise CacheError when it is none."""
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CacheError("its certificate cannot be read") from None


def believe(entry: CacheEntry, trust: Trust) -> BuildStatement:
    """Return what an entry says; raise CacheError, saying why, when it must not be believed."""
    by = signer(entry)
    if by not in trust.keys:
        if not trust.authority or not entry.voucher:
            raise CacheError(f"nobody here trusts its builder (key {by[:16]}…)")
        signed = VOUCHED + bytes.fromhex(by) + entry.statement
        _verify(_public(trust.authority), entry.voucher, signed, "our Master does not vouch for its builder")
    return read(entry)


def believed(entries: Iterable[CacheEntry], trust: Trust) -> Iterable[BuildStatement | CacheError]:
    """Yield for each entry what it says, or why that is not believed."""
    for entry in entries:
        try:
            yield believe(entry, trust)
        except CacheError as error:
            yield error


def _key(entry: CacheEntry) -> ec.EllipticCurvePublicKey:
    return _public(entry.certificate)


def _public(certificate: str) -> ec.EllipticCurvePublicKey:
    try:
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CacheError("its certificate cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CacheError("its key is of another kind than ours")
    return key


def _digest(key: ec.EllipticCurvePublicKey) -> bytes:
    form, kind = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(form, kind)).digest()


def _verify(key: ec.EllipticCurvePublicKey, signature: bytes, content: bytes, otherwise: str) -> None:
    try:
        key.verify(signature, content, _HOW)
    except InvalidSignature:
        raise CacheError(otherwise) from None
