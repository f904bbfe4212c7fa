"""Finds causes, and ends of causes, in the tables of the rooms below; writes nothing."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from django.conf import settings

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing.queries import document_number
from freehold.master.foundation import clock, days, sql
from freehold.master.foundation.transactions import run
from freehold.master.monitoring.availability import SPEAKS
from freehold.master.notifications.causes import FoundCause, FoundEnd
from freehold.master.notifications.kinds import CauseKind
from freehold.master.notifications.models import Cause
from freehold.master.people.identity import Scope
from freehold.master.people.queries import staff_project
from freehold.master.support.actions import MASTER
from freehold.master.support.queries import is_about_own_matters

SQL = sql.load(Path(__file__).parent / "sql" / "causes.sql")
LATELY = 7 * clock.DAY
"""What happened longer ago is not told any more: the Master was away, or is new to messages."""
STUCK = 15 * 60 * clock.SECOND
"""Milliseconds after which an order that is not there is stuck."""
CERTIFICATE_DAYS = (30, 7, 1)
DUE_SOON = 3
"""Days before an invoice is due on which who pays is reminded."""
MOST_NAMED = 20
MOST_DOCUMENTS = 5_000
"""That are looked at before they are written down."""
LONGEST_TEXT = 2_000


def broken_promises() -> Iterator[FoundCause]:
    """Yield the services that have not kept a promise for some minutes: one cause a service, whatever it broke."""
    now = clock.now()
    services = defaultdict[str, list[dict[str, Any]]](list)
    for row in run(SQL["broken"], recent=now - SPEAKS):
        services[row["service"]].append(row)
    for service, rows in services.items():
        since = min(row["since"] for row in rows)
        if since <= now - settings.BROKEN_S * clock.SECOND:
            promises = [
                {"part": row["part"], "promise": row["promise"], "message": _shortened(row["message"])}
                for row in rows[:MOST_NAMED]
            ]
            detail = {"service": rows[0]["title"], "promises": promises, "more": max(0, len(rows) - MOST_NAMED)}
            yield FoundCause(CauseKind.PROMISE_BROKEN, rows[0]["project"], service, since, detail)


def stuck_orders() -> Iterator[FoundCause]:
    """Yield the services that are not started long after they were ordered or changed."""
    now = clock.now()
    services = defaultdict[str, list[dict[str, Any]]](list)
    for row in run(SQL["stuck"], since=now - LATELY, before=now - STUCK):
        services[row["service"]].append(row)
    for service, rows in services.items():
        parts = [{"part": row["part"], "message": _shortened(row["message"] or "")} for row in rows[:MOST_NAMED]]
        detail = {"service": rows[0]["title"], "parts": parts, "more": max(0, len(rows) - MOST_NAMED)}
        since = min(row["changed_at"] for row in rows)
        yield FoundCause(CauseKind.ORDER_STUCK, rows[0]["project"], service, since, detail)


def ending_certificate() -> Iterator[FoundCause]:
    """Yield that the certificate of the Master's server ends soon: a month, a week and a day before."""
    path, project = Path(settings.ROOT) / "authority" / "server.pem", staff_project()
    if project is None or not path.exists():
        return
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    end = int(certificate.not_valid_after_utc.timestamp()) * clock.SECOND
    left = end - clock.now()
    if (
        step := min((days_left for days_left in CERTIFICATE_DAYS if left < days_left * clock.DAY), default=None)
    ) is not None:
        subject = f"{certificate.serial_number:x}:{step}"
        if not Cause.objects.filter(project=project, key=f"{CauseKind.CERTIFICATE_ENDING}:{subject}").exists():
            detail = {"end": end}
            yield FoundCause(CauseKind.CERTIFICATE_ENDING, project, subject, clock.now(), detail, Scope.OPERATE)


def silent_nodes() -> Iterator[FoundCause]:
    """Yield the nodes that are silent for longer than is expected, for those who run them."""
    for row in run(SQL["silent"], now=clock.now(), before=_for_long()):
        detail = {name: row[name] for name in ("title", "site", "services", "projects")}
        yield FoundCause(
            CauseKind.NODE_SILENT, row["project"], row["node"], row["silent_since"], detail, Scope.OPERATE,
            key=_silence(row, row["project"]),
        )  # fmt: skip


def unreachable_services() -> Iterator[FoundCause]:
    """Yield the projects with services on nodes that are not heard: one cause a node, whatever number it serves."""
    places = defaultdict[tuple[str, str], list[dict[str, Any]]](list)
    for row in run(SQL["unreachable"], now=clock.now(), before=_for_long()):
        places[row["node"], row["project"]].append(row)
    for rows in places.values():
        first = rows[0]
        detail = {
            "site": first["site"], "stopped": first["stopped"], "number": len(rows),
            "services": [row["title"] for row in rows[:MOST_NAMED]], "more": max(0, len(rows) - MOST_NAMED),
        }  # fmt: skip
        yield FoundCause(
            CauseKind.SERVICES_UNREACHABLE, first["project"], first["node"], first["silent_since"], detail,
            key=_silence(first, first["project"]),
        )  # fmt: skip


def announced_maintenances() -> Iterator[FoundCause]:
    """Yield the announced times in which sites may be down, for each project with services there."""
    for row in run(SQL["announced"], now=clock.now()):
        detail = {name: row[name] for name in ("site", "begins_at", "ends_at", "what")}
        kind = CauseKind.MAINTENANCE_ANNOUNCED
        yield FoundCause(kind, row["project"], str(row["id"]), row["announced_at"], detail)


