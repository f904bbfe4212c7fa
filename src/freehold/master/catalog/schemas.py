"""JSON schemas of parameters: checked when a release is published, used at every request."""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from freehold.master.catalog.evaluation import TooCostly, engine, errors_of, validator_of
from freehold.master.catalog.models import ReleaseType
from freehold.master.catalog.secrets import is_secret, restore
from freehold.master.foundation.errors import Invalid, InvalidParameters
from freehold.master.foundation.secret_mark import MARK
from freehold.protocol import unknown_names
from freehold.protocol.patterns import PatternError, keywords_of, patterns_of
from freehold.protocol.problem import FieldError

MOST_ERRORS = 20
LONGEST_VALUE, LONGEST_RULE = 80, 200
LARGEST_SCHEMA, DEEPEST_SCHEMA, MOST_PATTERNS = 256 * 1024, 64, 500
"""Bytes of JSON, levels of nesting, patterns."""


def check_schema(name: str, schema: Any) -> None:
    """Raise Invalid when this is not a draft 2020-12 schema that stands on its own and can be evaluated in time."""
    if isinstance(schema, bool):
        raise Invalid(
            f"{name} is no object, but {json.dumps(schema)[:40]}.",
            remedy='Write a schema as an object: {} takes everything, {"additionalProperties": false} nothing.',
        )
    _check_size(name, schema)
    try:
        # Its formats are not looked at: by `regex` the library means Python's.
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(()))
    except SchemaError as error:
        raise Invalid(
            f"{name} is not a JSON schema (draft 2020-12): {error.message}",
            remedy="Correct the schema and publish again.",
            errors=[FieldError(f"{name}:{_path(error)}", error.message[:200])],
        ) from None
    _check_patterns(name, schema)
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise Invalid(
                f"{name} refers to '{reference}'.",
                remedy="Put what it refers to under $defs of the same file; the Master fetches nothing.",
            )
    validator = validator_of(schema)
    try:
        for reference in _references(schema):
            errors_of(validator.evolve(schema={"$ref": reference}), {}, 1)
        errors_of(validator, {}, 1)
    except Unresolvable as error:
        raise Invalid(f"{name} refers to '#{error.ref.lstrip('#')}', which is not in it.") from None
    except RecursionError:
        raise Invalid(f"{name} refers to itself without end.") from None
    except TooCostly as error:
        raise Invalid(f"{name} costs too much. {error}", remedy="Simplify the schema.") from None
    except PatternError as error:
        raise Invalid(f"{name} refers to a pattern that cannot be used: {error}.") from None


def validate(release: str, type_name: str, parameters: Mapping[str, object]) -> None:
    """Raise InvalidParameters, naming each field, rule and value, when the parameters do not fit."""
    try:
        errors = sorted(
            errors_of(_validator(release, type_name), parameters, MOST_ERRORS),
            key=lambda error: [str(part) for part in error.path],
        )
    except (TooCostly, PatternError) as error:
        raise InvalidParameters(
            f"The parameters cannot be checked: {error}",
            remedy="Send fewer or smaller parameters; if they are few, tell the release's author.",
        ) from None
    except (Unresolvable, RecursionError) as error:
        raise InvalidParameters(
            f"The parameters cannot be checked: {type(error).__name__}.",
            remedy="Nest them less deeply; if they are not deep, tell the release's author.",
        ) from None
    if errors:
        first, refusals = errors[0], _Refusals(parameters, _schema(release, type_name))
        raise InvalidParameters(
            f"{_path(first) or 'parameters'}: {refusals.words(first)}"
            + (f" Only the first {MOST_ERRORS} errors are named." if len(errors) >= MOST_ERRORS else ""),
            errors=[
                FieldError(
                    _field(error),
                    refusals.rule(error),
                    _short(refusals.value(error)),
                )
                for error in errors
            ],
        )


