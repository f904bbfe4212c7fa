"""New epochs for all nodes, after this Master was restored from an older copy."""

from dataclasses import dataclass

from django.db.models import F, Max, Value
from django.db.models.functions import Greatest

from freehold.master.fleet.models import Node, RevisionClock, Supply
from freehold.master.foundation import hints

REVISIONS, EPOCH = 1024, 10_000
"""Revisions of a millisecond, and milliseconds of an epoch, since 1970, with which numbers begin again."""
GAP, EPOCHS = 2**20, 1024
"""Revisions, and epochs of each node, that are left out besides.

No number that was given after the backup is given twice, nor one that was given after another restore of it: they are
beyond the time, beyond what nodes showed, and beyond what the backup knows.
"""


@dataclass(frozen=True)
class Begun:
    """What every node begins with."""

    revision: int
    nodes: int
    longest_lease: int
    """Seconds for which one of them may run what can move without a word from here; 0: none has a lease."""


def begin(now: int, revision: int, epochs: dict[str, int]) -> Begun:
    """Give all nodes and supplies a revision, and each node an epoch, that nobody can have seen.

    `revision`, `epochs`: what nodes showed of numbers that this database does not know. In a transaction of the caller.
    """
    clock = RevisionClock.objects.select_for_update().get(id=1)
    clock.value = max(clock.value, revision, now * REVISIONS) + GAP
    clock.save(update_fields=["value"])
    Supply.objects.update(revision=clock.value)
    nodes = Node.objects.update(revision=clock.value, epoch=Greatest(F("epoch"), Value(now // EPOCH)) + EPOCHS)
    for node, shown in epochs.items():
        Node.objects.filter(id=node, epoch__lt=shown + EPOCHS).update(epoch=shown + EPOCHS)
    hints.after_commit(hints.FLEET_CHANGED)
    leased = Node.objects.aggregate(longest=Max(Greatest("lease", "acknowledged_lease")))["longest"]
    return Begun(clock.value, nodes, leased or 0)
