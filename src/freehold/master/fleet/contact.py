"""Which nodes are silent now: known in one place, from when each was last heard.

A node speaks at least once in each pace that its Master sets (`foundation.pace`). One that let three go by is silent:
what it said before is no longer what is known of it, and nothing new is placed there; so is one whose operator stopped
it, at once, if it said so. Whether it is lost, and what moves away from it, is another question (`ordering.moves`),
asked of nodes with a lease only.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from freehold.master.fleet import revisions
from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock
from freehold.master.foundation.pace import JITTER, pace
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.generation.clocks import contradiction

MISSED = 3
"""Contacts that a node lets go by until it is silent."""


@dataclass(frozen=True)
class Silence:
    """A node that is not heard."""

    since: int
    """When it was last heard (milliseconds)."""
    expected_until: int
    """Until when its site declared that it may be silent; `since` where no silence is expected."""

    def is_expected(self, now: int) -> bool:
        return now < self.expected_until


def silence(row: dict[str, Any]) -> Silence | None:
    """Return the silence of the node in a row with `silent_since` and `expected_silence`; None when it is heard."""
    since = row["silent_since"]
    return None if since is None else Silence(since, since + row["expected_silence"] * clock.SECOND)


def find_silent() -> int:
    """Note which nodes fell silent or were stopped, and which are heard again; return how many.

    By a clock that went evenly for as long while this process looked: a Master that was away itself, or whose clock
    jumped or is contradicted by nodes, says nothing of how long others were silent. One whose operator stopped it said
    so: it is not waited for.
    """
    limit = MISSED * pace(settings.NODE_WAIT, Node.objects.count()) * (1 + JITTER)
    again = run(revisions.SQL["heard_again"])
    for row in again:
        _note(row, "node.heard", None)
    gone = run(revisions.SQL["stopped"])
    for row in gone:
        _note(row, "node.stopped", row["received_at"], row["stopped"])
    fallen = []
    if clock.steadiness.look() > limit and not contradiction():
        fallen = run(revisions.SQL["fallen_silent"], before=clock.now() - round(limit * clock.SECOND))
    for row in fallen:
        _note(row, "node.silent", row["received_at"])
    return len(again) + len(gone) + len(fallen)


def _note(row: dict[str, Any], verb: str, since: int | None, stopped: str = "") -> None:
    with writing():
        Node.objects.filter(id=row["id"]).update(silent_since=since, stopped=stopped)
        sync_supplies(row["id"])
        audit("freehold", verb, row["id"], project=row["project_id"])
