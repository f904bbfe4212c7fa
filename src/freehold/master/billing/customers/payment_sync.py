"""What providers of payments told becomes payments of a contract, with their entries: only what is new of it."""

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import overdue
from freehold.master.billing.customers.actions import contract_of, find_customer, write_payment
from freehold.master.billing.models import Contract, Payment
from freehold.master.billing.queries import balance
from freehold.master.foundation import clock, days, events
from freehold.master.payments import queries as payments
from freehold.master.payments.events import PaymentMoved


def listen() -> None:
    """Hear of payments."""
    events.listen(PaymentMoved, moved)


def moved(event: PaymentMoved) -> None:
    """Write what a payment brought or took back since it was last looked at; services it pays for go on at once.

    Raise NotFound for a customer that is none of this seller's.
    """
    entity = LegalEntity.objects.get(id=event.entity)
    contract = contract_of(find_customer(entity.project_id, event.customer), entity, event.currency)
    # Two who tell of the same payment come here one after the other, and the second sees what the first wrote.
    overdue.hold(contract)
    now = payments.settled(event.entity, event.provider, event.payment)
    written = [
        payment
        for payment in Payment.objects.filter(contract=contract, method=event.provider)
        if _is_of(payment, event)
    ]
    came = now.captured - sum(payment.amount for payment in written if payment.amount > 0)
    back = now.refunded + sum(payment.amount for payment in written if payment.amount < 0)
    count = len(written)
    # A deposit that was used meanwhile went to invoices: what is taken back beyond the rest makes them unpaid again.
    of_deposit = min(back, balance(contract.id).deposit + came) if event.purpose == "deposit" else 0
    for purpose, amount in ((event.purpose, came), ("deposit", -of_deposit), ("account", of_deposit - back)):
        if amount:
            _write(entity, contract, event, purpose, amount, count)
            count += 1
    overdue.enforce(contract)


def _write(entity: LegalEntity, contract: Contract, event: PaymentMoved, purpose: str, amount: int, count: int) -> None:
    reference = f"{event.payment} {count + 1}" if count else event.payment
    today = days.of_moment(clock.now(), entity.time_zone)
    write_payment(entity, contract, purpose, amount, today, event.provider, reference)


def _is_of(payment: Payment, event: PaymentMoved) -> bool:
    return payment.reference.split(" ")[0] == event.payment
