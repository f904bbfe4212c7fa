"""The catalogue: what can be ordered, and publishing it."""

import json
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import any_person, caller, in_project
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.catalog import actions
from freehold.master.catalog.models import Release
from freehold.master.fleet import queries as fleet
from freehold.master.foundation import clock
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.people.identity import Scope

router = Router()


class TypeOut(Schema):
    name: str
    title: str
    description: str
    orderable: bool = Field(description="False: only instances request it, as a part of themselves.")
    request: dict[str, Any] = Field(description="JSON schema of the parameters.")
    response: dict[str, Any] = Field(description="JSON schema of the publication.")


class ReleaseOut(Schema):
    product: str
    version: str
    release: str = Field(description="SHA-256 of the archive.")
    description: str
    published_at: str
    types: list[TypeOut]


@router.get(
    "/releases",
    response=list[ReleaseOut],
    auth=any_person,
    summary="What was published, newest first",
    openapi_extra=listed("release"),
)
def list_releases(
    request: HttpRequest, product: str | None = None, after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    """Also what no node is supplied with, which nobody can order yet."""
    rows = Release.objects.select_related("product").prefetch_related("releasetype_set")
    if product is not None:
        rows = rows.filter(product__name=product)
    return [_out(release) for release in part_of(rows, ("-published_at", "id"), "id", ListPart(after, limit))]


@router.get(
    "/projects/{project}/releases/{release}/protections",
    response=dict[str, dict[str, bool]],
    auth=in_project(Scope.READ),
    summary="How an instance of a release would be protected from its neighbours, by site",
)
def list_protections(request: HttpRequest, project: str, release: str) -> dict[str, dict[str, bool]]:
    return fleet.protections(release, [caller(request).project(project, Scope.READ)])


@router.post(
    "/projects/{project}/releases",
    response={201: ReleaseOut},
    auth=in_project(Scope.OPERATE),
    summary="Publish a release: the body is its archive (tar.gz)",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def publish(request: HttpRequest, project: str) -> tuple[int, dict[str, Any]]:
    return 201, _out(actions.publish(request.body, project, acting=caller(request)))


def _out(release: Release) -> dict[str, Any]:
    return {
        "product": release.product.name,
        "version": release.version,
        "release": release.id,
        "description": release.description,
        "published_at": clock.iso(release.published_at),
        "types": [
            {
                "name": kind.name,
                "title": kind.title,
                "description": kind.description,
                "orderable": kind.is_orderable,
                "request": json.loads(kind.request_schema),
                "response": json.loads(kind.response_schema),
            }
            for kind in sorted(release.releasetype_set.all(), key=lambda kind: (kind.index, kind.name))
        ],
    }
