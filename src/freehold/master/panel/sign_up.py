"""People who come by themselves: signing up, proving the address, and staff who accepts them; the provider's terms."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Invalid, MasterError, Unauthenticated
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_anybody, for_members, sorry
from freehold.master.panel.session import code_of
from freehold.master.people import sign_up, terms
from freehold.master.people.identity import ANYBODY, STAFF, Caller
from freehold.master.people.models import TermsVersion
from freehold.master.people.sign_up import SignUpMode


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for an account: the same words for an address that has one."""
    typed = {name: request.POST.get(name, "").strip() for name in ("email", "name", "language")}
    context: dict[str, Any] = {
        **typed, "mode": sign_up.mode().value, "terms": _shown(terms.current()), "languages": settings.LANGUAGES,
    }  # fmt: skip
    if request.method != "POST":
        return draw(request, None, "sign_up", {**context, "language": get_language()})
    try:
        sign_up.ask(
            typed["email"], typed["name"], request.POST.get("password", ""), language=typed["language"],
            accepted=request.POST.getlist("terms"), address=network_of_caller(request),
        )  # fmt: skip
    except MasterError as error:
        return draw(request, None, "sign_up", {**context, "wrong": _why_not(error)}, error.status)
    return draw(request, None, "sign_up", {**context, "done": True})


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Prove an address by the code of its letter, which is in the form's body alone."""
    email = request.POST.get("email", "").strip()
    if request.method != "POST":
        return draw(request, None, "sign_up_confirm", {})
    try:
        password = request.POST.get("password", "")
        person = sign_up.confirm(email, code_of(request), password, network_of_caller(request))
    except MasterError as error:
        return draw(request, None, "sign_up_confirm", {"email": email, "wrong": _why_not(error)}, error.status)
    return draw(request, None, "sign_up_confirm", {"done": True, "is_open": person is not None})


@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Who may sign up, and who waits. POST says the one, and accepts or refuses the other."""
    caller.check(STAFF)
    if request.method != "POST":
        return _draw(request, caller, {})
    act, waiting = request.POST.get("act", ""), request.POST.get("sign_up", "")
    try:
        if act == "mode":
            sign_up.set_mode(request.POST.get("mode", ""), acting=caller)
        elif act == "accept":
            sign_up.accept(waiting, acting=caller)
        elif act == "refuse":
            sign_up.refuse(waiting, request.POST.get("reason", ""), acting=caller)
        else:
            raise Invalid("This page does no such thing.")
    except MasterError as error:
        return _draw(request, caller, {"problem": error, "what": labels.problem(error)}, error.status)
    return redirect("sign-ups")


@never_cache
@require_http_methods(["GET", "POST"])
@for_anybody
def read_terms(request: HttpRequest, caller: Caller | None) -> HttpResponse:
    """The terms that hold. POST has another version of one hold, for staff."""
    is_staff = caller is not None and caller.is_staff
    context: dict[str, Any] = {"held": _shown(terms.current()), "is_staff": is_staff}
    if request.method != "POST":
        return draw(request, caller, "terms", context)
    if caller is None:
        return redirect("login")
    typed = {name: request.POST.get(name, "") for name in ("kind", "text")}
    try:
        terms.publish(typed["kind"], typed["text"], acting=caller)
    except MasterError as error:
        more = {"typed": typed, "problem": error, "what": labels.problem(error)}
        return draw(request, caller, "terms", {**context, **more}, error.status)
    return redirect("terms")


@require_GET
@for_anybody
def read_version(request: HttpRequest, caller: Caller | None, identity: str) -> HttpResponse:
    """A version of the terms, as it was."""
    try:
        version = terms.find(identity)
    except MasterError as error:
        return sorry(request, error, caller)
    return draw(request, caller, "terms", {"held": _shown([version]), "is_old": version not in terms.current()})


def shown_terms() -> list[dict[str, Any]]:
    """Return the terms that hold, as a page links to them."""
    return _shown(terms.current())


def _shown(versions: list[TermsVersion]) -> list[dict[str, Any]]:
    return [
        {
            "id": version.id, "title": labels.terms(version.kind), "number": version.number,
            "published_at": version.published_at, "text": version.text, "link": terms.link_of(version),
        }
        for version in versions
    ]  # fmt: skip


def _draw(request: HttpRequest, caller: Caller, context: dict[str, Any], status: int = 200) -> HttpResponse:
    number = lists.page_number(request.GET.get("page", ""))
    rows = sign_up.part(lists.numbered_part(number))
    context = {
        **context,
        "page": lists.numbered(rows, number, sign_up.waiting().count()),
        "mode": sign_up.mode().value,
        "modes": [(mode.value, labels.sign_up_mode(mode.value)) for mode in SignUpMode],
    }
    return draw(request, caller, "sign_ups", context, status)


def _why_not(error: MasterError) -> str:
    """Return why a form of somebody who signs up was not taken."""
    if isinstance(error, Unauthenticated):
        return _("The e-mail, the code or the password is wrong, or the code is over or was used already.")
    field = error.errors[0].field if isinstance(error, Invalid) and error.errors else ""
    words = {
        "email": _("This is no e-mail address."),
        "name": _("This name is too long."),
        "password": _("This password is too short, too long or a common one."),
        "terms": _("Accept the terms as they are now."),
    }
    return words[field] if field in words else labels.problem(error)
