"""What payments tell the rooms above (`foundation.events`), in the transaction in which a provider was heard."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaymentMoved:
    """Something new is known of a payment: `queries.settled` says where it stands."""

    entity: str
    """Id of the seller."""
    provider: str
    payment: str
    customer: str
    currency: str
    purpose: str
