"""What an order costs: billing listens to ordering, in its transaction, and refuses what nobody could pay.

A product of which there is no offer is not sold: whoever may order it has it. For one that is, the ordering project
has a payer, or was said to have all for free; its first month must be covered by a deposit, or by what was paid
already. Parts of a tree belong to their root, which alone is sold.
"""

import json
from dataclasses import dataclass
from typing import Any

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import overdue
from freehold.master.billing.customers.actions import contract_of
from freehold.master.billing.models import Contract, Customer, Payer, Quote, Subscription, SubscriptionPrice
from freehold.master.billing.queries import ORDERS, balance
from freehold.master.billing.states import SubscriptionState
from freehold.master.catalog import queries as catalog
from freehold.master.foundation import clock, currencies, days, events
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, PaymentRequired
from freehold.master.foundation.transactions import audit, locking, run
from freehold.master.ordering import queries as ordering
from freehold.master.ordering import suspension
from freehold.master.ordering.events import AskGrace, Changed, Ending, HandedOver, KeptOn, Ordered
from freehold.master.sales import queries as sales
from freehold.master.sales.models import Offer
from freehold.protocol import size
from freehold.protocol.problem import FieldError
from freehold.protocol.states import Wanted

_TERMS = ("project", "contract", "offer", "list", "amount", "tax_included", "category", "account")
"""What holds of a price from a day to another."""


def listen() -> None:
    """Have a say in what is ordered."""
    events.listen(Ordered, ordered)
    events.listen(Changed, changed)
    events.listen(AskGrace, grace)
    events.listen(Ending, ending)
    events.listen(KeptOn, kept_on)
    events.listen(HandedOver, handed_over)


@dataclass(frozen=True)
class Deal:
    """An offer at its price, for a customer."""

    offer: str
    name: str
    list: str
    entity: str
    time_zone: str
    """The entity's."""
    currency: str
    region: str
    tax_included: bool
    category: str
    account: str
    customer: str
    prices: dict[str, int]
    """Amount by kind; a kind that has no price costs nothing."""

    @property
    def deposit(self) -> int:
        """What must be left: as the list says, or else the price of a month."""
        return self.prices.get("deposit", self.prices.get("recurring", 0))


def ordered(event: Ordered) -> None:
    """Open the subscription of a new instance; raise PaymentRequired, Invalid or Conflict when it cannot be."""
    if event.root is not None:
        _refuse_uncovered(event.project, event.product, event.type, event.root)
        return
    quoted = quoted_content(event.quote, event.project)
    offer = event.offer
    if quoted and offer is None:
        offer = sales.offer(f"{quoted['seller']}/{quoted['offer']}", event.product).offer
    deal = find_deal(
        event.project,
        event.product,
        event.type,
        offer=offer,
        node=event.node,
        price_list=quoted.get("list", ""),
    )
    if deal is None:
        return
    keep_quote(quoted, deal)
    contract = _locked_contract(deal)
    check_deposit(contract, deal)
    open_subscription(event.instance, event.project, contract, deal, event.quote or "")


def changed(event: Changed) -> None:
    """End the subscription of an instance that is destroyed; refuse parameters that are not of its offer."""
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if not rows:
        return
    row = rows[0]
    if event.asked is Wanted.DESTROYED:
        end_subscription(row["id"], days.of_moment(clock.now(), row["time_zone"]))
        return
    name, fixed, sold = Offer.objects.values_list("name", "parameters", "size").get(id=row["offer"])
    wrong = [key for key, value in json.loads(fixed).items() if event.parameters.get(key) != value]
    if event.size is not None and event.size.over(size.read(sold)) != size.read(sold):
        wrong.append("the size")
    if wrong:
        raise Conflict(
            f"The offer '{name}' fixes {', '.join(wrong)}.", remedy="Order another offer to have another size."
        )


