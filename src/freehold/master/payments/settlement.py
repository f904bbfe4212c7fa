"""What became of a payment, from all that its provider told of it, in whatever order and however often: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class SettlementKind(StrEnum):
    """What a provider can tell."""

    CAPTURED = "captured"
    """The money is ours."""
    REFUNDED = "refunded"
    """So much of it went back, by our wish or against it."""


@dataclass(frozen=True)
class Settled:
    """Where a payment stands, in the smallest unit of its currency."""

    captured: int
    refunded: int
    """At most what was captured: a refund that is told first waits for the money that it is of."""


def sum_up(heard: Iterable[tuple[str, SettlementKind, int]]) -> Settled:
    """Return where a payment stands from its events: id, kind, amount. Neither order nor repetition matters.

    A payment is captured once: providers that tell a growing sum tell the whole of it each time, so the largest holds.
    """
    events = {event: (kind, amount) for event, kind, amount in heard}
    captured = max((amount for kind, amount in events.values() if kind is SettlementKind.CAPTURED), default=0)
    back = sum(amount for kind, amount in events.values() if kind is SettlementKind.REFUNDED)
    return Settled(captured, min(back, captured))
