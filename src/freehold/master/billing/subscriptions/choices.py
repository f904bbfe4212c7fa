"""What a product costs a project: each of its offers, at the price and with the tax that the project is asked for.

The page of prices has what everybody is asked for.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import tax_rules, taxes
from freehold.master.billing.models import Contract, Customer, Payer, SubscriptionPrice
from freehold.master.billing.public_prices import amounts
from freehold.master.billing.queries import public_offers
from freehold.master.billing.subscriptions.on_order import subscription_of
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock, days
from freehold.master.ordering import queries as ordering
from freehold.protocol.size import Size, size_of


class OfferTerms(StrEnum):
    """What a project has an offer for."""

    FREE = "free"
    """Its seller said so of the project."""
    PAID = "paid"
    UNCLEAR = "unclear"
    """Nobody pays for the project yet: it is not sold to it."""


@dataclass(frozen=True)
class OfferChoice:
    """An offer, in a region, as a project can have it. Amounts are minor units of the currency, of a whole month."""

    name: str
    """`SELLER/OFFER`, as an order names it."""
    offer: str
    """Id."""
    titles: dict[str, str]
    """By language."""
    region: str
    """Empty: anywhere."""
    price_list: str
    terms: OfferTerms
    currency: str
    recurring: int
    """As the list has it, with or without tax."""
    net: int
    tax: int
    tax_rate: int
    """Hundredths of a percent."""
    setup: int
    deposit: int
    by_use: bool
    """What is used is paid besides."""
    size: Size
    """What it names may be used; all else is as usual with the type."""

    @property
    def gross(self) -> int:
        return self.net + self.tax


def of_project(project: str, product: str, type_name: str) -> list[OfferChoice]:
    """Return the offers of a product and type for a project (its id), the cheapest first.

    Offers in the currency that the project pays in go before others: amounts of two currencies have no order.
    """
    day = days.of_moment(clock.now(), "UTC")
    rows = public_offers(day, product=product, type_name=type_name)
    if not rows:
        return []
    payers = {row.seller_id: row for row in Payer.objects.filter(project=project).select_related("customer")}
    entities = {entity.code: entity for entity in LegalEntity.objects.filter(code__in={row["seller"] for row in rows})}
    cheapest: dict[tuple[str, str], tuple[Any, ...]] = {}
    for row in rows:
        payer = payers.get(row["project"])
        preferred = payer.customer.currency if payer is not None and payer.customer is not None else ""
        order = (row["currency"] != preferred, row["currency"])
        # Of several lists an order takes the one in the customer's currency: no other price is shown.
        key = (row["offer"], row["region"])
        if key not in cheapest or order < cheapest[key][0]:
            cheapest[key] = (order, _choice(row, payer, entities[row["seller"]]))
    return [choice for _, choice in sorted(cheapest.values(), key=lambda pair: (pair[0], _cost(pair[1]), pair[1].name))]


@dataclass(frozen=True)
class PaidOffer:
    """What a service is had at, and what it may be had at instead."""

    offer: str
    """Id."""
    currency: str
    gross: int
    """Of a month, in minor units."""
    others: list[OfferChoice]


def is_paid(instance: str) -> bool:
    """Return whether a service is paid for."""
    return subscription_of(instance) is not None


def of_service(instance: str) -> PaidOffer | None:
    """Return what a service is paid for, and the offers of its seller that can be had in its place; None: it is free.

    Those of its type, with a price where it is, in the currency that it is paid in; the cheapest first.
    """
    subscription = subscription_of(instance)
    if subscription is None:
        return None
    contract = Contract.objects.select_related("entity", "customer").get(id=subscription.contract)
    term = SubscriptionPrice.objects.filter(subscription=subscription.id).order_by("-from_day")[0]
    rate = _tax_rate(contract.entity, contract.customer, term.category)
    service = ordering.by_id(instance)
    region = Node.objects.values_list("site__region", flat=True).get(id=service["node_id"])
    day = days.of_moment(clock.now(), "UTC")
    rows = [
        row
        for row in public_offers(day, product=service["product"], type_name=service["type"])
        if (row["seller"], row["currency"]) == (contract.entity.code, contract.currency)
        and row["region"] in ("", region)
        and row["offer"] != subscription.offer
    ]
    # The list of the region goes before the general one.
    rows.sort(key=lambda row: row["region"] != "", reverse=True)
    other_offers: dict[str, OfferChoice] = {}
    for row in rows:
        other_offers.setdefault(row["offer"], _of_customer(row, contract.customer, contract.entity))
    return PaidOffer(
        subscription.offer,
        contract.currency,
        sum(taxes.split(term.amount, rate, included=bool(term.tax_included))),
        sorted(other_offers.values(), key=lambda choice: (_cost(choice), choice.name)),
    )


def _cost(choice: OfferChoice) -> int:
    return choice.gross if choice.terms is OfferTerms.PAID else 0


def _choice(row: dict[str, Any], payer: Payer | None, entity: LegalEntity) -> OfferChoice:
    return _of_customer(row, payer.customer if payer is not None else None, entity, is_clear=payer is not None)


def _of_customer(
    row: dict[str, Any], customer: Customer | None, entity: LegalEntity, *, is_clear: bool = True
) -> OfferChoice:
    rate = _tax_rate(entity, customer, row["tax_category"]) if customer is not None else 0
    return OfferChoice(
        name=f"{row['seller']}/{row['name']}",
        offer=row["offer"],
        titles=row["titles"],
        region=row["region"],
        price_list=row["list"],
        terms=OfferTerms.UNCLEAR if not is_clear else OfferTerms.FREE if customer is None else OfferTerms.PAID,
        currency=row["currency"],
        tax_rate=rate,
        **amounts(row, rate),
        by_use=any(price["kind"] == "usage" for price in row["prices"]),
        size=size_of(row["size"]),
    )


def _tax_rate(entity: LegalEntity, customer: Customer, category: str) -> int:
    """Return the rate that a customer is asked for, as their invoice will have it."""
    tax_class = taxes.classify(entity.country, customer.kind, customer.country, customer.vat_number)
    rule = tax_rules.holding(entity, tax_class, category, days.of_moment(clock.now(), entity.time_zone))
    return rule.rate if rule else 0
