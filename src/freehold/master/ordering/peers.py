"""Who else is in a tree: told to those of it whose type wants to know, whenever somebody comes, moves or goes."""

from freehold.master.fleet import revisions
from freehold.master.foundation.transactions import locking, run
from freehold.master.ordering.queries import QUERIES


def lock(tree: str, news: str) -> None:
    """Keep those from changing who will be told that another one (its id) comes, moves or goes.

    Instances are locked before the clock of revisions: call it before that is.
    """
    run(locking(QUERIES["who_know_peers"], "i"), tree=tree, besides=news)


def tell(tree: str, news: str) -> None:
    """Have the nodes of a tree's instances hear of them anew, because another one (its id) came, moved or went.

    In the transaction of that, with those locked and the turn of the clock of revisions taken.
    """
    for row in run(QUERIES["who_know_peers"], tree=tree, besides=news):
        run(QUERIES["touch"], id=row["id"], revision=revisions.bump(row["node_id"]))
