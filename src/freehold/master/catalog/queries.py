"""All reads of the catalogue."""

from dataclasses import dataclass

from freehold.master.catalog.models import Product, Release, ReleaseType
from freehold.master.foundation.errors import NotFound


@dataclass(frozen=True)
class Choice:
    """A release and one of its types, as named by a customer."""

    product: str
    release: str
    version: str
    type: str = ""
    weight: int = 0


def find(product: str, version: str | None) -> Choice:
    """Return a release by product and version (the one published last without), of no type yet."""
    rows = Release.objects.filter(product__name=product).order_by("-published_at", "-version")
    if version is not None:
        rows = rows.filter(version=version)
    found = rows.values_list("id", "version").first()
    if found is None:
        raise _missing(product, version)
    return Choice(product, found[0], found[1])


def choose(product: str, version: str | None, type_name: str) -> Choice:
    """Return what a customer means; without a version, the release published last.

    Raise NotFound naming what exists instead.
    """
    found = find(product, version)
    types = dict(ReleaseType.objects.filter(release=found.release).values_list("name", "weight"))
    if type_name not in types:
        raise NotFound(
            f"{product} {found.version} has no type '{type_name}'.",
            remedy=f"Its types are: {', '.join(sorted(types))}.",
        )
    return Choice(product, found.release, found.version, type_name, types[type_name])


def _missing(product: str, version: str | None) -> NotFound:
    versions = list(Release.objects.filter(product__name=product).values_list("version", flat=True))
    if versions:
        return NotFound(
            f"{product} has no release '{version}'.",
            remedy=f"Published releases: {', '.join(sorted(versions))}.",
        )
    names = ", ".join(Product.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
    return NotFound(f"There is no product '{product}'.", remedy=f"Products here: {names}.")
