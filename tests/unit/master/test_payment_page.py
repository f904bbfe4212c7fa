"""Money that came for an open invoice: the accountant sees what it would do before it is done."""

from typing import TYPE_CHECKING, Any

import pytest

from support.books import books_hold
from support.panels import Visitor, text

if TYPE_CHECKING:
    from support.market import Market

PAGE = "/books/FR/documents/FR-2026-000002/payment"


@pytest.fixture
def shop(market: "Market") -> "Market":
    """Ada owes two invoices of 50.40 each, of April and May."""
    market.offer()
    market.prices(market.price(4200))
    ada = market.customer()
    market.pay(ada, 4200, "deposit")
    market.ready(market.order())
    market.bill("2026-04-01")
    market.bill("2026-05-01")
    market.turn("2026-05-04")
    return market


def _came(amount: str, act: str = "show", **more: str) -> dict[str, str]:
    return {"act": act, "amount": amount, "day": "2026-05-03", "method": "transfer", "reference": "T9", **more}


def _payments() -> list[Any]:
    from freehold.master.billing.models import Payment

    return list(Payment.objects.filter(purpose="account").values_list("amount", "day", "reference"))


def test_it_says_what_it_would_pay_and_is_written_down_only_when_that_is_confirmed(shop: "Market") -> None:
    from freehold.master.foundation import days

    visitor = Visitor(shop.accountant)
    assert PAGE in visitor.get(PAGE.removesuffix("/payment")).content.decode()
    assert 'value="50.40"' in visitor.get(PAGE).content.decode(), "what is open of it"
    shown = text(visitor.post(PAGE, _came("60.00")))
    assert "FR-2026-000001 €50.40 €0.00" in shown, "the oldest is paid first"
    assert "FR-2026-000002 €9.60 €40.80" in shown
    assert "becomes credit" not in shown
    assert _payments() == []
    assert "becomes credit: €49.20" in text(visitor.post(PAGE, _came("150.00")))
    assert visitor.post(PAGE, _came("60.00", "confirm")).status_code == 302
    assert _payments() == [(6000, days.parse("2026-05-03"), "T9")]
    assert visitor.post(PAGE, _came("60.00", "confirm")).status_code == 302, "the same again"
    assert len(_payments()) == 1
    assert "€40.80 open" in visitor.reads(PAGE.removesuffix("/payment"))
    books_hold()


@pytest.mark.parametrize(
    "wrong",
    [{"amount": ""}, {"amount": "-5"}, {"amount": "0"}, {"amount": "x"}, {"day": "soon"}, {"reference": ""},
     {"method": "deposit"}, {"reference": "a|b"}, {"day": "2027-01-01", "act": "confirm"}],
)  # fmt: skip
def test_what_is_no_payment_is_refused_with_what_was_typed(shop: "Market", wrong: dict[str, str]) -> None:
    answer = Visitor(shop.accountant).post(PAGE, _came("60.00") | wrong)
    assert answer.status_code == 422
    assert 'name="amount"' in answer.content.decode()
    assert _payments() == []


def test_no_customer_is_chosen_beforehand(shop: "Market") -> None:
    shop.customer("Bob", project="")
    page = Visitor(shop.accountant).get("/books/FR").content.decode()
    assert '<select id="customer" name="customer" required><option value="">' in page
    answer = Visitor(shop.accountant).post(
        "/books/FR/act",
        {"act": "pay", "customer": "", "amount": "5.00", "purpose": "account", "method": "t", "reference": "r"},
    )
    assert answer.status_code == 404
    assert _payments() == []


@pytest.mark.parametrize(("language", "words"), [("fr", "Reste dû"), ("zh-hans", "仍未付")])
def test_it_speaks_the_readers_language(shop: "Market", language: str, words: str) -> None:
    assert words in text(Visitor(shop.accountant, language).post(PAGE, _came("60.00")))
