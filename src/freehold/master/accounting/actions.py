"""All writes of accounting: legal entities, accounts, entries by hand, the lock of a month, the end of a year."""

import re
import zoneinfo
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR
from typing import Any, NamedTuple

from django.db import DatabaseError, IntegrityError

from freehold.master.accounting import banking
from freehold.master.accounting.batches import QUERIES, OpenBatch, batch, number
from freehold.master.accounting.charts import Purpose, chart
from freehold.master.accounting.models import Account, LegalEntity
from freehold.master.accounting.queries import account_for, find_entity
from freehold.master.foundation import clock, countries, currencies, days, ids
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.protocol.problem import FieldError

_CODE = re.compile(r"[A-Z][A-Z0-9]{1,7}")
_ACCOUNT = re.compile(r"[0-9A-Za-z]{1,12}")
_REGISTERED = re.compile(r"[0-9A-Za-z .-]{0,40}")
_UTC = frozenset({"UTC", "Etc/UTC"})
_AREAS = frozenset(
    ["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"]
)
MOST_PAYMENT_DAYS, MOST_STOP_DAYS = 120, 365
_UNFIT = re.compile(r"[|\x00-\x1f]")
KINDS = ("asset", "liability", "equity", "income", "expense")


class EntryLine(NamedTuple):
    """What an entry puts on an account: debits are positive."""

    account: str
    amount: int
    functional: int
    party: str = ""


@dataclass(frozen=True)
class Draft:
    """An entry that is to be made."""

    day: int
    journal: str
    label: str
    source: str
    purpose: str
    currency: str
    lines: Sequence[EntryLine]


@dataclass(frozen=True)
class Seller:
    """What a legal entity is when it begins; addresses are printed as they are here."""

    code: str
    name: str
    address: str
    country: str
    currency: str
    time_zone: str
    vat_number: str = ""
    registration: str = ""
    payment_days: int = 30
    stop_days: int | None = None
    iban: str = ""
    bic: str = ""
    bank: str = ""


def add_entity(spec: Seller, project: str, *, acting: Caller) -> LegalEntity:
    """Begin a legal entity of a project, with the chart of accounts of its country.

    Raise Invalid naming each field that is wrong, Conflict when the code is taken.
    """
    owner = acting.project(project, Scope.ACCOUNT)
    _check_seller(spec)
    entity = LegalEntity(id=ids.new("ent"), project_id=owner, created_at=clock.now(), **_compact(vars(spec)))
    try:
        with writing():
            quotas.check(owner, Quota.ENTITIES, LegalEntity.objects.filter(project=owner).count)
            entity.save(force_insert=True)
            Account.objects.bulk_create(Account(entity=entity, **line._asdict()) for line in chart(spec.country))
            audit(acting.actor, "entity.add", entity.id, project=owner, code=spec.code, name=spec.name)
    except IntegrityError:
        raise Conflict(f"There is a legal entity '{spec.code}' already.", remedy="Choose another code.") from None
    return entity


def add_account(entity: str, code: str, name: str, kind: str, *, acting: Caller) -> Account:
    """Add an account to an entity's chart."""
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    if not _ACCOUNT.fullmatch(code) or kind not in KINDS or not name.strip() or _UNFIT.search(name):
        raise Invalid(
            "An account has a code of 1 to 12 letters and digits, a name of one line, and a kind.",
            errors=[
                FieldError("kind", f"one of {', '.join(KINDS)}", kind),
                FieldError("code", "letters and digits", code),
            ],
        )
    try:
        with writing():
            quotas.check(owned.project_id, Quota.ACCOUNTS, Account.objects.filter(entity=owned).count)
            account = Account.objects.create(entity=owned, code=code, name=name.strip(), kind=kind)
            audit(acting.actor, "account.add", f"{owned.code}:{code}", project=owned.project_id, name=name, kind=kind)
    except IntegrityError:
        raise Conflict(f"{owned.code} has an account {code} already.") from None
    return account


