"""Who is in a project, as what, and who is invited."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.paging import part_of
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members, only_or_choice, operated
from freehold.master.people import actions, invitations
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Membership, Project, Role


@require_GET
@for_members
def choose(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The members of the only project that somebody runs, or a choice of projects."""
    return only_or_choice(request, caller, operated(caller), "members")


@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """The members of a project. POST invites, withdraws, gives another role or removes."""
    owned = Project.objects.get(id=caller.project(project, Scope.OPERATE))
    if request.method != "POST":
        return _draw(request, caller, owned, {})
    act, email = request.POST.get("act", ""), request.POST.get("email", "")
    try:
        if act == "invite":
            # Drawn at once, not after a redirect: the link is shown only now.
            return _draw(request, caller, owned, _invite(request, caller, owned, email))
        _change(act, email, request.POST.get("role", ""), owned, caller)
    except (Invalid, Conflict) as error:
        return _draw(request, caller, owned, {"wrong": f"{labels.problem(error)}: {error}"}, error.status)
    return redirect("members", project)


def _invite(request: HttpRequest, caller: Caller, project: Project, email: str) -> dict[str, Any]:
    code, invitation = invitations.invite(project, email, request.POST.get("role", ""), acting=caller)
    return {"invited": invitation, "link": request.build_absolute_uri(f"{reverse('join')}#{code}")}


def _change(act: str, email: str, role: str, project: Project, caller: Caller) -> None:
    if act == "withdraw":
        invitations.withdraw(project, email, acting=caller)
        return
    actions.require_owner(project, caller)
    if act not in ("role", "remove"):
        raise NotFound(f"There is no '{act}' here.", remedy="")
    member = actions.find_member(project, email)
    if act == "remove":
        actions.remove_role(member, project, acting=caller)
    elif role in Role.values:
        actions.give_role(member, project, Role(role), acting=caller)
    else:
        raise Invalid("There is no such role.")


def _draw(
    request: HttpRequest, caller: Caller, project: Project, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    number = lists.page_number(request.GET.get("page", ""))
    memberships = Membership.objects.filter(project=project).select_related("person")
    rows = list(part_of(memberships, ("person__email",), "person__email", lists.numbered_part(number)))
    context = {
        **context,
        "project": project.name,
        "page": lists.numbered(rows, number, memberships.count()),
        "open": invitations.open_in(project).order_by("email"),
        "roles": [(role.value, labels.role(role.value)) for role in Role],
        "may_give": caller.is_staff or caller.roles.get(project.name) is Role.OWNER,
    }
    return draw(request, caller, "members", context, status)
