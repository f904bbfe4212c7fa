"""Revisions: every change that a node must know takes the next one, in the change's transaction."""

from pathlib import Path

from freehold.master.fleet.models import RevisionClock
from freehold.master.foundation import clock, hints, sql
from freehold.master.foundation.transactions import run
from freehold.master.generation.doubt import refuse_in_doubt

SQL = sql.load(Path(__file__).parent / "sql" / "fleet.sql", prepared=True)


def next_revision() -> int:
    """Return the next revision; its row stays locked until the transaction ends.

    Raise InDoubt while nodes may know of later ones: nothing new is then wanted of any node.
    """
    rows = run(SQL["next_revision"])
    if not rows:
        refuse_in_doubt()
    # The first migration of fleet writes this row.
    (row,) = rows
    return int(row["value"])


def take_turn() -> None:
    """Wait until no other transaction that may change what nodes must do is under way.

    For those that look first and take a revision only if there is something to change. Raise InDoubt as
    `next_revision` does.
    """
    refuse_in_doubt()
    lock_clock()


def lock_clock() -> None:
    """Keep others from taking a revision until the transaction ends.

    Locks are taken in this order: instances, the clock, nodes, their partitions and supplies, contracts, the counters
    of the books.
    """
    RevisionClock.objects.select_for_update().get(id=1)


def bump(node: str) -> int:
    """Give a node the next revision and return it; whoever waits for it is woken after the commit."""
    revision = next_revision()
    give(node, revision)
    return revision


def give(node: str, revision: int) -> None:
    """Give a node a revision that was taken in this transaction."""
    run(SQL["bump"], revision=revision, node=node)
    hints.after_commit(hints.FLEET_CHANGED)


def count_move() -> None:
    """Note that an instance is on another node now: the gateway forgets what it remembers of where they are."""
    run(SQL["count_move"])


def unlearn_future(latest: int) -> None:
    """Have no node be heard, or lost, later than a moment (milliseconds): the clock ran ahead when that was noted."""
    for name in ("unlearn_contacts", "unlearn_losses"):
        run(SQL[name], now=clock.now(), latest=latest)
