"""Who did what in a project, and when: read, filtered, and written out for other programs."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.models import AuditRow
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.spreadsheets import harmless
from freehold.protocol.problem import FieldError

MONEY = frozenset({
    "account", "budget", "charge", "contract", "cost", "customer", "deposit", "entity", "entry", "invoice", "ledger",
    "offer", "payer", "payment", "payments", "prices", "quote", "rate", "run", "subscription", "tax-rule",
})  # fmt: skip
"""What verbs about money begin with, before their dot: for who may read the books."""
COLUMNS = ("id", "at", "actor", "verb", "subject", "detail")
_PIECE = 1000


@dataclass(frozen=True)
class TrailFilter:
    """Which acts are asked for; what is empty does not matter."""

    actor: str = ""
    """An e-mail, `node:ID`, `instance:ID` or `freehold`, whole."""
    verb: str = ""
    """Such as `node.drain`; or `node` for all about nodes."""
    subject: str = ""
    """The id of what it was done to, whole."""
    since: str = ""
    """A day or a moment (ISO 8601; UTC where it does not say)."""
    until: str = ""
    """The same: before a moment, or to the end of a day."""


def acts(project: str, wanted: TrailFilter, part: ListPart, *, with_money: bool) -> list[AuditRow]:
    """Return a part of what was done in a project (id), the newest first. Raise Invalid for what is no time."""
    return list(part_of(_rows(project, wanted, with_money=with_money), ("-id",), "id", part))


def count(project: str, wanted: TrailFilter, *, with_money: bool) -> int:
    """Return how many such acts there are."""
    return _rows(project, wanted, with_money=with_money).count()


def as_csv(project: str, wanted: TrailFilter, *, with_money: bool) -> Iterator[str]:
    """Return such acts as lines of CSV, the newest first; what a spreadsheet would compute begins with an apostrophe.

    Raise Invalid at once for what is no time. No more than a thousand rows are in memory.
    """
    return _lines(_rows(project, wanted, with_money=with_money))


def _lines(rows: "QuerySet[AuditRow, AuditRow]") -> Iterator[str]:
    yield _line(COLUMNS)
    for row in rows.order_by("-id").iterator(chunk_size=_PIECE):
        yield _line((str(row.id), clock.iso(row.at) or "", row.actor, row.verb, row.subject, row.detail))


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(map(harmless, cells))
    return text.getvalue()


def _rows(project: str, wanted: TrailFilter, *, with_money: bool) -> "QuerySet[AuditRow, AuditRow]":
    # PostgreSQL refuses to be asked for a zero character, so nothing has one.
    if any("\0" in text for text in (wanted.actor, wanted.verb, wanted.subject)):
        return AuditRow.objects.none()
    rows = AuditRow.objects.filter(project=project)
    if not with_money:
        about_money = Q()
        for noun in sorted(MONEY):
            about_money |= Q(verb__startswith=f"{noun}.")
        rows = rows.exclude(about_money)
    if wanted.actor:
        rows = rows.filter(actor=wanted.actor)
    if wanted.verb:
        rows = rows.filter(Q(verb=wanted.verb) | Q(verb__startswith=f"{wanted.verb}."))
    if wanted.subject:
        rows = rows.filter(subject=wanted.subject)
    if wanted.since:
        rows = rows.filter(at__gte=_moment("since", wanted.since))
    if wanted.until:
        whole_day = clock.DAY if len(wanted.until.strip()) == len("2026-12-01") else 0
        rows = rows.filter(at__lt=_moment("until", wanted.until) + whole_day)
    return rows


def _moment(field: str, text: str) -> int:
    try:
        parsed = datetime.fromisoformat(text.strip())
        moment = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return round(moment.timestamp() * clock.SECOND)
    except (ValueError, OverflowError):
        rule = "a day or a moment, such as 2026-12-01 or 2026-12-01T22:00Z"
        raise Invalid(f"'{text[:40]}' is no time.", errors=[FieldError(field, rule, text[:40])]) from None
