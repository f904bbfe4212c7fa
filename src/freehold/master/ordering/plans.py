"""Another offer for an instance that is there: what its customer wants of it now, and pays for it."""

from typing import Any

from freehold.master.foundation import events
from freehold.master.foundation.errors import Conflict
from freehold.master.ordering.events import OfferNamed
from freehold.master.sales import queries as sales
from freehold.protocol.order import OrderSpec


def take(row: dict[str, Any], spec: OrderSpec, parameters: dict[str, Any], actor: str) -> tuple[dict[str, Any], bool]:
    """Have an instance at the offer that a request names; return its parameters with those that the offer fixes, and
    whether it is another offer than before.

    `given`: all of its parameters, as they would be without. In the transaction of the change. Raise
    Conflict for an offer of something else, or of another seller, and for parameters that are not the offer's.
    """
    offer, own_parameters = spec.offer or "", spec.parameters or {}
    named = OfferNamed(row["id"], row["project_id"], offer, row["node_id"], spec.quote, actor)
    events.send(named)
    if named.is_present:
        return parameters, False
    sold = sales.offer(offer, row["product"])
    if (sold.product, sold.type) != (row["product"], row["type"]):
        raise Conflict(
            f"'{row['title']}' is {row['product']} ({row['type']}); the offer '{offer}' is of {sold.product} "
            f"({sold.type}).",
            remedy="Order that as another service.",
        )
    wrong = [name for name, value in sold.parameters.items() if own_parameters.get(name, value) != value]
    if wrong:
        raise Conflict(
            f"The offer '{offer}' has another {', '.join(wrong)}.", remedy="Leave it out, or take another offer."
        )
    return {**parameters, **sold.parameters}, named.is_changed
