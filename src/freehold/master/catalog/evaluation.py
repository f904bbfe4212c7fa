"""JSON Schema whose cost has a bound: patterns in linear time, and a number of steps for a whole evaluation."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from fractions import Fraction
from typing import Any

import re2
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from freehold.protocol import patterns
from freehold.protocol.numbers import exact

MOST_STEPS = 100_000
"""Keywords that one evaluation applies; each 256 characters of a message, and each value of an `enum`, count as one."""

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
_steps: ContextVar[int] = ContextVar("steps")


class TooCostly(Exception):
    """An evaluation takes more steps than are granted."""


def errors_of(validator: Draft202012Validator, value: object, most: int) -> list[ValidationError]:
    """Return the first errors of a value, `most` at most; raise TooCostly, or PatternError for an unchecked pattern."""
    _steps.set(0)
    value = exact(value)
    errors: list[ValidationError] = []
    for error in validator.iter_errors(value):
        errors.append(error)
        if len(errors) == most:
            break
    return errors


@functools.lru_cache(maxsize=2048)
def engine(pattern: str) -> Callable[[str], object]:
    """Return the search of a pattern of ECMA 262; raise PatternError."""
    options = re2.Options()
    options.log_errors = False
    try:
        search: Callable[[str], object] = re2.compile(patterns.translate(pattern), options).search
    except re2.error as error:
        reason = error.args[0]
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise patterns.PatternError(f"the engine refuses it: {words}") from None
    return search


def _counted(keyword: Any) -> _Keyword:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _count(1)
        for error in keyword(validator, value, instance, schema) or ():
            _count(1 + len(error.message) // 256)
            yield error

    return run


def _count(steps: int) -> None:
    steps_taken = _steps.get(0) + steps
    _steps.set(steps_taken)
    if steps_taken > MOST_STEPS:
        raise TooCostly(f"The evaluation takes more than {MOST_STEPS} steps.")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not engine(pattern)(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, properties: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in properties.items():
        matches = engine(pattern)
        _count(len(instance))
        for name, value in instance.items():
            if matches(name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    searches = [engine(pattern) for pattern in schema.get("patternProperties", {})]
    _count(len(instance) * (1 + len(searches)))
    extras = [name for name in instance if name not in known and not any(search(name) for search in searches)]
    if isinstance(subschema, dict):
        for name in extras:
            yield from validator.descend(instance[name], subschema, path=name)
    elif subschema is False and extras:
        names = ", ".join(repr(name) for name in sorted(extras))
        verb = "was" if len(extras) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    # The library compares every item with every other where they cannot be sorted.
    _count(len(instance))
    if len({_canonical(item) for item in instance}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, int | float | Fraction) or isinstance(instance, bool):
        return
    # Of floats: those that are endless or none.
    if isinstance(instance, float) or instance % step:
        yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


def _enum(validator: Any, values: list[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    _count(len(values))
    yield from Draft202012Validator.VALIDATORS["enum"](validator, values, instance, schema) or ()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda number: {"": str(Fraction(number))})


_OURS: dict[str, _Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "enum": _enum,
    "multipleOf": _multiple_of,
}
_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(_OURS.get(name, keyword)) for name, keyword in Draft202012Validator.VALIDATORS.items()},
)


def validator_of(schema: Any) -> Any:
    """Return what `errors_of` takes for a schema."""
    return _Validator(exact(schema))
