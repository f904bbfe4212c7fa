"""The books: they balance, stay as they are, and can be read by others."""

import csv
import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid

if TYPE_CHECKING:
    from support.market import Market


def enter(
    market: "Market", *lines: tuple[str, int], day: str = "2026-03-01", reference: str = "r1", **more: Any
) -> int:
    from freehold.master.accounting import actions
    from freehold.master.foundation import days

    written = [actions.EntryLine(account, amount, amount) for account, amount in lines]
    spec = {"label": "by hand", "currency": "EUR", "acting": market.accountant, **more}
    return actions.enter("FR", day=days.parse(day), lines=written, reference=reference, **spec)


def balances(market: "Market", until: str = "2030-01-01") -> dict[str, int]:
    from freehold.master.accounting.queries import trial_balance
    from freehold.master.foundation import days

    rows = trial_balance(market.entity.id, 0, days.parse(until))
    return {row.code: row.closing for row in rows if row.closing}


def test_a_purchase_paid_and_a_year_closed(market: "Market") -> None:
    """9,876.30 with 12 % of tax: net 8,818.13 and 1,058.17 of tax (the original, rounding otherwise, says 8,691.14)."""
    from freehold.master.accounting import actions

    assert enter(market, ("604", 881813), ("44566", 105817), ("401", -987630)) == 1
    assert enter(market, ("401", 987630), ("512", -987630), reference="r2") == 2
    with pytest.raises(Conflict, match="2026 is not over"):
        actions.close_year("FR", 2026, acting=market.accountant)
    market.turn("2027-01-02")
    assert actions.close_year("FR", 2026, acting=market.accountant) == 3
    assert balances(market) == {"120": 881813, "44566": 105817, "512": -987630}
    with pytest.raises(Conflict, match="locked before 2027-01-01"):
        enter(market, ("604", 1), ("401", -1), reference="late")
    with pytest.raises(Conflict, match="nothing to close"):
        actions.close_year("FR", 2026, acting=market.accountant)


@pytest.mark.parametrize("year", [-(10**30), -1, 0, 1969, 9999, 10**30])
def test_a_year_of_no_calendar_is_refused(market: "Market", year: int) -> None:
    from freehold.master.accounting import actions

    with pytest.raises(Invalid, match="no year of books"):
        actions.close_year("FR", year, acting=market.accountant)


BAD: dict[str, tuple[tuple[tuple[str, int], ...], str]] = {
    "it does not balance": ((("604", 2), ("401", -1)), "lines.amount"),
    "one line": ((("604", 0),), "lines"),
    "an account that is none": ((("604", 1), ("9999", -1)), "lines.1.account"),
    "an amount that cannot be": ((("604", 10**15), ("401", -(10**15))), "lines.0.amount"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_entry_that_cannot_be_is_refused_and_leaves_no_hole(market: "Market", case: str) -> None:
    lines, field = BAD[case]
    with pytest.raises(Invalid) as refused:
        enter(market, *lines)
    assert field in [error.field for error in refused.value.errors]
    assert enter(market, ("604", 1), ("401", -1)) == 1
    with pytest.raises(Conflict, match="entered before"):
        enter(market, ("604", 1), ("401", -1))


def test_the_lock_only_moves_forward(market: "Market") -> None:
    from freehold.master.accounting import actions
    from freehold.master.foundation import days

    actions.lock("FR", days.parse("2026-02-01"), acting=market.accountant)
    for day in ("2026-01-01", "2026-02-01", "2026-03-02"):
        with pytest.raises(Conflict, match="cannot be next"):
            actions.lock("FR", days.parse(day), acting=market.accountant)
    with pytest.raises(Conflict, match="locked before 2026-02-01"):
        enter(market, ("604", 1), ("401", -1), day="2026-01-31")


STATEMENTS = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
)
WRITTEN_ONCE = {
    "accounting_entry": "label", "accounting_posting": "amount", "accounting_batch": "digest",
    "billing_document": "gross", "billing_documentline": "amount", "billing_documenttax": "tax",
    "billing_payment": "amount", "billing_partysnapshot": "name", "payments_paymentevent": "amount",
    "support_message": "text",
}  # fmt: skip


@pytest.mark.parametrize("table", WRITTEN_ONCE)
def test_what_is_written_once_cannot_be_changed_by_sql(market: "Market", table: str) -> None:
    from django.db import DatabaseError, connection, transaction

    _issue(market)
    _talk(market)
    for statement in STATEMENTS:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement.format(table=table, column=WRITTEN_ONCE[table]))


def _talk(market: "Market") -> None:
    """Have a seller change its name, a provider of payments tell something and a customer ask."""
    from freehold.master.billing.customers import party_history
    from freehold.master.billing.models import Customer
    from freehold.master.payments import actions as payments
    from freehold.master.support import actions as support

    party_history.change_seller("FR", party_history.Terms("FR Cloud", "2 rue Neuve"), acting=market.accountant)
    buyer = Customer.objects.all()[0].id
    payments.hear(
        "FR", [payments.ProviderAnswer("card", "1", "p", "captured", buyer, "EUR", 100)], acting=market.accountant
    )
    support.ask("shop", "web", "It is slow", "Why?", acting=market.rooms.customer)


