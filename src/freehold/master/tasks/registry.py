"""The tasks of a Master: name, lane, period."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from freehold.master.billing import reconcile as billing
from freehold.master.fleet import reconcile as fleet
from freehold.master.foundation import reconcile as foundation
from freehold.master.generation import reconcile as generation
from freehold.master.monitoring import reconcile as monitoring
from freehold.master.ordering import actions, moves, recovery, trees
from freehold.master.ordering import reconcile as ordering
from freehold.master.people import reconcile as people
from freehold.master.support import reconcile as support
from freehold.master.usage import reconcile as usage

SOON, HOURLY = 10.0, 3600.0


class Lane(StrEnum):
    """A thread of its own for tasks that may wait for each other."""

    URGENT = "urgent"
    """What a service or a person waits for; also run at once when a node reported something."""
    BULK = "bulk"
    """What takes long and may be late; never in the way of the other lane."""


@dataclass(frozen=True)
class Task:
    """Something that a Master does again and again."""

    name: str
    """ROOM.SUBJECT, unique."""
    run: Callable[[], int]
    """Does it, and returns how many things it changed."""
    lane: Lane = Lane.URGENT
    period: float = SOON
    """Seconds."""
    runs_in_doubt: bool = False
    """Whether it goes on while this Master doubts that it knows all. What nodes report waits then."""


TASKS = (
    Task("fleet.reports", fleet.take_over),
    Task("ordering.publications", trees.PublicationForwarder()),
    Task("ordering.orphans", trees.end_orphans),
    Task("ordering.partitions", actions.release_partitions),
    Task("ordering.lost-nodes", moves.find_lost),
    Task("ordering.moves", moves.move_from_lost),
    Task("ordering.departures", moves.finish_departures),
    Task("ordering.recovery", recovery.settle),
    Task("billing.subscriptions", billing.begin_ready),
    Task("support.notices", support.give_notice, runs_in_doubt=True),
    Task("monitoring.availability", monitoring.keep_record, Lane.BULK, HOURLY),
    Task("billing.consumption", billing.add_up, Lane.BULK, HOURLY),
    Task("billing.invoicing", billing.issue_due, Lane.BULK, HOURLY),
    Task("billing.suspension", billing.suspend_overdue, period=HOURLY),
    Task("support.budgets", support.watch_money, Lane.BULK, HOURLY),
    Task("foundation.cleanup", foundation.clean_up, Lane.BULK, HOURLY),
    Task("generation.cleanup", generation.clean_up, Lane.BULK, HOURLY),
    Task("people.cleanup", people.clean_up, Lane.BULK, HOURLY),
    Task("fleet.cleanup", fleet.clean_up, Lane.BULK, HOURLY),
    Task("ordering.cleanup", ordering.clean_up, Lane.BULK, HOURLY),
    Task("monitoring.cleanup", monitoring.clean_up, Lane.BULK, HOURLY),
    Task("usage.cleanup", usage.clean_up, Lane.BULK, HOURLY),
)
