"""What a project costs so far, and the budget that its people set."""

from dataclasses import dataclass, field
from typing import Any

from freehold.master.billing.dunning import Unpaid, unpaid_for
from freehold.master.billing.models import Budget
from freehold.master.billing.queries import ORDERS
from freehold.master.foundation import clock, currencies, days
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.money import LARGEST, rounded
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

NEAR = 80
"""Percent of a budget from which on it is nearly spent."""


@dataclass(frozen=True)
class Cost:
    """A service's costs of the present period that no document has yet, in minor units as its price list counts."""

    title: str
    offer: str
    state: str
    currency: str
    tax_included: bool
    month: int
    """Its price of a whole month."""
    so_far: int
    """Of it, what the days so far cost."""
    used: int
    """What was used and not asked for yet."""
    next_day: int
    """When the period ends and is invoiced."""


@dataclass(frozen=True)
class Costs:
    """All that a project costs so far."""

    services: list[Cost]
    totals: dict[str, int] = field(default_factory=dict)
    """By currency."""
    budget: Budget | None = None
    unpaid: list[Unpaid] = field(default_factory=list)

    @property
    def spent_percent(self) -> int:
        """How much of the budget is spent."""
        if self.budget is None:
            return 0
        return self.totals.get(self.budget.currency, 0) * 100 // self.budget.amount


def to_date(project: str) -> Costs:
    """Return what a project (its id) costs so far."""
    found = [_cost(row) for row in run(ORDERS["costs"], project=project)]
    totals: dict[str, int] = {}
    for one in found:
        totals[one.currency] = totals.get(one.currency, 0) + one.so_far + one.used
    return Costs(found, totals, Budget.objects.filter(project=project).first(), unpaid_for(project))


def set_budget(project: str, amount: int, currency: str, *, acting: Caller) -> None:
    """Say what a project wants to spend in a month; 0: no budget."""
    owner = acting.project(project, Scope.ORDER)
    currencies.check(currency)
    if not 0 <= amount <= LARGEST:
        raise Invalid("A budget is an amount.", errors=[FieldError("amount", "0 or more", amount)])
    with writing():
        if amount:
            Budget.objects.update_or_create(project_id=owner, defaults={"amount": amount, "currency": currency})
        else:
            Budget.objects.filter(project=owner).delete()
        audit(acting.actor, "budget.set", owner, project=owner, amount=amount, currency=currency)


def _cost(row: dict[str, Any]) -> Cost:
    until = row["next_day"]
    since = days.add_months(until, -1)
    today = min(until, days.of_moment(clock.now(), row["time_zone"]) + 1)
    covered = max(0, min(today, row["until_day"]) - max(since, row["from_day"]))
    return Cost(
        row["title"],
        row["offer"],
        row["state"],
        row["currency"],
        bool(row["tax_included"]),
        row["amount"],
        rounded(row["amount"] * covered, until - since),
        row["used"],
        until,
    )
