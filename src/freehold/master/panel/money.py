"""Pages about money: prices for anybody, costs and invoices for customers, books for accountants and auditors."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from freehold.master.accounting import actions as ledger
from freehold.master.accounting import banking, exports, queries
from freehold.master.accounting.models import Account, LegalEntity
from freehold.master.billing import public_prices, reports
from freehold.master.billing.customers import actions as customers
from freehold.master.billing.invoicing import documents, pay_to, run, settling
from freehold.master.billing.models import Customer
from freehold.master.billing.printing import pdf, wording
from freehold.master.billing.states import DocumentState
from freehold.master.billing.subscriptions import budgets
from freehold.master.foundation import clock, currencies, days
from freehold.master.foundation.errors import Invalid, MasterError, NotFound
from freehold.master.monitoring import record
from freehold.master.panel import labels, pictures
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_anybody, for_members, only_or_choice, sorry
from freehold.master.people.identity import Caller, Scope

WHOLE = "trial-balance"


@require_GET
@for_anybody
def prices(request: HttpRequest, caller: Caller | None) -> HttpResponse:
    """What is offered at which price, what it costs us, and how promises were kept."""
    number = lists.page_number(request.GET.get("page", ""))
    part = lists.numbered_part(number)
    offers, sites = public_prices.prices(part), public_prices.sites(part)
    for offer in offers:
        offer["title"] = labels.of_language(offer["titles"])
        offer["sizes"] = labels.size(offer["size"])
        for usage in offer["usage"]:
            usage["what"] = labels.meter(usage["meter"], usage["unit"])
    # Both lists have their pages at once.
    page = lists.numbered(offers, number, max(public_prices.count_prices(), public_prices.count_sites()))
    day = days.iso(days.of_moment(clock.now(), "UTC"))
    return draw(request, caller, "prices", {"day": day, "offers": offers, "sites": sites, "page": page})


@require_GET
@for_anybody
def evidence(request: HttpRequest, caller: Caller | None, digest: str) -> HttpResponse:
    """What a record of kept promises is the sum of: a line a service."""
    evidence = record.evidence(digest)
    if evidence is None:
        return sorry(request, NotFound("There is no such evidence.", remedy=""), caller)
    return HttpResponse(evidence, content_type="text/plain; charset=utf-8")


@require_http_methods(["GET", "POST"])
@for_members
def project_costs(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """What a project costs so far, its budget, its invoices."""
    owner = caller.project(project, Scope.READ)
    context: dict[str, Any] = {"project": project, "may_order": caller.may(project, Scope.ORDER)}
    status = 200
    if request.method == "POST":
        try:
            currency = currencies.check(request.POST.get("currency", ""))
            budgets.set_budget(
                project, currencies.minor(request.POST.get("amount", ""), currency), currency, acting=caller
            )
            return redirect("costs", project)
        except Invalid as error:
            context["problem"], status = error, error.status
    number = lists.page_number(request.GET.get("page", ""))
    issued = documents.of_project(owner, lists.numbered_part(number))
    page = lists.numbered(issued, number, documents.count_of_project(owner))
    context |= {"costs": budgets.to_date(owner), "documents": _with_state(page.rows), "page": page}
    return draw(request, caller, "costs", context, status)


@require_GET
@for_members
def choose_costs(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The projects of which somebody may see what they cost."""
    return only_or_choice(request, caller, list(caller.able(Scope.READ)), "costs")


@require_GET
@for_members
def invoice(request: HttpRequest, caller: Caller, project: str, number: str) -> HttpResponse:
    """One invoice or credit note, to be read and printed."""
    row = documents.find(caller.project(project, Scope.READ), number)
    return draw(request, caller, "document", {"document": _readable(row), "project": project})


@require_GET
@for_members
def sold(request: HttpRequest, caller: Caller, code: str, number: str) -> HttpResponse:
    """The same, for the seller."""
    entity = queries.find_entity(code, caller, Scope.AUDIT)
    row = documents.find_sold(entity.id, number)
    may_write = caller.may(_project_of(entity, caller), Scope.ACCOUNT)
    return draw(request, caller, "document", {"document": _readable(row), "entity": entity, "may_write": may_write})


