"""What a request becomes: the release and type that it means, and its parameters and constraints as they are kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from freehold.master.allocation.choice import Constraints, Needs
from freehold.master.catalog import queries as catalog
from freehold.master.catalog import schemas
from freehold.master.catalog.queries import ResolvedType
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.transactions import run
from freehold.master.ordering.queries import QUERIES
from freehold.protocol import numbers, unknown_names
from freehold.protocol import size as sizes
from freehold.protocol.order import OrderSpec
from freehold.protocol.problem import FieldError
from freehold.protocol.size import Size

LARGEST_PARAMETERS = 64 * 1024
"""Bytes of an instance's parameters as JSON: they are sent, kept and shown again and again."""


@dataclass(frozen=True)
class Resolved:
    """What a request would become, as it is kept."""

    choice: ResolvedType
    parameters: str
    """JSON."""
    constraints: str
    """JSON."""
    size: str
    """JSON."""


def resolve(spec: OrderSpec, project: str) -> Resolved:
    """Return what a request of a new instance becomes; raise what an order raises for one that cannot be."""
    if spec.product is None:
        raise Invalid("A cluster is of a product.", errors=[FieldError("product", "a name")])
    choice = choose(spec, project)
    parameters = fitting(choice.release, choice.type, spec.parameters or {})
    constraints = constraints_of(spec.constraints or {})
    size = size_of(spec.size or {}).over(choice.size)
    return Resolved(choice, as_text(parameters), msgspec.json.encode(constraints).decode(), size.text())


def needs(choice: ResolvedType) -> Needs:
    """Return what an instance takes of its node."""
    return Needs(choice.weight, choice.size)


def choose(spec: OrderSpec, project: str) -> ResolvedType:
    """Return the release and type that a new instance gets: the newest that can be had, unless one is named."""
    assert spec.product is not None
    type_name = spec.type or "default"
    if spec.release is not None:
        return catalog.choose(spec.product, spec.release, type_name)
    newest = _version("newest_supplied", product=spec.product, project=project)
    choice = catalog.choose(spec.product, newest, type_name)
    if not choice.host:
        return choice
    served = _version("newest_shared", product=spec.product, type=type_name, project=project)
    return catalog.choose(spec.product, served or choice.version, type_name)


def _version(query: str, **values: str) -> str | None:
    rows = run(QUERIES[query], **values)
    return rows[0]["version"] if rows else None


def fitting(release: str, type_name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as they are kept.

    Raise Invalid for those that are too many or no JSON, InvalidParameters for those that do not fit the schema.
    """
    try:
        parameters: dict[str, Any] = numbers.kept(wanted)
        size = len(json.dumps(parameters, separators=(",", ":"), allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise Invalid(
            "The parameters are no JSON that can be kept.",
            remedy="Nest them less deeply, and write no number that is infinite or none (NaN, 1e999).",
        ) from None
    if size > LARGEST_PARAMETERS:
        raise Invalid(
            f"The parameters are {size} bytes of JSON; {LARGEST_PARAMETERS} are the most.",
            remedy="Have the service fetch large content from where it is kept.",
            errors=[FieldError("parameters", f"at most {LARGEST_PARAMETERS} bytes of JSON", size)],
        )
    schemas.validate(release, type_name, parameters)
    if not numbers.is_kept_whole(wanted):
        # What its node gets fits; what was asked for must fit, too.
        schemas.validate(release, type_name, wanted)
    return parameters


def as_text(values: Mapping[str, Any]) -> str:
    """Return parameters as the JSON that is kept."""
    return json.dumps(values, separators=(",", ":"))


def size_of(values: dict[str, Any]) -> Size:
    """Return a size that a request names; raise Invalid for one that is none."""
    if words := unknown_names.words(values, sizes.NAMES):
        raise Invalid(f"Size: {words}", errors=[FieldError("size", words)])
    try:
        return sizes.size_of(values)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"Size: {error}",
            remedy=f"A size names {', '.join(sizes.NAMES)}.",
            errors=[FieldError("size", str(error), values)],
        ) from None


def constraints_of(values: dict[str, Any]) -> Constraints:
    """Return constraints that a request names; raise Invalid for those that are none."""
    if any("\0" in value for value in values.values() if isinstance(value, str)):
        raise Invalid("Constraints: no name has a zero character.", errors=[FieldError("constraints", "a name")])
    try:
        return msgspec.convert(values, Constraints)
    except msgspec.ValidationError as error:
        known = ", ".join(Constraints.__struct_fields__)
        raise Invalid(
            f"Constraints: {error}",
            remedy=f"Known constraints: {known}.",
            errors=[FieldError("constraints", str(error), values)],
        ) from None
