"""Money that came for an open invoice: what it would pay is shown first, and written down when that is confirmed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from freehold.master.accounting import queries
from freehold.master.accounting.models import LegalEntity
from freehold.master.billing.customers import actions as customers
from freehold.master.billing.invoicing import documents, settling
from freehold.master.billing.models import Contract
from freehold.master.foundation import clock, currencies, days
from freehold.master.foundation.errors import Invalid, MasterError
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError


@require_http_methods(["GET", "POST"])
@for_members
def page(request: HttpRequest, caller: Caller, code: str, number: str) -> HttpResponse:
    """Type what came for an invoice; see what it would pay; write it down."""
    entity = queries.find_entity(code, caller, Scope.ACCOUNT)
    row = documents.find_sold(entity.id, number)
    if request.method == "GET":
        return draw(request, caller, "payment", _context(entity, row, _usual(entity, row)))
    typed = {name: request.POST.get(name, "") for name in ("amount", "day", "method", "reference")}
    context = _context(entity, row, typed)
    try:
        paid = _read(row, typed)
        if request.POST.get("act") == "confirm":
            contract = Contract.objects.select_related("entity").get(id=row["contract"])
            customers.record_payment(contract, purpose="account", acting=caller, **paid)
            return redirect("sold", code, number)
    except MasterError as error:
        return draw(request, caller, "payment", {**context, "problem": error}, error.status)
    open_now = documents.open_of_contract(row["contract"])
    return draw(request, caller, "payment", {**context, "outcome": settling.outcome(open_now, paid["amount"])})


def _context(entity: LegalEntity, row: dict[str, Any], typed: dict[str, str]) -> dict[str, Any]:
    customer = documents.whole(row)["customer"]["name"]
    return {"entity": entity, "document": row, "customer": customer, "open": settling.open_of(row), "typed": typed}


def _usual(entity: LegalEntity, row: dict[str, Any]) -> dict[str, str]:
    """Return what most often came: all that is open, today, by transfer."""
    today = days.iso(days.of_moment(clock.now(), entity.time_zone))
    amount = currencies.plain(settling.open_of(row), row["currency"])
    return {"amount": amount, "day": today, "method": "transfer", "reference": ""}


def _read(row: dict[str, Any], typed: dict[str, str]) -> dict[str, Any]:
    """Return what was typed as a payment; raise Invalid for what is none."""
    amount = currencies.minor(typed["amount"], row["currency"])
    if amount <= 0:
        raise Invalid("How much came?", errors=[FieldError("amount", "more than 0", typed["amount"])])
    customers.check_payment(amount, "account", typed["method"], typed["reference"])
    day = days.read(typed["day"], "day")
    return {"amount": amount, "day": day, "method": typed["method"], "reference": typed["reference"]}
