"""The books as others read them: hledger and beancount by their own programs, the FEC by its published rules."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.market import Market


def books(entity: Any, name: str, since: str = "1970-01-01", until: str = "2079-01-01") -> str:
    from freehold.master.accounting import exports
    from freehold.master.foundation import days

    entity.refresh_from_db()
    return "".join(exports.FORMATS[name][1](entity, days.parse(since), days.parse(until)))


def cents(text: str) -> int:
    assert re.fullmatch(r"[0-9]+,[0-9]{2}", text), text
    return int(text.replace(",", ""))


def check_fec(text: str) -> list[list[str]]:
    """Return the rows of a FEC; fail where it breaks a rule of article A47 A-1 (cols. 1 to 18)."""
    head, *body = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert len(head) == 18
    assert head[0] == "JournalCode"
    validated: list[str] = []
    sums: dict[tuple[str, str], int] = {}
    for row in body:
        assert len(row) == 18, row
        for needed in (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15):
            assert row[needed], (head[needed], row)
        for day in (row[3], row[9], row[15]):
            assert re.fullmatch(r"[12][0-9]{3}[01][0-9][0-3][0-9]", day)
        assert row[15] >= row[3] or row[0] == "AN", "nothing is validated before its day"
        assert not cents(row[11]) or not cents(row[12])
        assert bool(row[16]) == bool(row[17])
        validated.append(row[15])
        key = (row[0], row[2])
        sums[key] = sums.get(key, 0) + cents(row[11]) - cents(row[12])
    assert not any(sums.values()), "each entry balances"
    after = [int(row[2]) for row in body if row[0] != "AN"]
    assert after == sorted(after)
    assert [one for row, one in zip(body, validated, strict=True) if row[0] != "AN"] == sorted(
        one for row, one in zip(body, validated, strict=True) if row[0] != "AN"
    )
    return body


@pytest.fixture
def shop(market: "Market") -> "Market":
    market.offer()
    return market


def a_closed_year(shop: "Market") -> None:
    from freehold.master.accounting import actions

    shop.prices(shop.price(1000))
    shop.pay(shop.customer(), 5000, "deposit")
    shop.turn("2026-11-01")
    shop.ready(shop.order())
    shop.bill("2026-12-01")
    shop.turn("2027-01-05")
    shop.bill("2027-01-05")
    actions.close_year("FR", 2026, acting=shop.accountant)


def test_a_closed_year_shows_its_result_and_the_next_begins_with_what_was_held(shop: "Market") -> None:
    a_closed_year(shop)
    year = check_fec(books(shop.entity, "fec", "2026-01-01", "2026-12-31"))
    assert sum(cents(row[12]) - cents(row[11]) for row in year if row[4][0] in "67") == 1000
    assert {row[0] for row in year} <= {"VE", "BQ", "OD"}
    following = check_fec(books(shop.entity, "fec", "2027-01-01", "2027-12-31"))
    opening = {row[4]: cents(row[11]) - cents(row[12]) for row in following if row[0] == "AN"}
    assert opening == {"120": -1000, "165": -5000, "411": 1200, "44571": -200, "512": 5000}
    assert following[0][0] == "AN"
    assert {row[3] for row in following if row[0] == "AN"} == {"20270101"}


def test_a_year_that_is_not_closed_yet_carries_its_result_all_the_same(shop: "Market") -> None:
    shop.prices(shop.price(1000))
    shop.pay(shop.customer(), 5000, "deposit")
    shop.turn("2026-11-01")
    shop.ready(shop.order())
    shop.bill("2026-12-01")
    opening = check_fec(books(shop.entity, "fec", "2027-01-01", "2027-12-31"))
    assert {row[4]: cents(row[12]) for row in opening}["120"] == 1000


def test_entries_are_in_the_order_of_their_validation_and_dated_by_it(shop: "Market") -> None:
    from freehold.master.accounting import actions
    from freehold.master.accounting.actions import EntryLine
    from freehold.master.foundation import days

    shop.turn("2026-11-20")
    for number, day in enumerate(("2026-11-20", "2026-02-03")):
        actions.enter(
            "FR", day=days.parse(day), label=f"e{number}", currency="EUR", reference=f"r{number}",
            lines=[EntryLine("604", 100, 100), EntryLine("401", -100, -100)], acting=shop.accountant,
        )  # fmt: skip
    rows = check_fec(books(shop.entity, "fec"))
    assert [row[2] for row in rows] == ["1", "1", "2", "2"]
    assert {row[15] for row in rows} == {"20261120"}


def test_the_file_is_called_as_the_tax_office_wants_it(shop: "Market") -> None:
    from freehold.master.accounting import exports
    from freehold.master.billing.customers import party_history
    from freehold.master.foundation import days

    day = days.parse("2026-12-31")
    assert exports.file_name(shop.entity, "fec", day) == "FRFEC20261231.txt"
    terms = party_history.Terms("FR Hosting", "1 rue de la Paix", registration="552 100 554 00013")
    entity = party_history.change_seller("FR", terms, acting=shop.accountant)
    assert exports.file_name(entity, "fec", day) == "552100554FEC20261231.txt"
    assert exports.file_name(entity, "hledger", day) == "FR-hledger.journal"


@pytest.mark.parametrize(
    ("country", "currency", "amount"),
    [("JP", "JPY", 123_456), ("KW", "KWD", 123_456), ("RS", "RSD", 123_456), ("IN", "INR", 10**13), ("CL", "CLF", 123)],
)
@pytest.mark.parametrize("program", ["hledger", "beancount"])
def test_programs_read_books_of_every_currency(
    shop: "Market", tmp_path: Path, country: str, currency: str, amount: int, program: str
) -> None:
    seller = shop.seller("SELL", country, currency, "UTC")
    customer = shop.customer(country=country, currency=currency, project="")
    shop.pay(customer, amount, "deposit", currency=currency, entity=seller)
    read(tmp_path, program, books(seller, program))


HOSTILE = 'a "quote"; a | bar \\ back, {brace} ^link #tag @ 5 EUR'


@pytest.mark.parametrize("program", ["hledger", "beancount"])
def test_programs_read_books_with_any_text(shop: "Market", tmp_path: Path, program: str) -> None:
    from freehold.master.accounting import actions
    from freehold.master.accounting.actions import EntryLine
    from freehold.master.billing.customers import party_history
    from freehold.master.foundation import days

    party_history.change_seller("FR", party_history.Terms(f"{HOSTILE}\nsecond line", "x"), acting=shop.accountant)
    actions.add_account("FR", "a6041", HOSTILE.replace("|", ""), "expense", acting=shop.accountant)
    actions.enter(
        "FR", day=days.parse("2026-03-01"), label=HOSTILE.replace("|", ""), currency="EUR", reference="r",
        lines=[EntryLine("a6041", 100, 100), EntryLine("401", -100, -100)], acting=shop.accountant,
    )  # fmt: skip
    read(tmp_path, program, books(shop.entity, program))
    check_fec(books(shop.entity, "fec"))


def test_a_name_that_would_break_the_columns_is_refused(shop: "Market") -> None:
    from freehold.master.accounting import actions
    from freehold.master.foundation.errors import Invalid

    for name in ("Achats\tdivers", "Achats\nligne", "Achats|divers"):
        with pytest.raises(Invalid, match="a name of one line"):
            actions.add_account("FR", "6041", name, "expense", acting=shop.accountant)


def read(folder: Path, program: str, text: str) -> None:
    """Have a program read books as strictly as it can; fail with its words."""
    path = folder / f"books.{program}"
    path.write_text(text)
    command = ["hledger", "-f", path, "check", "--strict"] if program == "hledger" else ["bean-check", path]
    assert shutil.which(command[0]), f"the package of {command[0]} is installed by ./dev test"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"
