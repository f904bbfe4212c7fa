"""What customers see of money: public prices, quotes, costs to date, documents, budgets."""

import json
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from freehold.master.api.auth import anybody, caller, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.api.money import Amount
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.billing import public_prices
from freehold.master.billing.invoicing import documents, pay_to, settling
from freehold.master.billing.printing import pdf
from freehold.master.billing.queries import period_of
from freehold.master.billing.subscriptions import budgets, quotes
from freehold.master.foundation import currencies, days
from freehold.master.foundation.paging import ListPart
from freehold.master.people.identity import Scope

router = Router()
PDF_ANSWER = {
    "responses": {200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}},
}
Language = Annotated[str, Query(description="en, fr or zh-hans; empty: the customer's.", max_length=20)]
_OF_BALANCE = ("owed", "credit", "deposit", "held")


class QuoteIn(StrictBody):
    offer: str
    region: str = Field("", description="Where it would be placed; prices may differ.")


class TierOut(Schema):
    above: int
    amount: int


class UsageOut(Schema):
    meter: str
    model: str
    amount: int
    unit: int = Field(description="So much of what is measured costs the amount.")
    tiers: list[TierOut]


class QuoteTaxOut(Schema):
    rate: int = Field(description="In hundredths of a percent.")
    code: str = Field(description="EN 16931 (UNTDID 5305); empty: no rule says it.")
    text: str = Field(description="The words that the law wants on the invoice.")


class QuoteMonthOut(Schema):
    net: int
    tax: int
    gross: int


class QuoteContentOut(Schema):
    offer: str = Field(description="Name.")
    seller: str = Field(description="Code of the legal entity.")
    region: str
    currency: str
    decimals: int
    tax_included: bool
    setup: int
    recurring: int = Field(description="A month.")
    deposit: int
    usage: list[UsageOut]
    tax: QuoteTaxOut
    month: QuoteMonthOut = Field(description="What a whole month is asked for.")
    project: str
    until: str = Field(description="How long it holds.")
    list: str = Field(description="Id of the price list.")


class QuoteOut(Schema):
    quote: str = Field(
        description="SHA-256 of the content as JSON with sorted keys, as Python writes it: name it in the order."
    )
    content: QuoteContentOut = Field(description="Amounts are in the currency's smallest unit.")


class CostOut(Schema):
    title: str
    offer: str
    state: str = Field(description="pending, active, ended or cancelled")
    currency: str
    tax_included: bool
    month: str = Field(description="Its price of a whole month.")
    so_far: str = Field(description="Of it, the days of the present period.")
    used: str = Field(description="What was used and is in no document yet.")
    next_invoice: str


class UnpaidOut(Schema):
    seller: str
    since: str = Field(description="When the oldest was due.")
    stops: str | None = Field(description="When services are stopped if it is not paid; null: never.")


class AccountOut(Schema):
    seller: str
    currency: str
    owed: str = Field(description="What is asked and not paid yet.")
    credit: str = Field(description="What was paid and nothing was asked for yet.")
    deposit: str
    held: str = Field(description="What of the deposit stays while services are had.")


class CostsOut(Schema):
    services: list[CostOut]
    totals: dict[str, str] = Field(description="By currency.")
    budget: str | None
    budget_currency: str | None
    unpaid: list[UnpaidOut] = Field(description="Invoices that sellers wait for, of who pays for this project.")
    accounts: list[AccountOut] = Field(
        description="The money of who pays for this project, by seller; of who pays for others, too, nothing is told."
    )
    spent_percent: int = Field(description="Of the budget; from 80 on it is nearly spent.")


class DocumentOut(Schema):
    number: str
    kind: str = Field(description="invoice or credit_note")
    day: str
    due: str
    period: str
    currency: str
    net: str
    tax: str
    gross: str
    state: str = Field(description="paid, partly_paid, due, overdue, or credited (a credit note): as it is today.")
    open: str = Field(description="What of it is still asked: payments and credit notes settle the oldest first.")


class PartyOut(Schema):
    """As it was when the document was issued."""

    name: str
    address: str
    country: str
    vat_number: str
    registration: str = Field("", description="Of a seller.")


