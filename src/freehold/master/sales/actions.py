"""Writes of sales: offers, price lists and their prices."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.db import IntegrityError

from freehold.master.accounting.charts import TAX_CATEGORIES
from freehold.master.accounting.models import Account, LegalEntity
from freehold.master.catalog import queries as catalog
from freehold.master.foundation import clock, currencies, days, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.master.sales.models import Offer, Price, PriceList, PriceTier
from freehold.master.sales.rating import Model, Tier
from freehold.protocol import size as sizes
from freehold.protocol.meters import PRICED
from freehold.protocol.problem import FieldError

LANGUAGES = ("en", "fr", "zh-hans")
KINDS = ("setup", "recurring", "usage", "deposit")
LARGEST_UNIT = 10**12
ENDLESS = 2**62
"""Where the last step ends."""
LONGEST_GRACE = 366 * 24 * 3600
"""Seconds."""
STANDARD_CREDITS = ((999_000, 10), (990_000, 25), (950_000, 100))
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Proposal:
    """An offer that is to be."""

    name: str
    product: str
    titles: dict[str, str]
    type: str = "default"
    size: dict[str, Any] = field(default_factory=dict)
    """Fields of `protocol.size.Size`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    availability: int = 0
    """In parts of a million."""
    credits: Sequence[tuple[int, int]] | None = None
    """None: `STANDARD_CREDITS` below what is promised."""
    grace: int | None = None
    """Seconds for which what is destroyed can be had back; None: as usual with this Master."""
    tax_category: str = "services"
    account: str = ""


@dataclass(frozen=True)
class Asked:
    """One price of a list that is to be; amounts in minor units."""

    offer: str
    kind: str
    amount: int = 0
    meter: str = ""
    model: Model = Model.FLAT
    unit: int = 1
    tiers: Sequence[tuple[int, int]] = ()
    """For graduated and volume: where a step begins, and what a unit costs there."""


@dataclass(frozen=True)
class Listing:
    """A price list that is to be: whose, in what, where, from when."""

    entity: str
    """Code."""
    title: str
    currency: str
    tax_included: bool
    from_day: int
    prices: Sequence[Asked]
    region: str = ""
    until_day: int = days.NEVER


def add_offer(spec: Proposal, project: str, *, acting: Caller) -> Offer:
    """Make an offer of a product that the project may offer; raise Invalid naming what is wrong, Conflict when the
    project has another of that name."""
    owner = acting.project(project, Scope.SELL)
    _check_offer(spec, owner)
    chosen = spec.credits if spec.credits is not None else STANDARD_CREDITS if spec.availability else ()
    offer = Offer(
        id=ids.new("offer"),
        project_id=owner,
        name=spec.name,
        product=spec.product,
        type=spec.type,
        titles=json.dumps(spec.titles, ensure_ascii=False),
        size=sizes.size_of(spec.size).text(),
        parameters=json.dumps(spec.parameters),
        availability=spec.availability,
        credits=json.dumps([list(credit) for credit in chosen if credit[0] <= spec.availability]),
        grace=spec.grace,
        tax_category=spec.tax_category,
        account=spec.account,
        created_at=clock.now(),
    )
    try:
        with writing():
            quotas.check(owner, Quota.OFFERS, Offer.objects.filter(project=owner, retired_at=None).count)
            offer.save(force_insert=True)
            audit(acting.actor, "offer.add", offer.id, project=owner, name=spec.name, product=spec.product)
    except IntegrityError:
        raise Conflict(f"There is an offer '{spec.name}' already.", remedy="Choose another name.") from None
    return offer


def retire_offer(project: str, name: str, *, acting: Caller) -> None:
    """Have an offer of a project ordered no more; who has it keeps it at its price. Raise NotFound."""
    owner = acting.project(project, Scope.SELL)
    offer = Offer.objects.filter(project=owner, name=name).first()
    if offer is None:
        raise NotFound(f"There is no offer '{name}' of '{project}'.", remedy="See `freehold prices`.")
    with writing():
        Offer.objects.filter(id=offer.id, retired_at=None).update(retired_at=clock.now())
        audit(acting.actor, "offer.retire", offer.id, project=offer.project_id)


