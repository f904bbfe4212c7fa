"""A credit note that takes a whole invoice back: the one way in which something issued is undone."""

from django.db.models import Sum

from freehold.master.accounting import actions as ledger
from freehold.master.accounting import batches
from freehold.master.accounting.actions import Draft, EntryLine
from freehold.master.accounting.models import Entry, Posting
from freehold.master.accounting.queries import find_entity
from freehold.master.billing import overdue
from freehold.master.billing.models import Contract, Document, DocumentLine, DocumentTax
from freehold.master.billing.queries import by_number, document_number, documents
from freehold.master.foundation import clock, counters, days
from freehold.master.foundation.errors import Conflict, NotFound
from freehold.master.foundation.paging import FIRST
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller, Scope


def take_back(entity: str, number: str, *, acting: Caller) -> Document:
    """Issue a credit note over all that an invoice still asks for; return it.

    What was used and what was had is not asked for again. Raise NotFound for an invoice that is none, Conflict when
    credit notes took it back, in part or whole.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    named = by_number(number)
    rows = documents(f"{named[0]} AND e.id = :entity", FIRST, entity=owned.id, **named[1]) if named else []
    invoice = Document.objects.filter(
        id__in=[row["id"] for row in rows if row["name"] == number], kind="invoice"
    ).first()
    if invoice is None:
        raise NotFound(f"{entity} has no invoice '{number}'.")
    today = days.of_moment(clock.now(), owned.time_zone)
    contract = Contract.objects.select_related("entity").get(id=invoice.contract)
    with writing():
        overdue.hold(contract)
        batches.take("document", 0)
        if Document.objects.filter(corrects=invoice.id).aggregate(all=Sum("gross"))["all"] is not None:
            raise Conflict(
                f"{number} was corrected by a credit note already.", remedy="Agree on a charge for the rest."
            )
        credit_note = _negative(invoice, today)
        draft = Draft(
            today,
            "sales",
            document_number(owned.code, credit_note.kind, credit_note.year, credit_note.number),
            f"document:{credit_note.id}",
            "issue",
            credit_note.currency,
            _reversed(invoice),
        )
        ledger.post(owned, f"take back {number}", [draft])
        counters.seal("document")
        overdue.enforce(contract)
        audit(acting.actor, "invoice.take-back", str(invoice.id), project=owned.project_id, number=number)
    return credit_note


def _negative(invoice: Document, today: int) -> Document:
    year = days.to_date(today).year
    lines = list(DocumentLine.objects.filter(document=invoice.id))
    taxes = list(DocumentTax.objects.filter(document=invoice.id))
    issued = Document.objects.get(id=invoice.id)
    issued.pk = batches.take("document", 1)
    issued.kind, issued.corrects = "credit_note", invoice.id
    issued.year, issued.number = year, batches.number(invoice.entity, "credit_note", year)
    issued.day = issued.due_day = today
    for name in ("net", "tax", "gross", "functional", "functional_tax"):
        setattr(issued, name, -getattr(invoice, name))
    issued.save(force_insert=True)
    for line in lines:
        line.document, line.kind, line.label = issued.id, "reversal", line.label or line.kind
        line.amount, line.net = -line.amount, -line.net
        line.save(force_insert=True)
    for tax in taxes:
        tax.document, tax.base, tax.tax = issued.id, -tax.base, -tax.tax
        tax.save(force_insert=True)
    return issued


def _reversed(invoice: Document) -> list[EntryLine]:
    entry = Entry.objects.get(source=f"document:{invoice.id}", purpose="issue")
    postings = Posting.objects.filter(entry=entry.id).order_by("position")
    return [EntryLine(posting.account, -posting.amount, -posting.functional, posting.party) for posting in postings]
