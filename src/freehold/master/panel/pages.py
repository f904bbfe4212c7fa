"""Web pages: log in, see what runs. Thin: parse, call an action or a query, draw."""

from typing import Any

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from freehold.master.foundation.errors import MasterError
from freehold.master.monitoring import queries as monitoring
from freehold.master.ordering import queries
from freehold.master.people import actions, identity
from freehold.master.people.identity import Caller, Scope
from freehold.master.usage import queries as usage


@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Open a session with e-mail and password."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        try:
            person = actions.log_in(request.POST.get("email", ""), request.POST.get("password", ""))
        except MasterError as error:
            context = {"error": error, "email": request.POST.get("email", "")}
        else:
            login(request, person, backend="django.contrib.auth.backends.ModelBackend")
            return redirect("instances")
    return render(request, "panel/login.html", context, status=401 if context else 200)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Close the session."""
    logout(request)
    return redirect("login")


def instances(request: HttpRequest) -> HttpResponse:
    """Everything that runs in the visitor's projects."""
    caller = _caller(request)
    if caller is None:
        return redirect("login")
    rows = queries.in_projects(sorted(caller.projects.values()))
    pictures = monitoring.pictures(rows)
    return render(request, "panel/instances.html", {"caller": caller, "pictures": pictures})


def instance(request: HttpRequest, project: str, title: str) -> HttpResponse:
    """One instance: state, parameters, publication, promises, use to date."""
    caller = _caller(request)
    if caller is None:
        return redirect("login")
    try:
        row = queries.by_title(caller.project(project, Scope.READ), title)
    except MasterError as error:
        return render(request, "panel/problem.html", {"caller": caller, "error": error}, status=error.status)
    (picture,) = monitoring.pictures([row])
    context = {"caller": caller, "picture": picture, "usage": usage.so_far(row["id"])}
    return render(request, "panel/instance.html", context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for what is not there."""
    return render(request, "panel/problem.html", {"error": {"title": "No such page", "remedy": ""}}, status=404)


def _caller(request: HttpRequest) -> Caller | None:
    if not request.user.is_authenticated:
        return None
    return identity.by_person(str(request.user.pk))
