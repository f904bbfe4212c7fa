"""For accountants and auditors: legal entities, payments, monthly runs, the ledger and what it says."""

from collections.abc import Iterator
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Field, Query, Router, Schema
from pydantic import ConfigDict

from freehold.master.accounting import actions, exports, queries
from freehold.master.api.auth import any_person, caller, in_project, of_seller
from freehold.master.api.bodies import StrictBody
from freehold.master.api.costs import PDF_ANSWER, DocumentOut, Language, as_pdf, out
from freehold.master.api.money import Amount, Day
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.billing import exchange, reports, tax_rules
from freehold.master.billing.customers import party_history
from freehold.master.billing.invoicing import documents, reversal, run
from freehold.master.billing.queries import document_number
from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import ListPart
from freehold.master.people.identity import Scope

router = Router()
_ENTITY = "/entities/{code}"
DocumentStateName = Annotated[
    str, Query(description="Only those that are paid, partly_paid, due, overdue or credited; empty: all.")
]


class ReportRowOut(Schema):
    """A row of a report. Amounts are texts in their currency's decimals."""

    model_config = ConfigDict(extra="forbid")


class BalanceRowOut(ReportRowOut):
    """Of `trial-balance`, in the currency of the books."""

    account: str
    name: str
    opening: str
    debit: str
    credit: str
    closing: str


class ReceivableRowOut(ReportRowOut):
    """Of `receivables`: what a customer owes, by how many days it is overdue."""

    customer: str
    currency: str
    not_due: str
    to_30: str
    to_60: str
    to_90: str
    older: str


class VatRowOut(ReportRowOut):
    """Of `vat`."""

    code: str = Field(description="EN 16931 (UNTDID 5305).")
    rate: str = Field(description="Percent.")
    tax_class: str = Field(alias="class")
    currency: str
    documents: str = Field(description="How many.")
    base: str
    tax: str


class RevenueRowOut(ReportRowOut):
    """Of `revenue`."""

    offer: str
    kind: str
    site: str
    currency: str
    net: str


class EntityIn(StrictBody):
    code: str = Field(description="2 to 8 capitals and digits: what document numbers begin with.")
    name: str
    address: str
    country: str
    currency: str
    time_zone: str
    vat_number: str = ""
    registration: str = ""
    payment_days: int = Field(30, description="Days from an invoice to when it is due.")
    stop_days: int | None = Field(None, description="Days from then to when what is not paid for is stopped.")
    iban: str = Field("", description="The account that customers pay to: on invoices, with a code for EUR.")
    bic: str = ""
    bank: str = Field("", description="Its name.")


class TermsIn(StrictBody):
    name: str
    address: str
    vat_number: str = ""
    registration: str = ""
    payment_days: int = 30
    stop_days: int | None = None
    iban: str = ""
    bic: str = ""
    bank: str = ""


class EntityOut(Schema):
    code: str
    name: str
    country: str
    currency: str
    time_zone: str
    payment_days: int
    stop_days: int | None
    iban: str
    bic: str
    bank: str
    open_from: str


class TaxRuleIn(StrictBody):
    tax_class: str = Field(description="`domestic`, `abroad`, `eu-business` or `eu-consumer-COUNTRY`.")
    category: str = Field("services", description="`services`, `telecom` or `lease`, as offers have it.")
    rate: str = Field(description="Percent, such as `8.1`.")
    code: str = Field("S", description="UNTDID 5305: `S`, `Z`, `E`, `AE`, `G`, `O`…")
    from_day: str = Field(alias="from", description="The first day on which it holds.")
    text: str = Field("", description="What the law wants on the invoice.")


class TaxRuleOut(Schema):
    id: str
    tax_class: str
    category: str
    rate: str
    code: str
    text: str
    from_day: str
    until: str = Field(description="The day on which it holds no more; empty: none.")


class RateIn(StrictBody):
    currency: str
    day: Day
    rate: str = Field(
        description="What one smallest unit is in the entity's own, such as 0.9214 for a cent of USD in EUR."
    )


class LineIn(StrictBody):
    account: str
    amount: Amount = Field(description="Debits above 0, credits below.")
    functional: Amount | None = Field(None, description="In the entity's currency, when the entry is in another.")
    party: str = ""


class EntryIn(StrictBody):
    day: Day
    label: str
    reference: str
    currency: str
    lines: list[LineIn]


class AccountIn(StrictBody):
    code: str
    name: str
    kind: str = Field(description="asset, liability, equity, income or expense")


