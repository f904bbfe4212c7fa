"""Log in, log out, a password that was forgotten, and an invitation."""

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Invalid, MasterError, Unauthenticated
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw
from freehold.master.people import actions, invitations
from freehold.master.people.identity import ANYBODY


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Open a session with e-mail and password, then go where the visitor wanted to be."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    context = {"next": wanted if url_has_allowed_host_and_scheme(wanted, None) else "", "email": ""}
    if request.method != "POST":
        return draw(request, None, "login", context)
    email = request.POST.get("email", "")
    try:
        person = actions.log_in(email, request.POST.get("password", ""), network_of_caller(request))
    except MasterError as error:
        return draw(request, None, "login", {**context, "wrong": labels.problem(error), "email": email}, error.status)
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(context["next"] or "instances")


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """Set another password with a code that staff made; it is in the form's body alone, never in an address."""
    email = request.POST.get("email", "")
    if request.method != "POST":
        return draw(request, None, "reset", {"email": email})
    code = request.POST.get("code", "").strip()
    try:
        actions.use_reset(email, code, request.POST.get("password", ""), network_of_caller(request))
    except MasterError as error:
        refused = _("The e-mail or the code is wrong, or the code is over or was used already.")
        return draw(request, None, "reset", {"email": email, "wrong": _why_not(error, refused)}, error.status)
    return draw(request, None, "reset", {"done": True})


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Come into a project by an invitation, and be logged in; its code is in the form's body alone."""
    if request.method != "POST":
        return draw(request, None, "join", {})
    asked = {name: request.POST.get(name, "").strip() for name in ("email", "code")}
    # Who runs no scripts may paste the link as it is.
    asked["code"] = asked["code"].rpartition("#")[2]
    try:
        password = request.POST.get("password", "")
        person = invitations.accept(asked["email"], asked["code"], password, network_of_caller(request))
    except MasterError as error:
        refused = _("The e-mail, the code or the password is wrong, or the invitation is over or was used.")
        return draw(request, None, "join", {**asked, "wrong": _why_not(error, refused)}, error.status)
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("instances")


@declares(ANYBODY)
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Close the session."""
    logout(request)
    return redirect("login")


def _why_not(error: MasterError, refused: str) -> str:
    """Return why a form with a code and a password was not taken; `refused` are the words for a wrong one."""
    if isinstance(error, Unauthenticated):
        return refused
    if isinstance(error, Invalid) and error.errors[0].field == "email":
        return _("This is no e-mail address.")
    if isinstance(error, Invalid):
        return _("This password is too short, too long or a common one. The code is still good.")
    return labels.problem(error)
