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
