"""All writes of the allocation: taking a partition and giving it back."""

from collections.abc import Collection
from dataclasses import dataclass

from freehold.master.allocation import queries
from freehold.master.allocation.choice import Constraints
from freehold.master.fleet import revisions
from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import Node
from freehold.master.foundation import hints
from freehold.master.foundation.errors import NoPlace
from freehold.master.foundation.transactions import run

_SQL = queries.QUERIES


@dataclass(frozen=True)
class Place:
    """A partition that an instance now has, and the node's revision that says so."""

    node: str
    partition: str
    address: str
    revision: int


def place(
    instance: str, release: str, project: str, constraints: Constraints, weight: int, *, avoid: Collection[str] = ()
) -> Place:
    """Take a partition for an instance; call it in the transaction that makes the instance.

    `avoid`: nodes where it must not be.

    Raise NoPlace with every reason when no node fits.
    """
    # The revision first: its lock makes placements take turns, so that the candidate read next is still free.
    revision = revisions.next_revision()
    for candidate in queries.places(release, project, constraints, weight):
        node = candidate.node
        if node in avoid or not run(_SQL["take_capacity"], node=node, weight=weight, revision=revision):
            continue
        (partition,) = run(_SQL["take_partition"], node=node, instance=instance)
        sync_supplies(node)
        hints.after_commit(hints.FLEET_CHANGED)
        return Place(node, partition["name"], partition["address"], revision)
    reasons = queries.why_not(release, project, constraints, weight)
    summary = "; ".join(
        f"{reason.nodes} nodes: {reason.reason}" if reason.nodes else reason.reason for reason in reasons
    )
    raise NoPlace(f"{summary or 'no node has a free partition'}.", reasons=reasons)


def give_back(instance: str, node: str, partition: str, weight: int) -> None:
    """Free the partition of an instance that is gone; call it in the transaction that ends the instance."""
    Node.objects.select_for_update().get(id=node)
    rows = run(_SQL["free_partition"], node=node, partition=partition, instance=instance)
    if rows:
        run(_SQL["free_capacity"], node=node, weight=weight, partitions=int(bool(rows[0]["present"])))
        sync_supplies(node)