def publish_list(spec: Listing, project: str, *, acting: Caller) -> PriceList:
    """Publish prices of an entity for a time; from then on nothing of them changes.

    A list of the same entity, currency and region that had no end ends where this one begins. Raise Conflict when
    the times of two overlap otherwise, Invalid naming each price that is wrong.
    """
    owner = acting.project(project, Scope.SELL)
    entity = LegalEntity.objects.filter(project=owner, code=spec.entity).first()
    if entity is None:
        raise NotFound(
            f"There is no legal entity '{spec.entity}' in '{project}'.", remedy="See `freehold billing entities`."
        )
    currencies.check(spec.currency)
    offers = {offer.name: offer for offer in Offer.objects.filter(project=entity.project_id, retired_at=None)}
    _check_list(spec, offers)
    wrong = [message for price in spec.prices for message in _wrong_account(offers[price.offer].account, [entity])]
    if wrong:
        raise Invalid("These prices cannot be published.", errors=wrong)
    today = days.of_moment(clock.now(), entity.time_zone)
    price_list = PriceList(
        id=ids.new("prices"),
        entity=entity,
        title=spec.title.strip(),
        currency=spec.currency,
        region=spec.region,
        tax_included=spec.tax_included,
        from_day=spec.from_day,
        until_day=spec.until_day,
        created_at=clock.now(),
    )
    with writing():
        quotas.check(owner, Quota.PRICE_LISTS, PriceList.objects.filter(entity__project=owner).count)
        _make_room(price_list, today)
        price_list.save(force_insert=True)
        for price in spec.prices:
            _add_price(price_list, offers[price.offer], price)
        PriceList.objects.filter(id=price_list.id).update(published_at=clock.now())
        audit(acting.actor, "prices.publish", price_list.id, project=entity.project_id, title=price_list.title)
    price_list.refresh_from_db()
    return price_list


def steps(tiers: Sequence[tuple[int, int]]) -> list[Tier]:
    """Return steps with their ends, from where each begins."""
    ends = [*(above for above, _ in tiers[1:]), ENDLESS][: len(tiers)]
    return [Tier(above, end, amount) for (above, amount), end in zip(tiers, ends, strict=True)]


def _make_room(price_list: PriceList, today: int) -> None:
    """End the list that has no end of its own where another begins; raise Conflict when times overlap."""
    # Two who publish at once take turns at the entity.
    LegalEntity.objects.select_for_update().get(id=price_list.entity_id)
    older = PriceList.objects.filter(
        entity=price_list.entity,
        currency=price_list.currency,
        region=price_list.region,
        until_day__gt=price_list.from_day,
        from_day__lt=price_list.until_day,
    )
    for older_list in older:
        if (
            older_list.until_day != days.NEVER
            or price_list.from_day <= older_list.from_day
            or price_list.from_day < today
        ):
            raise Conflict(
                f"'{older_list.title}' holds from {days.iso(older_list.from_day)} already.",
                remedy="Let this list begin when that one has ended; one without end ends by itself on a day to come.",
            )
        PriceList.objects.filter(id=older_list.id).update(until_day=price_list.from_day)


def _add_price(price_list: PriceList, offer: Offer, terms: Asked) -> None:
    price = Price.objects.create(
        list=price_list,
        offer=offer,
        kind=terms.kind,
        meter=terms.meter,
        model=terms.model.value,
        amount=terms.amount,
        unit=terms.unit,
    )
    PriceTier.objects.bulk_create(PriceTier(price=price, **vars(tier)) for tier in steps(terms.tiers))


