"""What authors are told when something does not fit."""

import os
import traceback
from collections.abc import Iterable

import msgspec

from freehold.protocol.size import Size


class ReleaseError(Exception):
    """A release or its plan is not usable; the message says which part and why."""


def mistake(error: BaseException) -> ReleaseError:
    """Return what an author must be told of an exception in a release: file, line and words."""
    if isinstance(error, SyntaxError):
        return ReleaseError(f"{error.filename}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}")
    ours = os.path.dirname(__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and os.path.dirname(frame.filename) != ours
    ]
    # The author's files stand in one folder; what they call stands elsewhere and is rarely to blame.
    own = [frame for frame in frames if os.path.dirname(frame.filename) == os.path.dirname(frames[0].filename)]
    place = f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}: " if own else ""
    return ReleaseError(f"{place}{type(error).__name__}: {error}")


def must_be(kind: type | tuple[type, ...], name: str, value: object) -> None:
    """Raise TypeError naming a part and its option when a value is of another kind."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        words = " or ".join(accepted.__name__ for accepted in kinds)
        raise TypeError(f"{name} must be {words}, not {kind_of(value)}")


def must_hold(kind: type | tuple[type, ...], name: str, values: Iterable[object]) -> None:
    """Raise TypeError when one of several values is of another kind."""
    for value in values:
        must_be(kind, f"{name}: each", value)


def must_be_from(least: float, most: float, name: str, value: float, unit: str = "") -> None:
    """Raise TypeError naming a part and its option when a number is none or lies elsewhere."""
    # What is no number is smaller than nothing and larger than nothing.
    if isinstance(value, bool) or not least <= value <= most:
        raise TypeError(f"{name} must be from {least:g} to {most:g}{unit and f' {unit}'}, not {value:g}")


def must_be_size(name: str, value: object) -> None:
    """Raise TypeError naming a part and its option when a value is no size, or one of its numbers cannot be."""
    must_be(Size, name, value)
    try:
        msgspec.convert(msgspec.to_builtins(value), Size)
    except msgspec.ValidationError as error:
        raise TypeError(f"{name}: {error}") from None


def kind_of(value: object) -> str:
    """Return the kind of a value in words, and not the value: it may be a secret."""
    return "None" if value is None else type(value).__name__
