"""Another offer for an instance that is there: what its customer wants of it now, and pays for it."""

from dataclasses import dataclass
from typing import Any

import msgspec

from freehold.master.foundation import events
from freehold.master.foundation.errors import Conflict
from freehold.master.ordering import resolving
from freehold.master.ordering.events import OfferNamed
from freehold.master.sales import queries as sales
from freehold.master.sales.queries import SoldItem
from freehold.protocol.order import OrderSpec


@dataclass(frozen=True)
class Taken:
    """What an offer makes of what is asked of an instance."""

    parameters: dict[str, Any]
    size: dict[str, Any] | None
    """What it may use; None: as it was."""
    is_changed: bool
    """It is another offer than before."""


def take(row: dict[str, Any], spec: OrderSpec, parameters: dict[str, Any], actor: str) -> Taken:
    """Have an instance at the offer that a request names.

    `parameters`: all of its, as they would be without. In the transaction of the change. Raise Conflict for an offer of
    something else, or of another seller, and for parameters or a size that are not the offer's.
    """
    offer = spec.offer or ""
    named = OfferNamed(row["id"], row["project_id"], offer, row["node_id"], spec.quote, actor)
    events.send(named)
    if named.is_present:
        return Taken(parameters, spec.size, False)
    sold = sales.offer(offer, row["product"])
    if (sold.product, sold.type) != (row["product"], row["type"]):
        raise Conflict(
            f"'{row['title']}' is {row['product']} ({row['type']}); the offer '{offer}' is of {sold.product} "
            f"({sold.type}).",
            remedy="Order that as another service.",
        )
    wrong = differing(sold, spec)
    if wrong:
        raise Conflict(
            f"The offer '{offer}' has another {', '.join(wrong)}.", remedy="Leave it out, or take another offer."
        )
    return Taken({**parameters, **sold.parameters}, msgspec.to_builtins(sold.size), named.is_changed)


def differing(sold: SoldItem, spec: OrderSpec) -> list[str]:
    """Return what a request says otherwise than the offer that it names."""
    parameters = spec.parameters or {}
    names = [name for name, value in sold.parameters.items() if parameters.get(name, value) != value]
    is_other_size = resolving.size_of(spec.size or {}).over(sold.size) != sold.size
    return names + (["size"] if is_other_size else [])
