"""What becomes of subscriptions: they begin when they are ready, change hands, change prices."""

from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import account_for
from freehold.master.billing import overdue
from freehold.master.billing.customers.actions import contract_of
from freehold.master.billing.models import Contract, Customer, Subscription, SubscriptionPrice
from freehold.master.billing.queries import ORDERS
from freehold.master.billing.subscriptions import on_order
from freehold.master.foundation import clock, days
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.monitoring import queries as monitoring
from freehold.master.ordering import queries as ordering
from freehold.master.ordering import suspension
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Project
from freehold.master.sales.models import Offer
from freehold.protocol.problem import FieldError

PENDING = 1000
"""Subscriptions that are looked at together."""


def begin_ready() -> int:
    """Begin each subscription whose service is ready for the first time, with the present day; return how many."""
    after, count = 0, 0
    # What runs and never is ready stays pending: it must not stand before those that are.
    while rows := {row["instance"]: row for row in run(ORDERS["pending"], after=after, most=PENDING)}:
        for picture in monitoring.pictures(ordering.by_ids(list(rows))):
            row = rows[picture.row["id"]]
            if picture.status.ready and picture.status.state == "started":
                _begin(row["id"], days.of_moment(clock.now(), row["time_zone"]))
                count += 1
        after = max(row["id"] for row in rows.values())
    return count


def _begin(subscription: int, today: int) -> None:
    with writing():
        if not run(ORDERS["activate"], subscription=subscription, day=today):
            return
        run(ORDERS["begin_term"], subscription=subscription, day=today, never=days.NEVER)
        begun = Subscription.objects.get(id=subscription)
        on_order.recount(begun, today)
        _charge_setup(begun, today)
        audit("freehold", "subscription.begin", str(subscription), day=days.iso(today))


def _charge_setup(subscription: Subscription, today: int) -> None:
    term = SubscriptionPrice.objects.get(subscription=subscription.id)
    rows = run(ORDERS["setup"], list=term.list, offer=term.offer)
    if rows and rows[0]["amount"]:
        charge = {name: getattr(term, name) for name in ("contract", "offer", "tax_included", "category", "account")}
        run(
            ORDERS["add_charge"], subscription=subscription.id, kind="setup", label="", month=0, day=today,
            from_day=term.from_day, amount=rows[0]["amount"], evidence="{}", part=0, **charge,
        )  # fmt: skip


def find_service(seller: str, project: str, title: str) -> str:
    """Return the id of a service that a seller (a project's id) is paid for, by its project's name and its title.

    Raise NotFound, the same whether the project, the service, or only the payment to this seller is not there.
    """
    rows = run(ORDERS["sold_service"], seller=seller, project=project, title=title)
    if not rows:
        raise NotFound(f"'{title}' of '{project}' is no service that you are paid for.", remedy="Check both names.")
    return str(rows[0]["instance"])


def change(instance: str, *, customer: Customer | None, offer: str, acting: Caller) -> None:
    """Change who pays, or the price, or both: all that is asked for, or nothing."""
    with writing():
        if customer is not None:
            change_payer(instance, customer, acting=acting)
        if offer:
            change_offer(instance, offer, acting=acting)


def change_payer(instance: str, customer: Customer, *, acting: Caller) -> None:
    """Have another customer pay for a service from today on, at the same price; yesterday's payer pays up to yesterday.

    Raise Conflict when it is not paid for, or is over.
    """
    subscription = _find(instance)
    old = Contract.objects.select_related("entity").get(id=subscription.contract)
    _require(old.entity, acting)
    today = days.of_moment(clock.now(), old.entity.time_zone)
    with writing():
        suspension.hold([instance])
        contract = contract_of(customer, old.entity, old.currency)
        on_order.replace_term(subscription, today, contract=contract.id)
        Subscription.objects.filter(id=subscription.id).update(contract=contract.id)
        overdue.enforce_on(instance, contract)
        audit(
            acting.actor,
            "subscription.payer",
            str(subscription.id),
            project=old.entity.project_id,
            customer=customer.id,
        )


def change_offer(instance: str, offer: str, *, acting: Caller) -> None:
    """Have a service at another offer's price, or at what its own offer costs now, from today on.

    For who may sell: the price is that of the list that holds where the service is, in the same currency, from the
    same seller. Parameters that belong to the offer are to be asked for separately.
    """
    subscription = _find(instance)
    contract = Contract.objects.select_related("entity", "customer").get(id=subscription.contract)
    _require(contract.entity, acting)
    row = ordering.by_id(instance)
    wanted = Offer.objects.filter(project=contract.entity.project_id, name=offer, retired_at=None).first()
    if wanted is None:
        raise NotFound(f"There is no offer '{offer}' of yours.")
    deal = on_order.deal_of_contract(contract, wanted, row["project_id"], row["node_id"])
    today = days.of_moment(clock.now(), contract.entity.time_zone)
    with writing():
        on_order.take_offer(subscription, deal, today)
        audit(acting.actor, "subscription.offer", str(subscription.id), project=contract.entity.project_id, offer=offer)


def agree(contract: Contract, label: str, amount: int, *, tax_category: str = "services", acting: Caller) -> None:
    """Ask once for something that was agreed, on the next invoice; below 0, give it back."""
    _require(contract.entity, acting)
    if not label.strip() or "|" in label or not amount:
        raise Invalid(
            "What is it for, and how much?",
            errors=[FieldError("label", "a line of text"), FieldError("amount", "not 0")],
        )
    with writing():
        run(
            ORDERS["add_charge"],
            contract=contract.id,
            subscription=0,
            kind="agreed",
            label=label.strip(),
            offer="",
            month=0,
            from_day=0,
            day=days.of_moment(clock.now(), contract.entity.time_zone),
            amount=amount,
            tax_included=False,
            category=tax_category,
            account=account_for(contract.entity_id, Purpose.REVENUE),
            evidence="{}",
            part=0,
        )
        audit(acting.actor, "charge.agree", str(contract.id), project=contract.entity.project_id, amount=amount)


def _find(instance: str) -> Subscription:
    subscription = on_order.subscription_of(instance)
    if subscription is None:
        raise Conflict("Nobody pays for this service (any more).")
    return subscription


def _require(entity: LegalEntity, acting: Caller) -> None:
    name = Project.objects.values_list("name", flat=True).get(id=entity.project_id)
    if not acting.may(name, Scope.SELL):
        raise Forbidden(f"Only sales of '{name}' may do that.")
