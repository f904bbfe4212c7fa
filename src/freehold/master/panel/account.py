"""Pages about one's own account: the browsers in which one is logged in, one's tokens, one's password."""

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import Invalid, NotFound
from freehold.master.foundation.paging import part_of
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people import actions, queries
from freehold.master.people.identity import Caller
from freehold.master.people.models import Person
from freehold.master.people.sessions import PUBLIC_ID


@require_http_methods(["GET", "POST"])
@for_members
def sessions(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Where somebody is logged in. POST ends one session, or all others."""
    this = request.session[PUBLIC_ID]
    if request.method == "POST":
        return _end(request, caller, this)
    number = lists.page_number(request.GET.get("page", ""))
    found = queries.open_sessions(caller.person)
    rows = list(part_of(found, ("-seen_at", "public_id"), "public_id", lists.numbered_part(number)))
    return draw(request, caller, "account", {"page": lists.numbered(rows, number, found.count()), "this": this})


@require_http_methods(["GET", "POST"])
@for_members
def tokens(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The tokens that programs of somebody use. POST ends one."""
    if request.method == "POST":
        token = request.POST.get("token", "")
        if not actions.revoke_token(token, acting=caller):
            raise NotFound("There is no such token that is still valid.", remedy="")
        return redirect("account-tokens")
    number = lists.page_number(request.GET.get("page", ""))
    found = queries.valid_tokens(caller.person)
    rows = list(part_of(found, ("-created_at", "id"), "id", lists.numbered_part(number)))
    return draw(request, caller, "account_tokens", {"page": lists.numbered(rows, number, found.count())})


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
        is_old = any(one.field == "old" for one in error.errors)
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
