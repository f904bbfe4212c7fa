"""After a restore of an older backup: the Master goes on from where its nodes are."""

from django.conf import settings

from freehold.master.fleet import revisions
from freehold.master.fleet.models import Node, RevisionClock, Supply
from freehold.master.foundation import clock as moment
from freehold.master.foundation import hints
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.generation import doubt
from freehold.master.ordering.models import Departure, Instance
from freehold.master.ordering.queries import QUERIES

REVISIONS, EPOCH = 1024, 10_000
"""Revisions of a millisecond, and milliseconds of an epoch, since 1970, with which numbers begin again."""
GAP, EPOCHS = 2**20, 1024
"""Revisions, and epochs of each node, that are left out besides.

No number that was given after the backup is given twice, nor one that was given after another restore of it: they are
beyond the time, beyond what nodes showed, and beyond what the backup knows.
"""


def resume() -> int:
    """Begin a generation, and with it every node's chain of reports and feed; return how many nodes there are.

    What nodes run and this database does not name they keep, until an operator agrees to its end.
    """
    with writing():
        clock = RevisionClock.objects.select_for_update().get(id=1)
        now = moment.now()
        known = doubt.said()
        clock.value = max(clock.value, known.revision, now * REVISIONS) + GAP
        clock.save(update_fields=["value"])
        Instance.objects.filter(gone_at=None).update(revision=clock.value)
        Departure.objects.update(revision=clock.value)
        Supply.objects.update(revision=clock.value)
        nodes = list(Node.objects.select_for_update().order_by("id"))
        for node in nodes:
            epoch = max(node.epoch, known.epochs.get(node.id, 0), now // EPOCH) + EPOCHS
            Node.objects.filter(id=node.id).update(revision=clock.value, epoch=epoch)
        leased = max((max(node.lease, node.obeyed) for node in nodes), default=0)
        generation = doubt.begin_generation(leased + settings.LEASE_MARGIN if leased else 0)
        audit("freehold", "master.resume", "master", nodes=len(nodes), revision=clock.value, generation=generation)
        hints.after_commit(hints.FLEET_CHANGED)
    return len(nodes)


def settle() -> int:
    """Have what can move begun where this Master knows it, once no lease lasts that a copy of before did not know.

    Return on how many nodes.
    """
    if not doubt.is_due():
        return 0
    with writing():
        # The clock before the generation, as `resume` does.
        revisions.take_turn()
        if not doubt.settle():
            return 0
        nodes = list(Node.objects.order_by("id").values_list("id", flat=True))
        for node in nodes:
            run(QUERIES["begin_movable"], node=node, revision=revisions.bump(node))
        audit("freehold", "master.settle", "master")
    return len(nodes)
