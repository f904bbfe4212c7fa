"""Secrets in parameters and publications are not in a page until asked for: pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shown:
    """A value as a page shows it."""

    name: str
    title: str
    text: str
    """Empty when hidden."""
    is_hidden: bool
    link: str = ""
    """The value, when it is the address of a web page."""


def shown(values: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Shown]:
    """Return values in the order of their schema, each with its title; secrets hidden.

    A value is secret when its property's schema, or one within it, has the format `password`.
    """
    properties = schema.get("properties")
    known: dict[str, Any] = properties if isinstance(properties, dict) else {}
    names = [*(name for name in known if name in values), *(name for name in values if name not in known)]
    found = []
    for name in names:
        own = known.get(name)
        title = own.get("title", name) if isinstance(own, dict) else name
        if is_secret(name, schema):
            found.append(Shown(name, str(title), "", True))
        else:
            words = text(values[name])
            is_link = isinstance(values[name], str) and words.startswith(("http://", "https://"))
            found.append(Shown(name, str(title), words, False, words if is_link else ""))
    return found


def is_secret(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether the value of a property may not be shown unasked."""
    return any(holds_secret(own, schema) for own in _of_property(name, schema, schema, frozenset()))


def holds_secret(schema: Any, whole: Mapping[str, Any]) -> bool:
    """Whether a schema, which is a part of a whole one, has a secret somewhere within."""
    return any(part.get("format") == "password" for part in _parts(schema, whole, frozenset()))


def text(value: Any) -> str:
    """Return a value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _parts(schema: Any, whole: Mapping[str, Any], seen: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield every schema within a schema, following its references."""
    if isinstance(schema, list):
        for one in schema:
            yield from _parts(one, whole, seen)
        return
    if not isinstance(schema, dict):
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        yield from _parts(_at(reference, whole), whole, seen | {reference})
    for key, value in schema.items():
        if key not in ("default", "enum", "const", "$defs"):
            yield from _parts(value, whole, seen)


def _of_property(name: str, schema: Any, whole: Mapping[str, Any], seen: frozenset[str]) -> Iterator[Any]:
    """Yield every schema that may be of a property's value, wherever an object's schema says so."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        yield properties[name]
    else:
        yield from (schema.get(key) for key in ("additionalProperties", "unevaluatedProperties"))
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict):
        yield from patterns.values()
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        yield from _of_property(name, _at(reference, whole), whole, seen | {reference})
    for key in ("allOf", "anyOf", "oneOf", "if", "then", "else"):
        inside = schema.get(key)
        for one in inside if isinstance(inside, list) else [inside]:
            yield from _of_property(name, one, whole, seen)


def _at(reference: str, whole: Mapping[str, Any]) -> Any:
    found: Any = whole
    for part in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