@require_GET
@for_members
def invoice_pdf(request: HttpRequest, caller: Caller, project: str, number: str) -> HttpResponse:
    """One invoice or credit note as PDF, in its customer's language."""
    return _as_pdf(documents.find(caller.project(project, Scope.READ), number))


@require_GET
@for_members
def sold_pdf(request: HttpRequest, caller: Caller, code: str, number: str) -> HttpResponse:
    """The same, for the seller."""
    return _as_pdf(documents.find_sold(queries.find_entity(code, caller, Scope.AUDIT).id, number))


@require_GET
@for_members
def choose_books(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The legal entities whose books somebody may read."""
    entities = queries.entities(caller, Scope.AUDIT)
    if len(entities) == 1:
        return redirect("books", entities[0].code)
    return draw(request, caller, "books_choice", {"entities": entities})


@require_GET
@for_members
def books(request: HttpRequest, caller: Caller, code: str) -> HttpResponse:
    """What the books of an entity say, and what its accountant may write in them."""
    return _draw_books(request, caller, queries.find_entity(code, caller, Scope.AUDIT))


@require_GET
@for_members
def report_as_csv(request: HttpRequest, caller: Caller, code: str, name: str) -> HttpResponse:
    """A report as a table for spreadsheets."""
    entity = queries.find_entity(code, caller, Scope.AUDIT)
    since, until = _period(request, entity)
    answer = HttpResponse(reports.report(entity, name, since, until).csv(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{code}-{name}.csv"'
    return answer


@require_GET
@for_members
def export(request: HttpRequest, caller: Caller, code: str, name: str) -> HttpResponseBase:
    """The ledger of a time, for another program."""
    entity = queries.find_entity(code, caller, Scope.AUDIT)
    if name not in exports.FORMATS:
        raise NotFound(f"There is no format '{name}'.", remedy="")
    write = exports.FORMATS[name][1]
    since, until = _period(request, entity)
    return StreamingHttpResponse(
        write(entity, since, until),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{exports.file_name(entity, name, until)}"'},
    )


@require_POST
@for_members
def act(request: HttpRequest, caller: Caller, code: str) -> HttpResponse:
    """Do what one of the accountant's forms asks: a payment, an entry, a run, a lock."""
    entity = queries.find_entity(code, caller, Scope.ACCOUNT)
    try:
        _ACTS.get(request.POST.get("act", ""), _nothing)(request, caller, entity)
    except MasterError as error:
        return _draw_books(request, caller, entity, problem=error, status=error.status)
    return redirect("books", code)


def _draw_books(
    request: HttpRequest, caller: Caller, entity: LegalEntity, *, problem: MasterError | None = None, status: int = 200
) -> HttpResponse:
    since, until = _period(request, entity)
    name = request.GET.get("report", WHOLE)
    project = _project_of(entity, caller)
    number = lists.page_number(request.GET.get("page", ""))
    part = lists.numbered_part(number)
    state = request.GET.get("state", "")
    rows = _with_state(documents.of_entity(entity, part, state))
    page = lists.numbered(rows, number, documents.count_of_entity(entity, state))
    report = reports.report(entity, name, since, until)
    context = {
        "entity": entity,
        "open_from": days.iso(entity.open_from) if entity.open_from else "",
        "report": report,
        "name": name,
        "names": [(name, labels.report(name)) for name in reports.REPORTS],
        "columns": [labels.column(column) for column in report.columns],
        "since": days.iso(since),
        "until": days.iso(until),
        "formats": list(exports.FORMATS),
        "documents": page.rows,
        "page": page,
        "query": urlencode({"report": name, "since": days.iso(since), "until": days.iso(until), "state": state}),
        "state": state,
        "states": [(state.value, labels.document_state(state)) for state in DocumentState],
        "customers": _customers(entity),
        "accounts": Account.objects.filter(entity=entity).order_by("code"),
        "may_write": caller.may(project, Scope.ACCOUNT),
        "typed": request.POST,
        "problem": problem,
    }
    return draw(request, caller, "books", context, status)


def _project_of(entity: LegalEntity, caller: Caller) -> str:
    return next(name for name, identity in caller.projects.items() if identity == entity.project_id)


def _customers(entity: LegalEntity) -> list[Customer] | None:
    """Return whom a payment may come from; None where they are too many to choose from."""
    rows = Customer.objects.filter(project=entity.project_id).order_by("name", "id").only("name", "currency")
    rows_shown = list(rows[: lists.MOST_OFFERED + 1])
    return rows_shown if len(rows_shown) <= lists.MOST_OFFERED else None


def _period(request: HttpRequest, entity: LegalEntity) -> tuple[int, int]:
    """Return the days between which a report is asked for: by default the year so far, in the entity's place."""
    today = days.of_moment(clock.now(), entity.time_zone)
    begin = days.first_day(days.month(days.to_date(today).year, 1))
    choices = []
    for name, default in (("since", begin), ("until", today)):
        text = request.GET.get(name, "")
        choices.append(days.read(text, name) if text else default)
    return choices[0], choices[1]


def _pay(request: HttpRequest, caller: Caller, entity: LegalEntity) -> None:
    form = request.POST
    customer = customers.named_customer(entity.project_id, form.get("customer", ""))
    contract = customers.contract_of(customer, entity, currencies.check(form.get("currency") or customer.currency))
    customers.record_payment(
        contract,
        amount=currencies.minor(form.get("amount", ""), contract.currency),
        purpose=form.get("purpose", ""),
        method=form.get("method", ""),
        reference=form.get("reference", ""),
        acting=caller,
    )


def _enter(request: HttpRequest, caller: Caller, entity: LegalEntity) -> None:
    form = request.POST
    amount = currencies.minor(form.get("amount", ""), entity.currency)
    ledger.enter(
        entity.code,
        day=days.read(form.get("day", ""), "day"),
        label=form.get("label", ""),
        currency=entity.currency,
        lines=[
            ledger.EntryLine(form.get("debit", ""), amount, amount),
            ledger.EntryLine(form.get("credit", ""), -amount, -amount),
        ],
        reference=form.get("reference", ""),
        acting=caller,
    )


def _run(request: HttpRequest, caller: Caller, entity: LegalEntity) -> None:
    run.bill(entity.code, days.of_moment(clock.now(), entity.time_zone), acting=caller)


def _lock(request: HttpRequest, caller: Caller, entity: LegalEntity) -> None:
    ledger.lock(entity.code, days.read(request.POST.get("day", ""), "day"), acting=caller)


def _nothing(request: HttpRequest, caller: Caller, entity: LegalEntity) -> None:
    raise NotFound("There is no such act.", remedy="")


_ACTS = {"pay": _pay, "enter": _enter, "run": _run, "lock": _lock}


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a document with what its lines are, in the reader's language."""
    document = documents.whole(row)
    for line in document["lines"]:
        line["what"] = wording.line(line)
    to = pay_to.of_document(row)
    if to is None:
        return {**document, **_state(row)}
    code = pictures.qr(to.code) if to.code else None
    shown = {"pay_to": to, "iban": banking.grouped(to.iban), "reference": _grouped(to.reference), "code": code}
    return {**document, **_state(row), **shown}


def _grouped(reference: str) -> str:
    return banking.grouped(reference) if banking.is_reference(reference) else reference


def _as_pdf(row: dict[str, Any]) -> HttpResponse:
    answer = HttpResponse(pdf.of_document(row), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="{row["name"]}.pdf"'
    return answer


def _with_state(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return documents of a list with what becomes of each."""
    return [{**row, **_state(row)} for row in rows]


def _state(row: dict[str, Any]) -> dict[str, Any]:
    left = settling.open_of(row)
    details = {"state": settling.state_of(row), "open": left, "due_day": row["due_day"]}
    return {**details, "is_partly_open": 0 < left < row["gross"]}
