"""Bank statements: what they would pay, line by line, and the lines that an accountant confirms."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, of_seller
from freehold.master.api.bodies import StrictBody
from freehold.master.api.money import Amount, Day
from freehold.master.billing.customers import statements
from freehold.master.foundation import currencies, days
from freehold.master.payments import statements as camt
from freehold.master.people.identity import Scope

router = Router()


class ProposalOut(Schema):
    key: str = Field(description="The same for the same payment in whichever statement.")
    account: str
    day: str = Field(description="When the bank booked it; empty: it does not say.")
    amount: str
    currency: str
    reference: str = Field(description="The bank's; empty: none.")
    name: str = Field(description="Who paid, as the bank says it.")
    text: str
    verdict: str = Field(description=", ".join(statements.Verdict) + ".")
    documents: list[str] = Field(description="Numbers that it names.")
    open: str = Field(description="What is open of them, before this line; empty where it names none.")


class BookingIn(StrictBody):
    key: str
    document: str = Field(description="Number of an invoice of the customer whose money it is.")
    amount: Amount
    currency: str
    day: Day
    reference: str = ""


class BookingsIn(StrictBody):
    lines: list[BookingIn]


class BookedOut(Schema):
    key: str
    outcome: str = Field(description="booked, known (it was booked before) or refused.")
    why: str


@router.post(
    "/entities/{code}/statements",
    response=list[ProposalOut],
    auth=of_seller(Scope.ACCOUNT),
    summary="What a bank statement would pay: the body is camt.053 (XML); nothing is booked or kept",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/xml": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def propose(request: HttpRequest, code: str) -> list[dict[str, Any]]:
    """Each line with its reason. Only a `match` is meant to be booked as it is."""
    proposals = statements.propose(code, camt.read(request.body), acting=caller(request))
    return [statements.explained(proposal) for proposal in proposals]


@router.post(
    "/entities/{code}/statement-bookings",
    response={201: list[BookedOut]},
    auth=of_seller(Scope.ACCOUNT),
    summary="Book lines of a bank statement, each once for ever",
)
def book(request: HttpRequest, code: str, body: BookingsIn) -> tuple[int, list[dict[str, str]]]:
    """A line that cannot be booked stops no other."""
    lines = [
        statements.Booking(
            key=line.key,
            document=line.document,
            amount=currencies.minor(line.amount, currencies.check(line.currency), f"lines.{number}.amount"),
            currency=line.currency,
            day=days.read(line.day, f"lines.{number}.day"),
            reference=line.reference,
        )
        for number, line in enumerate(body.lines)
    ]
    return 201, [vars(booking) for booking in statements.book(code, lines, acting=caller(request))]
