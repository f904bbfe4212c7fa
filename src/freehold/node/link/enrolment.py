"""How this machine becomes a node, and stays one: token, key, certificate, renewal."""

import hashlib
import http.client
import re
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold import durable
from freehold.bodies import whole
from freehold.failpoints import failpoint
from freehold.node.errors import LinkDown, LinkError, SettingsError
from freehold.node.link.client import Link, connection_to
from freehold.node.settings import Paths, Settings, load, save
from freehold.node.upstream import Upstream
from freehold.protocol import UNREADABLE
from freehold.protocol.enrol import CertificateAnswer, CertificateRequest, EnrolAnswer, EnrolRequest, Token

RENEW_AT = 2 / 3
"""Of the certificate's life."""
_LARGEST_AUTHORITY = 65536


@dataclass(frozen=True)
class Life:
    """From when to when a certificate is valid, seconds since 1970 UTC."""

    begins: float
    ends: float


def enrol(root: Path, master: str, token_text: str, title: str) -> Settings:
    """Make this machine a node of a Master and return its settings.

    Nothing is trusted before the authority's certificate matches the token. Raise LinkError or SettingsError.
    """
    settings = load(root)
    try:
        token = Token.parse(token_text)
    except ValueError as error:
        raise SettingsError(f"{error}. Ask the operator: freehold node token.") from None
    paths = Paths(root)
    paths.identity.mkdir(mode=0o700, exist_ok=True)
    authority = fetch_authority(master, token.authority_sha256)
    # The identity of a former enrolment stays until the new one is granted.
    new_authority = paths.authority.with_suffix(".new")
    durable.replace(new_authority, authority.encode(), 0o600)
    try:
        request = EnrolRequest(token.secret, title, make_signing_request(paths.key))
        _, content, _ = Link(master, new_authority).call("POST", "/node/v1/enrol", msgspec.json.encode(request))
        answer = msgspec.json.decode(content, type=EnrolAnswer)
    except UNREADABLE as error:
        raise LinkError(f"The Master's answer is not understood ({error}). Update this node.") from None
    finally:
        new_authority.unlink()
    failpoint("enrolled-not-kept")
    durable.replace(paths.authority, authority.encode(), 0o600)
    life = keep(paths, answer.certificate)
    settings = msgspec.structs.replace(
        settings,
        master=master,
        node=answer.node,
        epoch=answer.epoch,
        title=title,
        certificate_begins=life.begins,
        certificate_ends=life.ends,
    )
    save(root, settings)
    return settings


def renew(root: Path, link: Upstream) -> Settings:
    """Get a new certificate for the same key and return the settings that know it."""
    paths = Paths(root)
    request = CertificateRequest(make_signing_request(paths.key))
    _, content, _ = link.call("POST", "/node/v1/certificate", msgspec.json.encode(request))
    life = keep(paths, msgspec.json.decode(content, type=CertificateAnswer).certificate)
    settings = msgspec.structs.replace(load(root), certificate_begins=life.begins, certificate_ends=life.ends)
    save(root, settings)
    return settings


def keep_epoch(root: Path, epoch: int) -> Settings:
    """Write down the epoch that the Master gave, and return the settings that know it."""
    settings = msgspec.structs.replace(load(root), epoch=epoch)
    save(root, settings)
    return settings


def is_renewal_due(settings: Settings, now: float) -> bool:
    """Return whether a third or less of the certificate's life is left."""
    life = settings.certificate_ends - settings.certificate_begins
    return now >= settings.certificate_begins + life * RENEW_AT


def keep(paths: Paths, certificate: str) -> Life:
    """Write the node's certificate and return its life."""
    durable.replace(paths.certificate, certificate.encode(), 0o600)
    # OpenSSL's command tells the dates without a large library; `ssl` alone cannot read a certificate file.
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-dates", "-in", str(paths.certificate)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    begins, ends = (ssl.cert_time_to_seconds(value.strip()) for value in re.findall(r"=(.*)", text))
    return Life(float(begins), float(ends))


def make_signing_request(key: Path) -> str:
    """Return a signing request by the key in a file, made in a child process."""
    done = subprocess.run(
        [sys.executable, "-m", "freehold.node.link.keys", str(key)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SettingsError(f"A key cannot be made in {key.parent}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def fetch_authority(master: str, fingerprint: str) -> str:
    """Return the Master's authority (PEM) if it is the one that the token names; raise LinkError otherwise."""
    context = ssl.create_default_context()
    # Who answers is not known yet; what it answers is checked against the token below.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = connection_to(master, context)
    try:
        connection.request("GET", "/authority.pem")
        pem = whole(connection.getresponse(), _LARGEST_AUTHORITY).decode("ascii", "replace")
        der = ssl.PEM_cert_to_DER_cert(pem)
    except ValueError:
        raise LinkError(f"{master} does not answer like a Master. Is the URL right?") from None
    except (OSError, http.client.HTTPException) as error:
        raise LinkDown(f"{master} cannot be reached: {error}") from None
    finally:
        connection.close()
    if hashlib.sha256(der).hexdigest() != fingerprint:
        raise LinkError(
            f"{master} is not the Master that gave this token (its authority has another fingerprint). "
            "Check the URL; if it is right, somebody stands in between."
        )
    return pem
