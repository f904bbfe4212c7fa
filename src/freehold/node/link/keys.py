"""Keys and signing requests: `cryptography` is large, so this runs in short-lived children only.

python -m freehold.node.link.keys KEYFILE    # makes the key unless it exists, prints a signing request
"""

import os
import stat
import sys
from pathlib import Path

from freehold import durable
from freehold.node.errors import SettingsError

CERTIFICATE_DAYS = 20
"""An instance's certificate older than this is renewed."""


def signing_request(key_file: Path) -> str:
    """Return a signing request (PEM) by the EC P-256 key in a file, which is made if it is not there."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if key_file.exists():
        if not key_file.is_file():
            raise SettingsError(f"{key_file} is no file: it is the place of a private key.")
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        durable.replace(key_file, pem, 0o600)
    # Also of a key that was there: whoever made it may have been killed just before.
    durable.sync_names(key_file.parent)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def for_instance(payload: bytes) -> bytes:
    """Return the signing request of an instance, given its folder; in a child, as the partition's user."""
    return signing_request(Path(payload.decode()) / ".freehold" / "key.pem").encode()


def keep_certificate(payload: bytes) -> bytes:
    """Write the certificate and authority of an instance; `payload` is JSON of folder, both, and what time it is."""
    import json

    from freehold.node.partition.files import write

    order = json.loads(payload)
    for name in ("certificate", "authority"):
        path = Path(order["folder"]) / ".freehold" / f"{name}.pem"
        write(path, order[name].encode(), 0o600)
        os.utime(path, (order["at"], order["at"]))
    return b""


def is_young(certificate: Path, now: float) -> bool:
    """Return whether a file is there that need not be renewed; its partition may have put anything in its place.

    Its time is that of the store, as `keep_certificate` set it: the machine's own clock may be wrong.
    """
    try:
        status = certificate.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and 0 <= now - status.st_mtime < CERTIFICATE_DAYS * 86400


if __name__ == "__main__":
    print(signing_request(Path(sys.argv[1])), end="")
