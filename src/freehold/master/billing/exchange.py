"""Exchange rates: dated rows of an entity, written by its accountant."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

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

_DIGITS = 10
"""Digits that a rate has at most: central banks publish six."""
_TEXT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


@dataclass(frozen=True)
class Rate:
    """How many minor units of one currency a minor unit of another is: a fraction."""

    numerator: int
    denominator: int

    def convert(self, amount: int) -> int:
        return rounded(amount * self.numerator, self.denominator)

    def in_sql(self) -> dict[str, Any]:
        """Return it as the statements take it; parts may be larger than a database's whole numbers."""
        return {
            "is_own": int(self == OWN),
            "numerator": str(self.numerator),
            "denominator": str(self.denominator),
        }


OWN = Rate(1, 1)


def set_rate(entity: str, currency: str, day: int, text: str, *, acting: Caller) -> ExchangeRate:
    """Say what one whole of a currency is in whole ones of the entity's own, from a day on: `0.9214`, `16250`.

    What was said of a day stays said. Raise Invalid for a rate that cannot be.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    currencies.check(currency)
    if currency == owned.currency:
        raise Invalid("This is no exchange rate.", errors=[FieldError("currency", "another currency", currency)])
    value = _read(text)
    try:
        with writing():
            rate = ExchangeRate.objects.create(entity=owned, currency=currency, day=day, rate=value)
            audit(acting.actor, "rate.set", currency, project=owned.project_id, day=days.iso(day), rate=value)
    except IntegrityError:
        raise Conflict(f"{owned.code} has a rate of {currency} for {days.iso(day)} already.") from None
    return rate


def rate(entity: LegalEntity, currency: str, day: int) -> Rate:
    """Return the rate that holds on a day; raise Conflict when nobody said any."""
    if currency == entity.currency:
        return OWN
    rate = (
        ExchangeRate.objects.filter(entity=entity, currency=currency, day__lte=day)
        .order_by("-day")
        .values_list("rate", flat=True)
        .first()
    )
    if rate is None:
        raise Conflict(
            f"{entity.code} has no rate of {currency} for {days.iso(day)}.",
            remedy="Its accountant sets one: freehold billing rate.",
        )
    return between_minor(rate, currency, entity.currency)


def between_minor(text: str, currency: str, own: str) -> Rate:
    """Return a rate between whole currencies as one between their smallest units."""
    scaled = Fraction(text) * Fraction(10) ** (currencies.decimals(own) - currencies.decimals(currency))
    return Rate(scaled.numerator, scaled.denominator)


def convert(entity: LegalEntity, currency: str, amount: int, day: int) -> int:
    """Return an amount in the entity's own currency on a day."""
    return rate(entity, currency, day).convert(amount)


def _read(text: str) -> str:
    """Return a rate in its one form; raise Invalid for any other text."""
    written = text.strip()
    digits = len(written.replace(".", "").strip("0"))
    if not _TEXT.fullmatch(written) or not 0 < digits <= _DIGITS:
        words = f"a number above 0 with at most {_DIGITS} digits that count, such as 0.9214 or 16250"
        raise Invalid(f"'{text}' is no rate.", errors=[FieldError("rate", words, text)])
    return f"{Decimal(written).normalize():f}"
