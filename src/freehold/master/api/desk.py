"""The desk of whoever runs a project's nodes: what needs them now."""

from dataclasses import asdict
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.api.tasks import TaskOut, as_told
from freehold.master.desk import queries
from freehold.master.foundation import clock
from freehold.master.people.identity import Scope
from freehold.master.tasks.queries import TaskStatus

router = Router()
_MOST = f"Rows of each list at most, 1 to {queries.MOST}."


class CapacityOut(Schema):
    nodes: int
    heard: int = Field(description="Nodes that are not silent.")
    services: int = Field(description="Instances that live there.")
    free: int = Field(description="Places where something new can be placed now.")


class BrokenPromiseOut(Schema):
    title: str
    project: str = Field(description="Whose service it is.")
    promise: str
    since: str
    node: str
    site: str


class BrokenPromisesOut(Schema):
    total: int = Field(description="How many there are; `rows` are the first of them.")
    rows: list[BrokenPromiseOut]


class BrokenMachineOut(Schema):
    node: str
    site: str
    promise: str
    message: str
    since: str | None = Field(description="Null: it was so before that was noted.")


class BrokenMachinesOut(Schema):
    total: int
    rows: list[BrokenMachineOut]


class NodeConcernOut(Schema):
    node: str
    site: str
    state: str = Field(description="new, lost, stopped, silent, draining, closed or full")
    since: str | None
    expected_until: str | None = Field(description="While it is silent where that is usual: until when it may be.")
    services: int
    leaving: int = Field(description="Instances that moved away, and of which it did not say that nothing is left.")


class NodeConcernsOut(Schema):
    total: int
    rows: list[NodeConcernOut]


class WaitingOrderOut(Schema):
    title: str
    project: str
    state: str
    reason: str = Field(description=f"One of {', '.join(queries.REASONS)}.")
    why: str = Field(description="The reason in words.")
    since: str = Field(description="When it was changed last.")
    node: str
    site: str


class WaitingOrdersOut(Schema):
    total: int
    rows: list[WaitingOrderOut]


class FailedBuildOut(Schema):
    supply: str
    product: str
    release: str
    node: str
    site: str
    since: str | None
    log: str = Field(description="Its last lines.")


class FailedBuildsOut(Schema):
    total: int
    rows: list[FailedBuildOut]


class WaitingTicketOut(Schema):
    id: str
    title: str
    project: str = Field(description="Who asked, or whom it is about.")
    author: str = Field(description="Who spoke last; `freehold` is the Master.")
    since: str


class WaitingTicketsOut(Schema):
    total: int
    rows: list[WaitingTicketOut]


class EndingCertificateOut(Schema):
    kind: str = Field(description="node or instance")
    title: str
    project: str
    node: str
    ends_at: str


class EndingCertificatesOut(Schema):
    total: int
    rows: list[EndingCertificateOut]


class WaitingPersonOut(Schema):
    id: str
    email: str
    name: str
    since: str


class WaitingPeopleOut(Schema):
    total: int
    rows: list[WaitingPersonOut]


class FailingTasksOut(Schema):
    total: int
    rows: list[TaskOut]


class DeskOut(Schema):
    total: int = Field(description="How many things there are to look at, in all lists.")
    capacity: CapacityOut
    services: BrokenPromisesOut = Field(description="Promises that services do not keep, what broke last first.")
    machines: BrokenMachinesOut = Field(description="Promises that nodes themselves do not keep.")
    nodes: NodeConcernsOut = Field(description="Nodes on which nothing new can be placed.")
    orders: WaitingOrdersOut = Field(
        description=f"What failed, and what is not as wanted {queries.STUCK_MS // 60_000} minutes after it was ordered."
    )
    builds: FailedBuildsOut
    tickets: WaitingTicketsOut = Field(description="Open tickets in which no operator spoke last, the oldest first.")
    certificates: EndingCertificatesOut = Field(
        description=f"Certificates that nobody renewed and that end within {queries.CERTIFICATE_MS // clock.DAY} days."
    )
    sign_ups: WaitingPeopleOut | None = Field(description="People who wait for an account; null but for staff.")
    tasks: FailingTasksOut | None = Field(description="Tasks of the Master that fail or are late; null but for staff.")


@router.get(
    "/projects/{project}/desk",
    response=DeskOut,
    auth=in_project(Scope.OPERATE),
    summary="What needs whoever runs the nodes of a project",
)
def desk(
    request: HttpRequest, project: str, limit: Annotated[int, Query(description=_MOST)] = queries.USUAL
) -> dict[str, Any]:
    """Names and states of what lives on these nodes, of whichever project: no parameters and no publications."""
    acting = caller(request)
    desk = queries.desk(acting.project(project, Scope.OPERATE), most=limit, is_staff=acting.is_staff)
    lists = {
        name: {"total": part.total, "rows": [_row(row) for row in part.rows]} for name, part in desk.lists().items()
    }
    return {"total": desk.total, "capacity": asdict(desk.capacity), "sign_ups": None, "tasks": None, **lists}


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, TaskStatus):
        return as_told(row)
    shown = {
        name: clock.iso(value) if name in ("since", "expected_until", "ends_at") else value
        for name, value in asdict(row).items()
    }
    return {**shown, "why": queries.REASONS[row.reason]} if isinstance(row, queries.WaitingOrder) else shown
