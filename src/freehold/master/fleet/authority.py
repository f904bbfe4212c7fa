"""The Master's own certificate authority: EC P-256, short certificates, keys stay where they are born.

EC and not RSA: a handshake costs the Master 1.9 ms instead of 2.7 (measured, decision 0006).
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from freehold import durable
from freehold.master.foundation.errors import Invalid

CLIENT_DAYS = 30
SERVER_DAYS = 365
AUTHORITY_DAYS = 3650
_SKEW = timedelta(minutes=5)
"""Certificates start a little in the past: clocks of nodes are not exact."""


@dataclass(frozen=True)
class Issued:
    """A certificate fresh from the authority."""

    pem: str
    fingerprint: str
    """SHA-256 of its DER form, hexadecimal."""
    key: str
    """SHA-256 of its public key, hexadecimal."""
    not_after: int
    """Milliseconds since 1970 UTC."""


class Authority:
    """The authority whose key and certificate are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pem = (folder / "authority.pem").read_text()
        self._certificate = x509.load_pem_x509_certificate(self.pem.encode())
        key = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """For letters: what nodes seal is for this key, and receipts are signed with it."""
        return self._key

    def statement_key(self) -> bytes:
        """Return the key of this Master's statements: it is wherever the authority is, in any copy of it."""
        return self._derived(b"freehold statements")

    def webhook_key(self) -> bytes:
        """Return the key from which those of webhooks derive."""
        return self._derived(b"freehold webhooks")

    def fingerprint(self) -> str:
        """Return the SHA-256 of the authority's certificate, which enrolment tokens carry."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    def sign_client(self, signing_request: str, *, kind: str, subject: str) -> Issued:
        """Return a certificate for a node or an instance; the subject is ours, whatever the request says.

        Raise Invalid when the request is not one, does not prove that its sender has the key, or its key is
        not EC P-256.
        """
        try:
            request = x509.load_pem_x509_csr(signing_request.encode())
            key, proven = request.public_key(), request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise Invalid(f"Not a signing request in PEM: {error}") from None
        if not proven or not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise Invalid("The signing request must be signed by its own EC P-256 key.")
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, kind),
                x509.NameAttribute(NameOID.COMMON_NAME, subject),
            ]
        )
        return self._sign(name, key, CLIENT_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def sign_server(self, names: list[str]) -> None:
        """Make `server.key` and `server.pem` in the folder, for these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [_general_name(name) for name in names]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Freehold Master")])
        issued = self._sign(subject, key.public_key(), SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)
        _write_key(self.folder / "server.key", key)
        # Last: without it the next try makes both again.
        durable.replace(self.folder / "server.pem", issued.pem.encode(), 0o644)

    def _derived(self, purpose: bytes) -> bytes:
        secret = self._key.private_numbers().private_value.to_bytes(32, "big")
        return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret)

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        days: int,
        usage: x509.ObjectIdentifier,
        alternatives: list[x509.GeneralName],
    ) -> Issued:
        now = datetime.now(UTC)
        not_after = (now + timedelta(days=days)).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            certificate.fingerprint(hashes.SHA256()).hex(),
            _digest(key),
            int(not_after.timestamp() * 1000),
        )


def _digest(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def create_authority(folder: Path, name: str) -> Authority:
    """Make a new authority in a folder and return it; raise FileExistsError when there is one."""
    if (folder / "authority.pem").exists():
        raise FileExistsError(f"There is an authority in {folder}.")
    durable.make_folder(folder, 0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / "authority.key", key)
    # Last: a key without a certificate has signed nothing, and the next try makes another.
    durable.create(folder / "authority.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(folder)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    durable.replace(path, pem, 0o600)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
