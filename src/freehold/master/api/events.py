"""For customers: what happened to a service, in one list."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.foundation import clock
from freehold.master.monitoring import events
from freehold.master.ordering import queries
from freehold.master.people.identity import Scope

router = Router()


class DifferenceOut(Schema):
    name: str
    before: str | None = Field(description="Null: it was not there. Secrets stand as [secret].")
    after: str | None = Field(description="Null: it is there no more.")


class EventOut(Schema):
    at: str
    kind: str = Field(description=f"One of: {', '.join(events.EventKind)}.")
    about: str = Field(description="A state, a promise, a process, or the version of a release.")
    message: str
    actor: str = Field(description="Empty for what nobody did, or whoever runs the nodes.")
    differences: list[DifferenceOut] = Field(description="Of an order: which parameters became others.")


class EventsOut(Schema):
    events: list[EventOut] = Field(description=f"The newest first, {events.MOST} at most.")
    left_out: bool = Field(description="There is more, which is older.")


@router.get(
    "/projects/{project}/events",
    response=EventsOut,
    auth=in_project(Scope.READ),
    summary="What happened to a service: orders with their differences, states, promises, moves, restarts",
)
def read_events(request: HttpRequest, project: str, title: str) -> dict[str, Any]:
    row = queries.by_title(caller(request).project(project, Scope.READ), title)
    happened, left_out = events.of_instance(row)
    return {
        "events": [
            {**vars(event), "at": clock.iso(event.at), "differences": [vars(each) for each in event.differences]}
            for event in happened
        ],
        "left_out": left_out,
    }