def grace(event: AskGrace) -> None:
    """Say for how long what was sold can be had back, if its offer says so."""
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if rows and (seconds := Offer.objects.values_list("grace", flat=True).get(id=rows[0]["offer"])) is not None:
        event.seconds = seconds


def ending(event: Ending) -> None:
    """Have what is to be destroyed cost nothing after today; its deposit is kept until its end."""
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if not rows or rows[0]["state"] != SubscriptionState.ACTIVE:
        return
    today = days.of_moment(clock.now(), rows[0]["time_zone"])
    # Each day of service that has begun counts.
    run(ORDERS["end_term"], subscription=rows[0]["id"], day=today + 1)
    recount(Subscription.objects.get(id=rows[0]["id"]), today)


def kept_on(event: KeptOn) -> None:
    """Have what is not destroyed after all cost what it did, from today on."""
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if not rows or rows[0]["state"] != SubscriptionState.ACTIVE:
        return
    today = days.of_moment(clock.now(), rows[0]["time_zone"])
    last = _last_term(rows[0]["id"])
    if last.until_day > today:
        # The day on which it stopped is paid for already.
        SubscriptionPrice.objects.filter(id=last.id).update(until_day=days.NEVER)
    else:
        _begin_term(last.subscription, today, _terms(last))
    recount(Subscription.objects.get(id=rows[0]["id"]), today)


def handed_over(event: HandedOver) -> None:
    """Have who pays for the new project pay from today on, at the same price, covered like an order of theirs.

    Nobody pays any more when that project has what this seller sells for free; what was had for free is paid for from
    when it is seen ready there. Raise PaymentRequired also for parts that the new project would not get with it.
    """
    for part in run(ORDERS["parts"], root=event.instance):
        _refuse_uncovered(event.project, part["product"], part["type"], event.instance)
    rows = run(ORDERS["of_instance"], instance=event.instance)
    if not rows:
        _begin_to_pay(event)
        return
    subscription = Subscription.objects.get(id=rows[0]["id"])
    old = Contract.objects.select_related("entity").get(id=subscription.contract)
    today = days.of_moment(clock.now(), old.entity.time_zone)
    payer = Payer.objects.filter(project=event.project, seller=old.entity.project_id).select_related("customer").first()
    if payer is None:
        raise PaymentRequired("Nobody pays for that project.", remedy="Ask the provider's sales to say who does.")
    if payer.customer is None:
        end_subscription(subscription.id, today - 1)
        suspension.resume(event.instance)
        return
    contract = contract_of(payer.customer, old.entity, old.currency)
    if contract.id != old.id and subscription.deposit > balance(contract.id).free:
        raise PaymentRequired(
            f"It takes a deposit of {currencies.shown(subscription.deposit, old.currency)} from who pays there."
        )
    replace_term(subscription, today, contract=contract.id, project=event.project)
    Subscription.objects.filter(id=subscription.id).update(contract=contract.id, project=event.project)
    overdue.enforce_on(event.instance, contract)


def _begin_to_pay(event: HandedOver) -> None:
    """Open the subscription of what was had for free, as an order of the new project's would: at the offer at which it
    was had before, or the only one.
    """
    former = Subscription.objects.filter(instance=event.instance).order_by("-id").first()
    known = Offer.objects.filter(id=former.offer, retired_at=None).first() if former else None
    node = ordering.by_id(event.instance)["node_id"]
    try:
        deal = find_deal(event.project, event.product, event.type, offer=known.id if known else None, node=node)
    except Invalid as error:
        raise Conflict(
            f"It was free, and who pays for that project would pay for it. {error}",
            remedy="Order it there, at the offer that you want.",
        ) from None
    if deal is not None:
        contract = _locked_contract(deal)
        check_deposit(contract, deal)
        open_subscription(event.instance, event.project, contract, deal, "")


