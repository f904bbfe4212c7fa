"""Pages about one's own account: the browsers in which one is logged in, one's tokens, one's password."""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import Invalid, NotFound
from freehold.master.foundation.paging import part_of
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people import actions, queries
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Person
from freehold.master.people.sessions import PUBLIC_ID
from freehold.protocol.problem import FieldError


@require_http_methods(["GET", "POST"])
@for_members
def sessions(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Where somebody is logged in. POST ends one session, or all others."""
    this = request.session[PUBLIC_ID]
    if request.method == "POST":
        return _end(request, caller, this)
    number = lists.page_number(request.GET.get("page", ""))
    sessions = queries.open_sessions(caller.person)
    rows = list(part_of(sessions, ("-seen_at", "public_id"), "public_id", lists.numbered_part(number)))
    return draw(request, caller, "account", {"page": lists.numbered(rows, number, sessions.count()), "this": this})


@require_http_methods(["GET", "POST"])
@for_members
def tokens(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The tokens that programs of somebody use. POST makes one, which is shown once, or ends one."""
    if request.method == "POST" and request.POST.get("act") == "make":
        return _make_token(request, caller)
    if request.method == "POST":
        token = request.POST.get("token", "")
        if not actions.revoke_token(token, acting=caller):
            raise NotFound("There is no such token that is still valid.", remedy="")
        return redirect("account-tokens")
    return _draw_tokens(request, caller, {})


def _make_token(request: HttpRequest, caller: Caller) -> HttpResponse:
    typed = {name: request.POST.get(name, "").strip() for name in ("title", "project", "days")}
    opened = frozenset(scope for scope in Scope if scope.value in request.POST.getlist("scopes"))
    try:
        if not opened:
            raise Invalid("A token opens something.", errors=[FieldError("scopes", "one at least")])
        secret, _row = actions.make_token(
            Person.objects.get(id=caller.person),
            title=typed["title"] or "panel",
            scopes=opened,
            project=caller.projects.get(typed["project"], typed["project"]) if typed["project"] else None,
            days=int(typed["days"]) if typed["days"].isdecimal() and len(typed["days"]) < 4 else 0,
        )
    except Invalid as error:
        wrong = {
            "scopes": _("Choose what it opens."),
            "days": _("1 to 366 days."),
            "project": _("This is no project of yours."),
        }
        context = {"typed": typed, "wrong": wrong.get(error.errors[0].field, labels.problem(error))}
        return _draw_tokens(request, caller, context, error.status)
    return _draw_tokens(request, caller, {"secret": secret})


def _draw_tokens(request: HttpRequest, caller: Caller, more: dict[str, Any], status: int = 200) -> HttpResponse:
    number = lists.page_number(request.GET.get("page", ""))
    tokens = queries.valid_tokens(caller.person)
    rows = list(part_of(tokens, ("-created_at", "id"), "id", lists.numbered_part(number)))
    context = {
        "page": lists.numbered(rows, number, tokens.count()),
        "scopes": [(scope.value, labels.scope(scope)) for scope in Scope],
        "projects": sorted(caller.projects),
        "typed": {"days": str(actions.TOKEN_DAYS)},
        **more,
    }
    return draw(request, caller, "account_tokens", context, status)


@require_http_methods(["GET", "POST"])
@for_members
def password(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Another password for oneself. POST sets it, which ends all sessions and tokens, this one too."""
    if request.method != "POST":
        return draw(request, caller, "account_password", {})
    old, new = request.POST.get("old", ""), request.POST.get("password", "")
    try:
        actions.change_password(old, new, acting=caller, address=network_of_caller(request))
    except Invalid as error:
        is_old = any(invalid.field == "old" for invalid in error.errors)
        words = _("The new password is too short, too long or a common one.")
        wrong = _("This is not your present password.") if is_old else words
        return draw(request, caller, "account_password", {"wrong": wrong}, error.status)
    # Django would write what this request notes of its session, which is no more.
    logout(request)
    return redirect("login")


def _end(request: HttpRequest, caller: Caller, this: str) -> HttpResponse:
    if request.POST.get("act") == "others":
        actions.end_other_sessions(this, acting=caller)
        return redirect("account")
    session = request.POST.get("session", "")
    actions.end_session(Person.objects.get(id=caller.person), session, acting=caller)
    if session != this:
        return redirect("account")
    # Django would write what this request notes of its session, which is no more.
    logout(request)
    return redirect("login")
