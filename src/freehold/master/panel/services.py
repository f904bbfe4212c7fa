"""What runs: the list, one service and its states."""

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from freehold.master.billing.printing.wording import meter_title
from freehold.master.catalog import queries as catalog
from freehold.master.catalog.secrets import is_secret
from freehold.master.fleet import contact
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, NoPlace, NotFound
from freehold.master.monitoring import events
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.queries import Picture
from freehold.master.ordering import actions, endings, listing, moves, queries, restarts, reveals
from freehold.master.ordering.status import TROUBLE
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw, for_members
from freehold.master.panel.queries import page_number
from freehold.master.people.identity import Caller, Scope
from freehold.master.schemaform import secrets
from freehold.master.usage import queries as usage
from freehold.protocol.meters import METERS
from freehold.protocol.states import Wanted

MOST_PARTS = 200
"""Instances of a tree that are drawn."""
_FILTERS = (
    "waiting",
    "building",
    "configuring",
    "started",
    "stopping",
    "stopped",
    "failed",
    "unreachable",
    "destroying",
    TROUBLE,
)


@require_GET
@for_members
def index(request: HttpRequest, caller: Caller) -> HttpResponse:
    """What runs in the visitor's projects, a page at a time."""
    filters = {name: request.GET.get(name, "").strip() for name in ("q", "state", "project")}
    mine = caller.able(Scope.READ)
    projects = [caller.project(filters["project"], Scope.READ)] if filters["project"] else sorted(mine.values())
    page = listing.page(
        projects,
        text=filters["q"].replace("\0", "")[:100],
        state=filters["state"] if filters["state"] in _FILTERS else "",
        number=page_number(request.GET.get("page", "")),
        broken=monitoring.BROKEN,
    )
    context = {
        "page": page,
        "now": clock.now(),
        "found": [(picture, _address(picture.row)) for picture in monitoring.pictures(page.rows)],
        "asked": filters,
        "projects": mine,
        "filters": [(name, labels.state(name)) for name in _FILTERS],
        "query": urlencode({name: value for name, value in filters.items() if value}),
    }
    return draw(request, caller, "instances", context)


