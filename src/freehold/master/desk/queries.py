"""What needs the attention of whoever runs a project's nodes: names and states, never parameters or publications.

What a node said of an instance is in none of it, for a release's words may hold what its customer typed (decision
0046). Each list has as many rows as are asked for, and says how many there are in all.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from freehold.master.fleet.models import Node
from freehold.master.fleet.queries import node_state
from freehold.master.foundation import clock, sql
from freehold.master.foundation.paging import ListPart
from freehold.master.foundation.transactions import run
from freehold.master.ordering import listing
from freehold.master.ordering.status import STARTING_MS, TROUBLE
from freehold.master.people import sign_up
from freehold.master.tasks import queries as tasks
from freehold.master.tasks.queries import TaskStatus

T = TypeVar("T")
SQL = sql.load(Path(__file__).parent / "sql" / "desk.sql")
USUAL, MOST = 20, 1000
"""Rows of each list."""
STUCK_MS = 10 * 60_000
"""For how long what was ordered may be on its way before somebody should look."""
CERTIFICATE_MS = 7 * clock.DAY
"""Certificates live for 30 days and are renewed 10 days before their end: with less left, that failed for days."""
OVER_MS = 30 * clock.DAY
"""For how long after its end a certificate is told of: a machine that does not come back is silent, which says more."""
LOG_LINES = 8
"""Of a failed build's log, the last."""
REASONS = {
    "build-failed": "Its release cannot be built on its node.",
    "configure-failed": "Its configuration fails on its node; its customer sees why.",
    "building": "Its release is being built on its node.",
    "not-built": "Its release is not built yet on its node.",
    "not-taken": "Its node has not taken it up yet.",
    "configuring": "Its node does not finish its configuration.",
    "stopping": "Its node does not say that it stopped.",
    "destroying": "Its node does not say that nothing is left of it.",
}
"""Why an order is not as wanted, by what is known of it."""


@dataclass(frozen=True)
class FirstRows(Generic[T]):
    """The first rows of a list, and how many it has."""

    rows: list[T]
    total: int

    @property
    def more(self) -> int:
        """How many are left out."""
        return self.total - len(self.rows)


@dataclass(frozen=True)
class Capacity:
    """What a project's nodes hold."""

    nodes: int
    heard: int
    services: int
    """Instances that live there."""
    free: int
    """Places where something new can be placed now."""


@dataclass(frozen=True)
class BrokenPromise:
    """A promise that a service does not keep. Moments are milliseconds, here and below."""

    title: str
    project: str
    """Whose it is."""
    promise: str
    since: int
    node: str
    site: str


@dataclass(frozen=True)
class BrokenMachine:
    """A promise that a node itself does not keep."""

    node: str
    site: str
    promise: str
    message: str
    since: int | None
    """None: it was so before that was noted."""


@dataclass(frozen=True)
class NodeConcern:
    """A node on which nothing new can be placed, and why."""

    node: str
    site: str
    state: str
    """new, lost, stopped, silent, draining, closed or full."""
    since: int | None
    expected_until: int | None
    """While it is silent where that is usual: until when it may be."""
    services: int
    leaving: int
    """Instances that moved away and of which it has not said that nothing is left."""


@dataclass(frozen=True)
class WaitingOrder:
    """What was ordered and is not as wanted."""

    title: str
    project: str
    state: str
    reason: str
    """One of REASONS."""
    since: int
    """When it was changed last."""
    node: str
    site: str


@dataclass(frozen=True)
class FailedBuild:
    """A release that a node cannot build."""

    supply: str
    product: str
    release: str
    node: str
    site: str
    since: int | None
    log: str
    """Its last lines."""


@dataclass(frozen=True)
class WaitingTicket:
    """A ticket in which an operator should speak next."""

    id: str
    title: str
    project: str
    """Who asked, or whom it is about."""
    author: str
    """Who spoke last."""
    since: int


@dataclass(frozen=True)
class EndingCertificate:
    """A certificate that ends soon or has ended, because nobody renewed it."""

    kind: str
    """node or instance."""
    title: str
    project: str
    node: str
    ends_at: int


@dataclass(frozen=True)
class WaitingPerson:
    """Somebody who proved an address and waits until staff accepts them."""

    id: str
    email: str
    name: str
    since: int


@dataclass(frozen=True)
class Desk:
    """Everything of a project's nodes that somebody should look at."""

    capacity: Capacity
    services: FirstRows[BrokenPromise]
    machines: FirstRows[BrokenMachine]
    nodes: FirstRows[NodeConcern]
    orders: FirstRows[WaitingOrder]
    builds: FirstRows[FailedBuild]
    tickets: FirstRows[WaitingTicket]
    certificates: FirstRows[EndingCertificate]
    sign_ups: FirstRows[WaitingPerson] | None
    """People who wait for an account; None, as below, for who does not run the Master."""
    tasks: FirstRows[TaskStatus] | None
    """Of the Master itself."""

    @property
    def total(self) -> int:
        """How many things there are to look at."""
        return sum(part.total for part in self.lists().values())

    def lists(self) -> "dict[str, FirstRows[Any]]":
        """Return the lists by their names, without those that are not for its reader."""
        names = ("services", "machines", "nodes", "orders", "builds", "tickets", "certificates", "sign_ups", "tasks")
        return {name: part for name in names if (part := getattr(self, name)) is not None}