def _check_offer(spec: Proposal, owner: str) -> None:
    wrong = []
    if not _NAME.fullmatch(spec.name):
        wrong.append(FieldError("name", "lower-case letters, digits and dashes", spec.name))
    if not catalog.may_offer(owner, spec.product):
        wrong.append(
            FieldError("product", "a product of yours, or one that its owner granted you to offer", spec.product)
        )
    if "en" not in spec.titles or any(language not in LANGUAGES for language in spec.titles):
        wrong.append(FieldError("titles", f"English, and others of {', '.join(LANGUAGES)}", list(spec.titles)))
    wrong += _wrong_size(spec.size)
    if not 0 <= spec.availability <= 1_000_000:
        wrong.append(FieldError("availability", "0 to 1000000 parts of a million", spec.availability))
    if any(not 0 < step <= 1_000_000 or not 0 < share <= 100 for step, share in spec.credits or ()):
        wrong.append(FieldError("credits", "pairs of parts of a million and a percent from 1 to 100"))
    if spec.grace is not None and not 0 <= spec.grace <= LONGEST_GRACE:
        wrong.append(FieldError("grace", f"0 to {LONGEST_GRACE} seconds", spec.grace))
    if spec.tax_category not in TAX_CATEGORIES:
        wrong.append(FieldError("tax_category", f"one of {', '.join(TAX_CATEGORIES)}", spec.tax_category))
    wrong += _wrong_account(spec.account, LegalEntity.objects.filter(project=owner))
    if wrong:
        raise Invalid("This cannot be an offer.", errors=wrong)


def _wrong_size(size: dict[str, Any]) -> list[FieldError]:
    try:
        sizes.size_of(size)
    except msgspec.ValidationError as error:
        return [FieldError("size", f"{', '.join(sizes.NAMES)} ({error})", size)]
    return []


def _wrong_account(account: str, entities: Iterable[LegalEntity]) -> list[FieldError]:
    """Return what is wrong with the account of an offer's revenue: each of its sellers' charts must have it."""
    lacking = [
        entity.code
        for entity in entities
        if account and not Account.objects.filter(entity=entity, code=account, kind="income").exists()
    ]
    rule = f"an account of income in the chart of {', '.join(lacking)}"
    return [FieldError("account", rule, account)] if lacking else []


def _check_list(spec: Listing, offers: dict[str, Offer]) -> None:
    wrong = []
    if not spec.title.strip():
        wrong.append(FieldError("title", "needed"))
    if not 0 <= spec.from_day < spec.until_day:
        wrong.append(FieldError("until_day", "after its beginning"))
    if not spec.prices:
        wrong.append(FieldError("prices", "one or more"))
    seen = set()
    for number, price in enumerate(spec.prices):
        key = (price.offer, price.kind, price.meter)
        if key in seen:
            wrong.append(FieldError(f"prices.{number}", "once in a list", " ".join(key)))
        seen.add(key)
        wrong += [FieldError(f"prices.{number}.{name}", rule, value) for name, rule, value in _wrong(price, offers)]
    if wrong:
        raise Invalid("These prices cannot be published.", errors=wrong)


def _most(price: Asked) -> int:
    return max([price.amount, *(amount for _, amount in price.tiers)])


def _wrong(price: Asked, offers: dict[str, Offer]) -> list[tuple[str, str, object]]:
    """Return what is wrong with a price: field, rule, value."""
    has_tiers = price.model in (Model.GRADUATED, Model.VOLUME)
    is_usage = price.kind == "usage"
    starts = [above for above, _ in price.tiers]
    return [
        (name, rule, value)
        for fine, name, rule, value in (
            (price.offer in offers, "offer", "an offer that can be ordered", price.offer),
            (price.kind in KINDS, "kind", f"one of {', '.join(KINDS)}", price.kind),
            (0 <= price.amount <= LARGEST, "amount", "0 or more", price.amount),
            (1 <= price.unit <= LARGEST_UNIT, "unit", f"1 to {LARGEST_UNIT}", price.unit),
            # So that what the largest counter costs fits the database's whole numbers.
            (not is_usage or _most(price) <= 256 * price.unit, "unit", "larger, for this price", price.unit),
            (price.unit * _most(price) < 2**61, "unit", "smaller, for this price", price.unit),
            (is_usage == (price.meter in PRICED), "meter", f"for usage, one of {', '.join(PRICED)}", price.meter),
            (is_usage or price.model is Model.FLAT, "model", "flat, unless it is for usage", price.model.value),
            (bool(price.tiers) == has_tiers, "tiers", "for graduated and volume prices only", list(price.tiers)),
            (not price.tiers or (starts[0] == 0 and starts == sorted(set(starts))), "tiers", "growing, from 0", starts),
            (all(0 <= amount <= LARGEST for _, amount in price.tiers), "tiers", "no price below 0", list(price.tiers)),
        )
        if not fine
    ]  # fmt: skip
