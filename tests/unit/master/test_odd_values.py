"""Odd values in every field of every body of the API: a refusal, and never a failure of the Master."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Master

_DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
_ODD: tuple[Any, ...] = (
    "9999-99-99", "0000-00-00", "99999-01-01", "9999-12-31T23:59:60Z", "2026-02-30", "1e400", "NaN", "-0.0",
    "9" * 400, -1, 2**63, 2**64, 10**30, 1e308, "\0", "\ud800", "x" * 5000, "", " ", None, True, [], {}, [[]],
)  # fmt: skip
"""Dates that are none or too far, numbers that no column holds, characters that no database has, other types."""
_USUAL: dict[str, Any] = {
    "currency": "EUR", "country": "FR", "amount": "1", "seller": "BOOKS", "product": "tiny", "project": "provider",
    "site": "here", "node": "one", "from": "2026-01-01", "day": "2026-01-01", "until": "2026-12-31", "month": "2026-01",
    "title": "theirs", "to": "provider", "email": "owner@example.org", "language": "en", "role": "customer",
    "begins_at": "2999-01-01T00:00Z", "ends_at": "2999-01-01T01:00Z", "time_zone": "UTC", "customer": "acme",
    "password": "not the password of anybody", "method": "transfer", "url": "https://hooks.example/x",
}  # fmt: skip
"""What a field of this name holds where the rest of a body is right."""


def _body(schema: dict[str, Any], name: str = "") -> Any:
    """Return a value that a schema allows, as far as its form says."""
    if "$ref" in schema:
        return _body(_DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
    for way in ("anyOf", "oneOf", "allOf"):
        if way in schema:
            return _body(schema[way][0], name)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    if kind == "object":
        return {field: _body(part, field) for field, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_body(schema["items"], name)] if schema.get("items") else []
    if name in _USUAL:
        return _USUAL[name]
    return {"string": "x", "integer": 1, "number": 1, "boolean": True}.get(kind)


def _mutants(value: Any) -> "Iterator[Any]":
    """Yield the value with one leaf after the other replaced by each odd value."""
    if isinstance(value, dict):
        for field, inside in value.items():
            for mutant in _mutants(inside):
                yield {**value, field: mutant}
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            for mutant in _mutants(inside):
                yield [*value[:index], mutant, *value[index + 1 :]]
    else:
        yield from _ODD


_WRITES = [
    (method.upper(), path, operation["requestBody"]["content"]["application/json"]["schema"])
    for path, methods in _DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
]


@pytest.fixture(scope="module")
def shop(master: "Master") -> "Master":
    """A Master with one of each thing that bodies and paths name."""
    seller = {"code": "BOOKS", "name": "Books", "address": "x", "country": "FR", "currency": "EUR"}
    master.api("POST", "/projects/provider/entities", {**seller, "time_zone": "UTC"})
    master.node("one")
    master.publish()
    master.supply("tiny", "one")
    master.request("theirs")
    return master


_PLACES = {"project": "provider", "code": "BOOKS", "title": "theirs", "site": "here", "node": "one"}


def _path(path: str) -> str:
    for name, value in _PLACES.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + "lost" + path[path.index("}") + 1 :]
    return path


@pytest.mark.parametrize(("method", "path", "schema"), _WRITES, ids=[f"{method} {path}" for method, path, _ in _WRITES])
def test_no_odd_value_is_more_than_refused(shop: "Master", method: str, path: str, schema: dict[str, Any]) -> None:
    failures = []
    for body in _mutants(_body(schema)):
        sent = json.dumps(body).encode()
        answer = shop.call(method, _path(path), raw=sent, token=shop.owner)
        is_told = answer.status < 400 or answer.kind == "application/problem+json"
        # 503: as many logs are read at once as may be.
        if (answer.status >= 500 and answer.status != 503) or not is_told:
            failures.append((sent[:300], answer.status, answer.body))
    assert not failures, failures[:3]
