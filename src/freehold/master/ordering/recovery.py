"""After a restore of an older backup: the Master goes on from where its nodes are."""

from freehold.master.fleet.models import Node, RevisionClock, Supply
from freehold.master.foundation import hints
from freehold.master.foundation.transactions import audit, writing
from freehold.master.generation.doubt import begin_generation
from freehold.master.ordering.models import Departure, Instance

GAP = 2**32
"""Revisions that are left out: nodes may know some that were given after the backup, and none is given twice."""
EPOCHS = 1024
"""Epochs of each node that are left out, for the same reason."""


def resume() -> int:
    """Begin a generation, and with it every node's chain of reports and feed; return how many nodes there are.

    What nodes run and this database does not name they keep, until an operator agrees to its end.
    """
    with writing():
        clock = RevisionClock.objects.select_for_update().get(id=1)
        clock.value += GAP
        clock.save(update_fields=["value"])
        Instance.objects.filter(gone_at=None).update(revision=clock.value)
        Departure.objects.update(revision=clock.value)
        Supply.objects.update(revision=clock.value)
        nodes = list(Node.objects.select_for_update().order_by("id"))
        for node in nodes:
            Node.objects.filter(id=node.id).update(revision=clock.value, epoch=node.epoch + EPOCHS)
        generation = begin_generation()
        audit("freehold", "master.resume", "master", nodes=len(nodes), revision=clock.value, generation=generation)
        hints.after_commit(hints.FLEET_CHANGED)
    return len(nodes)
