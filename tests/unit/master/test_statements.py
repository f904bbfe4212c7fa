"""A bank statement is read: what pays what, line by line, and nothing is ever booked twice."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Forbidden, Invalid, Malformed, TooLarge
from support import statements as bank
from support.books import books_hold
from support.lists import Asker
from support.panels import Visitor, text

if TYPE_CHECKING:
    from support.market import Market

FIRST, SECOND = "FR-2026-000001", "FR-2026-000002"


@pytest.fixture
def shop(market: "Market") -> "Market":
    """Ada owes two invoices of 50.40 each, and Bob one of 12.00; it is a day in May."""
    from freehold.master.billing.subscriptions import actions as subscriptions

    market.offer()
    market.prices(market.price(4200))
    ada = market.customer()
    market.pay(ada, 4200, "deposit")
    market.ready(market.order())
    market.bill("2026-04-01")
    market.bill("2026-05-01")
    bob = market.customer("Bob", project="")
    subscriptions.agree(market.contract(bob), "Advice", 1000, acting=market.sales)
    market.ada, market.bob = ada, bob  # type: ignore[attr-defined]
    market.turn("2026-05-04")
    return market


def _read(shop: "Market", content: bytes) -> list[Any]:
    from freehold.master.billing.customers import statements
    from freehold.master.payments.statements import read

    return statements.propose("FR", read(content), acting=shop.accountant)


def _verdicts(shop: "Market", content: bytes) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.verdict.value, one.documents) for one in _read(shop, content)]


def _book(shop: "Market", content: bytes) -> list[str]:
    """Confirm all that can be booked of a file; return what became of each line."""
    from freehold.master.billing.customers import statements

    bookings = [
        statements.Booking(
            one.line.key, one.documents[0], one.line.amount, one.line.currency, one.line.day, one.line.reference
        )
        for one in _read(shop, content)
        if one.is_bookable
    ]
    return [one.outcome for one in statements.book("FR", bookings, acting=shop.accountant)]


def _paid(customer: Any) -> int:
    from freehold.master.billing.models import Payment

    return sum(Payment.objects.filter(contract__customer=customer, purpose="account").values_list("amount", flat=True))


def _gross(shop: "Market", number: str = FIRST) -> str:
    from freehold.master.billing.invoicing import documents
    from freehold.master.foundation import currencies

    return currencies.plain(documents.find_sold(shop.entity.id, number)["gross"], "EUR")


def test_three_banks_say_it_in_their_ways_and_each_is_understood(shop: "Market") -> None:
    from freehold.master.accounting.banking import reference

    due = _gross(shop)
    terse = bank.file(bank.terse(due, f"VIR SEPA RECU /DE ADA /MOTIF Facture {FIRST.lower()} merci", reference="X1"))
    assert _verdicts(shop, terse) == [("match", (FIRST,))]
    total = f"{float(due) * 2:.2f}"
    batch = bank.file(bank.batch(total, (due, "E1", reference(FIRST)), (due, "E2", reference(SECOND))), version="08")
    assert _verdicts(shop, batch) == [("match", (FIRST,)), ("match", (SECOND,))]
    numbered = bank.file(bank.numbered(due, "facture d'avril, merci beaucoup FR-2026-", "000001 et bonne journee"))
    assert _verdicts(shop, numbered) == [("match", (FIRST,))], "a number that the bank broke in two"
    grouped = bank.file(bank.numbered(due, "RF40 FR20 2600 0001"))
    assert _verdicts(shop, grouped) == [("match", (FIRST,))], "a reference as it is printed"


def test_each_line_says_why_it_pays_nothing_or_not_what_is_open(shop: "Market") -> None:
    due = _gross(shop)
    content = bank.file(
        bank.terse("10.00", FIRST, reference="1")
        + bank.terse("99.00", SECOND, reference="2")
        + bank.terse("99.00", SECOND, reference="3")
        + bank.terse(due, "FR-2026-000999", reference="4")
        + bank.terse(due, "thank you", reference="5")
        + bank.terse(due, FIRST, reference="6", currency="USD")
        + bank.terse(due, FIRST, reference="7", way="DBIT")
        + bank.terse(due, FIRST, reference="8", reversal=True)
        + bank.terse(due, FIRST, reference="9", status="PDNG")
        + bank.terse("much", FIRST, reference="10")
        + bank.terse("10.00", FIRST, reference="1")
        + bank.terse(due, f"{FIRST} RF00FR2026000001", reference="11", day="soon")
    )
    assert [one[0] for one in _verdicts(shop, content)] == [
        "less", "more", "paid", "unknown", "unknown", "currency", "debit", "reversal", "pending", "unclear", "less",
        "unclear",
    ]  # fmt: skip
    page = Visitor(shop.accountant)
    shown = text(_upload(page, content))
    for words in ("less than what is open", "names no document of yours", "in another currency", "Money that went out"):
        assert words in shown


def test_documents_of_one_customer_are_paid_together_and_those_of_two_by_hand(shop: "Market") -> None:
    due = _gross(shop)
    both = f"{float(due) * 2:.2f}"
    assert _verdicts(shop, bank.file(bank.numbered(both, f"{FIRST} + {SECOND}"))) == [("match", (FIRST, SECOND))]
    (invoice,) = [one for one in shop.bill("2026-06-04") if one.customer == shop.bob.id]  # type: ignore[attr-defined]
    other = f"FR-2026-{invoice.number:06d}"
    assert _verdicts(shop, bank.file(bank.numbered(due, f"{FIRST} {other}"))) == [("several", (FIRST, other))]


def test_nothing_is_booked_twice(shop: "Market") -> None:
    """The same file again, a statement of the week that has the day's, and two who confirm it: one payment."""
    from freehold.master.billing.customers import statements

    due = _gross(shop)
    lines = bank.numbered(due, FIRST, number=1)
    day = bank.file(lines)
    asked = _read(shop, day)
    assert _book(shop, day) == ["booked"]
    assert _verdicts(shop, day) == [("booked", ())]
    week = bank.file(bank.numbered("1.00", "other", number=1) + bank.numbered(due, FIRST, number=2))
    assert _verdicts(shop, week) == [("unknown", ()), ("booked", ())]
    line = asked[0].line
    again = statements.Booking(line.key, FIRST, line.amount, "EUR", line.day)
    assert [one.outcome for one in statements.book("FR", [again, again], acting=shop.accountant)] == ["known", "known"]
    assert _paid(shop.ada) == line.amount  # type: ignore[attr-defined]
    books_hold()


