"""What an instance may request of others: what its release declares for its type, and no more. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from freehold.master.foundation.errors import MasterError, Undeclared
from freehold.protocol.descriptor import RequestDescriptor

_SPARE = 2
"""Instances that exist for each that may be requested: those that are requested no more live on for a time of grace."""


@dataclass(frozen=True)
class Child:
    """An instance that another requested, by the title that it has there."""

    title: str
    product: str
    type: str


@dataclass(frozen=True)
class RequestedKind:
    """Of what kind a request is; what it leaves out is that of the instance that is there."""

    product: str | None
    type: str | None


def read(requests: str, schema: str, parameters: str) -> dict[tuple[str, str], tuple[RequestDescriptor, int]]:
    """Return what an instance may request, by product and type, with how many; all three are JSON."""
    declared = msgspec.json.decode(requests, type=list[RequestDescriptor])
    values, properties = json.loads(parameters), {}
    if any(isinstance(request.number, str) for request in declared):
        properties = json.loads(schema).get("properties", {})
    return {(request.product, request.type): (request, _number(request, values, properties)) for request in declared}


def refused(
    declared: Mapping[tuple[str, str], tuple[RequestDescriptor, int]],
    specs: Mapping[str, RequestedKind],
    children: Iterable[Child],
) -> dict[str, MasterError]:
    """Return which requests are outside of what is declared, by title, and why: those that are there go first."""
    known = {child.title: child for child in children}
    present: dict[tuple[str, str], int] = {}
    for child in known.values():
        present[child.product, child.type] = present.get((child.product, child.type), 0) + 1
    counts: dict[tuple[str, str], int] = {}
    refusals: dict[str, MasterError] = {}
    for title in [title for title in known if title in specs] + [title for title in specs if title not in known]:
        kind = _kind(specs[title], known.get(title))
        if kind not in declared:
            refusals[title] = Undeclared(f"'{title}' is {_named(*kind)}; the release declares {_list(declared)}.")
            continue
        most = declared[kind][1]
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] > most:
            refusals[title] = Undeclared(f"'{title}' is one too many; the release declares {_list(declared)}.")
        elif title not in known:
            present[kind] = present.get(kind, 0) + 1
            if present[kind] > _SPARE * most:
                refusals[title] = Undeclared(
                    f"'{title}' must wait until others of {_named(*kind)}, which are requested no more, have ended; "
                    f"the release declares {_list(declared)}.",
                    remedy="Keep the titles of requests, or wait for the time of grace to be over.",
                )
    return refusals


def _kind(spec: RequestedKind, child: Child | None) -> tuple[str, str]:
    if child is not None:
        return child.product, child.type
    return spec.product or "", spec.type or "default"


def _number(request: RequestDescriptor, values: Mapping[str, Any], properties: Mapping[str, Any]) -> int:
    if isinstance(request.number, int):
        return request.number
    value = values.get(request.number, properties.get(request.number, {}).get("default", 0))
    # JSON schema calls 2.0 an integer, too.
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _named(product: str, kind: str) -> str:
    return f"{product} ({kind})"


def _list(declared: Mapping[tuple[str, str], tuple[RequestDescriptor, int]]) -> str:
    return ", ".join(f"{number} {_named(*kind)}" for kind, (_, number) in declared.items()) or "no requests"
