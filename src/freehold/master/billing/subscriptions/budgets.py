"""What a project costs so far, and the budget that its people set."""

from dataclasses import dataclass, field
from typing import Any

from freehold.master.billing.models import Budget
from freehold.master.billing.overdue import Unpaid, unpaid_for
from freehold.master.billing.queries import ORDERS, CustomerAccount, accounts_of
from freehold.master.billing.states import SubscriptionState
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
    """What a service costs one payer and is in no document yet, in minor units as its price list counts."""

    title: str
    offer: str
    state: str
    """`states.SUBSCRIPTION`; ended also for who paid for it, or had it, before."""
    currency: str
    tax_included: bool
    month: int
    """Its price of a whole month."""
    so_far: int
    """What the days so far cost, each at the price of its own term."""
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
    accounts: list[CustomerAccount] = field(default_factory=list)

    @property
    def spent_percent(self) -> int:
        """How much of the budget is spent."""
        if self.budget is None:
            return 0
        return self.totals.get(self.budget.currency, 0) * 100 // self.budget.amount


def to_date(project: str) -> Costs:
    """Return what a project (its id) costs so far."""
    rows = run(ORDERS["costs"], project=project)
    costs = [_cost(terms) for terms in _by_payer(rows)]
    totals: dict[str, int] = {}
    for cost in costs:
        totals[cost.currency] = totals.get(cost.currency, 0) + cost.so_far + cost.used
    budget = Budget.objects.filter(project=project).first()
    return Costs(costs, totals, budget, unpaid_for(project), accounts_of(project))


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


def _cost(rows: list[dict[str, Any]]) -> Cost:
    """Return what a service costs one payer by the terms that held, the last of which says at what price now."""
    last = rows[-1]
    is_over = last["state"] == SubscriptionState.ACTIVE and last["until_day"] < _tomorrow(last)
    return Cost(
        last["title"],
        last["offer"],
        SubscriptionState.ENDED.value if is_over else last["state"],
        last["currency"],
        bool(last["tax_included"]),
        last["amount"],
        sum(map(_so_far, rows)),
        sum(row["used"] for row in rows),
        last["next_day"],
    )


def _by_payer(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return rows together that are of one service and one payer, also where another paid in between."""
    together: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        together.setdefault((row["subscription"], row["contract"], row["tax_included"]), []).append(row)
    return list(together.values())


def _tomorrow(row: dict[str, Any]) -> int:
    return days.of_moment(clock.now(), row["time_zone"]) + 1


def _so_far(row: dict[str, Any]) -> int:
    """Return what the days of a term cost that are in no document yet, as documents will ask for them."""
    tomorrow = _tomorrow(row)
    until, cost = row["next_day"], 0
    since = days.add_months(until, -1)
    # More than one period where the monthly run could not make the documents of the last.
    while since < tomorrow:
        first, end = max(since, row["from_day"]), min(until, tomorrow, row["until_day"])
        if first < end:
            length = until - since
            cost += rounded(row["amount"] * (end - since), length) - rounded(row["amount"] * (first - since), length)
        since, until = until, days.add_months(until, 1)
    return cost