ADDED = (
    "INSERT INTO accounting_posting (entry, position, account, party, amount, functional)"
    " VALUES (1, 77, '512', '', 1, 1)",
    "INSERT INTO billing_documenttax (document, rule, rate, code, base, tax) VALUES (1, 77, 0, 'S', 0, 0)",
    "INSERT INTO billing_documentline (document, position, subscription, kind, label, offer, meter, month, from_day,"
    " until_day, quantity, price, amount, net, category, rate, account)"
    " VALUES (1, 77, 0, 'agreed', '', '', '', 0, 0, 0, 1, 0, 1, 1, '', 0, '')",
    "UPDATE foundation_counter SET sealed = 0",
    "UPDATE accounting_series SET last = last - 1",
    "UPDATE accounting_legalentity SET open_from = open_from - 1",
)  # fmt: skip


@pytest.mark.parametrize("statement", ADDED)
def test_nothing_is_added_to_what_is_final_and_no_number_given_back(market: "Market", statement: str) -> None:
    from django.db import DatabaseError, connection, transaction

    _issue(market)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_entry_that_does_not_balance_cannot_be_sealed(market: "Market") -> None:
    """Our own code, mistaken, is refused by the database."""
    from freehold.master.accounting import actions
    from freehold.master.foundation.transactions import writing

    lines = [actions.EntryLine("512", 2, 2), actions.EntryLine("411", -1, -1)]
    draft = actions.Draft(0, "misc", "wrong", "test:1", "entry", "EUR", lines)
    with pytest.raises(Conflict, match="does not sum to zero"), writing():
        actions.post(market.entity, "wrong", [draft])
    assert balances(market) == {}


def test_the_chain_shows_what_a_stronger_hand_changed(market: "Market") -> None:
    from django.db import connection, transaction

    from conftest import without_triggers
    from freehold.master.accounting.queries import broken_links

    _issue(market)
    assert broken_links(market.entity.id) == []
    with transaction.atomic(), connection.cursor() as cursor, without_triggers(cursor):
        cursor.execute("UPDATE accounting_posting SET amount = amount + 1 WHERE entry = 1")
    (wrong,) = broken_links(market.entity.id)
    assert "is not what was sealed" in wrong


def test_money_of_another_currency_leaves_no_cent_behind(market: "Market") -> None:
    """1 USD is 0.9214 EUR at the invoice and 0.9180 at the payment: 1.25 EUR are lost, and the receivable is 0."""
    from freehold.master.accounting.models import Posting
    from freehold.master.billing import exchange
    from freehold.master.foundation import days

    market.offer()
    market.prices(market.price(30540), currency="USD")
    exchange.set_rate("FR", "USD", days.parse("2026-01-01"), "0.9214", acting=market.accountant)
    exchange.set_rate("FR", "USD", days.parse("2026-04-15"), "0.918", acting=market.accountant)
    ada = market.customer(currency="USD")
    market.pay(ada, 30540, "deposit", currency="USD")
    market.ready(market.order())
    (invoice,) = market.bill("2026-04-01")
    assert (invoice.gross, invoice.tax, invoice.functional, invoice.functional_tax) == (36648, 6108, 33767, 5628)
    market.turn("2026-04-20")
    market.pay(ada, 10000, currency="USD")
    market.pay(ada, 26648, currency="USD")
    books = balances(market)
    assert "411" not in books
    assert books["666"] == 33767 - 9180 - 24463
    receivable = Posting.objects.filter(account="411").values_list("amount", "functional")
    assert [sum(column) for column in zip(*receivable, strict=True)] == [0, 0]


def test_rights_are_asked_for(market: "Market") -> None:
    from freehold.master.accounting import actions
    from freehold.master.billing.invoicing import run

    for act in (
        lambda who: actions.lock("FR", 1, acting=who),
        lambda who: run.bill("FR", 1, acting=who),
        lambda who: actions.add_account("FR", "1", "x", "asset", acting=who),
    ):
        with pytest.raises(Forbidden):
            act(market.rooms.customer)


def _issue(market: "Market") -> None:
    market.offer()
    market.prices(market.price(4200))
    market.pay(market.customer(), 4200, "deposit")
    market.ready(market.order())
    assert len(market.bill("2026-04-01")) == 1


def test_digests_are_of_what_is_written(market: "Market") -> None:
    from freehold.master.accounting.models import Batch

    enter(market, ("604", 1), ("401", -1))
    entry = Batch.objects.get().first
    year_day = "2026|1|20513"
    text = f"{entry}|{market.entity.id}|{year_day}|misc|by hand|hand:{market.entity.id}:r1|entry|EUR|"
    lines = f"{text}0|604||1|1\n1|401||-1|-1\n"
    assert Batch.objects.get().digest == hashlib.sha256(lines.encode()).hexdigest()


