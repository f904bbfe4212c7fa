"""Certificates of a plan: made and renewed in a child, as the partition's user. The key never leaves the partition."""

import datetime
import ipaddress
import time
from pathlib import Path

from freehold.node.partition.files import write
from freehold.release import Certificate, ClusterView, ReleaseError, authority


def ensure(folder: Path, certificate: Certificate, cluster: ClusterView | None) -> tuple[str, float]:
    """Return a certificate (PEM) and when it must be renewed; make it unless there is a good one.

    Raise ReleaseError for one of a cluster, of which the instance is no member.
    """
    if certificate.of_cluster and cluster is None:
        raise ReleaseError(f"The certificate '{certificate.name}' is of a cluster, and this instance is in none.")
    seed = cluster.seed if certificate.of_cluster and cluster is not None else ""
    issuer = authority.certificate(seed, cluster.name) if seed and cluster is not None else None
    from cryptography import x509

    path, key = folder / certificate.path, folder / certificate.key
    if path.exists() and key.exists():
        present = x509.load_pem_x509_certificate(path.read_bytes())
        renewal = present.not_valid_after_utc.timestamp() - certificate.days * 86400 / 3
        is_issued = present.issuer == (issuer.subject if issuer is not None else present.subject)
        if _names(present) == sorted(certificate.names) and is_issued and renewal > time.time():
            return path.read_text(), renewal
    pem = _make(folder, certificate, issuer, seed)
    return pem, time.time() + certificate.days * 86400 * 2 / 3


def _make(folder: Path, certificate: Certificate, issuer: "x509.Certificate | None", seed: str) -> str:  # type: ignore[name-defined]  # noqa: F821
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, certificate.names[0][:64])])
    maker = key if issuer is None else authority.key(seed)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A machine's clock may be a little behind ours.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=certificate.days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in certificate.names]), critical=False)
        # What signs itself is its own authority.
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(maker.public_key()), critical=False)
        .sign(maker, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Killed in between, the pair does not match: the certificate goes first, so that both are made anew.
    (folder / certificate.path).unlink(missing_ok=True)
    write(folder / certificate.key, private, 0o600)
    write(folder / certificate.path, pem, 0o644)
    return pem.decode()


def _general_name(name: str) -> "x509.GeneralName":  # type: ignore[name-defined]  # noqa: F821
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: "x509.Certificate") -> list[str]:  # type: ignore[name-defined]  # noqa: F821
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(str(name.value) for name in names)
