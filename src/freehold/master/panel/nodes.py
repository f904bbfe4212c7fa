"""One node: who lives there and how it is, and what its operator does with it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from freehold.master.desk import queries as desk
from freehold.master.fleet import actions, queries
from freehold.master.foundation.errors import Invalid, MasterError
from freehold.master.ordering import moves
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.panel.fleet import explained, listed, page_number
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

_DONE = {
    "open": gettext_lazy("It takes new services again."),
    "closed": gettext_lazy("It takes no new services any more. Those that live there stay."),
    "lease": gettext_lazy("The lease is changed."),
    "labels": gettext_lazy("The labels are changed."),
    "builder": gettext_lazy("Other nodes take its finished builds."),
    "no-builder": gettext_lazy("No other node takes its builds any more."),
    "revoked": gettext_lazy("Its certificates are revoked. It has to be enrolled again."),
}
"""What the page says after something was done."""


@require_http_methods(["GET", "POST"])
@for_members
def node(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """A node: its facts, its partitions and who lives there.

    POST opens or closes it for new services, sets its lease or its labels, or has others trust its builds or not.
    """
    node = _node(caller, project, title)
    if request.method != "POST":
        return _draw(request, caller, project, node, {})
    try:
        done, change = _asked(request)
        actions.change_node(node["id"], project, acting=caller, **change)
    except MasterError as error:
        typed = {name: request.POST[name] for name in ("lease", "labels") if name in request.POST}
        return _draw(request, caller, project, node, {**explained(error), "typed": typed}, error.status)
    return _back(project, title, done)


@require_http_methods(["GET", "POST"])
@for_members
def drain(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """What would move away from a node when it is drained. POST drains it, and says what became of each service."""
    node = _node(caller, project, title)
    is_done = request.method == "POST"
    outcome = moves.drain(node["id"], project, dry_run=not is_done, acting=caller)
    return draw(request, caller, "drain", {"project": project, "node": node, "outcome": outcome, "is_done": is_done})


@require_http_methods(["GET", "POST"])
@for_members
def revoke(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Revoke a node's certificates, after its title was typed."""
    node = _node(caller, project, title)
    context: dict[str, Any] = {"project": project, "node": node, "services": len(_living(caller, project, node))}
    if request.method == "GET":
        return draw(request, caller, "revoke", context)
    if request.POST.get("confirm", "").strip() != title:
        return draw(request, caller, "revoke", {**context, "wrong": _("This is not its title.")}, 422)
    actions.revoke_node(node["id"], project, acting=caller)
    return _back(project, title, "revoked")


def _node(caller: Caller, project: str, title: str) -> dict[str, Any]:
    return queries.node(caller.project(project, Scope.OPERATE), title=title)


def _living(caller: Caller, project: str, node: dict[str, Any]) -> list[dict[str, Any]]:
    living = desk.living(caller.projects[project], node["id"])
    return [row for rows in living.values() for row in rows]


def _back(project: str, title: str, done: str) -> HttpResponse:
    return redirect(f"{reverse('node', args=(project, title))}?done={done}")


def _asked(request: HttpRequest) -> tuple[str, dict[str, Any]]:
    """Return the word that is said afterwards, and what a form changes; raise Invalid."""
    form = request.POST
    if "open" in form:
        is_open = form["open"] == "yes"
        return "open" if is_open else "closed", {"open": is_open}
    if "builder" in form:
        is_builder = form["builder"] == "yes"
        return "builder" if is_builder else "no-builder", {"builder": is_builder}
    if "lease" in form:
        return "lease", {"lease": _seconds(form["lease"])}
    if "labels" in form:
        return "labels", {"labels": _labels(form["labels"])}
    raise Invalid("Nothing of it can be changed so.")


def _seconds(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdecimal() and len(text.strip()) < 10):
        raise Invalid("This is no time.", errors=[FieldError("lease", "whole seconds; 0: never", text)])
    return int(text)


def _labels(text: str) -> dict[str, str]:
    """Return the labels that somebody typed, one on each line; raise Invalid."""
    names: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise Invalid(f"'{line}' is not a label.", errors=[FieldError("labels", "NAME=VALUE on each line", line)])
        names[name] = value
    return names


def _draw(
    request: HttpRequest, caller: Caller, project: str, node: dict[str, Any], context: dict[str, Any], status: int = 200
) -> HttpResponse:
    living = desk.living(caller.projects[project], node["id"])
    page = lists.supplies(caller.projects[project], node=node["title"], number=page_number(request))
    typed = {"lease": node["lease"], "labels": "\n".join(f"{name}={value}" for name, value in node["labels"].items())}
    context = {
        "project": project,
        "node": node,
        "partitions": [
            {**partition, "living": living.get(partition["name"], [])} for partition in queries.partitions(node["id"])
        ],
        "holding": labels.protections(node["protections"], holding=True),
        "missing": labels.protections(node["protections"], holding=False),
        "orderable": caller.able(Scope.ORDER),
        "readable": caller.able(Scope.READ),
        "done": _DONE.get(request.GET.get("done", "")),
        **listed(page),
        **context,
        "typed": {**typed, **context.get("typed", {})},
    }
    return draw(request, caller, "node", context, status)