@pytest.fixture
def abroad(market: "Market") -> "Market":
    """Books with a bit of everything: two currencies, a loss on exchange, entries by hand, a credit note's quotes."""
    from freehold.master.billing import exchange
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.foundation import days

    market.offer()
    market.prices(market.price(30540), currency="USD")
    exchange.set_rate("FR", "USD", days.parse("2026-01-01"), "0.9214", acting=market.accountant)
    exchange.set_rate("FR", "USD", days.parse("2026-04-15"), "0.918", acting=market.accountant)
    ada = market.customer('Ada "the first"; Ltd', currency="USD")
    market.pay(ada, 30540, "deposit", currency="USD")
    subscriptions.agree(market.contract(ada, "USD"), "Moving in", 12345, acting=market.sales)
    market.ready(market.order())
    market.bill("2026-04-01")
    market.turn("2026-04-20")
    market.pay(ada, 36648, currency="USD")
    enter(market, ("604", 100), ("401", -100), label='paper "A4"; pens', day="2026-04-02")
    return market


def _exported(market: "Market", name: str) -> str:
    from freehold.master.accounting.exports import FORMATS
    from freehold.master.foundation import days

    return "".join(FORMATS[name][1](market.entity, 0, days.parse("2027-01-01")))


def _read_by(path: Path, *command: str) -> str:
    done = subprocess.run(
        [*command], cwd=path.parent, capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_hledger_accepts_the_books_and_finds_the_same_balances(abroad: "Market", tmp_path: Path) -> None:
    path = tmp_path / "books.journal"
    path.write_text(_exported(abroad, "hledger"))
    _read_by(path, "hledger", "-f", path.name, "check", "--strict")
    text = _read_by(path, "hledger", "-f", path.name, "balance", "-B", "-N", "-O", "csv")
    rows = list(csv.reader(text.splitlines()))[1:]
    found = {name.partition(":")[2]: round(float(amount.split()[0]) * 100) for name, amount in rows}
    assert found == balances(abroad)
    path.write_text(path.read_text().replace("  1.00 EUR", "  1.01 EUR", 1))
    with pytest.raises(AssertionError, match="should be 0"):
        _read_by(path, "hledger", "-f", path.name, "check", "--strict")


def test_beancount_accepts_the_books(abroad: "Market", tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"
    path.write_text(_exported(abroad, "beancount"))
    _read_by(path, "bean-check", path.name)


def test_the_file_for_the_french_tax_office_balances(abroad: "Market") -> None:
    header, *rows = [line.split("\t") for line in _exported(abroad, "fec").splitlines()]
    assert len(header) == 18
    assert {len(row) for row in rows} == {18}
    debit, credit = (sum(int(row[column].replace(",", "")) for row in rows) for column in (11, 12))
    assert debit == credit > 0
    (receivable,) = (row for row in rows if row[4] == "411" and row[0] == "VE")
    assert receivable[8] == "FR-2026-000001"
    assert receivable[16:] == ["514,62", "USD"]


WRONG_SELLERS: dict[str, Any] = {
    "code": "fr", "country": "France", "time_zone": "Paris", "name": " ", "payment_days": 400, "stop_days": -1,
    "vat_number": "FR|1", "registration": "x" * 41,
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG_SELLERS)
def test_a_seller_begins_and_goes_on_only_as_the_law_and_its_documents_can_take_it(
    market: "Market", field: str
) -> None:
    from freehold.master.accounting import actions
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.billing.customers import party_history

    right = {"code": "NEW", "name": "New", "address": "1 rue", "country": "FR", "currency": "EUR", "time_zone": "UTC"}
    with pytest.raises(Invalid) as refused:
        actions.add_entity(
            actions.Seller(**{**right, field: WRONG_SELLERS[field]}), "provider", acting=market.accountant
        )
    assert field in [error.field for error in refused.value.errors]
    assert not LegalEntity.objects.filter(code__iexact="new").exists()
    if field in party_history.Terms.__dataclass_fields__:
        terms = {"name": "FR", "address": "1 rue", field: WRONG_SELLERS[field]}
        with pytest.raises(Invalid):
            party_history.change_seller("FR", party_history.Terms(**terms), acting=market.accountant)


@pytest.mark.parametrize("zone", ["Factory", "localtime", "Etc/GMT+5", "EST", "posix/Europe/Paris", "Europe"])
def test_the_time_of_a_seller_is_that_of_a_place(market: "Market", zone: str) -> None:
    from freehold.master.accounting import actions

    seller = actions.Seller(code="NEW", name="New", address="1 rue", country="FR", currency="EUR", time_zone=zone)
    with pytest.raises(Invalid) as refused:
        actions.add_entity(seller, "provider", acting=market.accountant)
    assert [error.field for error in refused.value.errors] == ["time_zone"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/Argentina/Ushuaia", "Asia/Calcutta"])
def test_a_seller_lives_by_the_time_of_its_place(market: "Market", zone: str) -> None:
    from freehold.master.accounting import actions

    seller = actions.Seller(code="NEW", name="New", address="1 rue", country="FR", currency="EUR", time_zone=zone)
    actions.add_entity(seller, "provider", acting=market.accountant)
