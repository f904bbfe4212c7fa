"""Money: whole minor units (cents, fen, yen) of a currency, and the one way in which amounts are rounded. Pure."""

from dataclasses import dataclass

LARGEST = 10**11
"""Minor units of the largest amount that can be asked for: its products with rates of tax and exchange fit 63 bits."""


@dataclass(frozen=True, order=True)
class Money:
    """An amount of a currency."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
        return Money(self.minor + other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def share(self, numerator: int, denominator: int) -> "Money":
        """Return this amount times a fraction, rounded."""
        return Money(rounded(self.minor * numerator, denominator), self.currency)


def rounded(numerator: int, denominator: int) -> int:
    """Return the whole number nearest to a fraction with a positive denominator; halves go away from zero.

    So do invoices by EN 16931. `rounded` in the SQL files is the same: both engines divide toward zero.
    """
    twice = 2 * abs(numerator) + denominator
    size = twice // (2 * denominator)
    return size if numerator >= 0 else -size


def spread(total: int, weights: list[int]) -> list[int]:
    """Share a total among weights of one sum that is not 0, to the last unit: each gets what the running sum adds.

    The shares always sum to the total, whatever the signs of the weights.
    """
    whole, running, given, shares = sum(weights), 0, 0, []
    for weight in weights:
        running += weight
        until = floor_zero(total * running, whole)
        shares.append(until - given)
        given = until
    return shares


def floor_zero(numerator: int, denominator: int) -> int:
    """Return a fraction cut toward zero, as both databases divide whole numbers."""
    size = abs(numerator) // abs(denominator)
    return size if (numerator < 0) == (denominator < 0) else -size