def enter(
    entity: str,
    *,
    day: int,
    label: str,
    currency: str,
    lines: Sequence[EntryLine],
    reference: str,
    acting: Caller,
) -> int:
    """Make an entry by hand; `reference` is the accountant's own, used once. Return the entry's number in its year.

    Raise Invalid when it does not sum to zero or names an account that is none, Conflict when its day is locked.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    currencies.check(currency)
    if not label.strip() or _UNFIT.search(label) or not reference.strip() or _UNFIT.search(reference):
        raise Invalid(
            "An entry has a label and a reference, without bars and line breaks.",
            errors=[FieldError("label", "a line of text", label), FieldError("reference", "a line of text", reference)],
        )
    draft = Draft(day, "misc", label.strip(), f"hand:{owned.id}:{reference.strip()}", "entry", currency, lines)
    _check_lines(owned, draft)
    with writing():
        entries = post(owned, "by hand", [draft])
        audit(acting.actor, "entry.make", f"{owned.code}:{reference}", project=owned.project_id, label=label)
    return entries[0]


def lock(entity: str, until: int, *, acting: Caller) -> None:
    """Lock every day of an entity before the given one: no entry is made there any more, and none is unlocked."""
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    today = days.of_moment(clock.now(), owned.time_zone)
    if not owned.open_from < until <= today:
        raise Conflict(
            f"{owned.code} is locked before {days.iso(owned.open_from)}; {days.iso(until)} cannot be next.",
            remedy=f"Lock up to a later day, at most today, {days.iso(today)}. What is locked stays locked.",
        )
    with writing():
        LegalEntity.objects.filter(id=owned.id).update(open_from=until)
        audit(acting.actor, "ledger.lock", owned.id, project=owned.project_id, before=days.iso(until))


def close_year(entity: str, year: int, *, acting: Caller) -> int:
    """End a year: move what income and expense accounts hold to the result of the year, and lock it.

    Return the entry's number. Raise Conflict when the year is not over or was closed, Invalid for one of no calendar.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    if not 1970 <= year < MAXYEAR:
        raise Invalid(
            f"{year} is no year of books.", errors=[FieldError("year", f"from 1970 to {MAXYEAR - 1}", str(year))]
        )
    end = days.first_day(days.month(year + 1, 1))
    if days.of_moment(clock.now(), owned.time_zone) < end:
        raise Conflict(f"{year} is not over in {owned.time_zone}.")
    with writing():
        rows = run(QUERIES["result"], entity=owned.id, until=end - 1)
        if not rows:
            raise Conflict(f"{owned.code} has nothing to close in {year}.")
        lines = [EntryLine(row["account"], -row["functional"], -row["functional"]) for row in rows]
        total = sum(row["functional"] for row in rows)
        lines.append(EntryLine(account_for(owned.id, Purpose.RESULT), total, total))
        label = f"Result of {year}"
        draft = Draft(end - 1, "closing", label, f"year:{owned.id}:{year}", "close", owned.currency, lines)
        entries = post(owned, f"close {year}", [draft])
        LegalEntity.objects.filter(id=owned.id, open_from__lt=end).update(open_from=end)
        audit(acting.actor, "ledger.close", owned.id, project=owned.project_id, year=year, result=-total)
    return entries[0]


def post(entity: LegalEntity, purpose: str, drafts: Sequence[Draft]) -> list[int]:
    """Make entries of one entity in a transaction of the caller; return their numbers.

    Raise Conflict when one was made before, or lies in a locked time.
    """
    numbers: list[int] = []
    try:
        with batch(entity.id, purpose, len(drafts)) as opened:
            for offset, draft in enumerate(drafts):
                numbers.append(_write(opened, opened.first + offset, draft))
    except IntegrityError as error:
        if "locked" in str(error):
            raise Conflict(
                f"The books of {entity.code} are locked before {days.iso(entity.open_from)}.",
                remedy="Date it on a day that is open.",
            ) from None
        raise Conflict(f"This was entered before, or does not balance: {_first_line(error)}") from None
    return numbers


