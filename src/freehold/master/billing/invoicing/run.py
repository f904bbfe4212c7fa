"""The monthly run: from what was ordered and used to documents and their entries, by statements over whole sets.

A run is a row. It is rated once (what was used is added up and priced as of then) and issues its documents a slice of
contracts at a time, each slice in one transaction with its numbers, its entries and the next period of its contracts.
So one that is killed is taken up where it was, makes the same documents, and none twice. `bill` does the same for a
single contract: there is one arithmetic (`sql/run.sql`).
"""

from pathlib import Path
from typing import Any

from django.db import IntegrityError

from freehold.master.accounting import batches
from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import account_for, find_entity
from freehold.master.billing import exchange, tax_rules
from freehold.master.billing.models import Contract, Run
from freehold.master.billing.queries import number_prefix
from freehold.master.billing.rating import consumption, sla_credits
from freehold.master.billing.states import RUN, RunState
from freehold.master.foundation import clock, counters, days, sql
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

_SQL = sql.load(Path(__file__).parent.parent / "sql" / "run.sql")
MOST_NAMED = 10
"""Contracts put aside that the answer to a run names."""
SLICE = 20_000
"""Contracts of a transaction: others who write wait for about a second."""


def bill(entity: str, day: int, *, acting: Caller) -> Run:
    """Issue every document that a seller's contracts are due by a day, which is their date; return the run.

    Doing it again for the same day issues what became due since, mostly nothing. Raise Conflict while another run is
    open for another day, when the books are locked, or when contracts had to be put aside (the others are billed
    then); Invalid for a day to come.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    today = days.of_moment(clock.now(), owned.time_zone)
    if day > today:
        raise Invalid(f"{days.iso(day)} is to come.", errors=[FieldError("day", "today or before", days.iso(day))])
    if day < owned.open_from:
        raise Conflict(f"The books of {owned.code} are locked before {days.iso(owned.open_from)}.")
    # Who asks has perhaps mended why some were put aside today.
    Contract.objects.filter(entity=owned, aside_on=day).update(aside_on=0)
    run_row = run_for(owned, day, acting.actor)
    rows = Contract.objects.filter(entity=owned, aside_on=day).order_by("id").values_list("customer__name", "trouble")
    aside = list(rows[: MOST_NAMED + 1])
    if aside:
        named = "; ".join(f"{name}: {trouble}" for name, trouble in aside[:MOST_NAMED])
        more = f"; and more, {rows.count()} in all" if len(aside) > MOST_NAMED else ""
        raise Conflict(
            f"The others are billed; put aside: {named}{more}",
            remedy="Mend what is wrong, then run this again for the same day.",
        )
    return run_row


def run_for(entity: LegalEntity, day: int, actor: str) -> Run:
    """Open a run, or take up the one that was interrupted, and bring it to its end; two at once share the work."""
    opened = _open(entity, day, actor)
    if opened.day != day:
        # What was begun is ended first: its documents have its date.
        run_for(entity, opened.day, actor)
        return run_for(entity, day, actor)
    with writing():
        opened = _locked(opened)
        if opened.state == RunState.OPEN:
            consumption.add_up(entity)
            sla_credits.credit_broken_promises(entity, day)
            _to(opened, RunState.RATED)
    _issue_all(opened)
    with writing():
        opened = _locked(opened)
        if opened.state != RunState.ISSUED:
            _to(opened, RunState.ISSUED)
            Run.objects.filter(id=opened.id).update(trouble="")
            audit(actor, "run.issue", str(opened.id), project=entity.project_id, documents=opened.documents)
    return opened


def _open(entity: LegalEntity, day: int, actor: str) -> Run:
    unfinished = Run.objects.filter(entity=entity).exclude(state=RunState.ISSUED.value)
    if open_run := unfinished.first():
        return open_run
    try:
        with writing():
            opened = Run.objects.create(entity=entity, day=day, opened_at=clock.now())
            audit(actor, "run.open", str(opened.id), project=entity.project_id, day=days.iso(day))
    except IntegrityError:
        # Another opened one at the same moment.
        return unfinished.first() or _open(entity, day, actor)
    return opened


def _locked(opened: Run) -> Run:
    """Return a run as it is now, and keep others from going on with it until the transaction ends."""
    return Run.objects.select_for_update(of=("self",)).select_related("entity").get(id=opened.id)


def _to(opened: Run, state: RunState) -> None:
    RUN.check(RunState(opened.state), state)
    opened.state = state.value
    opened.save(update_fields=["state"])


def _issue_all(opened: Run) -> None:
    due = run(_SQL["due"], entity=opened.entity_id, day=opened.day)
    while due:
        for row in due:
            _issue_day(opened, row["currency"], row["anchor"], row["next_day"])
        # Who was away for months is due several times.
        due = run(_SQL["due"], entity=opened.entity_id, day=opened.day)


def _issue_day(opened: Run, currency: str, anchor: int, until: int) -> None:
    """Issue the documents of all contracts of an anchor whose period ends on a day, slice by slice."""
    since, following = days.add_months(until, -1), days.add_months(until, 1)
    due = {"entity": opened.entity_id, "currency": currency, "anchor": anchor, "since": since, "until": until}
    first = 0
    while True:
        with writing():
            opened = _locked(opened)
            (row,) = run(_SQL["slice"], **due, first=first, size=SLICE, day=opened.day)
            if row["last"] is None or opened.state == RunState.ISSUED:
                return
            slice_ = {**due, "first": first, "last": row["last"]}
            # Before the counters of the books, as who writes down a payment does.
            run(locking(_SQL["lock_slice"], "k"), **slice_, day=opened.day)
            opened.documents += _issue(opened, slice_)
            opened.save(update_fields=["documents"])
            _do("next_period", **slice_, next=following, day=opened.day)
        first = row["last"] + 1


def _issue(opened: Run, slice_: dict[str, Any]) -> int:
    """Issue the documents of a slice of contracts whose period ends on a day; return how many.

    Within a transaction of the caller.
    """
    entity = opened.entity
    _do("draft", **slice_, month=days.month_of(slice_["until"]), day=opened.day, rules=tax_rules.whose(entity))
    _put_aside(opened)
    _do("below_zero")
    _let_wait()
    _do("drop_not_asked_for")
    _do("tax_as_before")
    _do("taxes")
    counts = {row["kind"]: row["documents"] for row in run(_SQL["count"])}
    count = int(sum(counts.values()))
    if count:
        rate = exchange.rate(entity, slice_["currency"], opened.day)
        _do("bills", **slice_, **rate.in_sql())
        _do("index_bills")
        _write(opened, slice_, counts, rate)
    for name in ("draft", "tax", *(("bill",) if count else ())):
        _do(f"forget_{name}")
    return count


def _write(opened: Run, slice_: dict[str, Any], counts: dict[str, int], rate: exchange.Rate) -> None:
    """Write documents, lines, taxes and entries of what is drafted, with their numbers."""
    entity, year = opened.entity, days.to_date(opened.day).year
    count = sum(counts.values())
    document = batches.take("document", count) - 1
    amounts = {
        kind: batches.number(entity.id, kind, year, counts[kind]) - 1 if counts.get(kind) else 0
        for kind in ("invoice", "credit_note")
    }
    # The places of credit notes follow those of invoices.
    numbers = {"invoice": amounts["invoice"], "credit_note": amounts["credit_note"] - counts.get("invoice", 0)}
    _do(
        "add_documents",
        document=document,
        run=opened.id,
        entity=entity.id,
        year=year,
        day=opened.day,
        payment_days=entity.payment_days,
        since=slice_["since"],
        until=slice_["until"],
        currency=slice_["currency"],
        **numbers,
    )
    _do("add_lines", document=document)
    _do("add_taxes", document=document)
    with batches.batch(entity.id, f"run {opened.id}", count) as batch:
        entry = batch.first - 1
        _do(
            "add_entries",
            entry=entry,
            batch=batch.id,
            entity=entity.id,
            year=year,
            entry_number=batches.number(entity.id, "entry", year, count) - 1,
            day=opened.day,
            invoice_label=number_prefix(entity.code, "invoice", year),
            credit_note_label=number_prefix(entity.code, "credit_note", year),
            document=document,
            currency=slice_["currency"],
            **numbers,
        )
        _do("add_receivables", entry=entry, receivable=account_for(entity.id, Purpose.RECEIVABLE))
        _do("add_revenue", entry=entry, document=document, **rate.in_sql())
        _do("add_tax_postings", entry=entry, tax_account=account_for(entity.id, Purpose.TAX))
    _do("billed_consumption", document=document)
    _do("billed_charges", document=document)
    counters.seal("document")


def _put_aside(opened: Run) -> None:
    """Leave out the contracts of which no document can be made: each says why, and is looked at again another day."""
    for row in run(_SQL["unfit"], largest=LARGEST):
        trouble = (
            f"There is no tax rule for: {row['untaxed']}. Add one (freehold billing tax-rule), then run this again."
            if row["untaxed"]
            else "A document would come to more than any can: look at its usage, something is wrong."
        )
        _do("put_aside", contract=row["contract"], trouble=trouble, day=opened.day)
        _do("drop_aside", contract=row["contract"])
        audit("freehold", "contract.aside", str(row["contract"]), project=opened.entity.project_id, why=trouble)


def _let_wait() -> None:
    """Have what would give back more than an invoice still asks for wait for a later one, as far as it is more."""
    for row in run(_SQL["beyond"]):
        which = {name: row[name] for name in ("contract", "corrects", "tax_included")}
        excess = row["given"] - max(0, row["asked"])
        for charge in run(_SQL["given_once"], **which):
            later = min(excess, -charge["amount"])
            if later == -charge["amount"]:
                _do("wait", charge=charge["charge"])
            elif later > 0:
                for name in ("give_part", "split_charge", "lessen_charge"):
                    _do(name, charge=charge["charge"], later=later)
            excess -= later


def _do(name: str, **values: Any) -> None:
    run(_SQL[name], **values)
