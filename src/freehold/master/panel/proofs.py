"""How somebody proves who they are, besides the password: an app with codes, and passkeys."""

from typing import Any

import segno
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import Invalid, MasterError
from freehold.master.panel import labels, pictures
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people import passkeys, second_factor
from freehold.master.people.identity import Caller


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """App, recovery codes and passkeys of oneself. POST adds one, removes one, or makes other codes."""
    if request.method != "POST":
        return _draw(request, caller)
    act = request.POST.get("act", "")
    code, address = request.POST.get("code", ""), network_of_caller(request)
    try:
        if act == "add-app":
            codes = second_factor.confirm(request.POST.get("key", ""), code, acting=caller)
            return _draw(request, caller, codes=codes)
        if act == "other-codes":
            return _draw(request, caller, codes=second_factor.renew_codes(code, acting=caller, address=address))
        if act == "remove-app":
            second_factor.remove(code, acting=caller, address=address)
        elif act == "add-passkey":
            values = [request.POST.get(name, "") for name in ("ticket", "answer", "title")]
            passkeys.add(*values, acting=caller)
        elif act == "remove-passkey":
            passkeys.remove(request.POST.get("passkey", ""), acting=caller)
        else:
            raise Invalid("This page does no such thing.")
    except MasterError as error:
        return _draw(request, caller, key=request.POST.get("key", ""), error=error)
    return redirect("account-security")


def _draw(
    request: HttpRequest,
    caller: Caller,
    *,
    key: str = "",
    codes: list[str] | None = None,
    error: MasterError | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "has_app": second_factor.is_wanted(caller.person),
        "left": second_factor.codes_left(caller.person),
        "codes": codes,
        "passkeys": passkeys.of_person(caller.person),
        "wrong": _why(error) if error is not None else "",
    }
    if not context["has_app"]:
        key = key if second_factor.is_key(key) else second_factor.new_key()
        address = second_factor.app_address(caller.actor, key)
        context |= {"key": key, **pictures.qr(segno.make(address, error="m", micro=False))}
    if passkeys.serves(request.get_host()):
        options, ticket = passkeys.begin_adding(acting=caller)
        context |= {"passkey": options, "passkey_ticket": ticket}
    return draw(request, caller, "account_security", context, error.status if error is not None else 200)


def _why(error: MasterError) -> str:
    fields = {invalid.field for invalid in error.errors}
    if "code" in fields:
        return _("This is not the code that the app shows now.")
    if fields & {"answer", "ticket"}:
        return _("The browser made no passkey in time. Try again.")
    return labels.problem(error)
