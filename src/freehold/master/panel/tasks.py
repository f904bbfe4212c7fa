"""For whoever runs the Master: how its own tasks go."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import STAFF, Caller
from freehold.master.tasks import queries


@require_GET
@for_members
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Every task, with its last run."""
    caller.check(STAFF)
    return draw(request, caller, "tasks", {"tasks": queries.statuses(), "wrong": queries.WRONG})
