"""The tasks of a Master: name, lane, period."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from freehold.master.billing import reconcile as billing
from freehold.master.fleet import contact
from freehold.master.fleet import reconcile as fleet
from freehold.master.foundation import reconcile as foundation
from freehold.master.generation import reconcile as generation
from freehold.master.monitoring import days, queries
from freehold.master.monitoring import reconcile as monitoring
from freehold.master.notifications import reconcile as notifications
from freehold.master.ordering import (
    actions,
    clusters,
    endings,
    moves,
    project_suspension,
    recovery,
    reservations,
    trees,
)
from freehold.master.ordering import reconcile as ordering
from freehold.master.people import reconcile as people
from freehold.master.support import reconcile as support
from freehold.master.usage import reconcile as usage

SOON, HOURLY = 10.0, 3600.0


class Lane(StrEnum):
    """A thread of its own for tasks that may wait for each other."""

    URGENT = "urgent"
    """What a service or a person waits for; also run at once when a node reported something."""
    OUTBOUND = "outbound"
    """What waits for machines of others, as mail servers; never in the way of the other lanes."""
    BULK = "bulk"
    """What takes long and may be late; never in the way of the other lane."""


@dataclass(frozen=True)
class MasterTask:
    """Something that a Master does again and again."""

    name: str
    """ROOM.SUBJECT, unique."""
    run: Callable[[], int]
    """Does it, and returns how many things it changed."""
    lane: Lane = Lane.URGENT
    period: float = SOON
    """Seconds."""
    is_hinted: bool = True
    """Whether an urgent one is also run at once when a node reported something."""
    runs_in_doubt: bool = False
    """Whether it goes on while this Master doubts that it knows all. What nodes report waits then."""
    is_dated: bool = False
    """Whether it acts by the date, for good: it rests while nodes contradict the clock, as all bulk tasks do."""


TASKS = (
    MasterTask("fleet.reports", fleet.take_over),
    MasterTask("ordering.publications", trees.PublicationForwarder(queries.ready_among)),
    MasterTask("ordering.clusters", clusters.Rollouts(queries.sights)),
    MasterTask("ordering.orphans", trees.end_orphans),
    MasterTask("ordering.project-suspensions", project_suspension.settle),
    MasterTask("ordering.reservations", reservations.release_unneeded),
    MasterTask("ordering.endings", endings.end_due, is_dated=True),
    MasterTask("ordering.partitions", actions.release_partitions),
    MasterTask("fleet.silence", contact.find_silent),
    MasterTask("ordering.lost-nodes", moves.find_lost),
    MasterTask("ordering.moves", moves.move_from_lost),
    MasterTask("ordering.departures", moves.finish_departures),
    MasterTask("ordering.recovery", recovery.settle),
    MasterTask("billing.subscriptions", billing.begin_ready, is_dated=True),
    MasterTask("support.notices", support.give_notice, runs_in_doubt=True),
    MasterTask("notifications.gather", notifications.gather, is_hinted=False, runs_in_doubt=True),
    MasterTask("notifications.deliver", notifications.deliver, Lane.OUTBOUND, runs_in_doubt=True),
    MasterTask("notifications.webhooks", notifications.post, Lane.OUTBOUND, runs_in_doubt=True),
    MasterTask("monitoring.availability", monitoring.keep_record, Lane.BULK, HOURLY),
    MasterTask("monitoring.days", days.count, Lane.BULK, HOURLY),
    MasterTask("billing.consumption", billing.add_up, Lane.BULK, HOURLY),
    MasterTask("billing.invoicing", billing.issue_due, Lane.BULK, HOURLY),
    MasterTask("billing.suspension", billing.suspend_overdue, period=HOURLY, is_dated=True),
    MasterTask("support.budgets", support.watch_money, Lane.BULK, HOURLY),
    MasterTask("notifications.gather-slow", notifications.gather_slow, Lane.BULK, HOURLY),
    MasterTask("foundation.cleanup", foundation.clean_up, Lane.BULK, HOURLY),
    MasterTask("generation.cleanup", generation.clean_up, Lane.BULK, HOURLY),
    MasterTask("people.cleanup", people.clean_up, Lane.BULK, HOURLY),
    MasterTask("fleet.cleanup", fleet.clean_up, Lane.BULK, HOURLY),
    MasterTask("ordering.cleanup", ordering.clean_up, Lane.BULK, HOURLY),
    MasterTask("monitoring.cleanup", monitoring.clean_up, Lane.BULK, HOURLY),
    MasterTask("notifications.cleanup", notifications.clean_up, Lane.BULK, HOURLY),
    MasterTask("usage.cleanup", usage.clean_up, Lane.BULK, HOURLY),
)
