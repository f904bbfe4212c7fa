"""Paid, and seen to be paid: what becomes of an invoice is the same for who pays, the accountant and their programs."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.paging import FIRST
from support.lists import Asker
from support.panels import Visitor

if TYPE_CHECKING:
    from support.market import Market


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A service at 42 a month whose invoices of April and May were issued, each due 30 days later."""
    market.offer()
    market.prices(market.price(4200))
    buyer = market.customer()
    market.buyer = buyer  # type: ignore[attr-defined]
    market.pay(buyer, 4200, "deposit")
    market.ready(market.order())
    market.bill("2026-04-01")
    market.bill("2026-05-01")
    return market


def _states(shop: "Market", state: str = "") -> dict[str, str]:
    from freehold.master.billing.invoicing import documents, settling

    rows = documents.of_entity(shop.entity, FIRST, state)
    assert documents.count_of_entity(shop.entity, state) == len(rows)
    return {row["name"]: settling.state_of(row).value for row in rows}


def _buyer(shop: "Market") -> Any:
    return shop.buyer  # type: ignore[attr-defined]


def _gross(shop: "Market", number: str) -> int:
    from freehold.master.billing.invoicing import documents

    gross: int = documents.find_sold(shop.entity.id, number)["gross"]
    return gross


def test_an_invoice_is_due_then_overdue_then_paid_in_part_and_whole(shop: "Market") -> None:
    first, second = "FR-2026-000001", "FR-2026-000002"
    assert _states(shop) == {second: "due", first: "due"}, "the first is due today"
    shop.turn("2026-05-02")
    assert _states(shop) == {second: "due", first: "overdue"}
    shop.pay(_buyer(shop), 100)
    assert _states(shop) == {second: "due", first: "overdue"}, "what is open of it is overdue"
    shop.pay(_buyer(shop), _gross(shop, first))
    assert _states(shop) == {second: "partly_paid", first: "paid"}, "the oldest is paid first"
    shop.pay(_buyer(shop), 100_000)
    assert set(_states(shop).values()) == {"paid"}


def test_what_is_taken_back_asks_for_nothing(shop: "Market") -> None:
    from freehold.master.billing.invoicing import reversal

    shop.pay(_buyer(shop), _gross(shop, "FR-2026-000001"))
    reversal.take_back("FR", "FR-2026-000002", acting=shop.accountant)
    assert _states(shop) == {"FR-C-2026-000001": "credited", "FR-2026-000002": "paid", "FR-2026-000001": "paid"}


@pytest.mark.parametrize("paid", [0, 1, 500, 20_000])
@pytest.mark.parametrize("day", ["2026-04-15", "2026-05-02", "2026-09-01"])
def test_the_accountant_finds_exactly_the_documents_in_a_state(shop: "Market", paid: int, day: str) -> None:
    from freehold.master.billing.invoicing import reversal
    from freehold.master.billing.states import DocumentState

    reversal.take_back("FR", "FR-2026-000001", acting=shop.accountant)
    shop.bill("2026-06-01")
    if paid:
        shop.pay(_buyer(shop), paid)
    shop.turn(day)
    every = _states(shop)
    assert len(every) == 4
    for state in DocumentState:
        assert _states(shop, state) == {name: one for name, one in every.items() if one == state}
    with pytest.raises(Invalid):
        _states(shop, "lost")


def test_a_list_goes_on_after_a_document_that_was_paid_meanwhile(shop: "Market") -> None:
    shop.turn("2026-09-01")
    asker = Asker(shop.rooms)
    (last,) = asker.get("/entities/FR/documents", state="overdue", limit=1)
    assert last["number"] == "FR-2026-000002"
    shop.pay(_buyer(shop), 100_000)
    assert asker.get("/entities/FR/documents", state="overdue", after=last["number"]) == []
    assert len(asker.get("/entities/FR/documents", state="paid", after=last["number"])) == 1


def test_what_is_overdue_by_its_state_is_what_services_stop_for(shop: "Market") -> None:
    """The page never says "paid" of what the seller waits for, nor the other way round."""
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.people.models import Project

    project = Project.objects.get(name="shop").id
    for day, amount in (("2026-05-01", 0), ("2026-05-02", 0), ("2026-05-03", 10_000), ("2026-09-01", 0)):
        shop.turn(day)
        if amount:
            shop.pay(_buyer(shop), amount)
        assert bool(budgets.to_date(project).unpaid) == ("overdue" in _states(shop).values()), day


def test_the_customer_sees_it_on_the_page_of_costs_and_on_the_invoice(shop: "Market") -> None:
    shop.turn("2026-05-02")
    for language, words in (
        ("en", ["overdue since 2026-05-01", "due on 2026-05-31", "Your money"]),
        ("fr", ["en retard depuis le 2026-05-01", "à payer le 2026-05-31", "Votre argent"]),
        ("zh-hans", ["自 2026-05-01 起逾期", "2026-05-31 到期", "您的款项"]),
    ):
        page = Visitor(shop.rooms.customer, language).reads("/costs/shop")
        assert [word for word in words if word not in page] == []
    visitor = Visitor(shop.rooms.customer)
    assert "€42.00" in visitor.reads("/costs/shop"), "their deposit"
    shop.pay(_buyer(shop), 100)
    invoice = visitor.reads("/costs/shop/documents/FR-2026-000001")
    assert "overdue since 2026-05-01" in invoice
    assert "open" in invoice
    books = Visitor(shop.accountant).reads("/books/FR?state=overdue")
    assert "FR-2026-000001" in books
    assert "FR-2026-000002" not in books
    answer = Visitor(shop.accountant).get("/books/FR?state=lost")
    assert answer.status_code == 422


def test_money_of_who_pays_for_other_projects_is_not_shown(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.queries import accounts_of
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Project

    project = Project.objects.get(name="shop").id
    (account,) = accounts_of(project)
    assert (account.seller, account.currency, account.balance.deposit) == ("FR Hosting", "EUR", 4200)
    actions.add_project("other", acting=identity.system())
    customers.set_payer("provider", "other", _buyer(shop), acting=shop.sales)
    assert accounts_of(project) == []


def test_programs_read_the_state_and_may_ask_for_it(shop: "Market") -> None:
    asker = Asker(shop.rooms)
    shop.turn("2026-05-02")
    found = asker.get("/entities/FR/documents", state="overdue")
    assert [(one["number"], one["state"]) for one in found] == [("FR-2026-000001", "overdue")]
    assert found[0]["open"] == found[0]["gross"]
    whole = asker.get("/projects/shop/documents/FR-2026-000001")
    assert (whole["state"], whole["open"]) == ("overdue", whole["gross"])
    _is_sealed(whole)
    (account,) = asker.get("/projects/shop/costs")["accounts"]
    assert account == {
        "seller": "FR Hosting", "currency": "EUR", "owed": str(account["owed"]), "credit": "0.00", "deposit": "42.00",
        "held": "42.00",
    }  # fmt: skip


def _is_sealed(document: dict[str, Any]) -> None:
    """Assert that a document's digest is of what never changes of it."""
    import hashlib

    changing = ("digest", "state", "open", "pay_to")
    said = {name: value for name, value in document.items() if name not in changing}
    assert (
        hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        == (document["digest"])
    )