def desk(project: str, *, most: int = USUAL, is_staff: bool = False) -> Desk:
    """Return what needs somebody on the nodes of a project (its id): ten queries, however much there is."""
    most, now = max(1, min(most, MOST)), clock.now()
    values: dict[str, Any] = {"project": project, "most": most}
    ending = {"after": now - OVER_MS, "before": now + CERTIFICATE_MS}
    (capacity,) = run(SQL["capacity"], project=project)
    return Desk(
        capacity=Capacity(**capacity),
        services=_found(run(SQL["services"], node="", settled=now - STARTING_MS, **values), _service),
        machines=_machines(project, most),
        nodes=_found(run(SQL["nodes"], **values), _node),
        orders=_orders(project, now, most),
        builds=_found(run(SQL["builds"], **values), _build),
        tickets=_found(run(SQL["tickets"], **values), _ticket),
        certificates=_found(run(SQL["certificates"], **ending, **values), _certificate),
        sign_ups=_sign_ups(most) if is_staff else None,
        tasks=_tasks() if is_staff else None,
    )


def living(project: str, node: str) -> dict[str, list[dict[str, Any]]]:
    """Return who lives on a node (ids), by partition, each with its `state`, and what it does not keep in `broken`.

    Three queries. What is started and breaks a promise is in `trouble`.
    """
    settled = clock.now() - STARTING_MS
    broken: dict[str, list[str]] = {}
    for row in run(SQL["services"], project=project, node=node, settled=settled, most=MOST):
        broken.setdefault(row["id"], []).append(row["promise"])
    states, rows = listing.states_on(node), listing.on_node(node)
    for row in (row for rows in rows.values() for row in rows):
        row["broken"] = sorted(broken.get(row["id"], []))
        row["state"] = TROUBLE if row["broken"] else states.get(row["id"], "")
    return rows


def runs_nodes(projects: list[str]) -> bool:
    """Whether one of these projects (ids) has a node."""
    return bool(projects) and Node.objects.filter(project__in=projects).exists()


def _found(rows: list[dict[str, Any]], read: Callable[[dict[str, Any]], T]) -> FirstRows[T]:
    return FirstRows([read(row) for row in rows], rows[0]["total"] if rows else 0)


def _service(row: dict[str, Any]) -> BrokenPromise:
    return BrokenPromise(row["title"], row["project"], row["promise"], row["since"], row["node"], row["site"])


def _machines(project: str, most: int) -> FirstRows[BrokenMachine]:
    problems = [
        BrokenMachine(row["title"], row["site"], promise["name"], promise["message"], promise.get("since"))
        for row in run(SQL["machines"], project=project)
        for promise in json.loads(row["promises"])
        if not promise["kept"]
    ]
    return FirstRows(problems[:most], len(problems))


def _node(row: dict[str, Any]) -> NodeConcern:
    state = node_state(row)
    if state == "closed" and row["leaving"]:
        state = "draining"
    since = row["silent_since"] if state in ("silent", "stopped") else row["lost_at"] if state == "lost" else None
    until = row["silent_since"] + row["expected_silence"] * clock.SECOND if state == "silent" else None
    return NodeConcern(
        row["title"],
        row["site"],
        "full" if state == "open" else state,
        since,
        until if until is not None and until > clock.now() else None,
        row["services"],
        row["leaving"],
    )


def _orders(project: str, now: int, most: int) -> FirstRows[WaitingOrder]:
    rows, total = listing.unfinished(project, now - STUCK_MS, most)
    return FirstRows([_order(state, row) for state, row in rows], total)


def _order(state: str, row: dict[str, Any]) -> WaitingOrder:
    reason = _reason(state, row["software"])
    return WaitingOrder(row["title"], row["project"], state, reason, row["changed_at"], row["node"], row["site"])


def _reason(state: str, software: str | None) -> str:
    if state == "failed":
        return "build-failed" if software == "failed" else "configure-failed"
    if state == "waiting":
        return "not-taken" if software == "available" else "not-built"
    return state


def _build(row: dict[str, Any]) -> FailedBuild:
    log = "\n".join(row["message"].splitlines()[-LOG_LINES:])
    return FailedBuild(row["id"], row["product"], row["version"], row["node"], row["site"], row["since"], log)


def _ticket(row: dict[str, Any]) -> WaitingTicket:
    return WaitingTicket(row["id"], row["title"], row["project"], row["author"], row["since"])


def _certificate(row: dict[str, Any]) -> EndingCertificate:
    return EndingCertificate(row["kind"], row["title"], row["project"], row["node"], row["not_after"])


def _sign_ups(most: int) -> FirstRows[WaitingPerson]:
    rows = sign_up.part(ListPart(limit=most))
    waiting = [WaitingPerson(row.id, row.email, row.name, row.made_at) for row in rows]
    return FirstRows(waiting, sign_up.waiting().count() if waiting else 0)


def _tasks() -> FirstRows[TaskStatus]:
    wrong = [task for task in tasks.statuses() if task.state in tasks.WRONG]
    return FirstRows(wrong, len(wrong))
