"""Instances of a kind that one instance requests, and its release wants apart: no two on one node, or on one site."""

from dataclasses import dataclass, field

import msgspec

from freehold.master.allocation.actions import Place
from freehold.master.allocation.choice import Avoided
from freehold.master.foundation.errors import NoPlace
from freehold.master.foundation.transactions import run
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.descriptor import Apart, RequestDescriptor


@dataclass
class Occupied:
    """Where those of a kind are already, as far as that keeps another one away."""

    apart: Apart
    places: list[tuple[str, str]] = field(default_factory=list)
    """Node and site of each."""

    @property
    def avoided(self) -> Avoided:
        """Where another one must not be."""
        if self.apart is Apart.NODE:
            return Avoided(nodes=frozenset(node for node, _ in self.places))
        if self.apart is Apart.SITE:
            return Avoided(sites=frozenset(site for _, site in self.places))
        return Avoided()

    def add(self, place: Place) -> None:
        """Note that another one is placed."""
        self.places.append((place.node, place.site))

    def refusal(self, number: int, error: NoPlace) -> NoPlace:
        """Return why there is no place for so many in all."""
        where = "sites" if self.apart is Apart.SITE else "nodes"
        have = "has" if len(self.places) == 1 else "have"
        words = f"{number} {where} are needed apart, {len(self.places)} {have} room."
        return NoPlace(words, reasons=error.reasons, remedy=error.remedy)


def occupied(parent: str | None, product: str, type_name: str, *, besides: str = "") -> Occupied:
    """Return where those of a kind are that an instance (its id) requested, but one; nothing if they may be together.

    In a transaction with the tree locked.
    """
    for row in run(QUERIES["declared"], id=parent) if parent is not None else []:
        for declared in msgspec.json.decode(row["requests"], type=list[RequestDescriptor]):
            if (declared.product, declared.type) == (product, type_name) and declared.apart:
                return of_kind(parent, declared, besides=besides)
    return Occupied(Apart.ANYHOW)


def of_kind(parent: str | None, declared: RequestDescriptor, *, besides: str = "") -> Occupied:
    """Return where those are that an instance (its id) requested as it declares it."""
    occupied = run(QUERIES["occupied"], parent=parent, product=declared.product, type=declared.type, besides=besides)
    return Occupied(declared.apart, [(row["node"], row["site"]) for row in occupied])