@require_GET
@for_members
def instance(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """One service: what it is now, what was asked of it, what it used."""
    row = _find(caller, project, title)
    schema = catalog.type_schemas(row["release_id"], row["type"])
    history, asked_before = _history(row)
    changes, changed_before = monitoring.changes(row["id"], row["promises"])
    context = {
        **_live(row, schema),
        "parameters": secrets.shown(row["parameters"], schema.request),
        "free_text": [item for item in labels.free_text(row["free_text"]) if item["text"]],
        "history": history,
        "asked_before": asked_before,
        "changes": changes,
        "changed_before": changed_before,
        "usage": _usage(row["id"]),
    }
    return draw(request, caller, "instance", context)


@require_GET
@for_members
def read_events(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """What happened to a service, the newest first."""
    row = _find(caller, project, title)
    happened, left_out = events.of_instance(row)
    shown = [(event, labels.event(event)) for event in happened]
    return draw(request, caller, "events", {"row": row, "events": shown, "left_out": left_out})


@require_GET
@for_members
def live(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """The part of a service's page that changes by itself; nothing when it is as the browser has it."""
    row = _find(caller, project, title)
    context = _live(row, catalog.type_schemas(row["release_id"], row["type"]))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return draw(request, caller, "parts/live", {**context, "is_news": True})


@require_POST
@for_members
def reveal(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """One secret of a publication, asked for."""
    row = _find(caller, project, title)
    name = request.POST.get("name", "")
    if name not in row["published"] or row["wanted"] == Wanted.DESTROYED:
        raise NotFound(f"'{title}' publishes no '{name}'.", remedy="")
    reveals.note(row, acting=caller)
    context = {"row": row, "name": name, "value": secrets.text(row["published"][name])}
    return draw(request, caller, "secret", context)


@require_POST
@for_members
def change_state(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Stop or start a service."""
    state = Wanted.STOPPED if request.POST.get("state") == Wanted.STOPPED else Wanted.STARTED
    actions.request(actions.Request(project, title, state=state), acting=caller)
    return redirect("instance", project, title)


@require_POST
@for_members
def restart(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """End the processes of a service, or one, and start them anew; a button that is pressed twice does it once."""
    process, token = request.POST.get("process", ""), request.POST.get("token", "")
    restarts.restart(project, title, process=process, token=token, acting=caller)
    return redirect("instance", project, title)


@require_POST
@for_members
def protect(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Say whether a service may be destroyed."""
    actions.request(actions.Request(project, title, protected=request.POST.get("protected") == "yes"), acting=caller)
    return redirect("instance", project, title)


@require_http_methods(["GET", "POST"])
@for_members
def destroy(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Destroy a service, after its title was typed: after a time of grace, or at once."""
    row = _find(caller, project, title)
    # Of what is to be destroyed already, only the time of grace is left to end.
    ends_at = endings.grace_ends_at(row["id"]) if row["ends_at"] is None else None
    context = {"row": row, "ends_at": ends_at, "now": "now" in request.POST}
    if request.method == "GET":
        return draw(request, caller, "destroy", context)
    if request.POST.get("confirm", "").strip() != title:
        return draw(request, caller, "destroy", {**context, "wrong": _("This is not its title.")}, 422)
    now = ends_at is None or "now" in request.POST
    actions.request(actions.Request(project, title, state=Wanted.DESTROYED), now=now, acting=caller)
    return redirect("instance", project, title)


@require_http_methods(["GET", "POST"])
@for_members
def move(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Place a service on another node. What loses data with it wants its title typed; where it would go is said before.

    Another place may be free by the time that it moves: its page says where it is then.
    """
    caller.project(project, Scope.ORDER)
    context: dict[str, Any] = {"row": _find(caller, project, title)}
    try:
        context["outcome"] = moves.move(project, title, abandon_data=True, dry_run=True, acting=caller)
        abandons = context["outcome"]["abandoned"]
        if request.method == "GET":
            return draw(request, caller, "move", context)
        if abandons and request.POST.get("confirm", "").strip() != title:
            return draw(request, caller, "move", {**context, "wrong": _("This is not its title.")}, 422)
        moves.move(project, title, abandon_data=abandons, dry_run=False, acting=caller)
    except (Conflict, NoPlace) as error:
        context |= {"outcome": None, "problem": error, "what": labels.problem(error)}
        return draw(request, caller, "move", context, error.status)
    return redirect("instance", project, title)


def _history(row: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return what was asked of a service; what is secret of it says the release of that time."""
    history, is_cut = queries.history(row["id"])
    schemas = [catalog.type_schemas(entry["release"], row["type"]).request for entry in history]
    shown = [
        {**entry, "shown": secrets.shown(entry["parameters"], schema)}
        for entry, schema in zip(history, schemas, strict=True)
    ]
    return shown, is_cut


def _address(row: dict[str, Any]) -> str:
    """Return the address of the web page of a service, when it publishes one that is no secret."""
    url = row["published"].get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return ""
    schema = catalog.type_schemas(row["release_id"], row["type"]).response
    return "" if is_secret("url", schema) else url


def _find(caller: Caller, project: str, title: str) -> dict[str, Any]:
    return queries.by_title(caller.project(project, Scope.READ), title)


def _live(row: dict[str, Any], schema: catalog.Schemas) -> dict[str, Any]:
    below, beyond = queries.below(row)
    (picture, *parts) = monitoring.pictures([row, *below])
    results = {result.promise: result for result in picture.results if result.revision >= row["revision"]}
    published = row["published"] if picture.status.state != "destroyed" else {}
    shown = secrets.shown(published, schema.response)
    return {
        "row": row,
        "status": picture.status,
        "parent": row["title"].rpartition("/")[0],
        "is_over": row["wanted"] == Wanted.DESTROYED,
        "published": shown,
        "promises": [(name, results.get(name)) for name in row["promises"]],
        "parts": _nested(parts[:MOST_PARTS]),
        "parts_left_out": max(0, len(parts) - MOST_PARTS) + beyond,
        "processes": sorted(row["processes"]) if row["wanted"] == Wanted.STARTED else [],
        "token": restarts.new_token(),
        "jobs": [] if row["wanted"] != Wanted.STARTED or row["parent"] or row["ends_at"] else restarts.jobs(row),
        "offer": queries.offer(row["id"]),
        "sizes": labels.size(row["size"]),
        "expected_until": _expected_until(row),
        "maintenances": picture.maintenances,
        "now": clock.now(),
        "seen": _fingerprint(row, shown, [picture, *parts]),
    }


def _expected_until(row: dict[str, Any]) -> int | None:
    """Return until when its site declared that the node of a service may be silent, while it may."""
    silence = contact.silence(row)
    return silence.expected_until if silence is not None and silence.is_expected(clock.now()) else None


def _nested(parts: list[Picture]) -> list[dict[str, Any]]:
    """Return the instances below one as trees, from rows sorted by title."""
    roots: list[dict[str, Any]] = []
    by_title: dict[str, dict[str, Any]] = {}
    for picture in parts:
        title = picture.row["title"]
        branch = {"picture": picture, "name": title.rpartition("/")[2], "parts": []}
        by_title[title] = branch
        above = by_title.get(title.rpartition("/")[0])
        (roots if above is None else above["parts"]).append(branch)
    return roots


def _fingerprint(row: dict[str, Any], published: list[secrets.Shown], pictures: list[Picture]) -> str:
    """Return a short name of what a person sees: of no secret, which could be guessed from it.

    A promise that is kept again a quarter of an hour later is no news.
    """
    seen = [
        [
            [(value.name, value.text) for value in published],
            row["version"],
            row["address"],
            row["promises"],
            row["processes"],
        ],
        [
            (
                picture.row["id"],
                picture.status.shown,
                picture.status.ready,
                picture.status.message,
                picture.row["orphaned_at"] is None,
            )
            for picture in pictures
        ],
        [(result.promise, result.kept, result.message) for result in pictures[0].results],
        [(maintenance.id, maintenance.begins_at <= clock.now()) for maintenance in pictures[0].maintenances],
    ]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def _usage(instance: str) -> list[dict[str, Any]]:
    usage_rows = usage.so_far(instance)
    return [
        {"title": meter_title(name), "value": None if used is None else used / unit.size, "sign": unit.sign}
        for name, used in usage_rows.items()
        for unit in METERS[name].units[:1]
    ]