def replace_term(subscription: Subscription, today: int, **changed: object) -> None:
    """End what a subscription costs, and go on from today with what changed of it."""
    present = _last_term(subscription.id)
    if subscription.state == SubscriptionState.ACTIVE and present.until_day != days.NEVER:
        raise Conflict(
            "This service is to be destroyed, and nobody pays for it.", remedy="Have it back first: start it."
        )
    values = _terms(present) | changed
    recount(subscription, today)
    if subscription.state == SubscriptionState.PENDING or present.from_day >= today:
        SubscriptionPrice.objects.filter(id=present.id).update(**values)
        return
    SubscriptionPrice.objects.filter(id=present.id).update(until_day=today)
    _begin_term(subscription.id, today, values)


def _terms(price: SubscriptionPrice) -> dict[str, Any]:
    """Return what holds of a price, by name, without its days."""
    return {name: getattr(price, name) for name in _TERMS}


def _begin_term(subscription: int, today: int, values: dict[str, Any]) -> None:
    SubscriptionPrice.objects.create(subscription=subscription, from_day=today, until_day=days.NEVER, **values)


def _last_term(subscription: int) -> SubscriptionPrice:
    price = SubscriptionPrice.objects.filter(subscription=subscription).order_by("-from_day").first()
    assert price is not None
    return price


def recount(subscription: Subscription, day: int) -> None:
    """Have what was used since a day added up anew, because it is of another term now."""
    zone = LegalEntity.objects.values_list("time_zone", flat=True).get(contract=subscription.contract)
    run(ORDERS["recount"], subscription=subscription.id, since=days.begins_at(day, zone))


def find_deal(
    project: str,
    product: str,
    type_name: str,
    *,
    offer: str | None = None,
    node: str = "",
    region: str | None = None,
    price_list: str = "",
    contract: Contract | None = None,
) -> Deal | None:
    """Return what a project would pay for a product at one offer (its id); None when it is not sold, or free for it.

    With a contract, whoever pays for the project, it is that contract's customer who would, at its seller's prices in
    its currency; None when there are none. Only offers of those who may sell the product count: its owner, and who
    was granted it. Without an offer it is the owner's only one, or that of the only one who was granted it. Whether
    it is free says the seller of that offer. The region is that of the node unless it is given. Of lists that hold,
    that of the region goes before the general one, and the customer's currency before others. Raise NotFound or
    Invalid when the offer is not clear, PaymentRequired when nobody pays or there is no price.
    """
    today = days.of_moment(clock.now(), "UTC")
    rows = run(
        ORDERS["sold"], project=project, product=product, type=type_name, day=today, node=node, region=region,
        list=price_list, offer=offer or "",
    )  # fmt: skip
    if offer is not None and not rows:
        raise NotFound(
            f"{product} ({type_name}) is not sold at this offer.", remedy="The page of prices names them all."
        )
    if not rows:
        return None
    mine = rows if offer is not None else _only_offer(product, rows)
    if contract is not None:
        of_it = [row for row in mine if (row["entity"], row["currency"]) == (contract.entity_id, contract.currency)]
        return _deal([row | {"customer": contract.customer_id} for row in of_it], price_list) if of_it else None
    if mine[0]["payer"] is None:
        raise PaymentRequired("Nobody pays for this project.", remedy="Ask the provider's sales to say who does.")
    return None if mine[0]["customer"] is None else _deal(mine, price_list)


def subscription_of(instance: str) -> Subscription | None:
    """Return the subscription of an instance that is not over; None when nobody pays for it."""
    living = (SubscriptionState.PENDING, SubscriptionState.ACTIVE)
    return Subscription.objects.filter(instance=instance, state__in=living).first()


def take_offer(subscription: Subscription, deal: Deal, day: int) -> None:
    """Have a service at a deal's price from a day on, and leave what the deal wants left for it."""
    replace_term(subscription, day, **_price(deal))
    Subscription.objects.filter(id=subscription.id).update(offer=deal.offer, deposit=deal.deposit)


