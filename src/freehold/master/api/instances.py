"""Requests and what became of them."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, token
from freehold.master.fleet import queries as fleet
from freehold.master.fleet.peer import fingerprint
from freehold.master.foundation import clock
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.queries import Picture
from freehold.master.ordering import actions, queries
from freehold.master.people.identity import Scope
from freehold.master.usage import queries as usage
from freehold.protocol.states import Wanted

router = Router()


class RequestIn(Schema):
    """What is left out stays as it is, or takes its default for a new instance."""

    product: str | None = Field(None, description="Needed for a new instance.")
    release: str | None = Field(
        None,
        description="Version. A new instance takes the newest supplied; an existing one changes only when named.",
    )
    type: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="Must fit the JSON schema of the release's type.")
    constraints: dict[str, Any] | None = Field(
        None,
        description="Where it may go: node, site, region, labels, cpus, memory_mb, disk_mb, architecture, "
        "placement (spread or pack).",
    )
    state: Wanted | None = None


class PromiseOut(Schema):
    name: str
    kept: bool | None = Field(description="Null until it was checked as now configured.")
    message: str
    at: str | None


class InstanceOut(Schema):
    id: str
    project: str
    title: str
    product: str
    release: str = Field(description="Version.")
    type: str
    wanted: str
    state: str = Field(
        description="waiting, building, configuring, started, stopping, stopped, failed, destroying or destroyed"
    )
    ready: bool = Field(description="It is as wanted; when started, every promise was checked and is kept.")
    message: str = Field(description="Why it is not as wanted; for a failed build, the last lines of its log.")
    parameters: dict[str, Any]
    constraints: dict[str, Any]
    publication: dict[str, Any]
    promises: list[PromiseOut]
    promises_kept: bool
    node: str
    site: str
    partition: str
    address: str | None
    revision: int
    created_at: str
    changed_at: str


class InstanceDetailOut(InstanceOut):
    usage: dict[str, int | None] = Field(description="Counters so far; null where the node cannot measure.")


class AnswerOut(Schema):
    created: bool
    changed: bool
    dry_run: bool
    node: str
    partition: str
    instance: InstanceDetailOut | None = Field(description="Null for a dry run.")


@router.put(
    "/projects/{project}/instances/{path:title}",
    response=AnswerOut,
    auth=token,
    summary="Request: an instance with this title should exist as described",
)
def request_instance(
    request: HttpRequest, project: str, title: str, body: RequestIn, dry_run: bool = False
) -> dict[str, Any]:
    wish = actions.Request(project, title, **body.dict())
    answer = actions.request(wish, dry_run=dry_run, acting=caller(request))
    return {
        "created": answer.created,
        "changed": answer.changed,
        "dry_run": dry_run,
        "node": answer.node,
        "partition": answer.partition,
        "instance": None if dry_run else _detail(queries.by_id(answer.instance)),
    }


@router.get(
    "/projects/{project}/instances/{path:title}", response=InstanceDetailOut, auth=token, summary="One instance"
)
def show(request: HttpRequest, project: str, title: str) -> dict[str, Any]:
    owner = caller(request).project(project, Scope.READ)
    return _detail(queries.by_title(owner, title))


@router.get(
    "/projects/{project}/instances",
    response=list[InstanceOut],
    auth=token,
    summary="The instances of a project, by id; ask again with `after` for more",
)
def list_instances(request: HttpRequest, project: str, after: str = "", limit: int = 200) -> list[dict[str, Any]]:
    owner = caller(request).project(project, Scope.READ)
    rows = queries.in_projects([owner], after=after, limit=max(1, min(limit, 1000)))
    return [out(picture) for picture in monitoring.pictures(rows)]


@router.get(
    "/instance",
    response=InstanceDetailOut,
    auth=None,
    summary="The instance whose client certificate is shown",
)
def own(request: HttpRequest) -> dict[str, Any]:
    return _detail(queries.by_id(fleet.identify(fingerprint(request), "instance")))


def _detail(row: dict[str, Any]) -> dict[str, Any]:
    (picture,) = monitoring.pictures([row])
    return {**out(picture), "usage": usage.so_far(row["id"])}


def out(picture: Picture) -> dict[str, Any]:
    """Return an instance as this API shows it."""
    row, status = picture.row, picture.status
    results = {one.promise: one for one in picture.results if one.revision >= row["revision"]}
    return {
        "id": row["id"],
        "project": row["project"],
        "title": row["title"],
        "product": row["product"],
        "release": row["version"],
        "type": row["type"],
        "wanted": row["wanted"],
        "state": status.state,
        "ready": status.ready,
        "message": status.message,
        "parameters": row["parameters"],
        "constraints": row["constraints"],
        "publication": row["published"] if status.state != "destroyed" else {},
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
        "node": row["node"],
        "site": row["site"],
        "partition": row["partition"],
        "address": row["address"],
        "revision": row["revision"],
        "created_at": clock.iso(row["created_at"]),
        "changed_at": clock.iso(row["changed_at"]),
    }
