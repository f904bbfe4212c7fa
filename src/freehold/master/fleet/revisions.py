"""Revisions: every change that a node must know takes the next one, in the change's transaction."""

from django.db import connection

from freehold.master.fleet.models import RevisionClock
from freehold.master.foundation import hints


def next_revision() -> int:
    """Return the next revision; its row stays locked until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fleet_revisionclock SET value = value + 1 WHERE id = 1 RETURNING value")
        row = cursor.fetchone()
    assert row is not None, "the first migration of fleet writes this row"
    return int(row[0])


def take_turn() -> None:
    """Wait until no other transaction that may change what nodes must do is under way.

    For those that look first and take a revision only if there is something to change. Locks are taken in
    this order: an instance, the clock, a node, its partitions, its supplies.
    """
    RevisionClock.objects.select_for_update().get(id=1)


def bump(node: str) -> int:
    """Give a node the next revision and return it; whoever waits for it is woken after the commit."""
    revision = next_revision()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fleet_node SET revision = %s WHERE id = %s", [revision, node])
    hints.after_commit(hints.FLEET_CHANGED)
    return revision
