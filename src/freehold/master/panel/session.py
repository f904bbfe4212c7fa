"""Log in, log out."""

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import MasterError
from freehold.master.panel import words
from freehold.master.panel.door import draw
from freehold.master.people import actions
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
        return draw(request, None, "login", {**context, "wrong": words.problem(error), "email": email}, error.status)
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(context["next"] or "instances")


@declares(ANYBODY)
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Close the session."""
    logout(request)
    return redirect("login")
