"""The page on which an accountant reads a bank statement, sees what it would pay, and confirms it."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from freehold.master.accounting import queries
from freehold.master.billing.customers import statements
from freehold.master.billing.customers.statements import Booking, LineProposal, Verdict
from freehold.master.foundation.errors import Invalid, MasterError, TooLarge
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw, for_members
from freehold.master.payments import statements as camt
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError


@require_http_methods(["GET", "POST"])
@for_members
def page(request: HttpRequest, caller: Caller, code: str) -> HttpResponse:
    """Upload a statement; confirm what of it is to be booked; see what became of each line."""
    entity = queries.find_entity(code, caller, Scope.ACCOUNT)
    context: dict[str, Any] = {"entity": entity}
    try:
        if request.POST.get("act") == "book":
            bookings = statements.book(code, [_booking(text) for text in request.POST.getlist("line")], acting=caller)
            context["booked"] = [(booking, labels.booking_outcome(booking.outcome)) for booking in bookings]
        elif request.method == "POST":
            proposals = statements.propose(code, camt.read(_uploaded(request)), acting=caller)
            context["rows"] = [_row(proposal) for proposal in proposals]
            context["is_read"] = True
    except MasterError as error:
        return draw(request, caller, "statement", {**context, "problem": error}, error.status)
    return draw(request, caller, "statement", context)


def _uploaded(request: HttpRequest) -> bytes:
    uploaded = request.FILES.get("file")
    if uploaded is None:
        raise Invalid("No file came.", errors=[FieldError("file", "a statement as camt.053")])
    if (uploaded.size or 0) > camt.MOST_BYTES:
        raise TooLarge(f"The statement has {uploaded.size} bytes; at most {camt.MOST_BYTES} are read.")
    content: bytes = uploaded.read()
    return content


def _row(proposal: LineProposal) -> dict[str, Any]:
    """Return a line as the page shows it; its value is what comes back when it is confirmed."""
    line = proposal.line
    value = ""
    if proposal.is_bookable:
        value = json.dumps([line.key, proposal.documents[0], line.amount, line.currency, line.day, line.reference])
    return {
        "line": line,
        "value": value,
        "documents": proposal.documents,
        "open": proposal.open,
        "why": labels.verdict(proposal.verdict),
        "is_match": proposal.verdict is Verdict.MATCH,
    }


def _booking(value: str) -> Booking:
    """Return a line that was confirmed; raise Invalid for what this page never offered."""
    try:
        key, document, amount, currency, day, reference = json.loads(value)
    except (ValueError, TypeError, RecursionError):
        key = None
    if key is None or not all(isinstance(text, str) for text in (key, document, currency, reference)):
        raise Invalid("This is no line of a statement.", remedy="Upload the statement again.")
    if not all(isinstance(number, int) and 0 < number < 2**53 for number in (amount, day)):
        raise Invalid("This is no line of a statement.", remedy="Upload the statement again.")
    return Booking(key, document, amount, currency, day, reference)
