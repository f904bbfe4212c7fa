"""After a restore of an older backup: the Master goes on from where its nodes are."""

from django.conf import settings

from freehold.master.fleet import epochs, revisions
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.generation import doubt
from freehold.master.ordering.models import Departure, Instance
from freehold.master.ordering.queries import QUERIES


def resume() -> int:
    """Begin a generation, and with it every node's chain of reports and feed; return how many nodes there are.

    What nodes run and this database does not name they keep, until an operator agrees to its end.
    """
    with writing():
        known = doubt.said()
        begun = epochs.begin(clock.now(), known.revision, known.epochs)
        Instance.objects.filter(gone_at=None).update(revision=begun.revision)
        Departure.objects.update(revision=begun.revision)
        leased = begun.longest_lease
        generation = doubt.begin_generation(leased + settings.LEASE_MARGIN if leased else 0)
        audit("freehold", "master.resume", "master", nodes=begun.nodes, revision=begun.revision, generation=generation)
    return begun.nodes


def settle() -> int:
    """Have what can move begun where this Master knows it, once no lease lasts that a copy of before did not know.

    Return on how many nodes.
    """
    if not doubt.is_due():
        return 0
    with writing():
        # The clock before the generation, as `resume` does.
        revisions.take_turn()
        if not doubt.leases_are_over():
            return 0
        nodes = list(Node.objects.order_by("id").values_list("id", flat=True))
        for node in nodes:
            run(QUERIES["begin_movable"], node=node, revision=revisions.bump(node))
        audit("freehold", "master.settle", "master")
    return len(nodes)
