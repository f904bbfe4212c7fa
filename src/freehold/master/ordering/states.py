"""The state machine of an instance: what its customer may want next."""

from freehold.master.foundation.statemachine import StateMachine
from freehold.protocol.states import Wanted

INSTANCE = StateMachine[Wanted](
    "The instance",
    {
        Wanted.STARTED: frozenset({Wanted.STOPPED, Wanted.DESTROYED}),
        Wanted.STOPPED: frozenset({Wanted.STARTED, Wanted.DESTROYED}),
        Wanted.DESTROYED: frozenset(),
    },
)