class DayIn(StrictBody):
    day: Day


class RunOut(Schema):
    run: int
    state: str
    documents: int


@router.post(
    "/projects/{project}/entities",
    response={201: EntityOut},
    auth=in_project(Scope.ACCOUNT),
    summary="Begin a legal entity",
)
def add_entity(request: HttpRequest, project: str, body: EntityIn) -> tuple[int, dict[str, Any]]:
    entity = actions.add_entity(actions.Seller(**body.dict()), project, acting=caller(request))
    tax_rules.begin(entity)
    return 201, _entity(entity)


@router.get(
    "/entities",
    response=list[EntityOut],
    auth=any_person,
    summary="The legal entities whose books you may read",
    openapi_extra=listed("code"),
)
def list_entities(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return [_entity(entity) for entity in queries.entities(caller(request), Scope.AUDIT, ListPart(after, limit))]


@router.put(
    _ENTITY,
    response=EntityOut,
    auth=of_seller(Scope.ACCOUNT),
    summary="Note what a seller is now, and its terms of payment",
)
def change_entity(request: HttpRequest, code: str, body: TermsIn) -> dict[str, Any]:
    """Documents keep what they say."""
    return _entity(party_history.change_seller(code, party_history.Terms(**body.dict()), acting=caller(request)))


@router.post(
    _ENTITY + "/rates",
    response={204: None},
    auth=of_seller(Scope.ACCOUNT),
    summary="Set an exchange rate from a day on",
)
def set_rate(request: HttpRequest, code: str, body: RateIn) -> tuple[int, None]:
    who = caller(request)
    queries.find_entity(code, who, Scope.ACCOUNT)
    exchange.set_rate(code, body.currency, days.read(body.day, "day"), body.rate, acting=who)
    return 204, None


@router.get(
    _ENTITY + "/tax-rules",
    response=list[TaxRuleOut],
    auth=of_seller(Scope.ACCOUNT, Scope.AUDIT),
    summary="The tax rules of a seller",
    openapi_extra=listed("id"),
)
def list_tax_rules(request: HttpRequest, code: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    who = caller(request)
    scope = Scope.ACCOUNT if code in {entity.code for entity in queries.entities(who, Scope.ACCOUNT)} else Scope.AUDIT
    return [
        {
            **{name: getattr(rule, name) for name in ("tax_class", "category", "code", "text")},
            "id": str(rule.id),
            "rate": f"{rule.rate / 100:.2f}",
            "from_day": days.iso(rule.from_day),
            "until": "" if rule.until_day == days.NEVER else days.iso(rule.until_day),
        }
        for rule in tax_rules.of_entity(queries.find_entity(code, who, scope), ListPart(after, limit))
    ]


@router.post(
    _ENTITY + "/tax-rules",
    response={204: None},
    auth=of_seller(Scope.ACCOUNT),
    summary="Write a tax rule that holds from a day on",
)
def add_tax_rule(request: HttpRequest, code: str, body: TaxRuleIn) -> tuple[int, None]:
    spec = tax_rules.TaxRuleSpec(
        body.tax_class, body.category, currencies.hundredths(body.rate, "rate"), body.code,
        days.read(body.from_day, "from"), body.text,
    )  # fmt: skip
    tax_rules.add(code, spec, acting=caller(request))
    return 204, None


@router.post(
    _ENTITY + "/accounts", response={204: None}, auth=of_seller(Scope.ACCOUNT), summary="Add an account to the chart"
)
def add_account(request: HttpRequest, code: str, body: AccountIn) -> tuple[int, None]:
    actions.add_account(code, body.code, body.name, body.kind, acting=caller(request))
    return 204, None


@router.post(
    _ENTITY + "/entries", response={201: dict[str, int]}, auth=of_seller(Scope.ACCOUNT), summary="Make an entry by hand"
)
def enter(request: HttpRequest, code: str, body: EntryIn) -> tuple[int, dict[str, int]]:
    who = caller(request)
    own = queries.find_entity(code, who, Scope.ACCOUNT).currency
    currency = currencies.check(body.currency)
    lines = [
        actions.EntryLine(
            line.account,
            amount := currencies.minor(line.amount, currency, f"lines.{number}.amount"),
            amount if line.functional is None else currencies.minor(line.functional, own, f"lines.{number}.functional"),
            line.party,
        )
        for number, line in enumerate(body.lines)
    ]
    number = actions.enter(
        code,
        day=days.read(body.day, "day"),
        label=body.label,
        currency=currency,
        lines=lines,
        reference=body.reference,
        acting=who,
    )
    return 201, {"number": number}


@router.post(
    _ENTITY + "/lock",
    response={204: None},
    auth=of_seller(Scope.ACCOUNT),
    summary="Lock every day before the given one, for good",
)
def lock(request: HttpRequest, code: str, body: DayIn) -> tuple[int, None]:
    actions.lock(code, days.read(body.day, "day"), acting=caller(request))
    return 204, None


@router.post(
    _ENTITY + "/years/{year}/close", response={201: dict[str, int]}, auth=of_seller(Scope.ACCOUNT), summary="End a year"
)
def close_year(request: HttpRequest, code: str, year: int) -> tuple[int, dict[str, int]]:
    return 201, {"number": actions.close_year(code, year, acting=caller(request))}


@router.post(
    _ENTITY + "/runs",
    response={201: RunOut},
    auth=of_seller(Scope.ACCOUNT),
    summary="Issue every document that is due by a day",
)
def bill(request: HttpRequest, code: str, body: DayIn) -> tuple[int, dict[str, Any]]:
    issued = run.bill(code, days.read(body.day, "day"), acting=caller(request))
    return 201, {"run": issued.id, "state": issued.state, "documents": issued.documents}


@router.post(
    _ENTITY + "/documents/{number}/take-back",
    response={201: dict[str, str]},
    auth=of_seller(Scope.ACCOUNT),
    summary="Undo an invoice whole",
)
def take_back(request: HttpRequest, code: str, number: str) -> tuple[int, dict[str, str]]:
    credit_note = reversal.take_back(code, number, acting=caller(request))
    return 201, {"number": document_number(code, credit_note.kind, credit_note.year, credit_note.number)}


@router.get(
    _ENTITY + "/documents",
    response=list[DocumentOut],
    auth=of_seller(Scope.AUDIT),
    summary="The documents of a seller, the newest first",
    openapi_extra=listed("number"),
)
def list_documents(
    request: HttpRequest, code: str, state: DocumentStateName = "", after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    entity = queries.find_entity(code, caller(request), Scope.AUDIT)
    return [out(row) for row in documents.of_entity(entity, ListPart(after, limit), state)]


@router.get(
    _ENTITY + "/documents/{number}/pdf",
    auth=of_seller(Scope.AUDIT),
    summary="One document of a seller as PDF",
    openapi_extra=PDF_ANSWER,
)
def sold_pdf(request: HttpRequest, code: str, number: str, language: Language = "") -> HttpResponse:
    entity = queries.find_entity(code, caller(request), Scope.AUDIT)
    return as_pdf(documents.find_sold(entity.id, number), language)


@router.get(
    _ENTITY + "/reports/{name}",
    response=list[BalanceRowOut] | list[ReceivableRowOut] | list[VatRowOut] | list[RevenueRowOut],
    auth=of_seller(Scope.AUDIT),
    summary="What the books say",
    by_alias=True,
)
def report(request: HttpRequest, code: str, name: str, since: Day, until: Day) -> list[dict[str, Any]]:
    """`trial-balance`, `receivables`, `vat` or `revenue`."""
    entity = queries.find_entity(code, caller(request), Scope.AUDIT)
    report = reports.report(entity, name, days.read(since, "since"), days.read(until, "until"))
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


@router.get(_ENTITY + "/exports/{name}", auth=of_seller(Scope.AUDIT), summary="The ledger as fec, hledger or beancount")
def export(request: HttpRequest, code: str, name: str, since: Day, until: Day) -> StreamingHttpResponse:
    entity = queries.find_entity(code, caller(request), Scope.AUDIT)
    if name not in exports.FORMATS:
        raise NotFound(f"There is no format '{name}'.", remedy=f"Formats: {', '.join(exports.FORMATS)}.")
    first, last = days.read(since, "since"), days.read(until, "until")
    return stream(exports.FORMATS[name][1](entity, first, last), exports.file_name(entity, name, last))


def stream(lines: Iterator[str], file_name: str) -> StreamingHttpResponse:
    """Return lines of text as an answer that is never whole in memory."""
    return StreamingHttpResponse(
        lines,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )


def _entity(entity: Any) -> dict[str, Any]:
    return {
        **{
            name: getattr(entity, name)
            for name in (
                "code",
                "name",
                "country",
                "currency",
                "time_zone",
                "payment_days",
                "stop_days",
                "iban",
                "bic",
                "bank",
            )
        },
        "open_from": days.iso(entity.open_from),
    }