def deal_of_contract(contract: Contract, offer: Offer, project: str, node: str) -> Deal:
    """Return what a service on a node costs a contract's customer at another offer of its seller.

    Raise Conflict when it has no price in the contract's currency there.
    """
    deal = find_deal(project, offer.product, offer.type, offer=offer.id, node=node, contract=contract)
    if deal is None:
        raise Conflict(
            f"'{offer.name}' has no price of {contract.entity.code} in {contract.currency} where the service is.",
            remedy="The page of prices shows where it has one.",
        )
    return deal


def open_subscription(instance: str, project: str, contract: int, deal: Deal, quote: str) -> int:
    """Write a subscription that is pending, and what it will cost; return its number."""
    today = days.of_moment(clock.now(), deal.time_zone)
    (row,) = run(
        ORDERS["open"],
        instance=instance,
        project=project,
        contract=contract,
        offer=deal.offer,
        deposit=deal.deposit,
        quote=quote,
        now=clock.now(),
    )
    _add_term(row["id"], project, contract, deal, today)
    audit("freehold", "subscription.open", str(row["id"]), project=project, offer=deal.name, list=deal.list)
    return int(row["id"])


def end_subscription(subscription: int, today: int) -> None:
    """End a subscription with this day, which is its last; one that was never ready is cancelled and costs nothing."""
    (row,) = run(ORDERS["state"], subscription=subscription)
    never_was = row["state"] == SubscriptionState.PENDING
    # Each day of service that has begun counts.
    end = today if never_was else today + 1
    run(
        ORDERS["finish"],
        subscription=subscription,
        state=(SubscriptionState.CANCELLED if never_was else SubscriptionState.ENDED).value,
        day=end,
    )
    run(ORDERS["end_term"], subscription=subscription, day=end)
    recount(Subscription.objects.get(id=subscription), min(today, end))
    audit("freehold", "subscription.end", str(subscription), state=row["state"])


def _add_term(subscription: int, project: str, contract: int, deal: Deal, today: int) -> None:
    """Write what a subscription will cost; it holds from when the service is ready."""
    run(
        ORDERS["add_term"],
        subscription=subscription,
        project=project,
        contract=contract,
        from_day=today,
        until_day=today,
        **_price(deal),
    )


def _price(deal: Deal) -> dict[str, Any]:
    """Return what holds of a deal from a day to another (`_TERMS`)."""
    return {
        "offer": deal.offer,
        "list": deal.list,
        "amount": deal.prices.get("recurring", 0),
        "tax_included": deal.tax_included,
        "category": deal.category,
        "account": deal.account,
    }


def _refuse_uncovered(project: str, product: str, type_name: str, root: str) -> None:
    """Raise PaymentRequired for a part that is sold and that the offer of its root cannot cover.

    Who sells the root, or owns its product if it is not sold, gives what the root's release declares with it; but
    only what they may sell. What nobody sells, or what the project has for free, needs no cover.
    """
    today = days.of_moment(clock.now(), "UTC")
    rows = run(
        ORDERS["sold"], project=project, product=product, type=type_name, day=today, node="", region=None, list="",
        offer="",
    )  # fmt: skip
    if all(map(_is_free, _of_owner(rows))):
        return
    (seller,) = run(ORDERS["seller_of_tree"], root=root)
    if not catalog.may_offer(seller["project"], product):
        raise PaymentRequired(
            f"{product} is sold, and who offers the whole service may not sell it.",
            remedy="Order it by itself, at one of its offers, or ask its owner to grant it to who offers this service.",
        )


