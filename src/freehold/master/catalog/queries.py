"""All reads of the catalogue."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.master.catalog.models import Product, Release
from freehold.master.foundation import sql
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.transactions import run

_SQL = sql.load(Path(__file__).parent / "sql" / "catalog.sql")


@dataclass(frozen=True)
class Choice:
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


def choose(product: str, version: str | None, type_name: str) -> Choice:
    """Return what a customer means; without a version, the release published last.

    Raise NotFound naming what exists instead.
    """
    rows = _types(product, version)
    for row in rows:
        if row["name"] == type_name:
            return Choice(
                product,
                row["release"],
                row["version"],
                type_name,
                row["weight"],
                row["host"],
                any(other["host"] == type_name for other in rows),
            )
    raise NotFound(
        f"{product} {rows[0]['version']} has no type '{type_name}'.",
        remedy=f"Its types are: {', '.join(sorted(row['name'] for row in rows))}.",
    )


def find(product: str, version: str | None) -> str:
    """Return the identity of a release; without a version, of the one published last. Raise NotFound."""
    release: str = _types(product, version)[0]["release"]
    return release


def _types(product: str, version: str | None) -> list[dict[str, Any]]:
    if version is None:
        rows = run(_SQL["latest"], product=product)
    else:
        rows = run(_SQL["version"], product=product, version=version)
    if not rows:
        raise _missing(product, version)
    return rows


def _missing(product: str, version: str | None) -> NotFound:
    versions = list(Release.objects.filter(product__name=product).values_list("version", flat=True))
    if versions:
        return NotFound(
            f"{product} has no release '{version}'.",
            remedy=f"Published releases: {', '.join(sorted(versions))}.",
        )
    names = ", ".join(Product.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
    return NotFound(f"There is no product '{product}'.", remedy=f"Products here: {names}.")
