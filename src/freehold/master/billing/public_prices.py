"""What anybody may know: prices, what things cost us, what is left, and how promises were kept."""

import re
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import tax_rules, taxes
from freehold.master.billing.models import CostItem, TaxRule
from freehold.master.billing.queries import ORDERS, count_public_offers, public_offers
from freehold.master.fleet.models import Site
from freehold.master.foundation import clock, currencies, days
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.monitoring.models import KeptRecord
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.master.sales.models import Offer, PriceTier
from freehold.protocol.problem import FieldError

KINDS = (
    "amortisation", "loan", "network", "electricity", "hosting", "land", "software", "hardware-care", "replacement",
    "repair",
)  # fmt: skip
MONTHS = 12


def add_cost(
    project: str,
    *,
    site: str,
    offer: str,
    kind: str,
    currency: str,
    amount: int,
    from_day: int,
    evidence: str,
    note: str = "",
    acting: Caller,
) -> CostItem:
    """Say what one month of an offer costs at a site, of one kind, from a day on; what was said before stays said.

    `evidence` is the SHA-256 of the paper that shows it, which is kept elsewhere.
    """
    owner = acting.project(project, Scope.SELL)
    owned = Site.objects.filter(project=owner, name=site).first()
    if owned is None or not Offer.objects.filter(project=owner, name=offer).exists():
        raise NotFound(f"There is no site '{site}' or no offer '{offer}' in '{project}'.")
    currencies.check(currency)
    wrong = []
    if kind not in KINDS:
        wrong.append(FieldError("kind", f"one of {', '.join(KINDS)}", kind))
    if not 0 <= amount <= LARGEST:
        wrong.append(FieldError("amount", "0 or more", amount))
    if not re.fullmatch(r"[0-9a-f]{64}", evidence):
        wrong.append(FieldError("evidence", "a SHA-256, 64 hexadecimal digits", evidence))
    if wrong:
        raise Invalid("This cost cannot be written down.", errors=wrong)
    values = {"currency": currency, "amount": amount, "evidence": evidence, "note": note.strip()}
    with writing():
        quotas.check(owner, Quota.COSTS, CostItem.objects.filter(site__project=owner).count)
        item, cost = CostItem.objects.get_or_create(
            site=owned, offer=offer, kind=kind, from_day=from_day, defaults=values
        )
        if not cost:
            raise Conflict(f"The {kind} of {offer} at {site} from {days.iso(from_day)} on is written down already.")
        audit(acting.actor, "cost.add", owned.id, project=owner, offer=offer, kind=kind, amount=amount)
    return item


def prices(part: ListPart, today: int | None = None) -> list[dict[str, Any]]:
    """Return a part, after `SELLER/OFFER/LIST`, of what can be ordered by anybody at which price.

    Raise Invalid when there is no such offer.
    """
    return [_public(offer) for offer in offers(today, part)]


def count_prices() -> int:
    """Return how many rows `prices` has."""
    return count_public_offers(_today())


def sites(part: ListPart, today: int | None = None) -> list[dict[str, Any]]:
    """Return a part, after the one with an id, of the sites that say what they cost or how promises were kept.

    Each with the costs of its offers, what is left of their prices, and its months.
    """
    today = _today() if today is None else today
    sites = [_site(row, today) for row in part_of(_telling(today), ("name", "id"), "id", part)]
    sold = {project: offers(today, project=project) for project in {site["project"] for site in sites}}
    for shown in sites:
        mine = sold[shown["project"]]
        shown["tables"] = [_with_margin(table, shown["region"], mine) for table in shown["tables"]]
    return [_public(site) for site in sites]


def count_sites() -> int:
    """Return how many rows `sites` has."""
    return _telling(_today()).count()


def _today() -> int:
    return days.of_moment(clock.now(), "UTC")


def _public(shown: dict[str, Any]) -> dict[str, Any]:
    """Return an offer or a site without what only this Master knows it by."""
    return {name: value for name, value in shown.items() if name not in ("offer", "project")}


