"""The state machines of billing."""

from enum import StrEnum

from freehold.master.foundation.statemachine import StateMachine


class State(StrEnum):
    """Of a subscription."""

    PENDING = "pending"
    """Ordered, and never ready yet: costs nothing."""
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"
    """Ended before it was ever ready: never costs anything."""


SUBSCRIPTION = StateMachine[State](
    "The subscription",
    {
        State.PENDING: frozenset({State.ACTIVE, State.CANCELLED}),
        State.ACTIVE: frozenset({State.ENDED}),
        State.ENDED: frozenset(),
        State.CANCELLED: frozenset(),
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
