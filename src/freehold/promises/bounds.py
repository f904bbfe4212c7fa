"""What the fields of a promise may hold: checked where they are written, not when the promise is first looked at."""

import dataclasses
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from freehold.protocol.validation import PERIODS, TIMEOUTS

_RANGES: dict[str, tuple[float, float]] = {
    "period": PERIODS,
    "timeout": TIMEOUTS,
    "port": (1, 65535),
    "status": (100, 599),
    "most_lost_percent": (0, 100),
    "free_percent": (0, 100),
}
_OF_ANY_SIGN = ("least", "most")
"""Of what a query returns."""


def check_fields(promise: Any) -> None:
    """Raise ValueError, beginning with the field's name, for a value that a ready-made promise cannot have."""
    kinds = get_type_hints(type(promise))
    for field in dataclasses.fields(promise):
        words = _mistake(field.name, kinds[field.name], getattr(promise, field.name))
        if words:
            raise ValueError(f"{field.name}: {words}")


def read(field: "dataclasses.Field[Any]", text: str) -> Any:
    """Return the value of a field from its text; raise ValueError for a number that is none."""
    kind: Any = field.type
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(member for member in get_args(kind) if member is not types.NoneType)
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        number = "whole number" if kind is int else "number"
        raise ValueError(f"{field.name}: '{text}' is not a {number}") from None


def _mistake(name: str, kind: Any, value: Any) -> str:
    if get_origin(kind) is Literal:
        return "" if value in get_args(kind) else f"{value!r} is none of {', '.join(get_args(kind))}"
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional and value is None:
        return ""
    if optional:
        kind = next(member for member in get_args(kind) if member is not types.NoneType)
    if get_origin(kind) is tuple:
        fits = isinstance(value, tuple | list) and all(isinstance(item, str) for item in value)
        return "" if fits else "it must be several texts"
    if kind is str:
        return "" if isinstance(value, str) else f"it must be a text, not {type(value).__name__}"
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return f"it must be a {'whole number' if kind is int else 'number'}, not {type(value).__name__}"
    if optional and name in _OF_ANY_SIGN:
        return "" if math.isfinite(value) else f"it must be a number, not {value:g}"
    least, most = _RANGES.get(name, (0, math.inf))
    if math.isfinite(value) and least <= value <= most:
        return ""
    return f"it must be {f'from {least:g} to {most:g}' if name in _RANGES else 'a number from 0'}, not {value:g}"
