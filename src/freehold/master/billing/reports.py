"""What the books say, as tables: for pages, for CSV and for programs alike."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import trial_balance
from freehold.master.billing.queries import AGES, ORDERS, receivables
from freehold.master.foundation import currencies
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.spreadsheets import harmless
from freehold.master.foundation.transactions import run

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class LedgerReport:
    """A table; amounts are in their currency's decimals."""

    columns: list[str]
    rows: list[list[str]]

    def csv(self) -> str:
        """Return the table as CSV; what a spreadsheet would compute begins with an apostrophe."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.columns)
        # A negative amount is a number, not a formula.
        writer.writerows([cell if _NUMBER.fullmatch(cell) else harmless(cell) for cell in row] for row in self.rows)
        return text.getvalue()


def report(entity: LegalEntity, name: str, since: int, until: int) -> LedgerReport:
    """Return a report of an entity over a time (days, the last included); raise NotFound for one that is none."""
    if name not in REPORTS:
        raise NotFound(f"There is no report '{name}'.", remedy=f"Reports: {', '.join(REPORTS)}.")
    return REPORTS[name](entity, since, until)


def _trial_balance(entity: LegalEntity, since: int, until: int) -> LedgerReport:
    def money(amount: int) -> str:
        return currencies.plain(amount, entity.currency)

    rows = [
        [row.code, row.name, money(row.opening), money(row.debit), money(row.credit), money(row.closing)]
        for row in trial_balance(entity.id, since, until)
    ]
    return LedgerReport(["account", "name", "opening", "debit", "credit", "closing"], rows)


def _receivables(entity: LegalEntity, since: int, until: int) -> LedgerReport:
    rows = [
        [row["name"], row["currency"], *(currencies.plain(row[age], row["currency"]) for age in AGES)]
        for row in receivables(entity.id, until)
    ]
    return LedgerReport(["customer", "currency", *AGES], rows)


def _vat(entity: LegalEntity, since: int, until: int) -> LedgerReport:
    rows = [
        [row["code"], f"{row['rate'] / 100:g}", row["tax_class"], row["currency"], str(row["documents"]),
         currencies.plain(row["base"], row["currency"]), currencies.plain(row["tax"], row["currency"])]
        for row in run(ORDERS["vat"], entity=entity.id, since=since, until=until)
    ]  # fmt: skip
    return LedgerReport(["code", "rate", "class", "currency", "documents", "base", "tax"], rows)


def _revenue(entity: LegalEntity, since: int, until: int) -> LedgerReport:
    rows = [
        [row["offer"], row["kind"], row["site"], row["currency"], currencies.plain(row["net"], row["currency"])]
        for row in run(ORDERS["revenue"], entity=entity.id, since=since, until=until)
    ]
    return LedgerReport(["offer", "kind", "site", "currency", "net"], rows)


REPORTS: dict[str, Callable[[LegalEntity, int, int], LedgerReport]] = {
    "trial-balance": _trial_balance,
    "receivables": _receivables,
    "vat": _vat,
    "revenue": _revenue,
}
