"""All reads of payments."""

from freehold.master.payments.models import PaymentEvent
from freehold.master.payments.settlement import Settled, SettlementKind, sum_up


def settled(entity: str, provider: str, payment: str) -> Settled:
    """Return where a payment stands."""
    rows = PaymentEvent.objects.filter(entity=entity, provider=provider, payment=payment)
    return sum_up(
        (event, SettlementKind(kind), amount) for event, kind, amount in rows.values_list("event", "kind", "amount")
    )
