"""What a bank statement pays: proposed line by line, each with its reason, and booked once when somebody says so."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import IntegrityError

from freehold.master.accounting import banking
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import find_entity
from freehold.master.billing.customers.actions import record_payment
from freehold.master.billing.invoicing import documents, settling
from freehold.master.billing.models import Contract, StatementBooking
from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import Invalid, MasterError, NotFound
from freehold.master.foundation.transactions import writing
from freehold.master.payments.statements import MOST_LINES, StatementLine
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

_KEY = re.compile(r"[0-9a-f]{64}")


class Verdict(StrEnum):
    """What a line of a statement is to the seller."""

    MATCH = "match"
    """It pays what is open of the documents that it names."""
    LESS = "less"
    MORE = "more"
    PAID = "paid"
    """It names a document of which nothing is open."""
    BOOKED = "booked"
    """This very line was booked before, or stands earlier in the file."""
    UNKNOWN = "unknown"
    """It names no document of this seller."""
    SEVERAL = "several"
    """It names documents of several customers or currencies."""
    CREDIT_NOTE = "credit_note"
    CURRENCY = "currency"
    """It is in another currency than the document that it names."""
    DEBIT = "debit"
    """Money that went out."""
    REVERSAL = "reversal"
    PENDING = "pending"
    """The bank has not booked it yet."""
    UNCLEAR = "unclear"
    """Several payments in one, or an amount or a day that cannot be read."""


BOOKABLE = frozenset({Verdict.MATCH, Verdict.LESS, Verdict.MORE, Verdict.PAID})
"""What can be booked; only a match is proposed."""


@dataclass(frozen=True)
class LineProposal:
    """A line of a statement, and what it pays."""

    line: StatementLine
    verdict: Verdict
    documents: tuple[str, ...] = ()
    """Numbers that it names."""
    open: int = 0
    """What is open of them, before it."""

    @property
    def is_bookable(self) -> bool:
        return self.verdict in BOOKABLE


@dataclass(frozen=True)
class Booking:
    """A line that somebody confirms: so much came on a day, for a document."""

    key: str
    document: str
    amount: int
    currency: str
    day: int
    reference: str = ""


@dataclass(frozen=True)
class Booked:
    """What became of a line: `booked`, `known` (booked before) or `refused`, with the reason."""

    key: str
    outcome: str
    why: str = ""


def propose(entity: str, lines: Sequence[StatementLine], *, acting: Caller) -> list[LineProposal]:
    """Return what each line of a statement pays of a seller's documents; nothing is written."""
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    known = set(
        StatementBooking.objects.filter(entity=owned, key__in=[line.key for line in lines]).values_list(
            "key", flat=True
        )
    )
    used: dict[str, int] = {}
    proposals = []
    for line in lines:
        proposal = _propose(owned, line, known, used)
        if proposal.is_bookable:
            _use(proposal, used)
        known.add(line.key)
        proposals.append(proposal)
    return proposals


def _propose(entity: LegalEntity, line: StatementLine, known: set[str], used: dict[str, int]) -> LineProposal:
    if (verdict := _unfit(line, known)) is not None:
        return LineProposal(line, verdict)
    rows = [row for number in _numbers(entity.code, line.texts) if (row := _row(entity, number))]
    names = tuple(row["name"] for row in rows)
    if not rows:
        return LineProposal(line, Verdict.UNKNOWN)
    invoices = [row for row in rows if row["kind"] == "invoice"]
    if not invoices:
        return LineProposal(line, Verdict.CREDIT_NOTE, names)
    if len({row["contract"] for row in invoices}) > 1:
        return LineProposal(line, Verdict.SEVERAL, names)
    if invoices[0]["currency"] != line.currency:
        return LineProposal(line, Verdict.CURRENCY, names)
    left = sum(max(0, settling.open_of(row) - used.get(row["name"], 0)) for row in invoices)
    return LineProposal(line, _compare(line.amount or 0, left), tuple(row["name"] for row in invoices), left)


def _use(proposal: LineProposal, used: dict[str, int]) -> None:
    """Count what a line pays, so that the next one of the same file does not pay it again."""
    remainder = proposal.line.amount or 0
    for name in proposal.documents:
        used[name] = used.get(name, 0) + remainder


def _unfit(line: StatementLine, known: set[str]) -> Verdict | None:
    """Return why a line cannot pay anything, whatever it names; None when it can."""
    reasons = (
        (line.is_reversal, Verdict.REVERSAL),
        (not line.is_credit, Verdict.DEBIT),
        (not line.is_booked, Verdict.PENDING),
        (line.amount is None or line.amount <= 0 or line.day is None or not line.is_whole, Verdict.UNCLEAR),
        (line.key in known, Verdict.BOOKED),
    )
    return next((verdict for is_so, verdict in reasons if is_so), None)


