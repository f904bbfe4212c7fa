"""What nobody pays for, long after it was due, is stopped until somebody does; its data stays.

Only where a seller says so (`LegalEntity.stop_days`). Looked at every hour, and at once when money came, a service
changed hands or a credit note was issued: who paid never waits for a timer.
"""

from dataclasses import dataclass

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing.models import Contract
from freehold.master.billing.queries import ORDERS
from freehold.master.foundation import clock, days
from freehold.master.foundation.transactions import locking, run, writing
from freehold.master.ordering import suspension


@dataclass(frozen=True)
class Unpaid:
    """A seller waits for money of whoever pays for a project."""

    seller: str
    since_day: int
    """When the oldest unpaid invoice was due."""
    stop_day: int | None
    """When services are stopped; None: the seller never does that."""


def look(entity: LegalEntity) -> int:
    """Stop what is long overdue with a seller, and start again what is not any more; return how many contracts."""
    contracts = set(_overdue_contracts(entity))
    held = {row["contract"] for row in run(ORDERS["held_back"], entity=entity.id)}
    for contract in sorted(contracts | held):
        with writing():
            enforce(Contract.objects.select_related("entity").get(id=contract))
    return len(contracts | held)


def hold(contract: Contract) -> None:
    """Keep a contract and its services from changing until the transaction ends; the first act of one that settles."""
    suspension.hold([row["instance"] for row in run(ORDERS["living"], contract=contract.id)])
    run(locking(ORDERS["lock_contract"], "k"), contract=contract.id)


def enforce(contract: Contract) -> None:
    """Have the services of a contract run or not as its money says, in a transaction of the caller, which holds it."""
    hold(contract)
    act = suspension.suspend if _is_overdue(contract) else suspension.resume
    for row in run(ORDERS["living"], contract=contract.id):
        act(row["instance"])


def enforce_on(instance: str, contract: Contract) -> None:
    """Have a service that came to a contract run or not as the contract's money says, within a transaction."""
    (suspension.suspend if _is_overdue(contract) else suspension.resume)(instance)


def unpaid_for(project: str) -> list[Unpaid]:
    """Return what sellers wait for from whoever pays for a project (its id)."""
    unpaid = []
    for row in run(ORDERS["waited_for"], project=project):
        today = days.of_moment(clock.now(), row["time_zone"])
        if row["oldest"] is not None and row["oldest"] < today:
            stop = None if row["stop_days"] is None else row["oldest"] + row["stop_days"] + 1
            unpaid.append(Unpaid(row["name"], row["oldest"], stop))
    return unpaid


def _is_overdue(contract: Contract) -> bool:
    before = _stop_before(contract.entity)
    return before is not None and bool(_unpaid("k.id = :contract", before, contract=contract.id))


def _overdue_contracts(entity: LegalEntity) -> list[int]:
    before = _stop_before(entity)
    return [] if before is None else _unpaid("k.entity_id = :entity", before, entity=entity.id)


def _stop_before(entity: LegalEntity) -> int | None:
    """Return the day before which an invoice must have been due for its services to be stopped today."""
    if entity.stop_days is None:
        return None
    return days.of_moment(clock.now(), entity.time_zone) - entity.stop_days


def _unpaid(condition: str, before: int, **values: object) -> list[int]:
    rows = run(ORDERS["overdue"].where(f"{condition} AND k.asked > k.settled"), before=before, **values)
    return [row["contract"] for row in rows]
