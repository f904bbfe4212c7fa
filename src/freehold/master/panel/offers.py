"""The offers of a product as cards to choose from: what each costs a project, and whether there is room for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from freehold.master.allocation.choice import Constraints
from freehold.master.billing.subscriptions import choices, quotes
from freehold.master.billing.subscriptions.choices import OfferChoice, OfferTerms
from freehold.master.catalog.queries import ResolvedType
from freehold.master.foundation.errors import Conflict
from freehold.master.ordering import actions, room
from freehold.master.panel import labels
from freehold.master.people.identity import Caller
from freehold.protocol.problem import Reason
from freehold.protocol.size import Size

MOST_ASKED = 20
"""Regions and sizes of which a page says whether there is room; of others the order says it."""


@dataclass(frozen=True)
class OfferCard:
    """An offer, in a region, on the page of a project that may order it."""

    choice: OfferChoice
    lacking: list[Reason]
    """Why there is no room for it now."""

    @property
    def value(self) -> str:
        """What a form says to mean it: the price that was seen is part of it."""
        return "|".join((self.choice.name, self.choice.region, self.choice.price_list))

    @property
    def title(self) -> str:
        """In the language of the page."""
        return labels.of_language(self.choice.titles)

    @property
    def is_open(self) -> bool:
        return self.choice.terms is not OfferTerms.UNCLEAR and not self.lacking

    @property
    def sizes(self) -> list[tuple[float, str]]:
        """What may be used, each number with what it counts."""
        return labels.size(msgspec.to_builtins(self.choice.size))

    @property
    def gross(self) -> int:
        return self.choice.gross

    @property
    def terms(self) -> str:
        return self.choice.terms.value


def cards(kind: ResolvedType, project: str, nowhere: list[Reason]) -> list[OfferCard]:
    """Return the offers of a product and type for a project (its id): the cheapest that can be had first.

    `nowhere`: why there is no room anywhere, as `room.lacking` says it.
    """
    lacking: dict[tuple[str, Size], list[Reason]] = {("", kind.size): nowhere}
    cards_of_type = []
    for choice in choices.of_project(project, kind.product, kind.type):
        size = choice.size.over(kind.size)
        if (choice.region, size) not in lacking:
            is_asked, sized = len(lacking) <= MOST_ASKED, replace(kind, size=size)
            reasons = room.lacking(sized, project, Constraints(region=choice.region)) if is_asked else []
            lacking[choice.region, size] = reasons
        cards_of_type.append(OfferCard(choice, lacking[choice.region, size]))
    return sorted(cards_of_type, key=lambda card: not card.is_open)


def chosen_value(cards_shown: list[OfferCard], wanted: str) -> str:
    """Return the card that is chosen: what was asked for, or the first that can be had; empty when none can."""
    return wanted or next((card.value for card in cards_shown if card.is_open), "")


def at_its_price(
    spec: actions.Request, cards_shown: Sequence[OfferCard], chosen: str, *, acting: Caller
) -> actions.Request:
    """Return a wish with the offer that was chosen, held to the price that was shown.

    Raise Conflict when that price holds no more.
    """
    card = next((card for card in cards_shown if card.value == chosen), None)
    if card is None:
        if chosen:
            raise Conflict("This price holds no more.", remedy="Look at the prices again.")
        return spec
    constraints = dict(spec.constraints or {})
    if card.choice.region:
        constraints["region"] = card.choice.region
    spec = msgspec.structs.replace(spec, offer=card.choice.name, constraints=constraints)
    if card.choice.terms is OfferTerms.FREE:
        return spec
    quoted = quotes.quote(spec.project, card.choice.name, card.choice.region, acting=acting)
    return msgspec.structs.replace(spec, quote=quoted.id)