def _only_offer(product: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the one offer that an order means which names none; raise Invalid when there are several.

    An owner who sells a product decides alone; what others were granted to sell counts where the owner sells none.
    """
    rows = _of_owner(rows)
    offers = {row["offer"]: row["name"] for row in rows}
    if len(offers) > 1 and not all(map(_is_free, rows)):
        names = ", ".join(sorted(set(offers.values())))
        raise Invalid(f"{product} is sold at several sizes.", errors=[FieldError("offer", f"one of {names}")])
    return [row for row in rows if row["offer"] == rows[0]["offer"]]


def _of_owner(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a product's owner sells of it; where that is nothing, what others were granted to sell."""
    return [row for row in rows if row["is_owner"]] or rows


def _is_free(row: dict[str, Any]) -> bool:
    """Whether the seller of an offer said that nobody pays for what this project orders of it."""
    return row["payer"] is not None and row["customer"] is None


def _deal(rows: list[dict[str, Any]], price_list: str) -> Deal:
    """Return the deal of an offer's rows: one a price of each list that holds."""
    priced = [row for row in rows if row["list"] is not None and (not price_list or row["list"] == price_list)]
    if not priced:
        raise PaymentRequired(
            f"'{rows[0]['name']}' has no price where it would be placed.",
            remedy="Ask for a region that has one (constraint `region`): the page of prices shows them.",
        )
    best = min(priced, key=lambda row: (row["region"] == "", row["currency"] != row["preferred"], row["currency"]))
    chosen = [row for row in priced if row["list"] == best["list"]]
    same = ("offer", "name", "list", "entity", "time_zone", "currency", "region", "customer", "account")
    return Deal(
        **{name: best[name] for name in same},
        tax_included=bool(best["tax_included"]),
        category=best["tax_category"],
        prices={row["kind"]: row["amount"] for row in chosen if row["kind"] != "usage"},
    )


def _locked_contract(deal: Deal) -> int:
    """Return the contract that a deal is part of, made if there is none, and keep others from ordering on it until
    the transaction ends."""
    which = {"customer": deal.customer, "entity": deal.entity, "currency": deal.currency}
    rows = run(locking(ORDERS["contract"], "k"), **which)
    if not rows:
        contract_of(Customer.objects.get(id=deal.customer), LegalEntity.objects.get(id=deal.entity), deal.currency)
        rows = run(locking(ORDERS["contract"], "k"), **which)
    if not rows[0]["is_taxed"]:
        raise PaymentRequired(
            "The seller cannot sell yet: it has no tax rules.",
            remedy="Its accountant writes what holds in its country: freehold billing tax-rule.",
        )
    return int(rows[0]["id"])


def check_deposit(contract: int, deal: Deal, *, held: int = 0) -> None:
    """Raise PaymentRequired when neither deposits nor credit cover what must be left for this service.

    `held`: what is left for it already, at another offer.
    """
    if deal.deposit <= held:
        return
    missing = deal.deposit - held - balance(contract).free
    if missing > 0:
        seller = LegalEntity.objects.get(id=deal.entity).name
        raise PaymentRequired(
            f"'{deal.name}' takes a deposit of {currencies.shown(deal.deposit, deal.currency)}; "
            f"{currencies.shown(missing, deal.currency)} of it is missing.",
            remedy=f"Pay {currencies.plain(missing, deal.currency)} {deal.currency} to {seller}, then order again.",
        )


def quoted_content(quote: str | None, project: str) -> dict[str, Any]:
    """Return what a quote said, if an order names one; raise Conflict when it holds no more or is of others."""
    if quote is None:
        return {}
    quoted = Quote.objects.filter(id=quote, project=project).first()
    if quoted is None or quoted.until <= clock.now():
        raise Conflict("This quote is not known, or is older than a day.", remedy="Ask for another.")
    content: dict[str, Any] = json.loads(quoted.content)
    return content


def keep_quote(quoted: dict[str, Any], deal: Deal) -> None:
    """Raise Conflict when an order is not what its quote was of."""
    if quoted and (quoted["offer"], quoted["list"]) != (deal.name, deal.list):
        raise Conflict(
            f"The quote is of '{quoted['offer']}' in {quoted['region'] or 'any region'}; this would be another price.",
            remedy="Order what was quoted, where it was quoted, or ask for another quote.",
        )
