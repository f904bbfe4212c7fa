"""All writes of payments: hearing providers. Whoever speaks with one passes on what it says (`api/books`)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError

from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import find_entity
from freehold.master.foundation import clock, currencies, events
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.transactions import audit, writing
from freehold.master.payments.events import PaymentMoved
from freehold.master.payments.models import PaymentEvent
from freehold.master.payments.settlement import SettlementKind
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

MOST_TOLD = 20
"""Mistakes that the answer to a list of events names."""
MOST = 1000
"""Events that are heard at once."""
_NAME = re.compile(r"[^|\s\x00-\x1f]{1,80}")


@dataclass(frozen=True)
class ProviderAnswer:
    """News of a payment, as its provider tells it."""

    provider: str
    event: str
    payment: str
    kind: str
    customer: str
    currency: str
    amount: int
    purpose: str = "account"


def hear(entity: str, told: Sequence[ProviderAnswer], *, acting: Caller) -> int:
    """Take in what a provider tells, all of it or nothing; return how much of it was new.

    Raise Invalid naming what is wrong, Conflict when an event was told with another content before, or when a payment
    changes whose it is.
    """
    found = find_entity(entity, acting, Scope.ACCOUNT)
    _check(told)
    for _ in range(3):
        try:
            with writing():
                return _hear(found, told, acting)
        except IntegrityError:
            # The same news was taken in at the same moment.
            continue
    raise Conflict("The same is being told by another.", remedy="Try again.")


def _hear(entity: LegalEntity, told: Sequence[ProviderAnswer], acting: Caller) -> int:
    new = [one for one in dict.fromkeys(told) if not _known(entity, one)]
    PaymentEvent.objects.bulk_create(PaymentEvent(entity=entity, received_at=clock.now(), **vars(one)) for one in new)
    for one in dict.fromkeys((one.provider, one.payment, one.customer, one.currency, one.purpose) for one in new):
        provider, payment, *whose = one
        others = PaymentEvent.objects.filter(entity=entity, provider=provider, payment=payment)
        if others.exclude(**dict(zip(("customer", "currency", "purpose"), whose, strict=True))).exists():
            raise Conflict(f"{provider} {payment} was told of another customer, currency or purpose.")
        events.send(PaymentMoved(entity.id, *one))
    if new:
        audit(acting.actor, "payments.hear", entity.id, project=entity.project_id, events=len(new))
    return len(new)


def _known(entity: LegalEntity, one: ProviderAnswer) -> bool:
    """Return whether this was told before; raise Conflict when something else was under its name."""
    before = PaymentEvent.objects.filter(entity=entity, provider=one.provider, event=one.event).first()
    if before is None:
        return False
    if any(getattr(before, name) != value for name, value in vars(one).items()):
        raise Conflict(f"{one.provider} told {one.event} before, with another content.")
    return True


def _check(told: Sequence[ProviderAnswer]) -> None:
    wrong = []
    if len(told) > MOST:
        wrong.append(FieldError("events", f"at most {MOST} at once", len(told)))
    for number, one in enumerate(told):
        for name in ("provider", "event", "payment"):
            if not _NAME.fullmatch(getattr(one, name)):
                wrong.append(FieldError(f"{number}.{name}", "1 to 80 characters without spaces and bars"))
        if one.provider == "deposit":
            wrong.append(FieldError(f"{number}.provider", "the name of a provider", one.provider))
        if one.kind not in list(SettlementKind):
            wrong.append(FieldError(f"{number}.kind", " or ".join(SettlementKind), one.kind))
        if one.purpose not in ("account", "deposit"):
            wrong.append(FieldError(f"{number}.purpose", "account or deposit", one.purpose))
        if not 0 < one.amount <= LARGEST:
            wrong.append(FieldError(f"{number}.amount", "more than 0", one.amount))
        currencies.check(one.currency)
    if wrong:
        more = f" {len(wrong)} values are wrong; the first {MOST_TOLD} are named." if len(wrong) > MOST_TOLD else ""
        raise Invalid(f"Nothing of this was taken in.{more}", errors=wrong[:MOST_TOLD])
