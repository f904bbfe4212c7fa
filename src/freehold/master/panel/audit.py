"""Who did what in a project, for its owners and operators."""

import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from freehold.master.foundation import audit_trail
from freehold.master.foundation.audit_trail import TrailFilter
from freehold.master.foundation.errors import Invalid
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members, only_or_choice, operated
from freehold.master.people.identity import Caller, Scope

_FILTERS = ("actor", "verb", "subject", "since", "until")


@require_GET
@for_members
def choose(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The audit trail of the only project that somebody runs, or a choice of them."""
    return only_or_choice(request, caller, operated(caller), "audit")


@require_GET
@for_members
def overview(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """What was done in a project, a page at a time, the newest first."""
    owner, may = caller.project(project, Scope.OPERATE), caller.may(project, Scope.AUDIT)
    typed = {name: request.GET.get(name, "").strip() for name in _FILTERS}
    number = lists.page_number(request.GET.get("page", ""))
    query = urlencode({name: value for name, value in typed.items() if value})
    context: dict[str, Any] = {"project": project, "typed": typed, "query": query, "with_money": may}
    try:
        rows = audit_trail.acts(owner, TrailFilter(**typed), lists.numbered_part(number), with_money=may)
        total = audit_trail.count(owner, TrailFilter(**typed), with_money=may)
    except Invalid as error:
        wrong = {invalid.field for invalid in error.errors}
        context |= {"problem": error, "what": labels.problem(error), "wrong": wrong}
        return draw(request, caller, "audit", context, error.status)
    acts = [(row, json.loads(row.detail)) for row in rows]
    return draw(request, caller, "audit", {**context, "acts": acts, "page": lists.numbered(rows, number, total)})


@require_GET
@for_members
def as_csv(request: HttpRequest, caller: Caller, project: str) -> HttpResponseBase:
    """The same, all of it, for a spreadsheet."""
    owner, may = caller.project(project, Scope.OPERATE), caller.may(project, Scope.AUDIT)
    wanted = TrailFilter(**{name: request.GET.get(name, "").strip() for name in _FILTERS})
    return StreamingHttpResponse(
        audit_trail.as_csv(owner, wanted, with_money=may),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{project}-audit.csv"'},
    )
