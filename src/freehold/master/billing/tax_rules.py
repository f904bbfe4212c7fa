"""Tax rules as rows with dates: those that a Master knows of a country, and those that a seller's accountant writes.

A seller that writes one has rules of its own from then on, beginning with a copy of its country's: what one accountant
believes changes nothing for another seller. A seller of a country of which nothing is known sells when it has some.
"""

import re
from dataclasses import dataclass

from freehold.master.accounting.charts import TAX_CATEGORIES
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import find_entity
from freehold.master.billing import taxes
from freehold.master.billing.models import Document, TaxRule
from freehold.master.foundation import clock, countries, days
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

CODES = ("S", "Z", "E", "AE", "K", "G", "O", "L", "M")
"""Of duties and taxes, UNTDID 5305, as EN 16931 uses them."""
_TEXT = re.compile(r"[^|\x00-\x1f\x7f]{0,200}")


@dataclass(frozen=True)
class TaxRuleSpec:
    """A rule that is to hold from a day on."""

    tax_class: str
    """`domestic`, `abroad`, `eu-business`, `eu-consumer-DE`…"""
    category: str
    rate: int
    """In hundredths of a percent."""
    code: str
    from_day: int
    text: str = ""


def begin(entity: LegalEntity) -> None:
    """Write what is known of a seller's country, unless it is written."""
    if not TaxRule.objects.filter(country=entity.country).exists():
        TaxRule.objects.bulk_create(
            TaxRule(country=entity.country, from_day=taxes.FIRST_DAY, **rule._asdict())
            for rule in taxes.rules(entity.country)
        )


def whose(entity: LegalEntity) -> str:
    """Return under what a seller's rules are written: its own identity, or its country."""
    return entity.id if TaxRule.objects.filter(country=entity.id).exists() else entity.country


def of_entity(entity: LegalEntity, part: ListPart) -> list[TaxRule]:
    """Return a part of a seller's rules, after the one with an id: the newest first of each class and category."""
    rows = TaxRule.objects.filter(country=whose(entity))
    return list(part_of(rows, ("tax_class", "category", "-from_day", "id"), "id", part))


def holding(entity: LegalEntity, tax_class: str, category: str, day: int) -> TaxRule | None:
    """Return the rule that holds on a day, if there is one."""
    return TaxRule.objects.filter(
        country=whose(entity), tax_class=tax_class, category=category, from_day__lte=day, until_day__gt=day
    ).first()


def add(code: str, spec: TaxRuleSpec, *, acting: Caller) -> TaxRule:
    """Write a rule of a seller that holds from a day on, and ends the one before it.

    Raise Invalid naming what is wrong, Conflict when documents of that day or later were issued.
    """
    entity = find_entity(code, acting, Scope.ACCOUNT)
    _check(spec)
    with writing():
        LegalEntity.objects.select_for_update().get(id=entity.id)
        issued = Document.objects.filter(entity=entity.id, day__gte=spec.from_day).exists()
        if issued or spec.from_day < entity.open_from:
            raise Conflict(
                f"Documents of {days.iso(spec.from_day)} or later were issued, or that day is locked.",
                remedy="A rule holds from a day on of which nothing was issued yet.",
            )
        _have_own(entity)
        same = TaxRule.objects.filter(country=entity.id, tax_class=spec.tax_class, category=spec.category)
        same.filter(from_day__gte=spec.from_day).delete()
        same.filter(until_day__gt=spec.from_day).update(until_day=spec.from_day)
        rule = TaxRule.objects.create(country=entity.id, **vars(spec))
        audit(
            acting.actor, "tax-rule.add", f"{entity.code}:{spec.tax_class}:{spec.category}",
            project=entity.project_id, rate=spec.rate, since=days.iso(spec.from_day),
        )  # fmt: skip
    return rule


def _have_own(entity: LegalEntity) -> None:
    if not TaxRule.objects.filter(country=entity.id).exists():
        names = ("tax_class", "category", "rate", "code", "text", "from_day", "until_day")
        known = TaxRule.objects.filter(country=entity.country).values(*names)
        TaxRule.objects.bulk_create(TaxRule(country=entity.id, **row) for row in known)


def _check(spec: TaxRuleSpec) -> None:
    wrong = []
    consumer = spec.tax_class.removeprefix("eu-consumer-")
    is_class = spec.tax_class in (taxes.DOMESTIC, taxes.EU_BUSINESS, taxes.ABROAD) or (
        consumer != spec.tax_class and not countries.wrong(consumer)
    )
    if not is_class:
        wrong.append(FieldError("tax_class", "domestic, abroad, eu-business or eu-consumer-COUNTRY", spec.tax_class))
    if spec.category not in TAX_CATEGORIES:
        wrong.append(FieldError("category", f"one of {', '.join(TAX_CATEGORIES)}", spec.category))
    if not 0 <= spec.rate <= 10_000:
        wrong.append(FieldError("rate", "0 to 100 percent, with at most two decimals", spec.rate))
    if spec.code not in CODES:
        wrong.append(FieldError("code", f"one of {', '.join(CODES)} (UNTDID 5305)", spec.code))
    if not _TEXT.fullmatch(spec.text):
        wrong.append(FieldError("text", "a line of at most 200 characters, without bars", spec.text))
    if not 0 <= spec.from_day <= days.of_moment(clock.now(), "UTC") + 3660:
        wrong.append(FieldError("from", "a day of the next ten years at most", days.iso(spec.from_day)))
    if wrong:
        raise Invalid("This cannot be a tax rule.", errors=wrong)
