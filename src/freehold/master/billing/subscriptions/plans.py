"""A customer changes the offer that a service is had at: its price changes with it, by days of its seller's place.

A day costs the dearest of the plans that it had: a dearer one is paid from today on, a cheaper one from tomorrow on. So
nobody has a large service by day and pays for a small one.
"""

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing.models import Contract, Subscription, SubscriptionPrice
from freehold.master.billing.queries import ORDERS
from freehold.master.billing.states import SubscriptionState
from freehold.master.billing.subscriptions import on_order
from freehold.master.billing.subscriptions.on_order import Deal
from freehold.master.foundation import clock, days, events
from freehold.master.foundation.errors import Conflict
from freehold.master.foundation.transactions import audit, locking, run
from freehold.master.ordering.events import OfferNamed
from freehold.master.sales import queries as sales
from freehold.master.sales.models import Offer


def listen() -> None:
    """Have a say in which offer a service is had at."""
    events.listen(OfferNamed, offer_named)


def offer_named(event: OfferNamed) -> None:
    """Have a service that is paid for at the offer that was named, from today or tomorrow on.

    Raise Conflict for an offer of another seller, or without a price in the currency that is paid in; PaymentRequired
    when what must be left for it is not covered.
    """
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if not rows:
        return
    present = Offer.objects.get(id=rows[0]["offer"])
    codes = LegalEntity.objects.filter(project=present.project_id).values_list("code", flat=True)
    if event.offer in (present.name, *(f"{code}/{present.name}" for code in codes)):
        event.is_present = True
        return
    wanted = Offer.objects.get(id=sales.offer(event.offer, present.product).offer)
    if wanted.project_id != present.project_id:
        raise Conflict(
            f"'{event.offer}' is another seller's: a service stays with whom it was ordered from.",
            remedy="Order another service there, and destroy this one.",
        )
    subscription = Subscription.objects.get(id=rows[0]["id"])
    _take(subscription, wanted, event)
    event.is_changed = True


def _take(subscription: Subscription, wanted: Offer, event: OfferNamed) -> None:
    contract = Contract.objects.select_related("entity", "customer").get(id=subscription.contract)
    # As every order does: what is covered is not counted twice by two at the same moment.
    run(
        locking(ORDERS["contract"], "k"),
        customer=contract.customer_id,
        entity=contract.entity_id,
        currency=contract.currency,
    )
    deal = on_order.deal_of_contract(contract, wanted, event.project, event.node)
    on_order.keep_quote(on_order.quoted_content(event.quote, event.project), deal)
    on_order.check_deposit(contract.id, deal, held=subscription.deposit)
    _begin(subscription, deal, days.of_moment(clock.now(), contract.entity.time_zone))
    audit(event.actor, "subscription.plan", str(subscription.id), project=event.project, offer=wanted.name)


def _begin(subscription: Subscription, deal: Deal, today: int) -> None:
    """Have a deal's price begin today, or tomorrow where today's is higher."""
    terms = SubscriptionPrice.objects.filter(subscription=subscription.id)
    amount = deal.prices.get("recurring", 0)
    day = today
    if subscription.state == SubscriptionState.ACTIVE:
        ours = terms.filter(from_day__lte=today).order_by("-from_day").first()
        assert ours is not None
        if amount < ours.amount:
            day = today + 1
        elif terms.filter(from_day__gt=today).delete()[0]:
            # A cheaper one was to begin tomorrow, and now does not.
            terms.filter(id=ours.id).update(until_day=days.NEVER)
    on_order.take_offer(subscription, deal, day)