class LineOut(Schema):
    kind: str = Field(description="recurring, usage, setup, sla, reversal or what was entered by hand")
    label: str
    meter: str = Field(description="Of usage; else empty.")
    quantity: int = Field(description="Days of a recurring line, units of its meter of usage.")
    offer: str = Field(description="Name; empty: none.")
    month: str
    period: str = Field(description="Half-open, `2026-03-19/2026-04-19`; empty: none.")
    price: str
    amount: str
    net: str
    tax_rate: float = Field(description="Percent.")


class TaxOut(Schema):
    code: str = Field(description="EN 16931 (UNTDID 5305).")
    rate: float = Field(description="Percent.")
    base: str
    tax: str
    text: str = Field(description="The words that the law wants.")


class PayToOut(Schema):
    name: str
    iban: str
    bic: str
    bank: str
    reference: str = Field(description="The creditor reference (ISO 11649), or else the document's number.")
    amount: str
    currency: str


class DocumentDetailOut(DocumentOut):
    pay_to: PayToOut | None = Field(
        description="How to pay what is open; null when nothing is, or the seller names no account."
    )
    corrects: str = Field(description="Number of the document that this one corrects; empty: none.")
    seller: PartyOut
    customer: PartyOut
    tax_included: bool
    lines: list[LineOut]
    taxes: list[TaxOut]
    tax_in_books: str = Field(
        "", description="The tax in the currency of the seller's books, where that is another (EN 16931, BT-6, BT-111)."
    )
    ledger: str = Field(description="The sealed batch of the ledger that holds it, `BATCH:DIGEST`; empty: not yet.")
    digest: str = Field(
        description="SHA-256 of all else that never changes (all but `state`, `open` and `pay_to`) as JSON with "
        "sorted keys, as Python writes it in UTF-8."
    )


class BudgetIn(StrictBody):
    amount: Amount
    currency: str


class PriceOut(Schema):
    id: str = Field(description="`SELLER/OFFER/LIST`. Amounts are in the currency's smallest unit.")
    name: str
    product: str
    type: str
    titles: dict[str, str] = Field(description="By language.")
    size: dict[str, int | float]
    availability: int = Field(description="Promised, in millionths; 0: nothing is promised.")
    credits: list[Any] = Field(description="Below which availability which percentage is given back.")
    currency: str
    decimals: int
    region: str
    tax_included: bool
    seller: str
    seller_name: str
    country: str
    from_day: str
    setup: int
    recurring: int = Field(description="A month.")
    deposit: int
    net: int = Field(description="Of a month, for a consumer of the seller's country.")
    tax: int
    tax_rate: int = Field(description="In hundredths of a percent.")
    usage: list[UsageOut]
    list: str


class CostItemOut(Schema):
    kind: str
    amount: int
    from_day: str
    evidence: str = Field(description="SHA-256 of the paper that shows it.")
    note: str


class CostTableOut(Schema):
    offer: str
    currency: str
    items: list[CostItemOut]
    total: int
    price: int | None = Field(description="A month, without tax; null: it is not sold in this currency.")
    margin: int | None


class KeptOut(Schema):
    month: str
    kept_ms: int
    counted_ms: int
    services: int
    evidence: str = Field(description="SHA-256 of `/prices/evidence/SHA256`.")
    millionths: int


class PublicSiteOut(Schema):
    id: str
    name: str
    region: str
    tables: list[CostTableOut]
    record: list[KeptOut]


