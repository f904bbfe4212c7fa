"""The state machines of billing."""

from enum import StrEnum

from freehold.master.foundation.statemachine import StateMachine


class SubscriptionState(StrEnum):
    """Of a subscription."""

    PENDING = "pending"
    """Ordered, and never ready yet: costs nothing."""
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"
    """Ended before it was ever ready: never costs anything."""


SUBSCRIPTION = StateMachine[SubscriptionState](
    "The subscription",
    {
        SubscriptionState.PENDING: frozenset({SubscriptionState.ACTIVE, SubscriptionState.CANCELLED}),
        SubscriptionState.ACTIVE: frozenset({SubscriptionState.ENDED}),
        SubscriptionState.ENDED: frozenset(),
        SubscriptionState.CANCELLED: frozenset(),
    },
)


class RunState(StrEnum):
    """Of a monthly run."""

    OPEN = "open"
    RATED = "rated"
    """What was used is added up and priced; documents are being made."""
    ISSUED = "issued"


RUN = StateMachine[RunState](
    "The run",
    {
        RunState.OPEN: frozenset({RunState.RATED}),
        RunState.RATED: frozenset({RunState.ISSUED}),
        RunState.ISSUED: frozenset(),
    },
)


class DocumentState(StrEnum):
    """Of an issued document, as its reader sees it; computed (`invoicing.settling`), never kept."""

    PAID = "paid"
    """Nothing is asked any more: payments and credit notes settle a contract's invoices, the oldest first."""
    PARTLY_PAID = "partly_paid"
    """Not due yet, and paid in part."""
    DUE = "due"
    """Not due yet, or due today, and not paid at all."""
    OVERDUE = "overdue"
    """Something of it is still asked after the day on which it was due."""
    CREDITED = "credited"
    """A credit note: it asks for nothing, and settles invoices."""
