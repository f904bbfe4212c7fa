"""All writes of payments: hearing providers. Whoever speaks with one passes on what it says (`api/payments`)."""

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


def hear(entity: str, answers: Sequence[ProviderAnswer], *, acting: Caller) -> int:
    """Take in what a provider tells, all of it or nothing; return how much of it was new.

    Raise Invalid naming what is wrong, Conflict when an event was told with another content before, or when a payment
    changes whose it is.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    _check(answers)
    for _ in range(3):
        try:
            with writing():
                return _hear(owned, answers, acting)
        except IntegrityError:
            # The same news was taken in at the same moment.
            continue
    raise Conflict("The same is being told by another.", remedy="Try again.")


def _hear(entity: LegalEntity, answers: Sequence[ProviderAnswer], acting: Caller) -> int:
    new = [answer for answer in dict.fromkeys(answers) if not _known(entity, answer)]
    PaymentEvent.objects.bulk_create(
        PaymentEvent(entity=entity, received_at=clock.now(), **vars(answer)) for answer in new
    )
    for answer in dict.fromkeys(
        (answer.provider, answer.payment, answer.customer, answer.currency, answer.purpose) for answer in new
    ):
        provider, payment, *whose = answer
        earlier = PaymentEvent.objects.filter(entity=entity, provider=provider, payment=payment)
        if earlier.exclude(**dict(zip(("customer", "currency", "purpose"), whose, strict=True))).exists():
            raise Conflict(f"{provider} {payment} was told of another customer, currency or purpose.")
        events.send(PaymentMoved(entity.id, *answer))
    if new:
        audit(acting.actor, "payments.hear", entity.id, project=entity.project_id, events=len(new))
    return len(new)


def _known(entity: LegalEntity, answer: ProviderAnswer) -> bool:
    """Return whether this was told before; raise Conflict when something else was under its name."""
    before = PaymentEvent.objects.filter(entity=entity, provider=answer.provider, event=answer.event).first()
    if before is None:
        return False
    if any(getattr(before, name) != value for name, value in vars(answer).items()):
        raise Conflict(f"{answer.provider} told {answer.event} before, with another content.")
    return True


def _check(answers: Sequence[ProviderAnswer]) -> None:
    wrong = []
    if len(answers) > MOST:
        wrong.append(FieldError("events", f"at most {MOST} at once", len(answers)))
    for number, answer in enumerate(answers):
        for name in ("provider", "event", "payment"):
            if not _NAME.fullmatch(getattr(answer, name)):
                wrong.append(FieldError(f"{number}.{name}", "1 to 80 characters without spaces and bars"))
        if answer.provider == "deposit":
            wrong.append(FieldError(f"{number}.provider", "the name of a provider", answer.provider))
        if answer.kind not in list(SettlementKind):
            wrong.append(FieldError(f"{number}.kind", " or ".join(SettlementKind), answer.kind))
        if answer.purpose not in ("account", "deposit"):
            wrong.append(FieldError(f"{number}.purpose", "account or deposit", answer.purpose))
        if not 0 < answer.amount <= LARGEST:
            wrong.append(FieldError(f"{number}.amount", "more than 0", answer.amount))
        currencies.check(answer.currency)
    if wrong:
        more = f" {len(wrong)} values are wrong; the first {MOST_TOLD} are named." if len(wrong) > MOST_TOLD else ""
        raise Invalid(f"Nothing of this was taken in.{more}", errors=wrong[:MOST_TOLD])
