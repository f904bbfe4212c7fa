"""Invoices and credit notes as they are read: by whom, and as data that is the same byte for byte for ever."""

import hashlib
import json
from typing import Any

from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import sealed_by
from freehold.master.billing.customers import party_history
from freehold.master.billing.invoicing import settling
from freehold.master.billing.models import Customer
from freehold.master.billing.queries import (
    ORDERS,
    by_number,
    documents,
    documents_by_due_day,
    lines,
    period_of,
    taxes_of,
)
from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import FIRST, ListPart
from freehold.master.foundation.transactions import run
from freehold.master.sales.models import Offer


def of_project(project: str, part: ListPart) -> list[dict[str, Any]]:
    """Return a part of the documents of whoever pays for a project (its id), the newest first.

    One that is also about other projects is not shown: who may see this project need not know of them.
    """
    return documents(_ONLY_OURS, part, project=project)


_ONLY_OURS = """d.customer IN (SELECT customer_id FROM billing_payer WHERE project_id = :project) AND NOT EXISTS (
  SELECT 1 FROM billing_documentline l
  JOIN billing_subscriptionprice t ON t.subscription = l.subscription AND t.contract = d.contract
    AND t.project <> :project
  WHERE l.document = d.id AND (l.kind <> 'recurring' OR t.from_day < l.until_day AND t.until_day > l.from_day))"""


def of_entity(entity: LegalEntity, part: ListPart, state: str = "") -> list[dict[str, Any]]:
    """Return a part of the documents of a seller, or of those in a state, the newest first.

    Raise Invalid for what is no state.
    """
    condition, values = settling.fitting(state, entity.time_zone)
    return documents("d.entity = :entity", part, condition, entity=entity.id, **values)


def open_of_contract(contract: int) -> list[dict[str, Any]]:
    """Return the documents of a contract of which something is open, that which was due first, first."""
    return documents_by_due_day(f"d.contract = :contract AND {settling.OPEN}", contract=contract)


def count_of_project(project: str) -> int:
    """Return how many documents `of_project` has."""
    return _count(_ONLY_OURS, project=project)


def count_of_entity(entity: LegalEntity, state: str = "") -> int:
    """Return how many documents `of_entity` has."""
    condition, values = settling.fitting(state, entity.time_zone)
    return _count(f"d.entity = :entity AND {condition}", entity=entity.id, **values)


def find(project: str, number: str) -> dict[str, Any]:
    """Return a document of whoever pays for a project by its printed number; raise NotFound."""
    return _find(number, _ONLY_OURS, project=project)


def find_sold(entity: str, number: str) -> dict[str, Any]:
    """Return a document of a seller by its printed number; raise NotFound."""
    return _find(number, "d.entity = :entity", entity=entity)


def _count(condition: str, **values: object) -> int:
    number: int = run(ORDERS["count_documents"].where(condition), **values)[0]["number"]
    return number


def _find(number: str, condition: str, **values: object) -> dict[str, Any]:
    named = by_number(number)
    # Asked of the database: a list is cut, and an old document is none the less there.
    rows = documents(f"{named[0]} AND {condition}", FIRST, **values, **named[1]) if named else []
    match = next((row for row in rows if row["name"] == number), None)
    if match is None:
        raise NotFound(f"There is no document '{number}' here.", remedy="See `freehold invoices`.")
    return match


def whole(row: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its seller, its customer, its lines and its taxes; `digest` is the SHA-256 of the rest.

    All of it is as it was when it was issued.
    """
    entity, customer = LegalEntity.objects.get(id=row["entity"]), Customer.objects.get(id=row["customer"])
    at = row["issued_at"]
    document_lines = lines(row["id"])
    offers = dict(Offer.objects.filter(id__in={line["offer"] for line in document_lines}).values_list("id", "name"))
    currency = row["currency"]

    def money(amount: int) -> str:
        return currencies.plain(amount, currency)

    data: dict[str, Any] = {
        "number": row["name"],
        "kind": row["kind"],
        "corrects": _corrected(row["corrects"]),
        "day": days.iso(row["day"]),
        "due": days.iso(row["due_day"]),
        "period": period_of(row),
        "seller": party_history.printed(entity, at),
        "customer": party_history.printed(customer, at),
        "currency": currency,
        "tax_included": bool(row["tax_included"]),
        "lines": [
            {
                **{name: line[name] for name in ("kind", "label", "meter", "quantity")},
                "offer": offers.get(line["offer"], ""),
                "month": days.month_name(line["month"]) if line["month"] else "",
                "period": period_of(line) if line["until_day"] else "",
                "price": money(line["price"]),
                "amount": money(line["amount"]),
                "net": money(line["net"]),
                "tax_rate": line["rate"] / 100,
            }
            for line in document_lines
        ],
        "taxes": [
            {"code": tax["code"], "rate": tax["rate"] / 100, "base": money(tax["base"]), "tax": money(tax["tax"]),
             "text": tax["text"]}
            for tax in taxes_of(row["id"])
        ],
        "net": money(row["net"]),
        "tax": money(row["tax"]),
        "gross": money(row["gross"]),
    }  # fmt: skip
    if currency != entity.currency:
        # EN 16931, BT-6 and BT-111: the tax in the currency of the seller's books.
        data["tax_in_books"] = f"{currencies.plain(row['functional_tax'], entity.currency)} {entity.currency}"
    # Whoever has the document can prove that the ledger once held it: a copy of before cannot deny that.
    data["ledger"] = sealed_by(f"document:{row['id']}")
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return {**data, "digest": hashlib.sha256(text.encode()).hexdigest()}


def _corrected(document: int) -> str:
    return str(documents("d.id = :id", FIRST, id=document)[0]["name"]) if document else ""
