"""Numbers of JSON as they are written: exact, though a machine keeps a number with a fraction in 64 bits."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

LONGEST = 400
"""Characters of a number with a fraction or an exponent."""


class Written(float):
    """A number that was written with more digits than are kept of it."""

    text: str


class Exact(Fraction):
    """A number with a fraction, as it is written; shown as such."""

    text: str

    def __repr__(self) -> str:
        return self.text


def read(text: str) -> int | float:
    """Return a number with a fraction or an exponent, which is `Written` if it is not kept as it stands.

    Raise ValueError for one that is beyond all that are kept.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{text[:40]}… has {len(text)} characters; a number has at most {LONGEST}")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a number that JSON knows, or larger than any that is kept")
    if number == 0 and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
        raise ValueError(f"{text[:40]} is smaller than any number that is kept")
    decimal = Decimal(text)
    if decimal == Decimal(repr(number)):
        return number
    if decimal == decimal.to_integral_value():
        return int(decimal)
    written = Written(number)
    written.text = text
    return written


_DECODER = msgspec.json.Decoder(float_hook=read)


def decode(content: bytes) -> Any:
    """Return a value of JSON whose numbers are as `read` makes them; raise as `msgspec.json.decode` does."""
    return _DECODER.decode(content)


def kept(value: Any) -> Any:
    """Return a value as it is kept, equal numbers written alike: 3.0 is 3, to each who reads it after us."""
    if isinstance(value, dict):
        return {name: kept(each) for name, each in value.items()}
    if isinstance(value, list):
        return [kept(each) for each in value]
    if not isinstance(value, float):
        return value
    # 1e23 is 10**23, though the float that stands for it is not.
    return int(Decimal(repr(float(value)))) if value.is_integer() else float(value)


def exact(value: Any) -> Any:
    """Return a value whose numbers compare as they are written: whole ones, and `Exact` ones."""
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [exact(each) for each in value]
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    text = value.text if isinstance(value, Written) else repr(value)
    number = Exact(text)
    if number.denominator == 1:
        return number.numerator
    number.text = text
    return number


def is_kept_whole(value: Any) -> bool:
    """Return whether no number of a value was written with more digits than are kept."""
    if isinstance(value, dict):
        return all(is_kept_whole(each) for each in value.values())
    if isinstance(value, list):
        return all(is_kept_whole(each) for each in value)
    return not isinstance(value, Written)
