"""The state machine of an instance, and what follows from it for a tree: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Branch:
    """An instance as a part of its tree."""

    id: str
    parent: str | None
    asked: Wanted
    held_back: bool = False
    """It may not run: its parent does not request it any more, or nobody pays for it."""


def effective(tree: Iterable[Branch]) -> dict[str, Wanted]:
    """Return what is wanted of each instance of a tree, by id.

    What its requester asks, unless an ancestor leaves less: nothing runs below what is stopped, nothing lives
    below what is destroyed. What is not requested or not paid for any more is stopped, so that it can be had back.
    """
    branches = {branch.id: branch for branch in tree}
    states: dict[str, Wanted] = {}

    def wanted(branch: Branch) -> Wanted:
        if branch.id not in states:
            above = branches.get(branch.parent or "")
            limit = Wanted.STARTED if above is None else wanted(above)
            own = Wanted.STOPPED if branch.held_back and branch.asked is Wanted.STARTED else branch.asked
            states[branch.id] = max(own, limit, key=_ORDER.index)
        return states[branch.id]

    for branch in branches.values():
        wanted(branch)
    return states


_ORDER = (Wanted.STARTED, Wanted.STOPPED, Wanted.DESTROYED)