def restore_secrets(
    release: str, type_name: str, parameters: Mapping[str, Any], present: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameters with the present secrets in the place of their marks; raise InvalidParameters (`restore`)."""
    schema = _schema(release, type_name)
    return restore(parameters, present, schema if isinstance(schema, dict) else {})


@functools.lru_cache(maxsize=512)
def _validator(release: str, type_name: str) -> Any:
    return validator_of(_schema(release, type_name))


@functools.lru_cache(maxsize=512)
def _schema(release: str, type_name: str) -> Any:
    # A release never changes once published, so neither does its schema.
    return json.loads(ReleaseType.objects.only("request_schema").get(release=release, name=type_name).request_schema)


class _Refusals:
    """What is said of parameters that do not fit, without what is secret among them."""

    def __init__(self, parameters: Mapping[str, object], schema: Any) -> None:
        self._whole = schema if isinstance(schema, dict) else {}
        self._secrets = {name for name in parameters if is_secret(name, self._whole)}

    def words(self, error: ValidationError) -> str:
        """Return what is wrong; where the library would quote a secret, only which rule it breaks."""
        if words := self._unknown_words(error):
            return words
        if error.validator == "required" or not self._is_near(error):
            return error.message[:300]
        return f"it breaks the rule '{error.validator}'"

    def rule(self, error: ValidationError) -> str:
        """Return which rule is broken, and what it says."""
        return f"{error.validator}: {self._unknown_words(error) or repr(error.validator_value)}"[:LONGEST_RULE]

    def value(self, error: ValidationError) -> object:
        """Return what was sent there."""
        if not self._is_near(error):
            return error.instance
        value: Any = error.instance
        if error.absolute_path or not isinstance(value, dict):
            return MARK
        return {name: MARK if name in self._secrets else value for name, value in value.items()}

    def _unknown_words(self, error: ValidationError) -> str:
        """Return words about a name that an object may not have, when it is such a name that is wrong."""
        if error.validator not in _CLOSING or error.validator_value is not False:
            return ""
        own: Any = error.schema
        known = _CLOSING[error.validator](own, self._whole)
        value: Any = error.instance
        return unknown_names.words([name for name in value if repr(name) in error.message], known)

    def _is_near(self, error: ValidationError) -> bool:
        return error.absolute_path[0] in self._secrets if error.absolute_path else bool(self._secrets)


def _check_size(name: str, schema: Any) -> None:
    # The depth first: whatever writes or checks a schema descends into it.
    if _deeper_than(schema, DEEPEST_SCHEMA):
        raise Invalid(f"{name} is nested more than {DEEPEST_SCHEMA} deep.", remedy="Simplify the schema.")
    size = len(json.dumps(schema, separators=(",", ":")))
    if size > LARGEST_SCHEMA:
        raise Invalid(f"{name} has {size} bytes of JSON; at most {LARGEST_SCHEMA} are accepted.")


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            each
            for item in layer
            if isinstance(item, dict | list)
            for each in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in layer)


def _check_patterns(name: str, schema: Any) -> None:
    keywords = {key for key, _ in keywords_of(schema)}
    if {"unevaluatedProperties", "patternProperties"} <= keywords:
        # The library would match these patterns with an engine of its own.
        raise Invalid(
            f"{name} has both `unevaluatedProperties` and `patternProperties`.",
            remedy="Write `additionalProperties` in the place of `unevaluatedProperties`.",
        )
    written = list(patterns_of(schema))
    if len(written) > MOST_PATTERNS:
        raise Invalid(f"{name} has {len(written)} patterns; at most {MOST_PATTERNS} are accepted.")
    for pattern in written:
        try:
            engine(pattern)
        except PatternError as error:
            raise Invalid(
                f"{name}: the pattern {_short(pattern)!r} cannot be used: {error}.",
                remedy="Write it as ECMA 262 has it (with the u flag), without look-around and back-references.",
                errors=[FieldError(f"{name}:pattern", str(error), _short(pattern))],
            ) from None


def _path(error: ValidationError | SchemaError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _beside(schema: Any, whole: Any) -> list[str]:
    """Return the names that a schema itself has words for."""
    return list(schema.get("properties", {}))


def _in_place(schema: Any, whole: Any) -> list[str]:
    """Return the names that a schema, and those that it applies in the same place, have words for."""
    names, pending, seen = list[str](), [schema], set[int]()
    while pending:
        branch = pending.pop()
        if not isinstance(branch, dict) or id(branch) in seen:
            continue
        seen.add(id(branch))
        names += branch.get("properties", {})
        pending += [branch.get(key) for key in ("if", "then", "else")]
        pending += [inner for key in ("allOf", "anyOf", "oneOf") for inner in branch.get(key, ())]
        pending += branch.get("dependentSchemas", {}).values()
        if str(branch.get("$ref", "")).startswith("#/"):
            pending.append(_referred(branch["$ref"], whole))
    return names


_CLOSING = {"additionalProperties": _beside, "unevaluatedProperties": _in_place}
"""Keywords that refuse names, and which names they know."""


def _referred(reference: str, whole: Any) -> Any:
    """Return what a reference names within a schema; None for what is not found by its path alone."""
    place = whole
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        place = place.get(name) if isinstance(place, dict) else None
    return place


def _field(error: ValidationError) -> str:
    path = _path(error)
    if error.validator == "required":
        required: Any = error.validator_value
        value: Any = error.instance
        missing = [name for name in required if name not in value]
        path = ".".join(filter(None, [path, missing[0] if missing else ""]))
    return f"parameters.{path}" if path else "parameters"


def _short(value: object) -> object:
    text = json.dumps(value, default=repr)
    # What stands for a number as it is written is shown so.
    return json.loads(text) if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


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
