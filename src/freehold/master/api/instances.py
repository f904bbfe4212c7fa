"""Requests and what became of them."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import create_model

from freehold.master.api.auth import caller, in_project, itself
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.catalog import queries as catalog
from freehold.master.catalog.secrets import hide
from freehold.master.foundation import clock
from freehold.master.foundation.errors import MasterError
from freehold.master.foundation.paging import ListPart
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.queries import Picture
from freehold.master.ordering import actions, children, handover, moves, queries, restarts, reveals
from freehold.master.ordering.clusters import ClusterRequest
from freehold.master.ordering.status import Health
from freehold.master.people.identity import Scope
from freehold.master.usage import queries as usage
from freehold.protocol import MAX_NAME, order
from freehold.protocol.descriptor import LONGEST_CHANGE, MOST_REQUESTS

router = Router()


if TYPE_CHECKING:

    class RequestIn(StrictBody): ...

    class FreeTextOut(Schema): ...

else:
    RequestIn = create_model(
        "RequestIn",
        __base__=StrictBody,
        __doc__="What is left out stays as it is, or takes its default for a new instance.",
        **{
            name: (
                order.TYPES[name],
                Field(None, description=field.says, **({"max_length": field.longest} if field.longest else {})),
            )
            for name, field in order.FIELDS.items()
        },
    )
    FreeTextOut = create_model(
        "FreeTextOut",
        __base__=Schema,
        **{name: (str, Field("", description=order.FIELDS[name].says)) for name in order.FREE_TEXT},
    )


class ClusterIn(StrictBody):
    member: RequestIn = Field(description="What each of them is requested as.")
    count: Annotated[int, Field(ge=0, le=MOST_REQUESTS, description="How many; they are called NAME-0, NAME-1, ….")]
    most_down: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] = Field(
        1, description="So many at most are not ready because they are changed."
    )
    ready_within: Annotated[float, Field(gt=0, le=LONGEST_CHANGE)] = Field(
        300.0, description="Seconds after which one that is not ready with a change goes back to what it was."
    )
    leave_within: Annotated[float, Field(ge=0, le=LONGEST_CHANGE)] = Field(
        60.0, description="Seconds that one may take to leave before it is destroyed."
    )
    shares: list[str] = Field([], description="What of its publication each is told of the others.")


class RequestsIn(StrictBody):
    requests: dict[str, RequestIn] = Field(
        description="Everything that the instance requests, by title; what is not here any more is stopped, and "
        "destroyed after a time of grace."
    )
    clusters: dict[str, ClusterIn] = Field(
        {}, description="Instances that are requested together and changed one at a time, by name."
    )
    await_ready: list[str] = Field(
        [],
        description="Titles (and names of clusters) of those that publish to the instance only when they are ready, "
        "with all below them.",
    )


class PromiseOut(Schema):
    name: str
    kept: bool | None = Field(description="Null until it was checked as now configured.")
    message: str
    at: str | None


class AnnouncedOut(Schema):
    begins_at: str
    ends_at: str
    what: str


class InstanceOut(FreeTextOut):
    id: str
    project: str
    title: str
    product: str
    release: str = Field(description="Version.")
    type: str
    wanted: str
    state: str = Field(
        description="waiting, building, configuring, started, stopping, stopped, failed, destroying or destroyed; "
        "unreachable while its node is not heard"
    )
    health: Health = Field(
        description="What is known now of its promises: kept, starting (for a minute), broken, unknown; empty while it "
        "does not run."
    )
    last_heard: str | None = Field(description="While its node is not heard: when it was last.")
    last_known: str = Field(description="While its node is not heard: the state that it was in then.")
    ready: bool = Field(description="It is as wanted; when started, every promise was checked and is kept.")
    message: str = Field(description="Why it is not as wanted; for a failed build, the last lines of its log.")
    parameters: dict[str, Any]
    constraints: dict[str, Any]
    size: dict[str, int | float] = Field(
        description="What it may use, and its node keeps for it: cpus, memory_mb, disk_mb, processes, open_files. What "
        "is not named is as its node allows everybody."
    )
    publication: dict[str, Any]
    promises: list[PromiseOut]
    promises_kept: bool
    processes: list[str] = Field(description="Names of its services, each of which can be restarted and has a log.")
    node: str
    site: str
    partition: str
    parent: str | None = Field(None, description="Title of the instance that requested it.")
    host: str | None = Field(None, description="For a shared instance: id of the one that serves it.")
    orphaned_at: str | None = Field(
        None, description="Since when its parent does not request it: after a time of grace it is destroyed."
    )
    ends_at: str | None = Field(
        None,
        description="While it is stopped because it is to be destroyed: when that is. Until then a request of the "
        "state started or stopped has it back, with its data.",
    )
    protected: bool = Field(description=order.FIELDS["protected"].says)
    maintenances: list[AnnouncedOut] = Field(
        description="When it may be down, because that was announced for its site: what is going on, and what comes."
    )
    address: str | None
    revision: int
    created_at: str
    changed_at: str


class ChildOut(Schema):
    title: str
    product: str
    type: str
    shared: bool
    state: str
    health: Health
    ready: bool
    message: str


class OfferOut(Schema):
    offered_to: order.OfferedTo
    free: int = Field(description="Places left for shared instances.")


class InstanceDetailOut(InstanceOut):
    children: list[ChildOut] = Field(
        [], description=f"The first {queries.MOST_BELOW} instances below it, at every depth, by title."
    )
    children_left_out: int = Field(0, description="How many more there are: list the instances `below` it.")
    offer: OfferOut | None = Field(None, description="For an instance that serves shared ones.")
    usage: dict[str, int | None] = Field(description="Counters so far; null where the node cannot measure.")


class GrantOut(Schema):
    granted: bool
    instance: str | None = Field(description="Id.")
    problem: dict[str, Any] | None = Field(description="When it was refused: why, as a problem document says it.")


class AnswerOut(Schema):
    created: bool
    changed: bool
    dry_run: bool
    node: str
    partition: str
    ends_at: str | None = Field(description="When it is destroyed, if that was asked for and it can be had back.")
    instance: InstanceDetailOut | None = Field(description="Null for a dry run.")


@router.put(
    "/projects/{project}/instances/{path:title}",
    response=AnswerOut,
    auth=in_project(Scope.ORDER),
    summary="Request: an instance with this title should exist as described",
)
def request_instance(
    request: HttpRequest,
    project: str,
    title: str,
    body: RequestIn,
    dry_run: bool = False,
    now: Annotated[
        bool, Query(description="What is to be destroyed ends at once, without the time in which it can be had back.")
    ] = False,
    partial: Annotated[
        bool, Query(description="It is taken though there is no room for all that its release declares to request.")
    ] = False,
) -> dict[str, Any]:
    spec = actions.Request(project, title, **body.dict())
    answer = actions.request(spec, dry_run=dry_run, now=now, partial=partial, acting=caller(request))
    return {
        "created": answer.created,
        "changed": answer.changed,
        "dry_run": dry_run,
        "node": answer.node,
        "partition": answer.partition,
        "ends_at": clock.iso(answer.ends_at),
        "instance": None if dry_run else _detail(queries.by_id(answer.instance)),
    }


@router.get(
    "/projects/{project}/instances/{path:title}",
    response=InstanceDetailOut,
    auth=in_project(Scope.READ),
    summary="One instance",
)
def show(request: HttpRequest, project: str, title: str) -> dict[str, Any]:
    owner = caller(request).project(project, Scope.READ)
    return _detail(queries.by_title(owner, title))


class RevealIn(StrictBody):
    title: str


@router.post(
    "/projects/{project}/revealed",
    response=InstanceDetailOut,
    auth=in_project(Scope.READ),
    summary="One instance with its secrets, which the audit trail notes",
)
def reveal(request: HttpRequest, project: str, body: RevealIn) -> dict[str, Any]:
    who = caller(request)
    row = queries.by_title(who.project(project, Scope.READ), body.title)
    reveals.note(row, acting=who)
    return _detail(row, is_revealed=True)


@router.get(
    "/projects/{project}/instances",
    response=list[InstanceOut],
    auth=in_project(Scope.READ),
    summary="The instances of a project, by id",
    openapi_extra=listed("id"),
)
def list_instances(
    request: HttpRequest,
    project: str,
    below: Annotated[str, Query(description="Only those below this one, at every depth.")] = "",
    after: After = "",
    limit: Limit = USUAL,
) -> list[dict[str, Any]]:
    owner = caller(request).project(project, Scope.READ)
    part = ListPart(after, limit)
    rows = queries.part_below(queries.by_title(owner, below), part) if below else queries.in_projects([owner], part)
    return [out(picture) for picture in monitoring.pictures(rows)]


class HandoverIn(StrictBody):
    title: str
    to: str = Field(description="The project that has it from now on; you must be able to order there, too.")


@router.post(
    "/projects/{project}/handovers",
    response={204: None},
    auth=in_project(Scope.ORDER),
    summary="Make a service another project's",
)
def hand_over(request: HttpRequest, project: str, body: HandoverIn) -> tuple[int, None]:
    handover.hand_over(project, body.title, body.to, acting=caller(request))
    return 204, None


class MoveIn(StrictBody):
    title: str
    abandon_data: bool = Field(False, description="Its data stays on the node where it is, and is destroyed there.")


class MovedOut(Schema):
    former: str = Field(description="Title of the node on which it was.")
    node: str = Field(description="Title of the node on which it is.")
    abandoned: bool = Field(description="Data was left behind.")


@router.post(
    "/projects/{project}/moves",
    response=MovedOut,
    auth=in_project(Scope.ORDER),
    summary="Place a service on another node",
)
def move(request: HttpRequest, project: str, body: MoveIn, dry_run: bool = False) -> dict[str, Any]:
    who = caller(request)
    return moves.move(project, body.title, abandon_data=body.abandon_data, dry_run=dry_run, acting=who)


class RestartIn(StrictBody):
    title: str
    process: str = Field(
        "",
        max_length=MAX_NAME,
        description="Only this one; empty: every process of the service. `job-NAME`: nothing is restarted, this job "
        "is run now.",
    )
    token: str = Field(
        "",
        pattern="^[A-Za-z0-9_-]{0,64}$",
        description="A text of your own: a request that is sent again with it restarts nothing again.",
    )


class RestartOut(Schema):
    restarted: bool = Field(description="False: the token was given before.")


@router.post(
    "/projects/{project}/restarts",
    response=RestartOut,
    auth=in_project(Scope.ORDER),
    summary="End a service's processes, or one, and start them anew; or run a job now",
)
def restart(request: HttpRequest, project: str, body: RestartIn) -> dict[str, bool]:
    return {"restarted": restarts.restart(project, **body.dict(), acting=caller(request))}


@router.get(
    "/instance",
    response=InstanceDetailOut,
    auth=itself,
    summary="The instance whose client certificate is shown",
)
def own(request: HttpRequest) -> dict[str, Any]:
    return _detail(queries.by_id(caller(request).subject), is_revealed=True)


@router.put(
    "/instance/requests",
    response=dict[str, GrantOut],
    auth=itself,
    summary="What the instance whose client certificate is shown requests from others",
)
def request_children(request: HttpRequest, body: RequestsIn) -> dict[str, Any]:
    who = caller(request)
    project = queries.by_id(who.subject)["project"]
    specs = {title: actions.Request(project, title, **spec.dict()) for title, spec in body.requests.items()}
    groups = {
        name: ClusterRequest(
            actions.Request(project, name, **request.member.dict()),
            request.count,
            request.most_down,
            request.ready_within,
            request.leave_within,
            tuple(request.shares),
            name in body.await_ready,
        )
        for name, request in body.clusters.items()
    }
    answers = children.request_children(specs, groups=groups, await_ready=body.await_ready, acting=who)
    return {
        title: {"granted": False, "instance": None, "problem": msgspec.to_builtins(answer.problem())}
        if isinstance(answer, MasterError)
        else {"granted": True, "instance": answer and answer.instance, "problem": None}
        for title, answer in answers.items()
    }


def _detail(row: dict[str, Any], *, is_revealed: bool = False) -> dict[str, Any]:
    (picture,) = monitoring.pictures([row])
    children, left_out = queries.below(row)
    return {
        **out(picture, is_revealed=is_revealed),
        "usage": usage.so_far(row["id"]),
        "children": [_child(picture) for picture in monitoring.pictures(children)],
        "children_left_out": left_out,
        "offer": queries.offer(row["id"]),
    }


def _child(picture: Picture) -> dict[str, Any]:
    row, status = picture.row, picture.status
    return {
        **{name: row[name] for name in ("title", "product", "type")},
        "shared": row["host"] is not None,
        "state": status.state,
        "health": status.health,
        "ready": status.ready,
        "message": status.message,
    }


def out(picture: Picture, *, is_revealed: bool = False) -> dict[str, Any]:
    """Return an instance as this API shows it, its secrets only when they were asked for."""
    row, status = picture.row, picture.status
    parameters, published = row["parameters"], row["published"]
    if not is_revealed:
        kind = row["release_id"], row["type"]
        parameters = hide(parameters, partial(catalog.hides_parameter, *kind))
        published = hide(published, partial(catalog.hides_published, *kind))
    results = {result.promise: result for result in picture.results if result.revision >= row["revision"]}
    return {
        "id": row["id"],
        "project": row["project"],
        "title": row["title"],
        "product": row["product"],
        "release": row["version"],
        "type": row["type"],
        "wanted": row["wanted"],
        "state": status.state,
        "health": status.health,
        "last_heard": clock.iso(status.last_heard),
        "last_known": status.last_known,
        "ready": status.ready,
        "message": status.message,
        **row["free_text"],
        "parameters": parameters,
        "constraints": row["constraints"],
        "size": row["size"],
        "publication": published if status.state != "destroyed" else {},
        "promises": [
            {
                "name": name,
                "kept": results[name].kept if name in results else None,
                "message": results[name].message if name in results else "",
                "at": clock.iso(results[name].at) if name in results else None,
            }
            for name in row["promises"]
        ],
        "promises_kept": status.promises_kept,
        "processes": row["processes"],
        "node": row["node"],
        "site": row["site"],
        "partition": row["partition"],
        "parent": row["title"].rpartition("/")[0] or None,
        "host": row["host"],
        "orphaned_at": None if row["orphaned_at"] is None else clock.iso(row["orphaned_at"]),
        "ends_at": clock.iso(row["ends_at"]),
        "protected": bool(row["protected"]),
        "maintenances": [
            {
                "begins_at": clock.iso(maintenance.begins_at),
                "ends_at": clock.iso(maintenance.ends_at),
                "what": maintenance.what,
            }
            for maintenance in picture.maintenances
        ],
        "address": row["address"],
        "revision": row["revision"],
        "created_at": clock.iso(row["created_at"]),
        "changed_at": clock.iso(row["changed_at"]),
    }
