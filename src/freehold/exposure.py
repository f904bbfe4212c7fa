"""How exposed something is: each protection that was tried here, weighed, and one number for all of them.

The number is read as that of `systemd-analyze security`: 0.0 when every protection holds, 10.0 when none does.
"""

from collections.abc import Sequence

import msgspec


class Protection(msgspec.Struct, frozen=True):
    """Something that stands between strangers and what they want."""

    name: str
    holds: bool
    """As a trial showed; also false when it could not be tried."""
    weight: int
    """From 1 to 5: how much its absence exposes, beside the others."""
    found: str
    """What was tried, and what came of it."""
    exposes: str
    """What its absence gives to whom."""


class Exposure(msgspec.Struct, frozen=True):
    """All protections, and what they come to."""

    exposure: float
    """From 0.0 to 10.0, with one digit."""
    protections: Sequence[Protection]


def weigh(protections: Sequence[Protection]) -> Exposure:
    """Return how exposed something is with these protections, at least one."""
    whole = sum(protection.weight for protection in protections)
    missing = sum(protection.weight for protection in protections if not protection.holds)
    # What is missing is never rounded away.
    number = max(round(10 * missing / whole, 1), 0.1) if missing else 0.0
    return Exposure(number, protections)


def lines(exposed: Exposure) -> list[str]:
    """Return what to show people: a line for each protection, and one for all."""
    shown = []
    for protection in exposed.protections:
        words = protection.found if protection.holds else f"{protection.found}; without it {protection.exposes}"
        shown.append(f"{'✓' if protection.holds else '✗'} {protection.name:<14} {protection.weight}  {words}")
    return [*shown, f"Exposure {exposed.exposure} of 10.0"]
