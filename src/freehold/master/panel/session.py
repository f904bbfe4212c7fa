"""Log in, log out, a password that was forgotten, and an invitation."""

from typing import Any

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Invalid, MasterError, Unauthenticated
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw
from freehold.master.people import (
    actions,
    devices,
    identity,
    invitations,
    letters,
    passkeys,
    resets,
    second_factor,
    sign_up,
)
from freehold.master.people.identity import ANYBODY
from freehold.master.people.models import Person
from freehold.master.people.sign_up import SignUpMode


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Open a session with e-mail and password, then go where the visitor wanted to be."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    context = {"next": wanted if url_has_allowed_host_and_scheme(wanted, None) else "", "email": ""}
    if request.method != "POST":
        return draw(request, None, "login", {**context, **_other_ways(request)})
    email = request.POST.get("email", "")
    try:
        device = _device(request, email)
        person = actions.log_in(email, request.POST.get("password", ""), network_of_caller(request), device)
    except MasterError as error:
        context |= {"wrong": labels.problem(error), "email": email, **_other_ways(request)}
        return draw(request, None, "login", context, error.status)
    if second_factor.is_wanted(person.id):
        return draw(request, None, "login_code", {"next": context["next"], "ticket": second_factor.ticket(person)})
    return _open(request, person)


@declares(ANYBODY)
@never_cache
@require_POST
def log_in_code(request: HttpRequest) -> HttpResponse:
    """Open a session with the code of an app, or a recovery code, after the password."""
    ticket = request.POST.get("ticket", "")
    try:
        person = second_factor.of_ticket(ticket)
    except Unauthenticated:
        words = _("It took too long. Begin with the password again.")
        return draw(request, None, "login", {"wrong": words, "email": "", **_other_ways(request)}, 401)
    try:
        device = _device(request, person.email)
        second_factor.prove(person, request.POST.get("code", ""), network_of_caller(request), device)
    except MasterError as error:
        wrong = labels.problem(error)
        if isinstance(error, Unauthenticated):
            wrong = _("This code is wrong, or was used already. Wait for the next one.")
        context = {"next": request.POST.get("next", ""), "ticket": ticket, "wrong": wrong}
        return draw(request, None, "login_code", context, error.status)
    return _open(request, person)


@declares(ANYBODY)
@never_cache
@require_POST
def log_in_passkey(request: HttpRequest) -> HttpResponse:
    """Open a session with a passkey alone."""
    try:
        person = passkeys.log_in(request.POST.get("ticket", ""), request.POST.get("answer", ""))
    except MasterError as error:
        words = _("This passkey opens nothing here. Try again, or use the password.")
        return draw(request, None, "login", {"wrong": words, "email": "", **_other_ways(request)}, error.status)
    return _open(request, person)


def _open(request: HttpRequest, person: Person) -> HttpResponse:
    """Open a session of a person, and go where the visitor wanted to be."""
    wanted = request.POST.get("next", "")
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    response = redirect(wanted if url_has_allowed_host_and_scheme(wanted, None) else "home")
    known = devices.remember(request.COOKIES.get(devices.COOKIE, ""), identity.digest(person.email))
    response.set_cookie(devices.COOKIE, known, devices.YEAR_S, secure=True, httponly=True, samesite="Lax")
    return response


def _device(request: HttpRequest, email: str) -> str:
    """Return the name by which this browser is known to an account, if it logged in to it before."""
    return devices.of_account(request.COOKIES.get(devices.COOKIE, ""), identity.digest(email.lower()))


def _other_ways(request: HttpRequest) -> dict[str, Any]:
    """Return what the log-in page needs beside a password: whether people may sign up, and a passkey if one can be."""
    ways: dict[str, Any] = {"may_sign_up": sign_up.mode() is not SignUpMode.CLOSED}
    if passkeys.serves(request.get_host()):
        options, ticket = passkeys.begin_logging_in()
        ways |= {"passkey": options, "passkey_ticket": ticket}
    return ways


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Have a link mailed that sets another password: the same words whether there is an account or not."""
    email = request.POST.get("email", "")
    context = {"is_mail_sent": letters.are_sent(), "email": email}
    if request.method != "POST":
        return draw(request, None, "forgotten", context)
    try:
        resets.ask_reset(email, get_language() or "", network_of_caller(request))
    except MasterError as error:
        wrong = _("This is no e-mail address.") if isinstance(error, Invalid) else labels.problem(error)
        return draw(request, None, "forgotten", {**context, "wrong": wrong}, error.status)
    return draw(request, None, "forgotten", {**context, "done": True})


@declares(ANYBODY)
@never_cache
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """Set another password with a code; it is in the form's body alone, never in what a server sees of an address."""
    email = request.POST.get("email", "")
    if request.method != "POST":
        return draw(request, None, "reset", {"email": email})
    code = code_of(request)
    try:
        resets.use_reset(email, code, request.POST.get("password", ""), network_of_caller(request))
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
    form = {"email": request.POST.get("email", "").strip(), "code": code_of(request)}
    try:
        password = request.POST.get("password", "")
        person = invitations.accept(form["email"], form["code"], password, network_of_caller(request))
    except MasterError as error:
        refused = _("The e-mail, the code or the password is wrong, or the invitation is over or was used.")
        return draw(request, None, "join", {**form, "wrong": _why_not(error, refused)}, error.status)
    if second_factor.is_wanted(person.id):
        return redirect("login")
    return _open(request, person)


@declares(ANYBODY)
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Close the session."""
    logout(request)
    return redirect("login")


def code_of(request: HttpRequest) -> str:
    """Return the code of a form; who runs no scripts may paste the link as it is."""
    return request.POST.get("code", "").strip().rpartition("#")[2]


def _why_not(error: MasterError, refused: str) -> str:
    """Return why a form with a code and a password was not taken; `refused` are the words for a wrong one."""
    if isinstance(error, Unauthenticated):
        return refused
    if isinstance(error, Invalid) and error.errors[0].field == "email":
        return _("This is no e-mail address.")
    if isinstance(error, Invalid):
        return _("This password is too short, too long or a common one. The code is still good.")
    return labels.problem(error)
