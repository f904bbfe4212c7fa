"""What of a document is still asked, and so its state: the only place that says so to people and programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freehold.master.billing.states import DocumentState
from freehold.master.foundation import clock, days
from freehold.master.foundation.errors import Invalid
from freehold.protocol.problem import FieldError

OPEN = "d.kind = 'invoice' AND d.until_here > d.settled AND d.gross > 0"
"""The condition on `d` of documents of which something is open."""
_UNTOUCHED = "d.until_here - d.gross >= d.settled"
_FITTING = {
    DocumentState.PAID: "d.kind = 'invoice' AND (d.until_here <= d.settled OR d.gross = 0)",
    DocumentState.PARTLY_PAID: f"{OPEN} AND d.due_day >= :today AND NOT {_UNTOUCHED}",
    DocumentState.DUE: f"{OPEN} AND d.due_day >= :today AND {_UNTOUCHED}",
    DocumentState.OVERDUE: f"{OPEN} AND d.due_day < :today",
    DocumentState.CREDITED: "d.kind = 'credit_note'",
}
"""The same as `state_of`, for a database that is asked for the documents in a state."""


def open_of(row: dict[str, Any]) -> int:
    """Return what of a document is still asked, in minor units: of a row of `queries.documents`.

    What settles the invoices of its contract (payments and credit notes) settles the one that was due first, first.
    """
    if row["kind"] == "credit_note":
        return 0
    return int(min(row["gross"], max(0, row["until_here"] - row["settled"])))


def state_of(row: dict[str, Any]) -> DocumentState:
    """Return the state of a document today, in the place of its seller: of a row of `queries.documents`."""
    if row["kind"] == "credit_note":
        return DocumentState.CREDITED
    left = open_of(row)
    if not left:
        return DocumentState.PAID
    if row["due_day"] < days.of_moment(clock.now(), row["time_zone"]):
        return DocumentState.OVERDUE
    return DocumentState.DUE if left == row["gross"] else DocumentState.PARTLY_PAID


@dataclass(frozen=True)
class PaidPart:
    """What a payment would pay of a document."""

    number: str
    paid: int
    left: int
    """What would still be open of it."""


@dataclass(frozen=True)
class PaymentOutcome:
    """What a payment would do: to which documents, the oldest first, and what would be left of it as credit."""

    parts: list[PaidPart]
    surplus: int


def outcome(rows: Sequence[dict[str, Any]], amount: int) -> PaymentOutcome:
    """Return what an amount would pay of a contract's open documents, given in the order in which they were due."""
    parts, unsettled = [], amount
    for row in rows:
        left = open_of(row)
        paid = min(left, unsettled)
        unsettled -= paid
        parts.append(PaidPart(row["name"], paid, left - paid))
    return PaymentOutcome(parts, unsettled)


def fitting(state: str, time_zone: str) -> tuple[str, dict[str, Any]]:
    """Return the condition on `d`, with its values, that finds a seller's documents in a state; any if it is empty.

    Raise Invalid for what is no state.
    """
    if not state:
        return "1 = 1", {}
    if state not in list(DocumentState):
        raise Invalid(
            "No document is in such a state.", errors=[FieldError("state", " or ".join(DocumentState), state)]
        )
    condition = _FITTING[DocumentState(state)]
    return condition, {"today": days.of_moment(clock.now(), time_zone)} if ":today" in condition else {}
