"""Moves orders toward what nodes told."""

from freehold.master.foundation.transactions import run, writing
from freehold.master.ordering import actions, moves, recovery, trees
from freehold.master.ordering.queries import QUERIES
from freehold.master.people import quotas
from freehold.master.people.quotas import Quota

KEPT = 100
"""Observations and publications of each instance that are kept."""
_pass_on = trees.PassingOn()


def reconcile() -> None:
    """Give parents what their children published, end what nobody requests, free what the destroyed held."""
    _pass_on()
    trees.end_unasked()
    actions.bury()
    moves.find_lost()
    moves.move_from_lost()
    moves.see_off()
    recovery.settle()


def tidy() -> None:
    """Keep the last hundred observations and publications of each instance, and each project's share of its history."""
    for name in ("tidy_observations", "tidy_publications"):
        with writing():
            run(QUERIES[name], kept=KEPT)
    with writing():
        run(QUERIES["tidy_requests"], usual=quotas.USUAL[Quota.HISTORY])
