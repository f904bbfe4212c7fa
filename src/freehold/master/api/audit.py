"""Who did what in a project, for its owners and operators."""

import json
from typing import Annotated, Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, Query, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import audit_trail, clock
from freehold.master.foundation.audit_trail import TrailFilter
from freehold.master.foundation.paging import ListPart
from freehold.master.people.identity import Scope

router = Router()
Actor = Annotated[str, Query(description="An e-mail, `node:ID`, `instance:ID`, or `freehold` for the Master itself.")]
Verb = Annotated[str, Query(description="Such as `node.drain`; or `node` for all about nodes.")]
Subject = Annotated[str, Query(description="The id of what it was done to.")]
Since = Annotated[str, Query(description="A day or a moment, such as 2026-12-01 or 2026-12-01T22:00Z.")]
Until = Annotated[str, Query(description="Before that moment, or to the end of that day.")]


class ActOut(Schema):
    id: str
    at: str
    actor: str = Field(description="An e-mail, `node:ID`, `instance:ID`, or `freehold` for the Master itself.")
    verb: str
    subject: str
    detail: dict[str, Any] = Field(description="What changed; never a secret.")


@router.get(
    "/projects/{project}/audit",
    response=list[ActOut],
    auth=in_project(Scope.OPERATE),
    summary="Who did what in a project",
    openapi_extra=listed("id"),
)
def list_acts(
    request: HttpRequest,
    project: str,
    actor: Actor = "",
    verb: Verb = "",
    subject: Subject = "",
    since: Since = "",
    until: Until = "",
    after: After = "",
    limit: Limit = USUAL,
) -> list[dict[str, Any]]:
    """The newest first. What was done with money is told to who may read the books."""
    owner, wanted = caller(request).project(project, Scope.OPERATE), TrailFilter(actor, verb, subject, since, until)
    acts = audit_trail.acts(owner, wanted, ListPart(after, limit), with_money=_with_money(request, project))
    return [
        {
            "id": str(row.id),
            "at": clock.iso(row.at),
            "actor": row.actor,
            "verb": row.verb,
            "subject": row.subject,
            "detail": json.loads(row.detail),
        }
        for row in acts
    ]


@router.get("/projects/{project}/audit.csv", auth=in_project(Scope.OPERATE), summary="The same, all of it, as CSV")
def export_acts(
    request: HttpRequest,
    project: str,
    actor: Actor = "",
    verb: Verb = "",
    subject: Subject = "",
    since: Since = "",
    until: Until = "",
) -> StreamingHttpResponse:
    owner, wanted = caller(request).project(project, Scope.OPERATE), TrailFilter(actor, verb, subject, since, until)
    return StreamingHttpResponse(
        audit_trail.as_csv(owner, wanted, with_money=_with_money(request, project)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{project}-audit.csv"'},
    )


def _with_money(request: HttpRequest, project: str) -> bool:
    return caller(request).may(project, Scope.AUDIT)
