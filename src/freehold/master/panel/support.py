"""Pages about tickets: what was asked and noticed, one conversation, a question about a service."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.foundation.errors import Invalid
from freehold.master.ordering import queries as ordering
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import Caller, Scope
from freehold.master.support import actions, queries
from freehold.master.support.models import Ticket


@require_GET
@for_members
def tickets(request: HttpRequest, caller: Caller) -> HttpResponse:
    """What all projects of somebody asked, and what they are to answer."""
    number = lists.page_number(request.GET.get("page", ""))
    projects = _projects(caller)
    tickets, total = queries.of_projects(projects, caller, lists.numbered_part(number)) if projects else ([], 0)
    rows = [(_through(ticket, caller), ticket) for ticket in tickets]
    return draw(request, caller, "tickets", {"tickets": rows, "page": lists.numbered(rows, number, total)})


@require_http_methods(["GET", "POST"])
@for_members
def ticket(request: HttpRequest, caller: Caller, project: str, identity: str) -> HttpResponse:
    """One ticket; what is posted is an answer, or its end."""
    ticket = queries.find(project, identity, caller)
    context: dict[str, Any] = {"project": project, "typed": request.POST}
    status = 200
    if request.method == "POST":
        try:
            close = request.POST.get("act") == "close"
            actions.answer(project, identity, request.POST.get("text", ""), close=close, acting=caller)
            return redirect("ticket", project, identity)
        except Invalid as error:
            context |= {"problem": error, "what": labels.problem(error)}
            status = error.status
    total = queries.count_messages(ticket)
    # What was said last is on the last page, which is shown unless another one is asked for.
    number = lists.page_number(request.GET["page"]) if "page" in request.GET else lists.pages(total)
    rows = queries.messages(ticket, lists.numbered_part(number))
    context |= {"ticket": ticket, "messages": rows, "page": lists.numbered(rows, number, total)}
    return draw(request, caller, "ticket", context, status)


@require_http_methods(["GET", "POST"])
@for_members
def ask(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """A question about a service, to whoever runs its node."""
    ordering.by_title(caller.project(project, Scope.ORDER), title)
    context: dict[str, Any] = {"project": project, "title": title, "typed": request.POST}
    status = 200
    if request.method == "POST":
        try:
            form = request.POST
            ticket = actions.ask(project, title, form.get("title", ""), form.get("text", ""), acting=caller)
            return redirect("ticket", project, ticket.id)
        except Invalid as error:
            context |= {"problem": error, "what": labels.problem(error)}
            status = error.status
    return draw(request, caller, "ask", context, status)


def _through(ticket: Ticket, caller: Caller) -> str:
    """Return through which of their projects somebody sees a ticket: that which asked, or that which answers."""
    if queries.is_about_own_matters(ticket.about) and caller.may(ticket.project.name, Scope.READ):
        return ticket.project.name
    return next(name for name, identity in caller.projects.items() if identity == ticket.provider_id)


def _projects(caller: Caller) -> list[str]:
    scopes = (Scope.READ, Scope.OPERATE, Scope.ACCOUNT)
    return sorted({project for scope in scopes for project in caller.able(scope)})