def test_payments_that_are_alike_are_each_booked(shop: "Market") -> None:
    """Twice the same amount from the same payer with the same words on one day is two payments."""
    content = bank.file(bank.numbered("20.00", FIRST) + bank.numbered("20.00", FIRST, number=2))
    assert _verdicts(shop, content) == [("less", (FIRST,)), ("less", (FIRST,))]
    assert _book(shop, content) == ["booked", "booked"]
    assert _book(shop, content) == []
    assert _paid(shop.ada) == 4000  # type: ignore[attr-defined]
    books_hold()


def test_a_line_that_cannot_be_booked_stops_no_other(shop: "Market") -> None:
    from freehold.master.accounting import actions as ledger
    from freehold.master.foundation import days

    ledger.lock("FR", days.parse("2026-05-01"), acting=shop.accountant)
    due = _gross(shop)
    content = bank.file(
        bank.terse("1.00", FIRST, reference="old", day="2026-04-20") + bank.terse(due, FIRST, reference="new")
    )
    assert _book(shop, content) == ["refused", "booked"]
    assert _paid(shop.ada) == int(float(due) * 100 + 0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MT940 :20:STARTUMS",
        b"<Document/>",
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"/>',
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Document>&b;</Document>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Document/>',
        b'<?xml version="1.0" encoding="klingon"?><Document/>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_statement_is_refused(shop: "Market", content: bytes) -> None:
    with pytest.raises(Malformed):
        _read(shop, content)


def test_what_is_too_large_is_refused(shop: "Market") -> None:
    from freehold.master.payments.statements import MOST_BYTES, MOST_LINES

    with pytest.raises(TooLarge):
        _read(shop, b" " * (MOST_BYTES + 1))
    with pytest.raises(TooLarge):
        _read(shop, bank.file(bank.terse("1.00", "x") * (MOST_LINES + 1)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.binary(max_size=200), some.integers(0, 1500))
def test_a_damaged_statement_is_read_or_refused(database: str, noise: bytes, place: int) -> None:
    from freehold.master.foundation.errors import MasterError
    from freehold.master.payments.statements import read

    whole = bank.file(bank.numbered("12.00", FIRST), bank.terse("3.00", SECOND))
    try:
        read(whole[:place] + noise + whole[place + len(noise) :])
    except MasterError:
        pass


def test_only_who_keeps_the_books_reads_and_books_it(shop: "Market") -> None:
    from freehold.master.billing.customers import statements
    from freehold.master.payments.statements import read

    lines = read(bank.file(bank.terse("1.00", FIRST)))
    with pytest.raises(Forbidden):
        statements.propose("FR", lines, acting=shop.rooms.customer)
    with pytest.raises(Forbidden):
        statements.book("FR", [], acting=shop.rooms.customer)
    with pytest.raises(Invalid):
        statements.book("FR", [statements.Booking("k", FIRST, 1, "EUR", 1)], acting=shop.accountant)


def _upload(visitor: Visitor, content: bytes) -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    return visitor.post("/books/FR/statement", {"file": SimpleUploadedFile("s.xml", content, "application/xml")})


def test_an_accountant_confirms_it_on_the_page(shop: "Market") -> None:
    import html
    import re

    visitor = Visitor(shop.accountant)
    content = bank.file(bank.terse(_gross(shop), FIRST, reference="1") + bank.terse("1.00", SECOND, reference="2"))
    page = _upload(visitor, content).content.decode()
    offered = re.findall(r'name="line" value="([^"]*)" aria-label="[^"]*"( checked)?', page)
    assert [bool(ticked) for _, ticked in offered] == [True, False], "only what pays exactly what is open is ticked"
    assert _paid(shop.ada) == 0, "nothing is booked before it is confirmed"  # type: ignore[attr-defined]
    value = html.unescape(offered[0][0])
    assert "booked" in text(visitor.post("/books/FR/statement", {"act": "book", "line": [value]}))
    assert "was booked before" in text(visitor.post("/books/FR/statement", {"act": "book", "line": [value]}))
    for language, words in (("fr", "déjà été comptabilisée"), ("zh-hans", "此前已入账")):
        assert words in text(_upload(Visitor(shop.accountant, language), content))
    for wrong in ("", "[]", "{", '["a", "b", 1, "EUR", 1.5, ""]', "[" * 5000):
        assert visitor.post("/books/FR/statement", {"act": "book", "line": [wrong]}).status_code == 422
    assert visitor.post("/books/FR/statement", {}).status_code == 422
    assert _upload(visitor, b"<x/>").status_code == 400


def test_programs_propose_and_book(shop: "Market") -> None:
    import json

    client = Asker(shop.rooms)._client
    content = bank.file(bank.terse(_gross(shop), FIRST, reference="1"))
    answer = client.post("/api/v1/entities/FR/statements", content, content_type="application/xml", secure=True)
    assert answer.status_code == 200, answer.content
    (line,) = answer.json()
    assert (line["verdict"], line["documents"], line["open"]) == ("match", [FIRST], line["amount"])
    body = {name: line[name] for name in ("key", "amount", "currency", "day", "reference")} | {"document": FIRST}
    for outcome in ("booked", "known"):
        answer = client.post(
            "/api/v1/entities/FR/statement-bookings", json.dumps({"lines": [body]}),
            content_type="application/json", secure=True,
        )  # fmt: skip
        assert answer.status_code == 201, answer.content
        assert [one["outcome"] for one in answer.json()] == [outcome]
