"""All reads of billing."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from freehold.master.billing.models import DocumentLine, DocumentTax, TaxRule
from freehold.master.foundation import days, sql
from freehold.master.foundation.money import rounded
from freehold.master.foundation.paging import ListPart, nowhere
from freehold.master.foundation.transactions import run

_NUMBER = re.compile(r"(?P<code>[A-Z][A-Z0-9]{1,7})(?P<credit>-C)?-(?P<year>[0-9]{4})-(?P<number>[0-9]{6,15})")
ORDERS = sql.load(Path(__file__).parent / "sql" / "orders.sql", prepared=True)


@dataclass(frozen=True)
class CustomerBalance:
    """The money of a contract, in minor units of its currency; `_functional` in the seller's."""

    deposit: int
    deposit_functional: int
    paid: int
    paid_functional: int
    billed: int
    billed_functional: int
    held: int
    """What living services must leave as a deposit."""

    @property
    def owed(self) -> int:
        return max(0, self.billed - self.paid)

    @property
    def credit(self) -> int:
        """What was paid and nothing was asked for yet."""
        return max(0, self.paid - self.billed)

    @property
    def free(self) -> int:
        """What a new service can be held against: deposits and credit, less what is owed and held."""
        return self.deposit + self.credit - self.owed - self.held

    def cleared(self, purpose: Literal["deposit", "owed"], amount: int, functional: int) -> int:
        """Return what an amount clears in the seller's currency of what is open, where rates changed since.

        Each unit clears its share of what is carried; the last one clears the rest, so that nothing stays behind. What
        is more than is open is worth `functional` in proportion.
        """
        if purpose == "deposit":
            whole, carried = self.deposit, self.deposit_functional
        else:
            whole, carried = self.owed, self.billed_functional - self.paid_functional
        if whole <= 0:
            return functional
        if amount <= whole:
            return rounded(carried * amount, whole)
        return carried + rounded(functional * (amount - whole), amount)


def balance(contract: int) -> CustomerBalance:
    """Return the money of a contract: sums of payments and documents, never a number that is kept."""
    return CustomerBalance(**run(ORDERS["money"], contract=contract)[0])


@dataclass(frozen=True)
class CustomerAccount:
    """The money of whoever pays for a project, with one seller in one currency."""

    seller: str
    currency: str
    balance: CustomerBalance


def accounts_of(project: str) -> list[CustomerAccount]:
    """Return the money of whoever pays for a project (its id).

    Of who pays for other projects, too, nothing: who may see this one need not know of them.
    """
    return [
        CustomerAccount(row["seller"], row["currency"], balance(row["contract"]))
        for row in run(ORDERS["accounts"], project=project)
    ]


def document_number(code: str, kind: str, year: int, number: int) -> str:
    """Return a document's number as it is printed: `FR-2026-000123`, for a credit note `FR-C-2026-000007`."""
    return f"{number_prefix(code, kind, year)}{number:06d}"


def by_number(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return the condition on `d` and `e`, with its values, that finds a document by its printed number."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    kind = "credit_note" if match["credit"] else "invoice"
    values = {"code": match["code"], "kind": kind, "year": int(match["year"]), "number": int(match["number"])}
    return "e.code = :code AND d.kind = :kind AND d.year = :year AND d.number = :number", values


def number_prefix(code: str, kind: str, year: int) -> str:
    """Return what the numbers of a seller's documents of a kind and year begin with."""
    return f"{code}{'-C' if kind == 'credit_note' else ''}-{year}-"


def documents(condition: str, part: ListPart, fitting: str = "1 = 1", /, **values: object) -> list[dict[str, Any]]:
    """Return a part of the documents that fit two conditions (our own text) on `d`, with their printed numbers.

    The newest first, after the one with a printed number; raise Invalid when that is not among those of the first
    condition: whether it fits the second may have changed since it was listed.
    """
    if part.after:
        named = by_number(part.after)
        before = run(ORDERS["documents"].where(f"{condition} AND {named[0]}"), **values, **named[1]) if named else []
        if not before:
            raise nowhere(part.after)
        condition, values = f"{condition} AND d.id < :before", {**values, "before": before[0]["id"]}
    rows = run(
        ORDERS["documents"].where(f"{condition} AND {fitting} ORDER BY d.id DESC LIMIT :most OFFSET :start"),
        **values,
        most=part.most,
        start=part.start,
    )
    return _with_names(rows)


def documents_by_due_day(condition: str, **values: object) -> list[dict[str, Any]]:
    """Return all documents that fit a condition (our own text) on `d`, that which was due first, first."""
    return _with_names(run(ORDERS["documents"].where(f"{condition} ORDER BY d.due_day, d.id"), **values))


def _with_names(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "name": document_number(row["code"], row["kind"], row["year"], row["number"])} for row in rows]