def _write(opened: OpenBatch, identity: int, draft: Draft) -> int:
    year = days.to_date(draft.day).year
    entry_number = number(opened.entity, "entry", year)
    named = {name: getattr(draft, name) for name in ("day", "journal", "label", "source", "purpose", "currency")}
    run(
        QUERIES["add_entry"],
        id=identity,
        batch=opened.id,
        entity=opened.entity,
        year=year,
        number=entry_number,
        **named,
    )
    for position, line in enumerate(draft.lines):
        run(QUERIES["add_posting"], entry=identity, position=position, **line._asdict())
    return entry_number


def _check_lines(entity: LegalEntity, draft: Draft) -> None:
    """Raise Invalid naming what is wrong with an entry made by hand."""
    known = set(Account.objects.filter(entity=entity).values_list("code", flat=True))
    wrong = [
        FieldError(f"lines.{index}.account", "an account of the chart", line.account)
        for index, line in enumerate(draft.lines)
        if line.account not in known
    ]
    wrong += [
        FieldError(f"lines.{index}.amount", "an amount that can be", line.amount)
        for index, line in enumerate(draft.lines)
        if max(abs(line.amount), abs(line.functional)) > LARGEST
    ]
    if draft.currency == entity.currency and any(line.amount != line.functional for line in draft.lines):
        wrong.append(FieldError("lines", f"the same amount twice: {entity.currency} is the entity's own currency"))
    sums = Counter[str]()
    for line in draft.lines:
        sums["amount"] += line.amount
        sums["functional"] += line.functional
    wrong += [FieldError(f"lines.{name}", "sums to zero", value) for name, value in sums.items() if value]
    if len(draft.lines) < 2:
        wrong.append(FieldError("lines", "two lines or more"))
    if wrong:
        raise Invalid("This entry cannot be made.", errors=wrong)


def change_terms(entity: LegalEntity, terms: Mapping[str, object]) -> None:
    """Note what a seller is called and when it wants its money (`wrong_terms`), in a transaction of the caller."""
    LegalEntity.objects.filter(id=entity.id).update(**_compact(terms))


def _compact(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {**terms, **{name: banking.compact(terms[name]) for name in ("iban", "bic")}}


def wrong_terms(
    *,
    name: str,
    address: str,
    vat_number: str,
    registration: str,
    payment_days: int,
    stop_days: int | None,
    iban: str,
    bic: str,
    bank: str,
    **_others: object,
) -> list[FieldError]:
    """Return what is wrong with how a seller is called and when it wants its money."""
    wrong = []
    if not name.strip() or not address.strip():
        wrong.append(FieldError("name", "a name and an address, as on a letter"))
    wrong += [
        FieldError(field, "letters and digits, at most 40", number)
        for field, number in (("vat_number", vat_number), ("registration", registration))
        if not _REGISTERED.fullmatch(number)
    ]
    if not 0 <= payment_days <= MOST_PAYMENT_DAYS:
        wrong.append(FieldError("payment_days", f"0 to {MOST_PAYMENT_DAYS}", payment_days))
    if stop_days is not None and not 0 <= stop_days <= MOST_STOP_DAYS:
        wrong.append(FieldError("stop_days", f"0 to {MOST_STOP_DAYS}, or null for never", stop_days))
    return [*wrong, *banking.wrong(iban, bic, bank)]


def _check_seller(spec: Seller) -> None:
    currencies.check(spec.currency)
    wrong = wrong_terms(**vars(spec))
    if not _CODE.fullmatch(spec.code):
        wrong.append(FieldError("code", "2 to 8 capitals and digits, a capital first", spec.code))
    if why := countries.wrong(spec.country):
        wrong.append(FieldError("country", why, spec.country))
    if not _is_civil(spec.time_zone):
        wrong.append(FieldError("time_zone", "a name such as Europe/Paris", spec.time_zone))
    if wrong:
        raise Invalid("This cannot be a legal entity.", errors=wrong)


def _is_civil(zone: str) -> bool:
    """Whether a time zone is a place's civil time, or UTC: not a machine's own, a fixed offset or a stand-in."""
    area = zone.partition("/")[0]
    return zone in _UTC or (area in _AREAS and zone in zoneinfo.available_timezones())


def _first_line(error: DatabaseError) -> str:
    return str(error).splitlines()[0]
