"""For operators: sites, nodes, supplies."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import AwareDatetime

from freehold.master.api.auth import caller, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.catalog import queries as catalog
from freehold.master.catalog.models import Release
from freehold.master.fleet import actions, queries
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.paging import ListPart
from freehold.master.monitoring import actions as maintenance
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.models import Maintenance
from freehold.master.ordering import moves
from freehold.master.people.identity import Scope
from freehold.protocol.problem import FieldError
from freehold.protocol.states import SoftwareWanted

router = Router()


class SiteIn(StrictBody):
    name: str
    region: str = ""


class SiteOut(Schema):
    name: str
    region: str
    nodes: int
    expected_silence: int = Field(description="Seconds for which its nodes may be silent and nobody is told.")


class SiteChangeIn(StrictBody):
    expected_silence: int = Field(description="Seconds for which its nodes may be silent and nobody is told; 0: none.")


class MaintenanceIn(StrictBody):
    site: str
    begins_at: AwareDatetime = Field(description="Two days from now, or later.")
    ends_at: AwareDatetime = Field(description="A day after it begins, at most.")
    what: str = Field(description="What is done: customers read it.")


class MaintenanceOut(Schema):
    id: str
    site: str
    begins_at: str
    ends_at: str
    what: str
    announced_at: str


class EnrolTokenIn(StrictBody):
    site: str


class EnrolTokenOut(Schema):
    token: str = Field(description="One word for `freehold node enrol`; valid once, for a day.")


class NodePromiseOut(Schema):
    name: str
    kept: bool
    message: str
    since: str | None = Field(description="Since when it is kept, or is not; null: before that was noted.")


class NodeOut(Schema):
    id: str
    title: str
    site: str
    region: str
    state: str = Field(description="open, closed (to new instances), stopped, silent, lost or new (never heard)")
    open: bool
    builder: bool = Field(description="Whether other nodes may take its finished builds.")
    labels: dict[str, str]
    cpus: int
    memory_mb: int
    disk_mb: int
    architecture: str
    system: str
    agent: str
    protections: dict[str, bool] = Field(description="What stands between its partitions, and whether it holds.")
    promises: list[NodePromiseOut] = Field(description="Of the machine itself.")
    capacity: int
    used: int
    partitions: int
    free: int
    lease: int
    lost_at: str | None
    last_contact: str | None
    silent_since: str | None = Field(
        description="When it was last heard, while it is not: it let three contacts go by, or was stopped."
    )
    stopped: str | None = Field(
        description="What its operator stopped, while it is not heard because of that: `node`, with its services, or "
        "`agent`, whose services run on."
    )
    expected_silence: int = Field(description="Seconds for which its site expects it to be silent.")


class NodeIn(StrictBody):
    open: bool | None = None
    builder: bool | None = None
    labels: dict[str, str] | None = None
    capacity: int | None = None
    lease: int | None = Field(None, description="Seconds of silence after which what holds no data is moved; 0: never.")


class SupplyIn(StrictBody):
    product: str
    release: str | None = Field(None, description="Version; the newest when left out.")
    nodes: list[str] = Field([], description="Ids or titles of nodes.")
    site: str | None = Field(None, description="All nodes of this site.")
    all: bool = Field(False, description="All nodes of the project.")
    everyone: bool = Field(True, description="Open to all projects; false: only to the one that owns the nodes.")
    wanted: SoftwareWanted = SoftwareWanted.AVAILABLE


class SupplyOut(Schema):
    id: str
    product: str
    release: str
    node: str
    wanted: str
    observed: str = Field(description="building, available, failed or empty.")
    message: str = Field(description="When failed: the last lines of the build's log.")
    everyone: bool


@router.get(
    "/projects/{project}/sites",
    response=list[SiteOut],
    auth=in_project(Scope.OPERATE),
    summary="Sites of a project",
    openapi_extra=listed("name"),
)
def list_sites(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return queries.sites(caller(request).project(project, Scope.OPERATE), ListPart(after, limit))


@router.post(
    "/projects/{project}/sites", response={201: SiteOut}, auth=in_project(Scope.OPERATE), summary="Create a site"
)
def add_site(request: HttpRequest, project: str, body: SiteIn) -> tuple[int, dict[str, Any]]:
    site = actions.add_site(project, body.name, body.region, acting=caller(request))
    return 201, queries.site(site.project_id, site.name)


@router.patch(
    "/projects/{project}/sites/{name}",
    response=SiteOut,
    auth=in_project(Scope.OPERATE),
    summary="Declare for how long the nodes of a site may be silent",
)
def change_site(request: HttpRequest, project: str, name: str, body: SiteChangeIn) -> dict[str, Any]:
    site = actions.change_site(project, name, expected_silence=body.expected_silence, acting=caller(request))
    return queries.site(site.project_id, site.name)


@router.get(
    "/projects/{project}/maintenances",
    response=list[MaintenanceOut],
    auth=in_project(Scope.OPERATE),
    summary="What was announced for the sites of a project",
    openapi_extra=listed("id"),
)
def list_maintenances(
    request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    """What begins last first."""
    owner = caller(request).project(project, Scope.OPERATE)
    return [_announced(row) for row in monitoring.maintenances(owner, ListPart(after, limit))]


@router.post(
    "/projects/{project}/maintenances",
    response={201: MaintenanceOut},
    auth=in_project(Scope.OPERATE),
    summary="Announce that a site may be down for a time, which then does not count",
)
def announce(request: HttpRequest, project: str, body: MaintenanceIn) -> tuple[int, dict[str, Any]]:
    begins_at, ends_at = (round(moment.timestamp() * clock.SECOND) for moment in (body.begins_at, body.ends_at))
    return 201, _announced(
        maintenance.announce(project, body.site, begins_at, ends_at, body.what, acting=caller(request))
    )


@router.delete(
    "/projects/{project}/maintenances/{maintenance_id}",
    response={204: None},
    auth=in_project(Scope.OPERATE),
    summary="Withdraw what was announced and has not begun",
)
def withdraw(request: HttpRequest, project: str, maintenance_id: str) -> tuple[int, None]:
    maintenance.withdraw(project, maintenance_id, acting=caller(request))
    return 204, None


def _announced(row: Maintenance) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "site": row.site.name,
        "begins_at": clock.iso(row.begins_at),
        "ends_at": clock.iso(row.ends_at),
        "what": row.what,
        "announced_at": clock.iso(row.announced_at),
    }


@router.post(
    "/projects/{project}/enrol-tokens",
    response={201: EnrolTokenOut},
    auth=in_project(Scope.OPERATE),
    summary="A one-time token with which one machine becomes a node",
)
def make_enrol_token(request: HttpRequest, project: str, body: EnrolTokenIn) -> tuple[int, dict[str, str]]:
    return 201, {"token": str(actions.make_enrol_token(project, body.site, acting=caller(request)))}


@router.get(
    "/projects/{project}/nodes",
    response=list[NodeOut],
    auth=in_project(Scope.OPERATE),
    summary="Nodes of a project",
    openapi_extra=listed("id"),
)
def list_nodes(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return queries.nodes(caller(request).project(project, Scope.OPERATE), ListPart(after, limit))


@router.patch(
    "/projects/{project}/nodes/{node}",
    response=NodeOut,
    auth=in_project(Scope.OPERATE),
    summary="Open, close or label a node",
)
def change_node(request: HttpRequest, project: str, node: str, body: NodeIn) -> dict[str, Any]:
    changed = actions.change_node(node, project, acting=caller(request), **body.dict())
    return queries.node(changed.project_id, id=changed.id)


@router.post(
    "/projects/{project}/nodes/{node}/revoke",
    response={204: None},
    auth=in_project(Scope.OPERATE),
    summary="Revoke a node's certificates, effective at once",
)
def revoke_node(request: HttpRequest, project: str, node: str) -> tuple[int, None]:
    actions.revoke_node(node, project, acting=caller(request))
    return 204, None


class DrainOut(Schema):
    moved: list[str] = Field(description="Titles of what runs elsewhere now.")
    later: list[str] = Field(description="Titles of members of clusters, which move one after another.")
    stuck: dict[str, str] = Field(description="Titles of what found no other place, and why.")
    stays: list[str] = Field(description="Titles of what holds data: their owners decide.")


@router.post(
    "/projects/{project}/nodes/{node}/drain",
    response=DrainOut,
    auth=in_project(Scope.OPERATE),
    summary="Close a node and move what holds no data to others",
)
def drain_node(request: HttpRequest, project: str, node: str, dry_run: bool = False) -> dict[str, Any]:
    return moves.drain(node, project, dry_run=dry_run, acting=caller(request))


@router.get(
    "/projects/{project}/supplies",
    response=list[SupplyOut],
    auth=in_project(Scope.OPERATE),
    summary="What runs where",
    openapi_extra=listed("id"),
)
def list_supplies(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return queries.supplies(caller(request).project(project, Scope.OPERATE), part=ListPart(after, limit))


@router.put(
    "/projects/{project}/supplies",
    response=list[SupplyOut],
    auth=in_project(Scope.OPERATE),
    summary="A release may run on nodes",
)
def supply(request: HttpRequest, project: str, body: SupplyIn) -> list[dict[str, Any]]:
    owner = caller(request).project(project, Scope.OPERATE)
    if bool(body.nodes) + (body.site is not None) + body.all != 1:
        raise Invalid(
            "Name the nodes, or a site, or all.",
            errors=[FieldError("nodes", "exactly one of `nodes`, `site` and `all`")],
        )
    release = catalog.find(body.product, body.release)
    rows = actions.supply(
        Release.objects.get(id=release),
        queries.node_ids(owner, body.nodes, body.site),
        project,
        everyone=body.everyone,
        wanted=body.wanted,
        acting=caller(request),
    )
    return queries.supplies(owner, [row.id for row in rows])
