"""The certificate authority of a cluster: made of a secret that all members know, so that each issues its own.

What signs nothing but for itself needs no authority; members of a cluster trust each other, and whoever is given its
certificate trusts all of them, also those that come later.
"""

import datetime
import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: private keys are from 1 to one less."""
_FROM, _UNTIL = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


def key(seed: str) -> "EllipticCurvePrivateKey":
    """Return the key of the authority that a seed (hexadecimal) makes."""
    from cryptography.hazmat.primitives.asymmetric import ec

    # 64 bytes: taken modulo the order, no key is likelier than another.
    drawn = int.from_bytes(hmac.new(bytes.fromhex(seed), b"certificate authority", hashlib.sha512).digest())
    return ec.derive_private_key(drawn % (_ORDER - 1) + 1, ec.SECP256R1())


@lru_cache(maxsize=16)
def certificate(seed: str, name: str) -> "x509.Certificate":
    """Return its certificate, which is the same, byte for byte, wherever it is made."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    own = key(seed)
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"Cluster {name}"[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(own.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(bytes.fromhex(seed)).digest()[:16]) | 1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .sign(own, hashes.SHA256(), ecdsa_deterministic=True)
    )


def pem(seed: str, name: str) -> str:
    """Return its certificate as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate(seed, name).public_bytes(Encoding.PEM).decode()
