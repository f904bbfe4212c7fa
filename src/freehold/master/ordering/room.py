"""Whether there is room for what somebody is about to order, before they fill in a form for it. Reads only."""

from freehold.master.allocation import queries as places
from freehold.master.allocation.choice import Constraints
from freehold.master.catalog.queries import ResolvedType
from freehold.master.ordering import resolving, sharing
from freehold.protocol.problem import Reason


def lacking(choice: ResolvedType, project: str, constraints: Constraints) -> list[Reason]:
    """Return why no instance of this kind can be placed for a project (its id) now; empty when one can.

    It is no promise: somebody else may order first, and what it requests of others is not looked at.
    """
    if choice.host:
        return sharing.lacking(choice, project, constraints)
    if next(places.places(choice.release, project, constraints, resolving.needs(choice)), None) is not None:
        return []
    return places.why_not(choice.release, project, constraints, resolving.needs(choice))
