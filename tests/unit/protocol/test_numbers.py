"""Numbers of JSON: none is changed without a word, and equal ones are equal however they are written."""

import json
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.protocol import numbers

literals = some.builds(
    lambda sign, digits, point, exponent: f"{sign}{int(digits[:point])}.{digits[point:] or '0'}e{exponent}",
    some.sampled_from(["", "-"]),
    some.text("0123456789", min_size=2, max_size=40),
    some.integers(1, 40),
    some.integers(-200, 200),
)


@given(literals, literals)
def test_two_numbers_compare_as_their_decimals_do(one: str, other: str) -> None:
    left, right = (numbers.exact(numbers.decode(text.encode())) for text in (one, other))
    assert (left < right, left == right) == (Fraction(one) < Fraction(other), Fraction(one) == Fraction(other))


@given(literals)
def test_what_is_kept_is_the_nearest_and_is_read_again_as_itself(text: str) -> None:
    kept = numbers.kept(numbers.decode(text.encode()))
    assert float(kept) == float(text)
    if Fraction(text).denominator == 1:
        assert kept == Fraction(text)
        return
    again = numbers.decode(json.dumps(kept).encode())
    assert numbers.is_kept_whole(again)
    assert numbers.exact(again) == numbers.exact(kept) == Fraction(Decimal(repr(float(text))))


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1e-400", "1e-99999999999999999999", "0." + "1" * 500])
def test_a_number_that_cannot_be_kept_at_all_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        numbers.decode(f"[{text}]".encode())


def test_zero_is_zero_however_it_is_written() -> None:
    assert numbers.kept(numbers.decode(b"[0.0, -0.0, 0e9, 0.000, 0E-999]")) == [0] * 5
