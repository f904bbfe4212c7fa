"""What was asked of an instance, and by whom: appended with each act, and never changed."""

from freehold.master.foundation import clock
from freehold.master.foundation.transactions import run
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.states import Wanted


def remember(instance: str, actor: str, release: str, parameters: str, asked: Wanted) -> None:
    """Append what is asked of an instance from now on, in a transaction of the caller."""
    run(
        QUERIES["add_request"],
        instance=instance,
        now=clock.now(),
        actor=actor,
        release=release,
        parameters=parameters,
        requested_state=asked.value,
    )