def offers(
    today: int | None = None, part: ListPart | None = None, *, project: str = "", product: str = "", type_name: str = ""
) -> list[dict[str, Any]]:
    """Return what can be ordered at which price, a row an offer and list.

    All of it, of a project (its id) or of a product and type; or a part, as `prices`.
    """
    today = _today() if today is None else today
    rows = public_offers(today, part, project=project, product=product, type_name=type_name)
    ids = [price["price"] for row in rows for price in row["prices"] if price["kind"] == "usage"]
    tiers = list(PriceTier.objects.filter(price__in=ids).order_by("price", "above"))
    domestic = {
        (rule.country, rule.category): rule.rate
        for rule in TaxRule.objects.filter(tax_class=taxes.DOMESTIC, from_day__lte=today, until_day__gt=today)
    }
    sellers = LegalEntity.objects.filter(code__in={row["seller"] for row in rows})
    own = {entity.code: tax_rules.whose(entity) for entity in sellers}
    return [_priced(row, domestic.get((own[row["seller"]], row["tax_category"]), 0), tiers) for row in rows]


def amounts(row: dict[str, Any], rate: int) -> dict[str, int]:
    """Return what a row of `public_offers` asks for at a rate of tax (hundredths of a percent), in minor units: once,
    each month, as a deposit; and of a month the net and the tax.
    """
    by_kind = {price["kind"]: price["amount"] for price in row["prices"] if price["kind"] != "usage"}
    month = by_kind.get("recurring", 0)
    net, tax = taxes.split(month, rate, included=row["tax_included"])
    deposit = by_kind.get("deposit", month)
    return {"setup": by_kind.get("setup", 0), "recurring": month, "deposit": deposit, "net": net, "tax": tax}


_SHOWN = (
    "name", "product", "type", "titles", "size", "availability", "credits", "currency", "region", "tax_included",
    "list", "seller", "seller_name", "country", "offer", "project",
)  # fmt: skip


def _priced(row: dict[str, Any], rate: int, tiers: list[PriceTier]) -> dict[str, Any]:
    """Return an offer at its price, with the tax of a consumer of the seller's own country."""
    return {
        "id": f"{row['seller']}/{row['name']}/{row['list']}",
        **{name: row[name] for name in _SHOWN},
        "from_day": days.iso(row["from_day"]),
        "decimals": currencies.decimals(row["currency"]),
        **amounts(row, rate),
        "tax_rate": rate,
        "usage": [
            {
                **{name: price[name] for name in ("meter", "model", "amount", "unit")},
                "tiers": [
                    {"above": tier.above, "amount": tier.amount} for tier in tiers if tier.price_id == price["price"]
                ],
            }
            for price in row["prices"]
            if price["kind"] == "usage"
        ],
    }


def _telling(today: int) -> "QuerySet[Site, Site]":
    """Return the sites of which there is something to tell."""
    costs = CostItem.objects.filter(site=OuterRef("pk"), from_day__lte=today)
    return Site.objects.filter(Exists(costs) | Exists(_records(today).filter(site=OuterRef("pk"))))


def _records(today: int) -> "QuerySet[KeptRecord, KeptRecord]":
    return KeptRecord.objects.filter(month__gte=days.month_of(today) - MONTHS, counted__gt=0).defer("evidence")


def _site(site: Site, today: int) -> dict[str, Any]:
    tables: dict[str, dict[str, Any]] = {}
    for row in run(ORDERS["cost_items"], day=today, site=site.id):
        table = tables.setdefault(
            row["offer"], {"offer": row["offer"], "currency": row["currency"], "items": [], "total": 0}
        )
        item = {name: row[name] for name in ("kind", "amount", "evidence", "note")}
        table["items"].append({**item, "from_day": days.iso(row["from_day"])})
        table["total"] += row["amount"]
    return {
        "id": site.id,
        "name": site.name,
        "project": site.project_id,
        "region": site.region,
        "tables": list(tables.values()),
        "record": [
            {"month": days.month_name(row.month), "kept_ms": row.kept, "counted_ms": row.counted,
             "services": row.instances, "evidence": row.digest, "millionths": row.kept * 1_000_000 // row.counted}
            for row in _records(today).filter(site=site).order_by("-month")
        ],
    }  # fmt: skip


def _with_margin(table: dict[str, Any], region: str, offers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a cost table with the price without tax in its currency, if there is one, and what is left of it."""
    fitting = [
        offer
        for offer in offers
        if offer["name"] == table["offer"]
        and offer["currency"] == table["currency"]
        and offer["region"] in ("", region)
    ]
    if not fitting:
        return {**table, "price": None, "margin": None}
    price = max(fitting, key=lambda offer: offer["region"] != "")["net"]
    return {**table, "price": price, "margin": price - table["total"]}
