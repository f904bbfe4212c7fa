"""Quotes: the price of an order as its customer will be asked for it, held for a day."""

import hashlib
import json
from typing import Any

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import tax_rules, taxes
from freehold.master.billing.models import Customer, Quote
from freehold.master.billing.subscriptions.on_order import Deal, find_deal
from freehold.master.foundation import clock, currencies, days
from freehold.master.foundation.errors import Conflict
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.master.sales import queries as sales
from freehold.master.sales.models import Price, PriceTier

VALID = clock.DAY
"""Milliseconds."""


def quote(project: str, offer: str, region: str = "", *, acting: Caller) -> Quote:
    """Return the price of an offer for a project in a region: what an order that names the quote is held to.

    Raise NotFound for an offer that is none, PaymentRequired when nobody pays for the project or there is no price,
    Conflict when the project has all for free.
    """
    owner = acting.project(project, Scope.ORDER)
    sold = sales.offer(offer)
    deal = find_deal(owner, sold.product, sold.type, offer=sold.offer, region=region)
    if deal is None:
        raise Conflict(f"'{project}' has all for free: there is nothing to quote.", remedy="Order it.")
    until = clock.now() + VALID
    content = json.dumps({**_shown(deal), "project": project, "until": clock.iso(until)}, sort_keys=True)
    quoted = Quote(id=hashlib.sha256(content.encode()).hexdigest(), project_id=owner, content=content, until=until)
    with writing():
        Quote.objects.filter(until__lt=clock.now() - 30 * clock.DAY).delete()
        quotas.check(owner, Quota.QUOTES, Quote.objects.filter(project=owner, until__gt=clock.now()).count)
        quoted.save()
        audit(acting.actor, "quote.make", quoted.id, project=owner, offer=offer)
    return quoted


def _shown(deal: Deal) -> dict[str, Any]:
    customer, entity = Customer.objects.get(id=deal.customer), LegalEntity.objects.get(id=deal.entity)
    tax_class = taxes.classify(entity.country, customer.kind, customer.country, customer.vat_number)
    rule = tax_rules.holding(entity, tax_class, deal.category, days.of_moment(clock.now(), entity.time_zone))
    month = deal.prices.get("recurring", 0)
    net, tax = taxes.split(month, rule.rate if rule else 0, included=deal.tax_included)
    return {
        "offer": deal.name,
        "list": deal.list,
        "seller": entity.code,
        "region": deal.region,
        "currency": deal.currency,
        "decimals": currencies.decimals(deal.currency),
        "tax_included": deal.tax_included,
        "setup": deal.prices.get("setup", 0),
        "recurring": month,
        "deposit": deal.deposit,
        "usage": usage_prices(deal.list, deal.offer),
        "tax": {"rate": rule.rate if rule else 0, "code": rule.code if rule else "", "text": rule.text if rule else ""},
        "month": {"net": net, "tax": tax, "gross": net + tax},
    }


def usage_prices(price_list: str, offer: str) -> list[dict[str, Any]]:
    """Return what is paid by use: meter, model, amount a unit, unit, and the steps of those that have some."""
    prices = Price.objects.filter(list=price_list, offer=offer, kind="usage").order_by("meter")
    tiers = PriceTier.objects.filter(price__in=prices).order_by("price", "above")
    return [
        {
            **{name: getattr(price, name) for name in ("meter", "model", "amount", "unit")},
            "tiers": [{"above": tier.above, "amount": tier.amount} for tier in tiers if tier.price_id == price.id],
        }
        for price in prices
    ]