def suspended_projects() -> Iterator[FoundCause]:
    """Yield the projects that their provider suspended."""
    for row in run(SQL["suspended"]):
        project, detail = row["project"], {"reason": row["reason"]}
        yield FoundCause(CauseKind.PROJECT_SUSPENDED, project, project, row["at"], detail)


def failed_builds() -> Iterator[FoundCause]:
    """Yield the releases that cannot be built on nodes of a project: one cause a release."""
    for row in run(SQL["failed_builds"]):
        detail = {"product": row["product"], "version": row["version"], "nodes": row["nodes"]}
        # Of a log the end says what went wrong.
        detail["message"] = row["message"][-LONGEST_TEXT:]
        since = row["since"] or clock.now()
        yield FoundCause(CauseKind.BUILD_FAILED, row["project"], row["release"], since, detail, Scope.OPERATE)


def said_in_tickets() -> Iterator[FoundCause]:
    """Yield what was said in tickets lately, for those who may read them, but not for who said it."""
    for row in run(SQL["said"], since=clock.now() - LATELY):
        if row["author"] == MASTER and row["about"].startswith("budget:"):
            if not row["project_knows"]:
                month, step = row["about"].split(":")[2:]
                budget = {"month": month, "percent": int(step)}
                yield FoundCause(CauseKind.BUDGET_REACHED, row["project"], str(row["id"]), row["at"], budget)
            continue
        detail = {name: row[name] for name in ("ticket", "title", "author")}
        detail["text"] = _shortened(row["text"])
        for project, scope in _sides(row).items():
            yield FoundCause(
                CauseKind.TICKET_ANSWERED, project, str(row["id"]), row["at"], detail, scope, author=row["author"]
            )


def ended() -> Iterator[FoundEnd]:
    """Yield the causes that are over, but for those about money."""
    kept_again = run(SQL["kept_again"], recent=clock.now() - SPEAKS)
    maintained = run(SQL["maintained"], now=clock.now())
    lifted = run(SQL["lifted"])
    for row in [*kept_again, *maintained, *lifted, *run(SQL["done"]), *run(SQL["heard"]), *run(SQL["built"])]:
        yield FoundEnd(row["id"], bool(row["is_told"]))


def issued(entity: LegalEntity) -> Iterator[FoundCause]:
    """Yield some of the documents of a seller that were made lately and not noticed yet."""
    since = days.of_moment(clock.now(), entity.time_zone) - LATELY // clock.DAY
    for row in run(SQL["issued"], entity=entity.id, since=since, most=MOST_DOCUMENTS):
        yield _about_document(CauseKind.INVOICE_ISSUED, row)


def due_soon(entity: LegalEntity) -> Iterator[FoundCause]:
    """Yield some of the invoices of a seller that are due soon, not paid and not noticed yet."""
    today = days.of_moment(clock.now(), entity.time_zone)
    for row in run(SQL["due"], entity=entity.id, today=today, soon=today + DUE_SOON, most=MOST_DOCUMENTS):
        yield _about_document(CauseKind.INVOICE_DUE, row)


def overdue(entity: LegalEntity) -> tuple[list[FoundCause], list[FoundEnd]]:
    """Return what is owed to a seller since a day before today and was not noticed yet; and what is paid since."""
    today = days.of_moment(clock.now(), entity.time_zone)
    owed = {(row["project"], str(row["contract"])): row for row in run(SQL["overdue"], entity=entity.id, today=today)}
    noticed = {(row["project"], row["subject"]): row["id"] for row in run(SQL["open_overdue"], entity=entity.id)}
    causes = [
        FoundCause(
            CauseKind.INVOICE_OVERDUE, project, contract, days.begins_at(row["oldest"] + 1, entity.time_zone),
            {
                "seller": row["seller"], "amount": row["amount"], "currency": row["currency"], "due_day": row["oldest"],
                "stop_day": None if row["stop_days"] is None else row["oldest"] + row["stop_days"] + 1,
            },
            key=f"{CauseKind.INVOICE_OVERDUE}:{contract}:{row['oldest']}",
        )
        for (project, contract), row in owed.items()
        if (project, contract) not in noticed
    ]  # fmt: skip
    return causes, [FoundEnd(cause) for place, cause in noticed.items() if place not in owed]


NOW = (
    silent_nodes,
    unreachable_services,
    announced_maintenances,
    suspended_projects,
    broken_promises,
    stuck_orders,
    failed_builds,
    said_in_tickets,
)
"""What finds all that somebody should know at once; of nodes first: who runs one is told of it, not of its services."""


def _about_document(kind: CauseKind, row: dict[str, Any]) -> FoundCause:
    detail = {
        "number": document_number(row["code"], row["kind"], row["year"], row["number"]), "kind": row["kind"],
        "seller": row["seller"], "amount": row["gross"], "currency": row["currency"], "due_day": row["due_day"],
    }  # fmt: skip
    return FoundCause(kind, row["project"], str(row["id"]), clock.now(), detail)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def _sides(row: dict[str, Any]) -> dict[str, Scope]:
    """Return the projects that are to be told of what was said, each with what its people must be allowed."""
    sides = {} if row["provider_knows"] else {row["provider"]: Scope(row["scope"])}
    if is_about_own_matters(row["about"]) and not row["project_knows"]:
        sides[row["project"]] = Scope.READ
    return sides


def _for_long() -> int:
    """Return the moment since when somebody must be silent at least."""
    return clock.now() - round(settings.BROKEN_S * clock.SECOND)


def _silence(row: dict[str, Any], project: str) -> str:
    """Return the name of one silence of a node, for one project.

    Who runs the node and orders in the same project is told once: of the node.
    """
    return f"silence:{row['node']}:{row['silent_since']}:{project}"
