"""Exchange rates: dated rows of an entity, written by its accountant."""

from decimal import Decimal, InvalidOperation

from django.db import IntegrityError

from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import find_entity
from freehold.master.billing.models import ExchangeRate
from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.money import rounded
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

ONE = 1_000_000
LARGEST_RATE = 10 * ONE
"""Times which the largest amount fits the database's whole numbers; a rate is between minor units."""


def set_rate(entity: str, currency: str, day: int, millionths: int, *, acting: Caller) -> ExchangeRate:
    """Say what one minor unit of a currency is, from a day on, in millionths of the entity's own.

    What was said of a day stays said. Raise Invalid for a rate that cannot be.
    """
    found = find_entity(entity, acting, Scope.ACCOUNT)
    currencies.check(currency)
    if not 0 < millionths <= LARGEST_RATE or currency == found.currency:
        raise Invalid(
            "This is no exchange rate.",
            errors=[FieldError("millionths", f"1 to {LARGEST_RATE}, of another currency", millionths)],
        )
    try:
        with writing():
            rate = ExchangeRate.objects.create(entity=found, currency=currency, day=day, millionths=millionths)
            audit(
                acting.actor, "rate.set", currency, project=found.project_id, day=days.iso(day), millionths=millionths
            )
    except IntegrityError:
        raise Conflict(f"{found.code} has a rate of {currency} for {days.iso(day)} already.") from None
    return rate


def rate(entity: LegalEntity, currency: str, day: int) -> int:
    """Return the millionths that hold on a day; raise Conflict when nobody said any."""
    if currency == entity.currency:
        return ONE
    found = (
        ExchangeRate.objects.filter(entity=entity, currency=currency, day__lte=day)
        .order_by("-day")
        .values_list("millionths", flat=True)
        .first()
    )
    if found is None:
        raise Conflict(
            f"{entity.code} has no rate of {currency} for {days.iso(day)}.",
            remedy="Its accountant sets one: freehold billing rate.",
        )
    return int(found)


def convert(entity: LegalEntity, currency: str, amount: int, day: int) -> int:
    """Return an amount in the entity's own currency on a day."""
    return rounded(amount * rate(entity, currency, day), ONE)


def millionths(text: str) -> int:
    """Return the millionths of a rate as people write it, `0.9214`; raise Invalid for any other text."""
    try:
        scaled = Decimal(text).scaleb(6)
        if scaled == int(scaled):
            return int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise Invalid(f"'{text}' is no rate.", errors=[FieldError("rate", "a number with at most 6 decimals", text)])
