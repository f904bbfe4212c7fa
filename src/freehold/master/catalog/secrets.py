"""Which values are secret, as the schema of a release says: those of the format `password`. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from freehold.master.foundation.errors import InvalidParameters
from freehold.master.foundation.secret_mark import MARK
from freehold.protocol.problem import FieldError


def hide(values: Mapping[str, Any], is_hidden: Callable[[str], bool]) -> dict[str, Any]:
    """Return parameters, or a publication, with a mark in the place of each secret; `is_hidden` says which are."""
    return {name: MARK if is_hidden(name) else value for name, value in values.items()}


def restore(values: Mapping[str, Any], present: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the present secret in the place of each mark: who sends back what was shown changes none.

    Raise InvalidParameters for a mark where there is no secret yet.
    """
    marked = [name for name, value in values.items() if value == MARK and is_secret(name, schema)]
    missing = [name for name in marked if name not in present]
    if missing:
        raise InvalidParameters(
            f"{missing[0]}: '{MARK}' stands for a secret that is there, and there is none yet.",
            remedy="Send the secret itself.",
            errors=[FieldError(f"parameters.{name}", "a secret, not the mark of one", MARK) for name in missing],
        )
    return {**values, **{name: present[name] for name in marked}}


def is_secret(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether the value of a property may not be shown unasked."""
    return any(holds_secret(own, schema) for own in _of_property(name, schema, schema, frozenset()))


def holds_secret(schema: Any, whole: Mapping[str, Any]) -> bool:
    """Whether a schema, which is a part of a whole one, has a secret somewhere within."""
    return any(part.get("format") == "password" for part in _parts(schema, whole, frozenset()))


def _parts(schema: Any, whole: Mapping[str, Any], seen: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield every schema within a schema, following its references."""
    if isinstance(schema, list):
        for subschema in schema:
            yield from _parts(subschema, whole, seen)
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
        for subschema in inside if isinstance(inside, list) else [inside]:
            yield from _of_property(name, subschema, whole, seen)


def _at(reference: str, whole: Mapping[str, Any]) -> Any:
    subschema: Any = whole
    for part in filter(None, reference.removeprefix("#").split("/")):
        subschema = subschema.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(subschema, dict) else None
    return subschema
