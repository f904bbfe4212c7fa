"""All reads of the catalogue."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q

from freehold.master.catalog.models import Product, Release, ReleaseType, SellingGrant
from freehold.master.catalog.secrets import is_secret
from freehold.master.foundation import sql
from freehold.master.foundation.errors import Conflict, NotFound
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import run
from freehold.protocol import size as sizes
from freehold.protocol.size import UNNAMED, Size

_SQL = sql.load(Path(__file__).parent / "sql" / "catalog.sql", prepared=True)

MOST_NAMED = 20
"""Products or versions that the answer to a wrong name names."""


@dataclass(frozen=True)
class ResolvedType:
    """A release and one of its types, as named by a customer."""

    product: str
    release: str
    version: str
    type: str
    weight: int
    host: str = ""
    """For a shared type: the type of the instances that take it in."""
    hosts: bool = False
    """Some shared type of the release lives on instances of this one."""
    requests: bool = False
    """It may request other instances."""
    is_orderable: bool = True
    """Customers may order it; otherwise only instances may request it."""
    size: Size = UNNAMED
    """What an instance may use, unless something else is said of it."""


def choose(product: str, version: str | None, type_name: str) -> ResolvedType:
    """Return what a customer means; without a version, the release published last.

    Raise NotFound naming what exists instead.
    """
    rows = _types(product, version)
    for row in rows:
        if row["name"] == type_name:
            return ResolvedType(
                product,
                row["release"],
                row["version"],
                type_name,
                row["weight"],
                row["host"],
                any(other_type["host"] == type_name for other_type in rows),
                bool(row["requests"]),
                bool(row["is_orderable"]),
                sizes.read(row["size"]),
            )
    raise NotFound(
        f"{product} {rows[0]['version']} has no type '{type_name}'.",
        remedy=f"Its types are: {_names(rows)}.",
    )


def refuse_part(choice: ResolvedType) -> None:
    """Raise NotFound for a type that is only a part of others: customers do not order it."""
    if not choice.is_orderable:
        orderable = [row for row in _types(choice.product, choice.version) if row["is_orderable"]]
        raise NotFound(
            f"The type '{choice.type}' of {choice.product} {choice.version} is only a part of others.",
            remedy=f"Order one of: {_names(orderable)}." if orderable else "Order what it is a part of.",
        )


def requests(release: str, type_name: str) -> tuple[str, str]:
    """Return what a type of a release declares to request, and the schema of its parameters; both are JSON."""
    row = ReleaseType.objects.only("requests", "request_schema").get(release=release, name=type_name)
    return row.requests, row.request_schema


def usual_size(release: str, type_name: str) -> Size:
    """Return what instances of a type of a release may use, unless something else is said of one."""
    return sizes.read(ReleaseType.objects.values_list("size", flat=True).get(release=release, name=type_name))


def refuse_going_back(present: str, wanted: str) -> None:
    """Raise Conflict when an instance of a release (its identity) must not have another, older one again."""
    now, then = Release.objects.get(id=present), Release.objects.get(id=wanted)
    if not now.goes_back and then.published_at < now.published_at:
        raise Conflict(
            f"What {now.version} makes of a service's data cannot be read by {then.version}, which is older: its "
            "author says that there is no way back.",
            remedy="Order a new service of the older one, and restore a backup from before the upgrade into it.",
        )


def version(release: str) -> str:
    """Return the version of a release (its identity)."""
    return str(Release.objects.values_list("version", flat=True).get(id=release))


def find(product: str, version: str | None) -> str:
    """Return the identity of a release; without a version, of the one published last. Raise NotFound."""
    release: str = _types(product, version)[0]["release"]
    return release


def may_offer(project: str, product: str) -> bool:
    """Whether a project (its id) may offer a product to others: it owns it, or the owner granted that."""
    return bool(run(_SQL["may_offer"], project=project, product=product))


def grants(project: str, part: ListPart) -> list[dict[str, str]]:
    """Return a part, after the one with an id, of the grants of a project: of which product, and to whom."""
    rows = SellingGrant.objects.filter(product__project=project).select_related("product")
    grants = part_of(rows, ("product__name", "name", "id"), "id", part)
    return [{"id": str(grant.id), "product": grant.product.name, "project": grant.name} for grant in grants]


def _names(rows: list[dict[str, Any]]) -> str:
    return ", ".join(sorted(row["name"] for row in rows))


def _types(product: str, version: str | None) -> list[dict[str, Any]]:
    if version is None:
        rows = run(_SQL["latest"], product=product)
    else:
        rows = run(_SQL["version"], product=product, version=version)
    if not rows:
        raise _missing(product, version)
    return rows


def _missing(product: str, version: str | None) -> NotFound:
    rows = Release.objects.filter(product__name=product).order_by("-published_at", "version")
    versions = list(rows.values_list("version", flat=True)[: MOST_NAMED + 1])
    if versions:
        more = " and older ones" if len(versions) > MOST_NAMED else ""
        return NotFound(
            f"{product} has no release '{version}'.",
            remedy=f"Published releases: {', '.join(sorted(versions[:MOST_NAMED]))}{more}.",
        )
    known_names = list(Product.objects.order_by("name").values_list("name", flat=True)[: MOST_NAMED + 1])
    names = ", ".join(known_names[:MOST_NAMED]) or "none yet"
    more = " and more: see `freehold release list`" if len(known_names) > MOST_NAMED else ""
    return NotFound(f"There is no product '{product}'.", remedy=f"Products here: {names}{more}.")


@dataclass(frozen=True)
class Schemas:
    """What goes into a type of a release, and what comes out."""

    request: dict[str, Any]
    response: dict[str, Any]


@functools.lru_cache(maxsize=256)
def type_schemas(release: str, type_name: str) -> Schemas:
    """Return the JSON schemas of a type of a release; raise NotFound. Not to be changed: others get them too."""
    # A release never changes once published, so neither do its schemas.
    row = ReleaseType.objects.filter(release=release, name=type_name).first()
    if row is None:
        raise NotFound(f"The release has no type '{type_name}'.")
    return Schemas(*(_as_object(json.loads(text)) for text in (row.request_schema, row.response_schema)))


@functools.lru_cache(maxsize=8192)
def hides_parameter(release: str, type_name: str, name: str) -> bool:
    """Whether a parameter of a type is a secret; asked of each in each row of a list."""
    return is_secret(name, type_schemas(release, type_name).request)


@functools.lru_cache(maxsize=8192)
def hides_published(release: str, type_name: str, name: str) -> bool:
    """The same of what is published."""
    return is_secret(name, type_schemas(release, type_name).response)


def orderable_types(releases: list[str]) -> dict[str, list[ReleaseType]]:
    """Return the types of releases that customers may order, by release, as their author orders them; no schemas."""
    types: dict[str, list[ReleaseType]] = {}
    rows = ReleaseType.objects.filter(release__in=releases, is_orderable=True).defer(
        "request_schema", "response_schema"
    )
    for row in rows.order_by("index", "name"):
        types.setdefault(row.release_id, []).append(row)
    return types


def releases(most: int) -> list[Release] | None:
    """Return what was published, without what is said of it, by product, the newest first; None: more than so many."""
    rows = Release.objects.select_related("product").only("id", "version", "product__name")
    releases = list(rows.order_by("product__name", "-published_at", "id")[: most + 1])
    return releases if len(releases) <= most else None


def named(text: str) -> Release:
    """Return the release with an id, or with a name as people write it, `PRODUCT VERSION`; raise NotFound."""
    product, _, version = text.strip().partition(" ")
    # PostgreSQL refuses to be asked for a zero character, so no release has one.
    rows = Release.objects.filter(Q(id=text) | Q(product__name=product, version=version.strip()))
    release = None if "\0" in text else rows.first()
    if release is None:
        raise NotFound(f"There is no release '{text[:80]}'.", remedy="See `freehold release list`.")
    return release


def _as_object(schema: Any) -> dict[str, Any]:
    # `true` is a schema too, and says as much as an empty one.
    return schema if isinstance(schema, dict) else {}
