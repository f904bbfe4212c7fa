"""All writes of the allocation: a partition for an instance, by the choice of the node."""

from dataclasses import dataclass

from freehold.master.allocation import queries
from freehold.master.allocation.choice import Avoided, Constraints, Needs
from freehold.master.fleet import partitions, revisions
from freehold.master.foundation import hints
from freehold.master.foundation.errors import NoPlace


@dataclass(frozen=True)
class Place:
    """A partition that an instance now has, and the node's revision that says so."""

    node: str
    partition: str
    address: str
    revision: int
    site: str = ""
    """Id."""


NOWHERE = Avoided()


def place(
    instance: str, release: str, project: str, constraints: Constraints, needs: Needs, *, avoid: Avoided = NOWHERE
) -> Place:
    """Take a partition for an instance; call it in the transaction that makes the instance.

    Raise NoPlace with every reason when no node fits.
    """
    # The revision first: its lock makes placements take turns, so that the candidate read next is still free.
    revision = revisions.next_revision()
    for candidate in queries.places(release, project, constraints, needs):
        node = candidate.node
        is_avoided = avoid.holds(node, candidate.site_id)
        partition = None if is_avoided else partitions.take(node, instance, needs.weight, needs.size, revision)
        if partition is None:
            continue
        hints.after_commit(hints.FLEET_CHANGED)
        return Place(node, partition["name"], partition["address"], revision, candidate.site_id)
    reasons = queries.why_not(release, project, constraints, needs)
    summary = "; ".join(
        f"{reason.nodes} nodes: {reason.reason}" if reason.nodes else reason.reason for reason in reasons
    )
    raise NoPlace(f"{summary or 'no node has a free partition'}.", reasons=reasons)
