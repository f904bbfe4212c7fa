"""Projects that the provider suspends."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, staff
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock
from freehold.master.foundation.paging import ListPart
from freehold.master.ordering import project_suspension

router = Router()


class SuspensionIn(StrictBody):
    reason: str = Field(description="1 to 500 characters, which the people of the project read.")


class SuspensionRow(Schema):
    project: str
    reason: str
    by: str
    at: str


@router.get(
    "/suspensions",
    response=list[SuspensionRow],
    auth=staff,
    summary="Projects that are suspended, by name (staff)",
    openapi_extra=listed("project"),
)
def list_suspensions(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    suspensions = project_suspension.part(ListPart(after, limit))
    return [
        {
            "project": suspension.project.name,
            "reason": suspension.reason,
            "by": suspension.actor,
            "at": clock.iso(suspension.at),
        }
        for suspension in suspensions
    ]


@router.put(
    "/suspensions/{name}",
    response={204: None},
    auth=staff,
    summary="Suspend a project: its services stop, with their data, and it orders nothing (staff)",
)
def suspend_project(request: HttpRequest, name: str, body: SuspensionIn) -> tuple[int, None]:
    project_suspension.suspend(name, body.reason, acting=caller(request))
    return 204, None


@router.delete(
    "/suspensions/{name}", response={204: None}, auth=staff, summary="Have a suspended project go on as it was (staff)"
)
def lift_suspension(request: HttpRequest, name: str) -> tuple[int, None]:
    project_suspension.lift(name, acting=caller(request))
    return 204, None