@router.get(
    "/prices",
    response=list[PriceOut],
    auth=anybody,
    summary="What can be ordered at which price: for anybody",
    openapi_extra=listed("id"),
)
def prices(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    """By name, region and currency."""
    return public_prices.prices(ListPart(after, limit))


@router.get(
    "/prices/sites",
    response=list[PublicSiteOut],
    auth=anybody,
    summary="Costs, margins and kept promises of each site: for anybody",
    openapi_extra=listed("id"),
)
def sites(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return public_prices.sites(ListPart(after, limit))


@router.post(
    "/projects/{project}/quotes",
    response={201: QuoteOut},
    auth=in_project(Scope.ORDER),
    summary="A price that holds for a day",
)
def quote(request: HttpRequest, project: str, body: QuoteIn) -> tuple[int, dict[str, Any]]:
    quote = quotes.quote(project, body.offer, body.region, acting=caller(request))
    return 201, {"quote": quote.id, "content": json.loads(quote.content)}


@router.get(
    "/projects/{project}/costs", response=CostsOut, auth=in_project(Scope.READ), summary="What a project costs so far"
)
def to_date(request: HttpRequest, project: str) -> dict[str, Any]:
    costs = budgets.to_date(caller(request).project(project, Scope.READ))
    budget = costs.budget
    return {
        "services": [
            {
                **{name: getattr(service, name) for name in ("title", "offer", "state", "currency", "tax_included")},
                **{
                    name: currencies.plain(getattr(service, name), service.currency)
                    for name in ("month", "so_far", "used")
                },
                "next_invoice": days.iso(service.next_day),
            }
            for service in costs.services
        ],
        "totals": {currency: currencies.plain(amount, currency) for currency, amount in costs.totals.items()},
        "budget": currencies.plain(budget.amount, budget.currency) if budget else None,
        "budget_currency": budget.currency if budget else None,
        "unpaid": [
            {
                "seller": document.seller,
                "since": days.iso(document.since_day),
                "stops": days.iso(document.stop_day) if document.stop_day is not None else None,
            }
            for document in costs.unpaid
        ],
        "accounts": [
            {
                "seller": account.seller,
                "currency": account.currency,
                **{name: currencies.plain(getattr(account.balance, name), account.currency) for name in _OF_BALANCE},
            }
            for account in costs.accounts
        ],
        "spent_percent": costs.spent_percent,
    }


@router.put(
    "/projects/{project}/budget",
    response={204: None},
    auth=in_project(Scope.ORDER),
    summary="What a project wants to spend; 0: no limit",
)
def budget(request: HttpRequest, project: str, body: BudgetIn) -> tuple[int, None]:
    amount = currencies.minor(body.amount, currencies.check(body.currency), "amount")
    budgets.set_budget(project, amount, body.currency, acting=caller(request))
    return 204, None


@router.get(
    "/projects/{project}/documents",
    response=list[DocumentOut],
    auth=in_project(Scope.READ),
    summary="Invoices and credit notes of who pays, the newest first",
    openapi_extra=listed("number"),
)
def list_documents(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    owner = caller(request).project(project, Scope.READ)
    return [out(row) for row in documents.of_project(owner, ListPart(after, limit))]


@router.get(
    "/projects/{project}/documents/{number}",
    response=DocumentDetailOut,
    # What it does not say is not in its digest either.
    exclude_unset=True,
    auth=in_project(Scope.READ),
    summary="One document, line by line",
)
def document(request: HttpRequest, project: str, number: str) -> dict[str, Any]:
    owner = caller(request).project(project, Scope.READ)
    row = documents.find(owner, number)
    return {**documents.whole(row), **state_out(row), "pay_to": _pay_to(row)}


def _pay_to(row: dict[str, Any]) -> dict[str, str] | None:
    to = pay_to.of_document(row)
    return None if to is None else {**vars(to), "amount": currencies.plain(to.amount, to.currency)}


@router.get(
    "/projects/{project}/documents/{number}/pdf",
    auth=in_project(Scope.READ),
    summary="One document as PDF",
    openapi_extra=PDF_ANSWER,
)
def document_pdf(request: HttpRequest, project: str, number: str, language: Language = "") -> HttpResponse:
    """The same bytes each time, as long as nothing is paid of it and its seller's bank stays the same."""
    return as_pdf(documents.find(caller(request).project(project, Scope.READ), number), language)


def as_pdf(row: dict[str, Any], language: str) -> HttpResponse:
    """Return a document as a file."""
    return HttpResponse(
        pdf.of_document(row, language),
        content_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{row["name"]}.pdf"'},
    )


def state_out(row: dict[str, Any]) -> dict[str, str]:
    """Return what becomes of a document, which what it says does not tell."""
    return {"state": settling.state_of(row), "open": currencies.plain(settling.open_of(row), row["currency"])}


def out(row: dict[str, Any]) -> dict[str, Any]:
    """Return a document as lists show it."""
    return {
        "number": row["name"],
        "kind": row["kind"],
        "day": days.iso(row["day"]),
        "due": days.iso(row["due_day"]),
        "period": period_of(row),
        "currency": row["currency"],
        **{name: currencies.plain(row[name], row["currency"]) for name in ("net", "tax", "gross")},
        **state_out(row),
    }
