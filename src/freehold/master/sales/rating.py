"""What a quantity costs. Pure; `billing/sql/consumption.sql` says the same to the database; a test compares them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from freehold.master.foundation.money import rounded


class Model(StrEnum):
    """How a price makes an amount of a month's quantity."""

    FLAT = "flat"
    """The amount, as soon as there is any."""
    UNIT = "unit"
    """The amount a unit."""
    GRADUATED = "graduated"
    """Each step's units at the step's price, each step rounded."""
    VOLUME = "volume"
    """All units at the price of the step in which the quantity ends."""
    PACKAGE = "package"
    """The amount for each begun package."""


@dataclass(frozen=True)
class Tier:
    """A step: `amount` a unit for what is above a quantity, up to another."""

    above: int
    until: int
    amount: int


def rate(model: Model, quantity: int, amount: int, unit: int, tiers: Sequence[Tier] = ()) -> int:
    """Return the minor units that a month's quantity costs; nothing costs nothing."""
    if quantity <= 0:
        return 0
    match model:
        case Model.FLAT:
            return amount
        case Model.UNIT:
            return rounded(quantity * amount, unit)
        case Model.PACKAGE:
            return -(-quantity // unit) * amount
        case Model.VOLUME:
            step = next(tier for tier in tiers if tier.above < quantity <= tier.until)
            return rounded(quantity * step.amount, unit)
        case Model.GRADUATED:
            parts = ((min(quantity, tier.until) - tier.above, tier.amount) for tier in tiers if quantity > tier.above)
            return sum(rounded(part * price, unit) for part, price in parts)


def credit(amount: int, kept: int, counted: int, availability: int, credits: Sequence[tuple[int, int]]) -> int:
    """Return what is given back of a month's price when a promise of availability was not kept.

    `kept` and `counted` are milliseconds: in which it was, of those that count; `availability` is promised and
    `credits` are steps, both in parts of a million: below the first of a pair, the second's percent.
    """
    if not availability or counted <= 0 or kept * 1_000_000 >= availability * counted:
        return 0
    percent = max((share for step, share in credits if kept * 1_000_000 < step * counted), default=0)
    return rounded(amount * min(percent, 100), 100)
