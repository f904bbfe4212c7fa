"""The desk of whoever runs nodes: what needs them, with ways to where they can do something."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from freehold.master.desk import queries
from freehold.master.panel.decorators import draw, for_members, only_or_choice, operated
from freehold.master.people.identity import Caller, Scope


@require_GET
@for_members
def home(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Lead to the desk who runs nodes, and everybody else to their services."""
    return redirect("desk-choice" if queries.runs_nodes(list(caller.able(Scope.OPERATE).values())) else "instances")


@require_GET
@for_members
def choose(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The desk of the only project that somebody runs, or a choice of them."""
    return only_or_choice(request, caller, operated(caller), "desk")


@require_GET
@for_members
def overview(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """What needs somebody on the nodes of a project; with `all` not only the first of it."""
    owner = caller.project(project, Scope.OPERATE)
    most = queries.MOST if "all" in request.GET else queries.USUAL
    desk = queries.desk(owner, most=most, is_staff=caller.is_staff)
    return draw(request, caller, "desk", {"project": project, "desk": desk, "is_all": most == queries.MOST})
