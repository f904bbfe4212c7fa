"""What is kept about oneself, to take away or to end."""

import json

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people import personal_data, second_factor
from freehold.master.people.identity import Caller


@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """What can be done with what is kept about oneself. POST deletes the account."""
    context = {"has_app": second_factor.is_wanted(caller.person)}
    if request.method != "POST":
        return draw(request, caller, "account_data", context)
    password, code = (request.POST.get(name, "") for name in ("password", "code"))
    try:
        personal_data.delete(password, code, acting=caller, address=network_of_caller(request))
    except (Invalid, Conflict) as error:
        wrong = {"wrong": labels.problem(error), "problem": error}
        return draw(request, caller, "account_data", {**context, **wrong}, error.status)
    # Django would write what this request notes of its session, which is no more.
    logout(request)
    return redirect("login")


@require_GET
@for_members
def download(request: HttpRequest, caller: Caller) -> HttpResponse:
    """All that is kept about oneself, as a file."""
    content = json.dumps(personal_data.export(acting=caller), indent=1, ensure_ascii=False)
    response = HttpResponse(content, content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="freehold-personal-data.json"'
    return response
