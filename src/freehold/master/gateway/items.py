"""What each kind of item of a report does: one handler a kind.

A handler checks that its item can be true, raises ValueError with the reason when it cannot, and adds rows to
statements that it declares. The statements are in `sql/reports.sql` of the room that owns the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from freehold.master.gateway.metering import Meters
from freehold.master.gateway.owners import Owners
from freehold.protocol import FUTURE, validation
from freehold.protocol.report import (
    AsideReport,
    AssessmentReport,
    FarewellReport,
    HostFacts,
    InstanceReport,
    Item,
    PublicationReport,
    SoftwareReport,
    UsageReport,
)
from freehold.protocol.states import Observed


@dataclass(slots=True)
class ItemRows:
    """What the items of a transaction append, by statement."""

    received_at: int
    """Milliseconds."""
    by_statement: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in STATEMENTS})
    hint: bool = False
    """Something waits for what was told: the tasks that act on it run at once."""


@dataclass(slots=True)
class ReportingNode:
    """Who tells an item, and where its rows go."""

    node: str
    sequence: int
    """The number of the report that the item stands in."""
    rows: ItemRows
    owners: Owners
    meters: Meters

    @property
    def now(self) -> int:
        return self.rows.received_at

    def add(self, statement: str, **values: Any) -> None:
        """Append a row to a statement that the handler declares."""
        self.rows.by_statement[statement].append(values)

    def moment(self, seconds: float) -> int:
        """Return a time of the node's as milliseconds; raise ValueError for what is no time, or of the future."""
        return validation.moment(seconds, self.rows.received_at / 1000)

    def has_left(self, instance: str) -> bool:
        return self.owners.has_left(self.node, instance)


@dataclass(frozen=True, slots=True)
class Handler:
    """How items of a kind are collected."""

    collect: Callable[[Any, ReportingNode], None]
    statements: tuple[str, ...] = ()
    """The statements that it adds rows to."""


def collect(item: Item, reporter: ReportingNode) -> None:
    """Add the rows of one item; raise ValueError when it cannot be true."""
    HANDLERS[type(item)].collect(item, reporter)


def _host(item: HostFacts, reporter: ReportingNode) -> None:
    validation.check_facts(item)
    facts = msgspec.json.encode(item).decode()
    reporter.add("add_host", node=reporter.node, facts=facts, received_at=reporter.now)
    reporter.rows.hint = True


def _software(item: SoftwareReport, reporter: ReportingNode) -> None:
    reporter.add(
        "add_software",
        node=reporter.node,
        release=validation.name(item.release),
        state=item.state.value,
        message=validation.text(item.message),
        at=reporter.now,
    )
    reporter.rows.hint = True


def _instance(item: InstanceReport, reporter: ReportingNode) -> None:
    is_destroyed = item.state is Observed.DESTROYED
    if reporter.has_left(item.instance):
        if is_destroyed:
            reporter.add("add_departed", instance=item.instance, node=reporter.node, at=reporter.now)
            reporter.rows.hint = True
        return
    owner = reporter.owners.on_node(reporter.node, item.instance)
    reporter.add(
        "add_instance",
        instance=item.instance,
        revision=validation.count(item.revision),
        state=item.state.value,
        message=validation.text(item.message),
        promises=msgspec.json.encode(validation.promises(item.promises)).decode(),
        processes=msgspec.json.encode(validation.processes(item.processes)).decode(),
        at=reporter.now,
    )
    # Parents and siblings may wait for what becomes of a child.
    reporter.rows.hint = owner.is_child or is_destroyed or reporter.rows.hint


def _publication(item: PublicationReport, reporter: ReportingNode) -> None:
    if reporter.has_left(item.instance):
        # It told so before it knew.
        return
    published = validation.publication(item.values).decode()
    owner = reporter.owners.on_node(reporter.node, item.instance)
    reporter.add(
        "add_publication",
        instance=item.instance,
        revision=validation.count(item.revision),
        published=published,
        at=reporter.now,
    )
    reporter.rows.hint = owner.is_child or reporter.rows.hint


def _assessment(item: AssessmentReport, reporter: ReportingNode) -> None:
    if reporter.has_left(item.instance):
        return
    owner = reporter.owners.on_node(reporter.node, item.instance)
    reporter.add(
        "add_assessment",
        instance=item.instance,
        revision=validation.count(item.revision),
        promise=validation.name(item.promise),
        kept=item.kept,
        message=validation.text(item.message),
        at=reporter.moment(item.at),
    )
    reporter.rows.hint = owner.is_child or reporter.rows.hint


def _usage(item: UsageReport, reporter: ReportingNode) -> None:
    # What it used before it moved away counts as well, and may be told late.
    owners = reporter.owners
    left = reporter.has_left(item.instance)
    owner = owners.look_up(item.instance) if left else owners.on_node(reporter.node, item.instance)
    validation.series(item.series)
    # Of one that was ordered when our clock ran ahead, the present is before that.
    created_at = min(owner.created_at, reporter.now)
    if (at := reporter.moment(item.at)) < created_at - FUTURE * 1000:
        raise ValueError(f"use at {at} ms is of before the instance was ordered, at {owner.created_at} ms")
    # Readings of one transaction are added up first: `Meters` writes them.
    reporter.meters.add(item, at)


def _farewell(item: FarewellReport, reporter: ReportingNode) -> None:
    reporter.add(
        "note_farewell",
        node=reporter.node,
        sequence=reporter.sequence,
        stopped=item.stopped.value,
    )
    reporter.rows.hint = True


def _aside(item: AsideReport, reporter: ReportingNode) -> None:
    raise ValueError(f"set aside by the node: {validation.text(item.reason)}")


HANDLERS: dict[type[Item], Handler] = {
    HostFacts: Handler(_host, ("add_host",)),
    SoftwareReport: Handler(_software, ("add_software",)),
    InstanceReport: Handler(_instance, ("add_instance", "add_departed")),
    PublicationReport: Handler(_publication, ("add_publication",)),
    AssessmentReport: Handler(_assessment, ("add_assessment",)),
    UsageReport: Handler(_usage),
    AsideReport: Handler(_aside),
    FarewellReport: Handler(_farewell, ("note_farewell",)),
}
"""Every kind of item, and what it does."""
STATEMENTS: tuple[str, ...] = tuple(name for handler in HANDLERS.values() for name in handler.statements)
"""What a transaction of reports writes, in this order."""
if set(HANDLERS) != set(get_args(Item)):
    raise TypeError(f"each kind of item has one handler: {set(HANDLERS) ^ set(get_args(Item))}")
