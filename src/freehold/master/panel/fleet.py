"""For operators: sites, nodes and who lives there, supplies and builds, enrolment."""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from freehold.master.catalog import queries as catalog
from freehold.master.fleet import actions, queries
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid, MasterError
from freehold.master.monitoring import actions as maintenance
from freehold.master.monitoring import queries as monitoring
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members, only_or_choice, operated
from freehold.master.people.actions import NAME
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError
from freehold.protocol.states import SoftwareWanted

PARTITIONS = 8
"""That a new machine is prepared with, unless its operator wants another number."""


@require_GET
@for_members
def choose(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The fleet of the only project that somebody runs, or a choice of them."""
    return only_or_choice(request, caller, operated(caller), "fleet")


@require_GET
@for_members
def overview(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """Sites and nodes of a project."""
    return _overview(request, caller, project)


@require_POST
@for_members
def add_site(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """Create a site."""
    typed = {name: request.POST.get(name, "").strip() for name in ("name", "region")}
    try:
        actions.add_site(project, typed["name"], typed["region"], acting=caller)
    except MasterError as error:
        return _overview(request, caller, project, error=error, typed=typed)
    return redirect("fleet", project)


@require_http_methods(["GET", "POST"])
@for_members
def site(request: HttpRequest, caller: Caller, project: str, name: str) -> HttpResponse:
    """A site: for how long its nodes may be silent, and when it may be down.

    POST declares the one, and announces or withdraws the other.
    """
    owner = caller.project(project, Scope.OPERATE)
    if request.method == "POST":
        try:
            _change_site(request, caller, project, name)
        except MasterError as error:
            return _draw_site(request, caller, project, name, {**explained(error), "typed": request.POST}, error.status)
        return redirect("site", project, name)
    queries.find_site(owner, name)
    return _draw_site(request, caller, project, name, {})


def _change_site(request: HttpRequest, caller: Caller, project: str, name: str) -> None:
    form = request.POST
    if "hours" in form:
        actions.change_site(project, name, expected_silence=_seconds(form["hours"]), acting=caller)
    elif "withdraw" in form:
        maintenance.withdraw(project, form["withdraw"], acting=caller)
    else:
        begins_at, ends_at = (_moment(end, form.get(end, "")) for end in ("begins_at", "ends_at"))
        maintenance.announce(project, name, begins_at, ends_at, form.get("what", ""), acting=caller)


def _draw_site(
    request: HttpRequest, caller: Caller, project: str, name: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    owner = caller.project(project, Scope.OPERATE)
    site = queries.find_site(owner, name)
    now = clock.now()
    announced = [(maintenance, maintenance.begins_at <= now) for maintenance in monitoring.maintenances_of(owner, name)]
    context = {
        "project": project,
        "site": {**site, "silence_hours": f"{site['expected_silence'] / 3600:g}"},
        "announced": announced,
        **context,
    }
    return draw(request, caller, "site", context, status)


def _moment(field: str, text: str) -> int:
    """Return the moment that a field for day and time holds, in UTC; raise Invalid."""
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M")
    except ValueError:
        raise Invalid("This is no time.", errors=[FieldError(field, "such as 2026-12-01T22:00", text)]) from None
    return round(parsed.replace(tzinfo=UTC).timestamp()) * clock.SECOND


def _seconds(hours: str) -> int:
    """Return the seconds of hours that somebody typed; raise Invalid."""
    written = hours.strip().replace(",", ".")
    if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?", written):
        rule = "hours, such as 12 or 0.5; 0 for none"
        raise Invalid("This is no time.", errors=[FieldError("hours", rule, hours)])
    return round(float(written) * 3600)


@require_http_methods(["GET", "POST"])
@for_members
def enrol(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """Make a one-time token, shown once within the command that uses it."""
    owner = caller.project(project, Scope.OPERATE)
    sites = lists.choices(partial(queries.sites, owner))
    typed = {
        "site": request.POST.get("site", ""),
        "title": request.POST.get("title", "").strip(),
        "partitions": request.POST.get("partitions", str(PARTITIONS)),
    }
    context: dict[str, Any] = {"project": project, "sites": sites, "typed": typed}
    if request.method == "GET":
        return draw(request, caller, "enrol", context)
    try:
        _check_machine(typed)
        token = actions.make_enrol_token(project, typed["site"], acting=caller)
    except MasterError as error:
        return draw(request, caller, "enrol", {**context, **explained(error)}, error.status)
    # The address by which this operator reached the Master; nobody else gets to see this page.
    master = request.build_absolute_uri("/").rstrip("/")
    command = (
        f"freehold node prepare --partitions {int(typed['partitions'])} &&\n"
        f"  printf %s '{token}' |\n"
        f"  freehold node enrol --master {master} --title {typed['title']} --token-file - &&\n"
        "  freehold node run"
    )
    return draw(request, caller, "enrol", {**context, "command": command})


@require_http_methods(["GET", "POST"])
@for_members
def supplies(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """What may run on which nodes. POST supplies a release, or removes it."""
    owner = caller.project(project, Scope.OPERATE)
    wrong: dict[str, Any] = {}
    status = 200
    if request.method == "POST":
        try:
            _supply(request, caller, project)
        except MasterError as error:
            wrong, status = explained(error), error.status
        else:
            return redirect("supplies", project)
    context = {
        "project": project,
        **listed(lists.supplies(owner, number=page_number(request))),
        "releases": catalog.releases(lists.MOST_OFFERED),
        "nodes": lists.choices(partial(queries.node_titles, owner)),
        "sites": lists.choices(partial(queries.sites, owner)),
        **wrong,
    }
    return draw(request, caller, "supplies", context, status)


@require_GET
@for_members
def supply(request: HttpRequest, caller: Caller, project: str, identity: str) -> HttpResponse:
    """A release on a node: how its build goes."""
    return draw(request, caller, "supply", _one_supply(caller, project, identity))


@require_GET
@for_members
def build_log(request: HttpRequest, caller: Caller, project: str, identity: str) -> HttpResponse:
    """The part of a build's page that changes by itself; nothing when it is as the browser has it."""
    context = _one_supply(caller, project, identity)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return draw(request, caller, "parts/build", {**context, "is_news": True})


def _overview(
    request: HttpRequest,
    caller: Caller,
    project: str,
    *,
    error: MasterError | None = None,
    typed: dict[str, str] | None = None,
) -> HttpResponse:
    owner = caller.project(project, Scope.OPERATE)
    number = page_number(request)
    page = lists.numbered(queries.nodes(owner, lists.numbered_part(number)), number, queries.count_nodes(owner))
    number = lists.page_number(request.GET.get("sites", ""))
    sites = queries.sites(owner, lists.numbered_part(number))
    context = {
        "project": project,
        "page": page,
        "sites": lists.numbered(sites, number, queries.count_sites(owner)),
        "typed": typed or {},
    }
    if error is None:
        return draw(request, caller, "fleet", context)
    return draw(request, caller, "fleet", {**context, **explained(error)}, error.status)


def page_number(request: HttpRequest) -> int:
    """Return the number of the page that is asked for."""
    return lists.page_number(request.GET.get("page", ""))


def listed(page: lists.NumberedPage) -> dict[str, Any]:
    """Return a page of supplies for a template, each with its state."""
    return {"page": page, "supplies": [_with_state(row) for row in page.rows]}


def _one_supply(caller: Caller, project: str, identity: str) -> dict[str, Any]:
    row = _with_state(queries.supply(caller.project(project, Scope.OPERATE), identity))
    seen = f"{row['state']}-{row['observed_at']}-{len(row['message'])}"
    return {"project": project, "supply": row, "seen": seen}


def _with_state(row: dict[str, Any]) -> dict[str, Any]:
    leaving = row["wanted"] == SoftwareWanted.REMOVED and row["observed"] != "removed"
    state = "removing" if leaving else row["observed"]
    return {**row, "state": state, "is_settled": state in ("available", "removed")}


def _supply(request: HttpRequest, caller: Caller, project: str) -> None:
    owner = caller.project(project, Scope.OPERATE)
    release = catalog.named(request.POST.get("release", ""))
    kind, name = _place(request.POST.get("where", "all"))
    wanted = SoftwareWanted.REMOVED if request.POST.get("wanted") == "removed" else SoftwareWanted.AVAILABLE
    actions.supply(
        release,
        queries.node_ids(owner, [name] if kind == "node" else [], name if kind == "site" else None),
        project,
        everyone=request.POST.get("everyone", "on") == "on",
        wanted=wanted,
        acting=caller,
    )


def _place(typed: str) -> tuple[str, str]:
    """Return of which kind the place is where a release goes, and its name; raise Invalid."""
    kind, colon, name = (part.strip() for part in typed.partition(":"))
    if (kind, colon) != ("all", "") and not (kind in ("site", "node") and name):
        rule = "all, site:NAME or node:NAME"
        raise Invalid(f"'{typed}' is no place: it is {rule}.", errors=[FieldError("where", rule)])
    return kind, name


def _check_machine(typed: dict[str, str]) -> None:
    """Raise Invalid for what cannot be in the command: it goes into a shell."""
    if not NAME.fullmatch(typed["title"]):
        raise Invalid(
            f"'{typed['title']}' cannot be a title.",
            errors=[FieldError("title", "1 to 63 lower-case letters, digits and dashes")],
        )
    if not typed["partitions"].isdecimal() or not 1 <= int(typed["partitions"]) <= 1000:
        raise Invalid("A machine has 1 to 1000 partitions.", errors=[FieldError("partitions", "1 to 1000")])


def explained(error: MasterError) -> dict[str, Any]:
    """Return what a template says of an error."""
    return {"problem": error, "what": labels.problem(error), "wrong": {invalid.field for invalid in error.errors}}
