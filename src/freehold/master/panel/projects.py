"""For whoever runs the Master: projects that are suspended."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from freehold.master.foundation.errors import Invalid, MasterError
from freehold.master.ordering import project_suspension
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import STAFF, Caller


@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The projects that are suspended, and why. POST suspends one, or lifts it."""
    caller.check(STAFF)
    typed = {name: request.POST.get(name, "").strip() for name in ("act", "name", "reason")}
    if request.method != "POST":
        return _draw(request, caller, {"typed": {}})
    try:
        if typed["act"] == "suspend":
            project_suspension.suspend(typed["name"], typed["reason"], acting=caller)
        elif typed["act"] == "lift":
            project_suspension.lift(typed["name"], acting=caller)
        else:
            raise Invalid("This page does no such thing.")
    except MasterError as error:
        context = {"typed": typed, "problem": error, "what": labels.problem(error)}
        return _draw(request, caller, context, error.status)
    return redirect("projects")


def _draw(request: HttpRequest, caller: Caller, context: dict[str, Any], status: int = 200) -> HttpResponse:
    number = lists.page_number(request.GET.get("page", ""))
    rows = project_suspension.part(lists.numbered_part(number))
    page = lists.numbered(rows, number, project_suspension.count())
    return draw(request, caller, "projects", {**context, "page": page}, status)