def _compare(amount: int, left: int) -> Verdict:
    if not left:
        return Verdict.PAID
    return Verdict.MATCH if amount == left else Verdict.LESS if amount < left else Verdict.MORE


def _numbers(code: str, texts: Iterable[str]) -> list[str]:
    """Return the printed numbers of a seller's documents that texts name: as they are printed, or as references."""
    pattern = re.compile(rf"(?<![A-Z0-9]){code}[\s-]*(C?)[\s-]*([0-9]{{4}})[\s-]*([0-9]{{6,15}})(?![0-9])")
    documents = []
    for text in texts:
        upper = text.upper()
        documents += [_printed(code, *match.groups()) for match in pattern.finditer(upper)]
        for body in _references(upper):
            if match := pattern.fullmatch(body):
                documents.append(_printed(code, *match.groups()))
    return list(dict.fromkeys(documents))


def _references(text: str) -> Iterator[str]:
    """Yield what stands behind the check digits of each creditor reference in a text, in groups or not."""
    for match in re.finditer(r"(?<![A-Z0-9])RF[0-9]{2}", text):
        follows = re.sub(r"\s", "", text[match.start() : match.start() + 40])
        for length in range(5, 26):
            if len(follows) >= length and banking.is_reference(follows[:length]):
                yield follows[4:length]


def _printed(code: str, credit: str, year: str, number: str) -> str:
    return f"{code}{'-C' if credit else ''}-{year}-{int(number):06d}"


def _row(entity: LegalEntity, number: str) -> dict[str, Any] | None:
    try:
        return documents.find_sold(entity.id, number)
    except NotFound:
        return None


def book(entity: str, bookings: Sequence[Booking], *, acting: Caller) -> list[Booked]:
    """Book lines of a statement as payments of the documents' customers, each on its own and each once for ever.

    A line that cannot be booked stops no other. Raise Invalid for more than `MOST_LINES`, or keys that are none.
    """
    owned = find_entity(entity, acting, Scope.ACCOUNT)
    wrong = [booking.key for booking in bookings if not _KEY.fullmatch(booking.key)]
    if wrong or len(bookings) > MOST_LINES:
        raise Invalid(
            "These are no lines of a statement.",
            errors=[FieldError("lines", f"at most {MOST_LINES}, each with the key that was proposed")],
        )
    return [_book_one(owned, booking, acting) for booking in bookings]


def _book_one(entity: LegalEntity, booking: Booking, acting: Caller) -> Booked:
    try:
        row = documents.find_sold(entity.id, booking.document)
        contract = Contract.objects.select_related("entity").get(id=row["contract"])
        with writing():
            _book(entity, contract, booking, acting)
    except IntegrityError:
        # The constraint decides, not a look before it: two may confirm the same file at the same moment.
        return Booked(booking.key, "known")
    except MasterError as error:
        return Booked(
            booking.key, "refused", " ".join([str(error), *(error_field.rule for error_field in error.errors)])
        )
    return Booked(booking.key, "booked")


def _book(entity: LegalEntity, contract: Contract, booking: Booking, acting: Caller) -> None:
    if booking.amount <= 0 or booking.currency != contract.currency:
        words = f"more than 0, in {contract.currency}"
        raise Invalid("This pays nothing of the document.", errors=[FieldError("amount", words)])
    if StatementBooking.objects.filter(entity=entity, key=booking.key).exists():
        raise IntegrityError
    named = re.sub(r"[|\s\x00-\x1f]+", " ", booking.reference).strip() or booking.document
    payment = record_payment(
        contract,
        amount=booking.amount,
        purpose="account",
        method="statement",
        # A bank may name several payments alike.
        reference=f"{named[:70]} {booking.key[:20]}",
        day=booking.day,
        acting=acting,
    )
    StatementBooking.objects.create(entity=entity, key=booking.key, payment=payment)


def explained(proposal: LineProposal) -> dict[str, Any]:
    """Return a proposal as programs read it."""
    line = proposal.line
    money = "" if line.amount is None else currencies.plain(line.amount, line.currency)
    return {
        "key": line.key,
        "account": line.account,
        "day": "" if line.day is None else days.iso(line.day),
        "amount": money,
        "currency": line.currency,
        "reference": line.reference,
        "name": line.name,
        "text": line.text,
        "verdict": proposal.verdict,
        "documents": list(proposal.documents),
        "open": currencies.plain(proposal.open, line.currency) if proposal.documents and money else "",
    }
