"""JSON schemas of parameters: checked when a release is published, used at every request."""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from freehold.master.catalog.models import ReleaseType
from freehold.master.foundation.errors import Invalid, InvalidParameters
from freehold.protocol.problem import FieldError

MOST_ERRORS = 20
LONGEST_VALUE = 80


def check_schema(name: str, schema: Any) -> None:
    """Raise Invalid when this is not a draft 2020-12 schema that stands on its own."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise Invalid(
            f"{name} is not a JSON schema (draft 2020-12): {error.message}",
            remedy="Correct the schema and publish again.",
            errors=[FieldError(f"{name}:{_path(error)}", error.message[:200])],
        ) from None
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise Invalid(
                f"{name} refers to '{reference}'.",
                remedy="Put what it refers to under $defs of the same file; the Master fetches nothing.",
            )
    validator = Draft202012Validator(schema)
    try:
        for reference in _references(schema):
            validator.evolve(schema={"$ref": reference}).is_valid({})
        validator.is_valid({})
    except Unresolvable as error:
        raise Invalid(f"{name} refers to '#{error.ref.lstrip('#')}', which is not in it.") from None
    except RecursionError:
        raise Invalid(f"{name} refers to itself without end.") from None


def validate(release: str, type_name: str, parameters: Mapping[str, object]) -> None:
    """Raise InvalidParameters, naming each field, rule and value, when the parameters do not fit."""
    try:
        errors = sorted(
            _validator(release, type_name).iter_errors(parameters),
            key=lambda error: [str(part) for part in error.path],
        )
    except (Unresolvable, RecursionError) as error:
        raise InvalidParameters(
            f"The parameters cannot be checked: {type(error).__name__}.",
            remedy="Nest them less deeply; if they are not deep, tell the release's author.",
        ) from None
    if errors:
        first = errors[0]
        raise InvalidParameters(
            f"{_path(first) or 'parameters'}: {first.message[:300]}",
            errors=[
                FieldError(
                    _field(error),
                    f"{error.validator}: {error.validator_value!r}"[:200],
                    _short(error.instance),
                )
                for error in errors[:MOST_ERRORS]
            ],
        )


@functools.lru_cache(maxsize=512)
def _validator(release: str, type_name: str) -> Draft202012Validator:
    # A release never changes once published, so neither does its validator.
    row = ReleaseType.objects.only("request_schema").get(release=release, name=type_name)
    return Draft202012Validator(json.loads(row.request_schema))


def _path(error: ValidationError | SchemaError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _field(error: ValidationError) -> str:
    path = _path(error)
    if error.validator == "required":
        required: Any = error.validator_value
        given: Any = error.instance
        missing = [name for name in required if name not in given]
        path = ".".join(filter(None, [path, missing[0] if missing else ""]))
    return f"parameters.{path}" if path else "parameters"


def _short(value: object) -> object:
    text = json.dumps(value)
    return value if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
