"""From an order to an invoice: who may order, from when to when it costs, and what is asked on the day."""

from typing import TYPE_CHECKING

import pytest

from freehold.master.foundation.errors import Conflict, Invalid, NotFound, PaymentRequired
from freehold.master.foundation.paging import FIRST

if TYPE_CHECKING:
    from support.market import Market


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A service at 42 a month, tax excluded."""
    market.offer()
    market.prices(market.price(4200))
    return market


def test_what_is_not_sold_is_had_by_whoever_may_order(market: "Market") -> None:
    assert market.order()


def test_nobody_orders_what_nobody_pays_for(shop: "Market") -> None:
    with pytest.raises(PaymentRequired, match="Nobody pays for this project"):
        shop.order()
    from freehold.master.ordering.models import Instance

    assert not Instance.objects.exists(), "nothing of the order is kept"


def test_a_free_project_needs_no_deposit(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers

    customers.set_payer("provider", "shop", None, acting=shop.sales)
    shop.ready(shop.order())
    assert shop.bill("2026-04-01") == []


def test_the_first_month_is_covered_before_anything_is_placed(shop: "Market") -> None:
    ada = shop.customer()
    with pytest.raises(PaymentRequired, match=r"€42\.00 of it is missing") as refused:
        shop.order()
    assert refused.value.remedy == "Pay 42.00 EUR to FR Hosting, then order again."
    shop.pay(ada, 4199, "deposit")
    with pytest.raises(PaymentRequired, match=r"€0\.01 of it is missing"):
        shop.order()
    shop.pay(ada, 1, "deposit")
    assert shop.order()
    with pytest.raises(PaymentRequired, match=r"€42\.00 of it is missing"):
        shop.order("second")


def test_a_service_costs_from_the_day_it_is_ready_to_the_day_it_ends(shop: "Market") -> None:
    shop.turn("2026-03-19")
    ada = shop.customer()
    shop.pay(ada, 4200, "deposit")
    shop.turn("2026-04-02")
    web = shop.order()
    shop.turn("2026-04-04")
    shop.ready(web)
    (first,) = shop.bill("2026-04-19")
    # 15 of the 31 days from 19 March to 19 April: 20.32, and 20 % of it.
    assert (first.net, first.tax, first.gross) == (2032, 406, 2438)
    assert shop.bill("2026-04-19") == [], "the same day again asks nothing"
    shop.turn("2026-05-01")
    shop.end("web")
    (second,) = shop.bill("2026-05-19")
    # 19 April to 1 May, which has begun: 13 of 30 days.
    assert second.net == 1820
    assert shop.bill("2026-06-19") == []


def test_an_order_that_was_never_ready_costs_nothing(shop: "Market") -> None:
    ada = shop.customer()
    shop.pay(ada, 4200, "deposit")
    shop.order()
    shop.end("web")
    assert shop.bill("2026-04-01") == []
    from freehold.master.billing.models import Subscription
    from freehold.master.billing.queries import balance

    assert Subscription.objects.get().state == "cancelled"
    assert balance(shop.contract(ada).id).free == 4200, "the deposit is free again"


def test_one_invoice_a_customer_and_month(shop: "Market") -> None:
    ada = shop.customer()
    shop.pay(ada, 3 * 4200, "deposit")
    for number in range(3):
        shop.turn(f"2026-03-0{number + 2}")
        shop.ready(shop.order(f"web{number}"))
    (invoice,) = shop.bill("2026-04-01")
    from freehold.master.billing.queries import lines

    # 30, 29 and 28 of 31 days.
    assert [line["net"] for line in lines(invoice.id)] == [4065, 3929, 3794]
    assert (invoice.net, invoice.tax) == (11788, 2358)


def test_several_months_late_is_a_document_for_each(shop: "Market") -> None:
    ada = shop.customer()
    shop.pay(ada, 4200, "deposit")
    shop.ready(shop.order())
    made = shop.bill("2026-06-15")
    assert [(one.number, one.net) for one in made] == [(1, 4200), (2, 4200), (3, 4200)]
    assert {one.day for one in made} == {made[0].day}


@pytest.mark.parametrize(
    ("buyer", "tax"),
    [
        ({"country": "FR"}, 840),
        ({"country": "FR", "kind": "company", "vat_number": "FR40303265045"}, 840),
        ({"country": "DE"}, 798),
        ({"country": "DE", "kind": "company", "vat_number": "DE136695976"}, 0),
        ({"country": "FI", "kind": "company"}, 1071),
        ({"country": "BR"}, 0),
    ],
)
def test_tax_is_that_of_who_buys_where(shop: "Market", buyer: dict[str, str], tax: int) -> None:
    someone = shop.customer("Someone", **buyer)
    shop.pay(someone, 4200, "deposit")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-04-01")
    assert (invoice.net, invoice.tax) == (4200, tax)


def test_a_price_with_tax_is_what_is_asked(market: "Market") -> None:
    cn = market.seller("CN", "CN", "CNY", "Asia/Shanghai")
    market.offer()
    market.prices(market.price(140000), entity="CN", currency="CNY", tax_included=True)
    someone = market.customer("上海示例", country="CN", currency="CNY")
    market.pay(someone, 140000, "deposit", currency="CNY", entity=cn)
    market.ready(market.order())
    (invoice,) = market.bill("2026-04-01", "CN")
    assert (invoice.net, invoice.tax, invoice.gross) == (132075, 7925, 140000)


BAD: dict[str, tuple[dict[str, object], str]] = {
    "a country that is none": ({"country": "France"}, "country"),
    "a tax number that is wrong": ({"kind": "company", "vat_number": "FR00303265045"}, "vat_number"),
    "a tax number of another country": ({"kind": "company", "vat_number": "DE136695976"}, "vat_number"),
    "a currency that is none": ({"currency": "ECU2"}, "currency"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_customer_that_cannot_be_is_refused(market: "Market", case: str) -> None:
    spec, field = BAD[case]
    with pytest.raises(Invalid) as refused:
        market.customer(**spec)  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]
    from freehold.master.billing.models import Customer

    assert not Customer.objects.exists()


def test_a_day_to_come_and_a_locked_one_are_not_billed(shop: "Market") -> None:
    from freehold.master.accounting import actions
    from freehold.master.billing.invoicing import run
    from freehold.master.foundation import days

    with pytest.raises(Invalid, match="is to come"):
        run.bill("FR", days.parse("2026-03-02"), acting=shop.accountant)
    actions.lock("FR", days.parse("2026-03-01"), acting=shop.accountant)
    with pytest.raises(Conflict, match="locked before 2026-03-01"):
        run.bill("FR", days.parse("2026-02-28"), acting=shop.accountant)


def test_payments_are_written_once(shop: "Market") -> None:
    ada = shop.customer()
    first = shop.pay(ada, 100, reference="R1")
    assert shop.pay(ada, 100, reference="R1") == first
    with pytest.raises(Conflict, match="another amount"):
        shop.pay(ada, 200, reference="R1")
    with pytest.raises(Conflict, match="At most 100"):
        shop.pay(ada, -101, reference="R2")
    assert shop.pay(ada, -100, reference="R3").amount == -100


def test_a_deposit_stays_while_it_is_needed(shop: "Market") -> None:
    ada = shop.customer()
    shop.pay(ada, 5000, "deposit")
    shop.ready(shop.order())
    with pytest.raises(Conflict, match="At most 800"):
        shop.pay(ada, -801, "deposit")
    shop.end("web")
    assert shop.pay(ada, -5000, "deposit").amount == -5000


def test_an_offer_says_what_is_ordered(market: "Market") -> None:
    market.offer("small", parameters={"size": 1})
    market.offer("large", parameters={"size": 9})
    market.prices(market.price(100), market.price(900, offer="large"))
    market.pay(market.customer(), 10000, "deposit")
    with pytest.raises(Invalid, match="several sizes"):
        market.order()
    with pytest.raises(Conflict, match="another size"):
        market.order(offer="large", parameters={"size": 2})
    with pytest.raises(NotFound, match="There is no offer 'huge'"):
        market.order(offer="huge")
    market.order(offer="large", parameters={"greeting": "hi"})
    with pytest.raises(Conflict, match="fixes size"):
        market.rooms.request("web", None, parameters={"greeting": "hi"})
    market.rooms.request("web", None, parameters={"greeting": "ho", "size": 9}, offer="large")


def test_a_document_names_what_the_ledger_held_when_it_was_issued(shop: "Market") -> None:
    """So that a Master which is an older copy cannot say that it never was."""
    from freehold.master import checks
    from freehold.master.billing.invoicing import documents

    shop.pay(shop.customer(), 4200, "deposit")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-04-01")
    (row,) = documents.documents("d.id = :id", FIRST, id=invoice.id)
    head = documents.whole(row)["ledger"]
    assert checks.ledger(head) == []
    number, _, digest = head.partition(":")
    for other in (f"{int(number) + 1}:{digest}", f"{number}:{'0' * 64}", f"{2**70}:{digest}"):
        assert "is an older copy" in checks.ledger(other)[0]
    for senseless in ("", "5", "-1:ab", "x:ab", ":", "²:ab"):
        assert "is no BATCH:DIGEST" in checks.ledger(senseless)[0]


def test_an_invoice_is_only_undone_whole_by_a_credit_note(shop: "Market") -> None:
    from freehold.master.billing.invoicing import documents, reversal
    from freehold.master.billing.queries import balance, lines
    from support.books import books_hold

    ada = shop.customer()
    shop.pay(ada, 4200, "deposit")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-04-01")
    note = reversal.take_back("FR", "FR-2026-000001", acting=shop.accountant)
    assert (note.kind, note.number, note.corrects, note.gross) == ("credit_note", 1, invoice.id, -5040)
    assert [line["net"] for line in lines(note.id)] == [-4200]
    assert balance(shop.contract(ada).id).owed == 0
    (row,) = documents.documents("d.id = :id", FIRST, id=note.id)
    assert (row["name"], documents.whole(row)["corrects"]) == ("FR-C-2026-000001", "FR-2026-000001")
    with pytest.raises(Conflict, match="corrected by a credit note already"):
        reversal.take_back("FR", "FR-2026-000001", acting=shop.accountant)
    with pytest.raises(NotFound, match="no invoice 'FR-2026-000009'"):
        reversal.take_back("FR", "FR-2026-000009", acting=shop.accountant)
    assert shop.bill("2026-04-01") == [], "it is not asked for again"
    books_hold()


def test_a_company_that_shows_its_tax_number_later_is_taxed_so_from_then_on(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers

    german = {"kind": "company", "country": "DE"}
    buyer = shop.customer("Müller GmbH", **german)
    shop.pay(buyer, 4200, "deposit")
    shop.ready(shop.order())
    (before,) = shop.bill("2026-04-01")
    spec = customers.CustomerIdentity("Müller GmbH", "company", "Berlin", "DE", "EUR", vat_number="DE 136 695 976")
    customers.change_customer(buyer, spec, acting=shop.sales)
    (after,) = shop.bill("2026-05-01")
    assert [(one.net, one.tax) for one in (before, after)] == [(4200, 798), (4200, 0)]


def test_a_seller_gives_away_only_what_is_its_own(shop: "Market") -> None:
    """Another project of the same Master sells too: its word does not make ours free."""
    from freehold.master.billing.customers import actions as customers
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Role

    system = identity.system()
    other = actions.add_project("rival", acting=system)
    rival = Person.objects.create(id="pers-rival", email="rival@example.org", password="!", created_at=1)
    actions.give_role(rival, other, Role.SALES, acting=system)
    customers.set_payer("rival", "shop", None, acting=identity.by_person(rival.id))
    with pytest.raises(PaymentRequired, match="Nobody pays for this project"):
        shop.order()


def test_what_is_corrected_is_taxed_as_it_was(shop: "Market") -> None:
    """A rate that changed meanwhile is not the rate at which money goes back (art. 90 of the VAT directive)."""
    from freehold.master.billing.models import TaxRule
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.foundation import days
    from support.books import books_hold

    buyer = shop.customer()
    shop.pay(buyer, 4200, "deposit")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-04-01")
    change = days.parse("2026-04-10")
    old = TaxRule.objects.get(country="FR", tax_class="domestic", category="services")
    TaxRule.objects.filter(id=old.id).update(until_day=change)
    TaxRule.objects.create(
        country="FR", tax_class="domestic", category="services", rate=2500, code="S", from_day=change
    )
    shop.turn("2026-04-15")
    shop.end("web")
    subscriptions.agree(shop.contract(buyer), "for the trouble", -4100, acting=shop.sales)
    last, note = shop.bill("2026-05-01")
    assert (invoice.net, invoice.tax) == (4200, 840)
    assert (last.kind, last.net, last.tax) == ("invoice", 2100, 525)
    assert (note.kind, note.corrects, note.net, note.tax) == ("credit_note", last.id - 1, -4100, -820)
    books_hold()


def test_a_document_says_for_ever_who_was_asked_by_whom(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.customers import party_history
    from freehold.master.billing.invoicing import documents

    buyer = shop.customer()
    shop.pay(buyer, 8400, "deposit")
    shop.ready(shop.order())
    (before,) = shop.bill("2026-04-01")
    printed = [documents.whole(row) for row in documents.documents("d.id = :id", FIRST, id=before.id)]
    spec = customers.CustomerIdentity("Countess of Lovelace", "person", "St James's Square", "FR", "EUR")
    customers.change_customer(buyer, spec, acting=shop.sales)
    terms = party_history.Terms("FR Cloud", "2 rue Neuve", stop_days=None)
    party_history.change_seller("FR", terms, acting=shop.accountant)
    (after,) = shop.bill("2026-05-01")
    assert [documents.whole(row) for row in documents.documents("d.id = :id", FIRST, id=before.id)] == printed
    (now,) = [documents.whole(row) for row in documents.documents("d.id = :id", FIRST, id=after.id)]
    assert (printed[0]["customer"]["name"], now["customer"]["name"]) == ("Ada", "Countess of Lovelace")
    assert (printed[0]["seller"]["name"], now["seller"]["address"]) == ("FR Hosting", "2 rue Neuve")


def test_a_seller_that_cannot_be_so_is_told_what_is_wrong(shop: "Market") -> None:
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.billing.customers import party_history
    from freehold.master.billing.models import PartySnapshot

    with pytest.raises(Invalid) as refused:
        party_history.change_seller(
            "FR", party_history.Terms("", "x", stop_days=-1, payment_days=500), acting=shop.accountant
        )
    assert [one.field for one in refused.value.errors] == ["name", "payment_days", "stop_days"]
    assert (LegalEntity.objects.get(code="FR").name, PartySnapshot.objects.count()) == ("FR Hosting", 0)
