"""What every page goes through: who is it, what cannot be done, and how a page is drawn."""

import functools
import sys
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode

from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from freehold.master.foundation.causes import failure
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Forbidden, Malformed, MasterError, NotFound, Unauthenticated
from freehold.master.foundation.problem_responses import is_for_programs, problem_response
from freehold.master.generation.clocks import contradiction
from freehold.master.generation.doubt import doubts
from freehold.master.panel import labels
from freehold.master.people import identity
from freehold.master.people.identity import ANY_PERSON, ANYBODY, Caller, Scope
from freehold.master.support.queries import has_tickets

P = ParamSpec("P")


def for_members(
    view: Callable[Concatenate[HttpRequest, Caller, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Give a view who is calling; send strangers to log in; answer what cannot be done with a page.

    Nothing that it answers is kept by a browser or on the way.
    """

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *arguments: P.args, **named: P.kwargs) -> HttpResponseBase:
        caller = None
        try:
            caller = _caller(request)
            if caller is None:
                return _to_log_in(request)
            return view(request, caller, *arguments, **named)
        except MasterError as error:
            return sorry(request, error, caller)
        except (DataError, OverflowError):
            return sorry(request, Malformed("A value cannot be kept: a number is too large."), caller)
        except Exception as error:
            return helpless(request, failure(error, f"{request.method} {request.path} failed"))

    return declares(ANY_PERSON)(never_cache(wrapped))


def for_anybody(
    view: Callable[Concatenate[HttpRequest, Caller | None, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Give a view who is calling, who may be nobody."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *arguments: P.args, **named: P.kwargs) -> HttpResponse:
        return view(request, _caller(request), *arguments, **named)

    return declares(ANYBODY)(wrapped)


def draw(
    request: HttpRequest, caller: Caller | None, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Return a page."""
    common = {
        "caller": caller,
        "operated": operated(caller) if caller else [],
        "has_services": caller is not None and bool(caller.able(Scope.READ)),
        "has_tickets": caller is not None and has_tickets(caller),
        "has_books": caller is not None and bool(caller.able(Scope.AUDIT)),
        "in_doubt": bool(doubts()),
        "is_clock_wrong": caller is not None and bool(operated(caller)) and bool(contradiction()),
    }
    return render(request, f"panel/{template}.html", {**common, **context}, status=status)


def sorry(request: HttpRequest, error: MasterError, caller: Caller | None) -> HttpResponse:
    """Return the page that says what cannot be done, and why."""
    return draw(request, caller, "problem", {"error": error, "what": labels.problem(error)}, error.status)


def helpless(request: HttpRequest, error: MasterError) -> HttpResponse:
    """Return the page for what this Master cannot do now; drawn without the database, which may be why."""
    return render(request, "panel/problem.html", {"error": error, "what": labels.problem(error)}, status=error.status)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer what went wrong outside of a view, such as when a session is looked up: by a page, or to programs."""
    error = failure(cast(BaseException, sys.exception()), f"{request.method} {request.path} failed")
    response = problem_response(error) if is_for_programs(request) else helpless(request, error)
    # Django would write the traceback of each request while a disk is full.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for what is not there."""
    return sorry(request, NotFound("There is no such page.", remedy=""), _caller(request))


def not_our_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page for what was posted without this browser's own token."""
    error = Forbidden("This form is not of this session.", remedy="Open the page again.")
    return sorry(request, error, _caller(request))


def only_or_choice(request: HttpRequest, caller: Caller, projects: list[str], page: str) -> HttpResponse:
    """Lead to a page of the only one of these projects, or draw the choice of them (`PAGE_choice.html`)."""
    if len(projects) == 1:
        return redirect(page, projects[0])
    return draw(request, caller, f"{page}_choice", {"projects": projects})


def operated(caller: Caller) -> list[str]:
    """Return the projects whose nodes somebody runs."""
    return list(caller.able(Scope.OPERATE))


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks, for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def _caller(request: HttpRequest) -> Caller | None:
    if not request.user.is_authenticated:
        return None
    try:
        return identity.by_person(str(request.user.pk))
    except Unauthenticated:
        return None


def _to_log_in(request: HttpRequest) -> HttpResponse:
    query = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
    if is_fragment(request):
        # A part of a page cannot become the page to log in.
        return HttpResponse(headers={"HX-Redirect": reverse("login")})
    return redirect(f"{reverse('login')}?{query}" if query and request.path != "/" else reverse("login"))