def lines(document: int) -> list[dict[str, Any]]:
    """Return a document's lines in their order."""
    return [dict(row) for row in DocumentLine.objects.filter(document=document).order_by("position").values()]


def taxes_of(document: int) -> list[dict[str, Any]]:
    """Return what a document asks for the tax office, with the words of the law."""
    taxes = list(DocumentTax.objects.filter(document=document).order_by("rule").values())
    texts = dict(TaxRule.objects.filter(id__in=[tax["rule"] for tax in taxes]).values_list("id", "text"))
    return [{**tax, "text": texts[tax["rule"]]} for tax in taxes]


def receivables(entity: str, today: int) -> list[dict[str, Any]]:
    """Return what customers owe a seller, by contract and by how long it is due.

    Credit notes and payments pay the oldest first. Each row: name, currency, not_due, and due since up to 30, 60, 90
    days and longer.
    """
    by_contract: dict[int, dict[str, Any]] = {}
    for row in run(ORDERS["unpaid"], entity=entity):
        ages = by_contract.setdefault(
            row["contract"],
            {"customer": row["customer"], "name": row["name"], "currency": row["currency"], **dict.fromkeys(AGES, 0)},
        )
        open_now = max(0, row["until_here"] - row["paid"])
        open_before = max(0, row["until_here"] - row["gross"] - row["paid"])
        ages[_age(today - row["due_day"])] += open_now - open_before
    return [row for row in by_contract.values() if any(row[age] for age in AGES)]


AGES = ("not_due", "to_30", "to_60", "to_90", "older")


def _age(late: int) -> str:
    if late <= 0:
        return "not_due"
    return "to_30" if late <= 30 else "to_60" if late <= 60 else "to_90" if late <= 90 else "older"


ALL = 2**31 - 1
_BEGIN = dict.fromkeys(("name", "region", "currency", "offer", "list"), "")


def public_offers(
    today: int, part: ListPart | None = None, *, project: str = "", product: str = "", type_name: str = ""
) -> list[dict[str, Any]]:
    """Return what can be ordered at which price on a day: a row an offer and price list, with its prices.

    All of it, of a project (its id) or of a product and type; or a part after `SELLER/OFFER/LIST`: raise Invalid when
    there is no such offer.
    """
    place = _BEGIN
    if part and part.after:
        seller, _, after_seller = part.after.partition("/")
        name, _, price_list = after_seller.partition("/")
        named = run(ORDERS["offer_place"], seller=seller, name=name, list=price_list) if "\0" not in part.after else []
        if not named:
            raise nowhere(part.after)
        place = named[0]
    by_key: dict[tuple[str, str], dict[str, Any]] = {}
    most, start = (part.most, part.start) if part else (ALL, 0)
    filters = {"project": project, "product": product, "type": type_name}
    for row in run(ORDERS["offers"], day=today, most=most, start=start, **filters, **place):
        price = {name: row[name] for name in ("price", "kind", "meter", "model", "amount", "unit")}
        shown = {name: value for name, value in row.items() if name not in price}
        for name in ("titles", "size", "credits"):
            shown[name] = json.loads(shown[name])
        shown["tax_included"] = bool(shown["tax_included"])
        by_key.setdefault((row["offer"], row["list"]), {**shown, "prices": []})["prices"].append(price)
    return list(by_key.values())


def count_public_offers(today: int) -> int:
    """Return how many rows `public_offers` has."""
    return int(run(ORDERS["count_offers"], day=today)[0]["number"])


def period_of(document: dict[str, Any]) -> str:
    """Return the period that a document or a line is about: `2026-03-19/2026-04-19`, half-open."""
    return f"{days.iso(document['from_day'])}/{days.iso(document['until_day'])}"
