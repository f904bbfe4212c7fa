"""`freehold master check`: what an operator would otherwise learn from a night call."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings
from django.db import connection
from django.db.models import Max

from freehold.master import schema
from freehold.master.accounting.models import Batch, LegalEntity
from freehold.master.accounting.queries import broken_links
from freehold.master.billing.printing import pdf
from freehold.master.catalog.actions import archive_path
from freehold.master.catalog.models import Release
from freehold.master.fleet.models import Chain, Node
from freehold.master.foundation import clock
from freehold.master.foundation.models import AuditRow
from freehold.master.generation.clocks import WAY_ON, contradiction
from freehold.master.generation.doubt import WAYS_ON, doubts
from freehold.master.generation.models import Forgery
from freehold.master.notifications.mail import misconfigured
from freehold.master.people import passkeys

BEHIND = 3600 * clock.SECOND
"""Milliseconds by which what was written may be later than now."""
AWAY = 7 * clock.DAY
"""Milliseconds for which a Master is seldom away."""


def run() -> list[str]:
    """Return what is wrong, each with what to do; empty when all is well."""
    return [*_keys(Path(settings.ROOT)), *_database(), *_documents(), *misconfigured()]


def ledger(head: str) -> list[str]:
    """Return why the ledgers do not hold a batch, named as on a document (`BATCH:DIGEST`); empty when they do."""
    number, _, digest = head.partition(":")
    if not number.isascii() or not number.isdigit() or not digest:
        return [f"'{head}' is no BATCH:DIGEST, as a document names it."]
    if Batch.objects.filter(id=min(int(number), 2**63 - 1), digest=digest).exists():
        return []
    return [f"No ledger here holds batch {number} with that digest: this Master is an older copy, or never made it."]


def _keys(root: Path) -> list[str]:
    wrong = []
    for name in ("authority.key", "server.key"):
        path = root / "authority" / name
        if not path.exists():
            wrong.append(f"{path} is missing: run `freehold master init`, or restore it from your backup.")
        elif path.stat().st_mode & 0o077:
            wrong.append(f"{path} can be read by others: chmod 600 {path}")
    certificate = root / "authority" / "server.pem"
    if certificate.exists():
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if end < datetime.now(UTC) + timedelta(days=30):
            wrong.append(
                f"The server's certificate ends on {end:%Y-%m-%d}: "
                f"remove {certificate} and server.key, run `freehold master init`, restart."
            )
    return wrong


def _database() -> list[str]:
    if trouble := schema.trouble(schema.known_here()):
        return [trouble]
    wrong = [f"This Master knows less than it did: {doubt.reason}. {WAYS_ON}" for doubt in doubts()]
    wrong += _clock()
    wrong += [
        f"Node {forgery.node} showed a statement that was never made to it ({forgery.reason}): "
        "see `freehold node list`."
        for forgery in Forgery.objects.filter(at__gt=clock.now() - 7 * clock.DAY).order_by("id")
    ]
    wrong += [
        f"The ledger of {entity.code} was tampered with: {broken}. Restore it from your backup."
        for entity in LegalEntity.objects.order_by("code")
        for broken in broken_links(entity.id)
    ]
    wrong += [
        f"The archive of {release.product.name} {release.version} is missing: publish the release again."
        for release in Release.objects.select_related("product")
        if not archive_path(release.id).exists()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_MISCOUNTED)
        wrong += [
            f"Node {title} counts {free} free partitions but has {real}: report this as a bug."
            for title, free, real in cursor.fetchall()
        ]
    wrong += [
        f"Passkeys of {people} people are for '{host}', and open nothing while FREEHOLD_PASSKEY_HOST is "
        f"'{settings.PASSKEY_HOST}': set it back, or tell them to log in with the password and add another."
        for host, people in passkeys.of_other_names().items()
    ]
    if not Node.objects.exists():
        wrong.append("There is no node yet: freehold node token, then freehold node enrol on a machine.")
    return wrong


def _documents() -> list[str]:
    """Return what is missing to set documents, where anybody sells."""
    return pdf.missing() if LegalEntity.objects.exists() else []


def last_written() -> int:
    """Return the newest moment that the database has of acts, and of what nodes told; 0 for a new one."""
    act = AuditRow.objects.order_by("-id").values_list("at", flat=True).first() or 0
    heard: int = Chain.objects.aggregate(newest=Max("received_at"))["newest"] or 0
    return max(act, heard)


def clock_at_start() -> list[str]:
    """Return why the clock of this machine may be wrong, by what a Master that is to start wrote when it ran last."""
    last = last_written()
    if last and clock.now() > last + AWAY:
        return [
            f"The clock of this machine shows {clock.iso(clock.now())}, and this Master wrote last at "
            f"{clock.iso(last)}. If it was not away for so long, its clock is ahead: set it right before nodes hear it."
        ]
    return _clock()


def _clock() -> list[str]:
    wrong = [f"{difference}. {WAY_ON}"] if (difference := contradiction()) else []
    if (last := last_written()) > clock.now() + BEHIND:
        wrong.append(
            f"The clock of this machine shows {clock.iso(clock.now())}, and this Master wrote something at "
            f"{clock.iso(last)}: it is behind now, or was ahead then. {WAY_ON}"
        )
    return wrong


_MISCOUNTED = """
SELECT n.title, n.free, count(p.id)
FROM fleet_node n
LEFT JOIN fleet_partition p ON p.node_id = n.id AND p.present AND p.instance IS NULL
GROUP BY n.id, n.title, n.free
HAVING n.free <> count(p.id)
"""
