"""What of a document is still asked, and so its state: the only place that says so to people and programs."""

from typing import Any

from freehold.master.billing.states import DocumentState
from freehold.master.foundation import clock, days
from freehold.master.foundation.errors import Invalid
from freehold.protocol.problem import FieldError

_ASKED = "d.kind = 'invoice' AND d.until_here > d.settled AND d.gross > 0"
_UNTOUCHED = "d.until_here - d.gross >= d.settled"
_FITTING = {
    DocumentState.PAID: "d.kind = 'invoice' AND (d.until_here <= d.settled OR d.gross = 0)",
    DocumentState.PARTLY_PAID: f"{_ASKED} AND d.due_day >= :today AND NOT {_UNTOUCHED}",
    DocumentState.DUE: f"{_ASKED} AND d.due_day >= :today AND {_UNTOUCHED}",
    DocumentState.OVERDUE: f"{_ASKED} AND d.due_day < :today",
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
