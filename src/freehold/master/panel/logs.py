"""The logs of a service: the last lines when asked for, and, where scripts run, what is written from then on."""

import re
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.foundation.errors import MasterError, NotFound
from freehold.master.ordering import queries
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import Caller, Scope
from freehold.master.streams import logs
from freehold.protocol.stream import MOST_LINES

CHOICES = (100, 500, 1000, MOST_LINES)
"""Lines that can be asked for."""


@require_http_methods(["GET", "POST"])
@for_members
def page(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Ask for the log of a service, and show what came; a request that names a stream has waited for it already."""
    row = queries.by_title(caller.project(project, Scope.READ), title)
    form = request.POST if request.method == "POST" else request.GET
    lines = form.get("lines", "")
    query: dict[str, Any] = {
        "process": form.get("process", "").strip(),
        "lines": int(lines) if re.fullmatch("[0-9]{1,6}", lines) else logs.USUAL_LINES,
        "follow": form.get("follow") == "yes",
    }
    context: dict[str, Any] = {"row": row, "asked": query, "choices": CHOICES}
    try:
        if request.method == "POST":
            stream = logs.open_log(project, title, **query, acting=caller)
            fields = {"process": query["process"], "lines": query["lines"], "stream": stream}
            fields |= {"follow": "yes"} if query["follow"] else {}
            return redirect(f"{reverse('instance-logs', args=(project, title))}?{urlencode(fields)}")
        if stream := request.GET.get("stream", ""):
            context |= {"stream": stream, "news": logs.read_log(project, title, stream, acting=caller)}
    except NotFound:
        # Of a page that was open for a while: the form asks anew.
        pass
    except MasterError as error:
        return draw(request, caller, "logs", {**context, "problem": error, "what": labels.problem(error)}, error.status)
    return draw(request, caller, "logs", context)


@require_GET
@for_members
def more(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """What was written since, to be put at the end of the page."""
    row = queries.by_title(caller.project(project, Scope.READ), title)
    stream, after = request.GET.get("stream", ""), request.GET.get("after", "")
    context: dict[str, Any] = {"row": row, "stream": stream, "asked": {"follow": True}}
    try:
        number = int(after) if re.fullmatch("[0-9]{1,9}", after) else 0
        context["news"] = logs.read_log(project, title, stream, after=number, acting=caller)
    except NotFound as error:
        context["ended"] = error.detail
    return draw(request, caller, "parts/log", context)
