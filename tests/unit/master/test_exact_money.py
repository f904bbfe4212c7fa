"""Money to the last unit: any currency, any size, any split of a month, and nobody's trouble is another's."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.master.foundation import countries, currencies, money
from freehold.master.foundation.errors import Conflict, Invalid, MasterError, PaymentRequired
from freehold.master.foundation.paging import FIRST

if TYPE_CHECKING:
    from support.market import Market


def lines(document: Any) -> list[Any]:
    from freehold.master.billing.models import DocumentLine

    return list(DocumentLine.objects.filter(document=document.id).order_by("position"))


def functional(document: Any) -> list[int]:
    from freehold.master.accounting.models import Entry, Posting

    entry = Entry.objects.get(source=f"document:{document.id}", purpose="issue")
    return list(Posting.objects.filter(entry=entry.id).values_list("functional", flat=True))


@pytest.fixture
def shop(market: "Market") -> "Market":
    market.offer()
    return market


# Currencies, countries, amounts as people write them


@pytest.mark.parametrize(
    ("code", "places"), [("EUR", 2), ("RSD", 2), ("JPY", 0), ("KWD", 3), ("IQD", 3), ("UGX", 0), ("ISK", 0), ("HUF", 2)]
)
def test_a_currency_has_the_decimals_of_iso_4217_when_it_is_read_and_shown(code: str, places: int) -> None:
    text = "10." + "50"[:places].ljust(places, "0") if places else "10"
    assert currencies.plain(currencies.minor(text, code), code) == text
    for language in ("en", "fr", "zh-hans"):
        assert ("10" + ",."[language != "fr"] + text[3:]).rstrip(",.") in currencies.shown(
            currencies.minor(text, code), code, language
        )


@pytest.mark.parametrize("code", ["XXX", "XTS", "XAU", "DEM", "HRK", "BGN", "eur", "", "EURO"])
def test_what_nobody_pays_in_today_is_no_currency(code: str) -> None:
    with pytest.raises(Invalid, match="is no currency"):
        currencies.check(code)


@pytest.mark.parametrize(
    "text", ["1_000", "1e3", "1E400", "٣", "0x10", "NaN", "Infinity", "1,5", "", ".", "--1", "1.234"]
)
def test_an_amount_is_written_as_banks_write_it(text: str) -> None:
    with pytest.raises(Invalid, match="is no amount"):
        currencies.minor(text, "EUR")


@pytest.mark.parametrize("code", ["UK", "EL", "EU", "ZZ", "XX", "fr", "FRA", "UN"])
def test_what_is_no_country_is_refused(shop: "Market", code: str) -> None:
    assert countries.wrong(code)
    with pytest.raises(MasterError):
        shop.customer(country=code)


@pytest.mark.parametrize(
    ("country", "tax"),
    [("MC", 200), ("FR", 200), ("DE", 190), ("IM", 0), ("GB", 0), ("SM", 0), ("AX", 0), ("GP", 0), ("CH", 0)],
)
def test_a_consumer_is_taxed_where_the_directive_puts_the_place(shop: "Market", country: str, tax: int) -> None:
    shop.prices(shop.price(1000))
    shop.pay(shop.customer(country=country), 1000, "deposit")
    shop.turn("2026-04-01")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-05-01")
    assert invoice.tax == tax


# Lines, taxes, conversions


@given(
    amounts=some.lists(some.integers(-(10**13), 10**13), min_size=1, max_size=6),
    rate=some.sampled_from([0, 210, 550, 2000, 2550, 2700]),
)
def test_net_of_lines_is_what_a_rate_asks_of_each_and_sums_to_the_whole(amounts: list[int], rate: int) -> None:
    from freehold.master.billing import taxes

    total = sum(amounts)
    own = [taxes.split(one, rate, included=True)[0] for one in amounts]
    rest = taxes.split(total, rate, included=True)[0] - sum(own)
    assert abs(rest) <= len(amounts), "what is left for the largest line is a unit a line at most"


def test_a_month_credited_in_full_leaves_no_tax_in_the_revenue(shop: "Market") -> None:
    shop.offer("sure", availability=999_000)
    shop.prices(shop.price(2400, offer="sure"), tax_included=True)
    shop.pay(shop.customer(), 100_000, "deposit")
    shop.turn("2026-03-01")
    web = shop.order(offer="sure")
    shop.ready(web)
    shop.turn("2026-03-31T23:00")
    shop.assess(web, kept=False)
    (invoice,) = shop.bill("2026-04-01")
    assert [(line.kind, line.net) for line in lines(invoice)] == [("recurring", 2000), ("sla", -2000)]
    assert (invoice.net, invoice.tax, sum(functional(invoice))) == (0, 0, 0)


@pytest.mark.parametrize("amount", ["19999999.99", "33333333.37", "120000000000.01"])
def test_large_amounts_are_whole_units_on_every_database(shop: "Market", amount: str) -> None:
    from freehold.master.accounting import queries
    from freehold.master.billing import tax_rules
    from freehold.master.foundation import days

    seller = shop.seller("IDN", "ID", "IDR", "Asia/Jakarta")
    for kind in ("domestic", "abroad"):
        spec = tax_rules.TaxRuleSpec(kind, "services", 1100, "S", days.parse("2026-01-01"))
        tax_rules.add("IDN", spec, acting=shop.accountant)
    each = currencies.minor(amount, "IDR")
    shop.prices(shop.price(each), entity="IDN", currency="IDR", tax_included=True)
    ada = shop.customer(country="ID", currency="IDR")
    shop.pay(ada, each * 3, "deposit", currency="IDR", entity=seller)
    shop.turn("2026-04-01")
    for title in ("a", "b", "c"):
        shop.ready(shop.order(title))
    (invoice,) = shop.bill("2026-05-02", "IDN")
    assert invoice.gross == 3 * each
    assert all(type(line.net) is int for line in lines(invoice))
    assert sum(line.net for line in lines(invoice)) == invoice.net
    assert queries.broken_links(seller.id) == []


@pytest.mark.parametrize(
    ("own", "rate", "amount"),
    [
        ("SEK", "11.5025", 1150), ("HUF", "390.12", 39012), ("KRW", "1620.5", 1621), ("JPY", "163.27", 163),
        ("KWD", "0.354912", 355), ("IDR", "18933.07", 1_893_307), ("IRR", "1100000.1", 110_000_010),
    ],
)  # fmt: skip
def test_a_euro_is_worth_what_the_rate_says_in_books_of_any_currency(
    shop: "Market", own: str, rate: str, amount: int
) -> None:
    from freehold.master.billing import exchange, tax_rules
    from freehold.master.foundation import days

    seller = shop.seller(f"X{own}", "US", own, "UTC")
    for kind in ("domestic", "abroad"):
        tax_rules.add(
            seller.code,
            tax_rules.TaxRuleSpec(kind, "services", 0, "Z", days.parse("2026-01-01")),
            acting=shop.accountant,
        )
    exchange.set_rate(seller.code, "EUR", days.parse("2026-01-01"), rate, acting=shop.accountant)
    shop.prices(shop.price(100), entity=seller.code)
    shop.pay(shop.customer(), 1000, "deposit", entity=seller)
    shop.turn("2026-04-01")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-05-01", seller.code)
    assert invoice.functional == amount
    assert sum(functional(invoice)) == 0
    back = exchange.between_minor("0.0000528177", "IDR", "EUR")
    assert back.convert(1_893_307_00) == 10_000


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "1_0", "0.00000000000000000000001", "12345678901", "", "1,5"])
def test_what_is_no_rate_is_refused(shop: "Market", text: str) -> None:
    from freehold.master.billing import exchange

    with pytest.raises(Invalid, match="is no rate"):
        exchange.set_rate("FR", "USD", 20_000, text, acting=shop.accountant)


@given(
    some.integers(-(10**14), 10**14), some.integers(1, 10**14), some.integers(1, 10**24)
)  # fmt: skip
def test_a_share_is_rounded_away_from_zero_at_halves(amount: int, numerator: int, denominator: int) -> None:
    found = money.share(amount, str(numerator), str(denominator))
    assert abs(2 * (found * denominator - amount * numerator)) <= denominator
    assert money.share(-amount, str(numerator), str(denominator)) == -found


def test_the_database_shares_as_we_do(shop: "Market") -> None:
    from django.db import connection

    cases = [(7, 1, 2), (-7, 1, 2), (10**14, 9_999_999_999, 10**10), (-(10**14) + 1, 3, 7 * 10**20), (1, 10**14, 3)]
    with connection.cursor() as cursor:
        for amount, numerator, denominator in cases:
            cursor.execute("SELECT money_share(CAST(%s AS bigint), %s, %s)", [amount, str(numerator), str(denominator)])
            assert cursor.fetchone()[0] == money.share(amount, str(numerator), str(denominator))


# Months in pieces, credit notes, what never was


@pytest.mark.parametrize("price", [1001, 999, 1, 3100])
@pytest.mark.parametrize("cuts", [["2026-06-16"], ["2026-06-02", "2026-06-03", "2026-06-29"]])
def test_a_month_at_one_price_costs_that_price_however_it_is_split(shop: "Market", price: int, cuts: list[str]) -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions

    shop.prices(shop.price(price), title="a")
    shop.pay(shop.customer(), 100_000, "deposit")
    shop.turn("2026-04-01")
    web = shop.order()
    shop.ready(web)
    shop.bill("2026-06-01")
    for cut in cuts:
        shop.turn(cut)
        subscriptions.change_offer(web, "small", acting=shop.sales)
    (june,) = shop.bill("2026-07-01")
    assert june.net == price


def test_credit_notes_give_back_at_most_what_is_still_asked_and_the_rest_waits(shop: "Market") -> None:
    from freehold.master.billing.models import Charge, Document
    from freehold.master.billing.subscriptions import actions as subscriptions

    shop.prices(shop.price(1000))
    ada = shop.customer()
    shop.pay(ada, 1000, "deposit")
    shop.turn("2026-04-01")
    shop.ready(shop.order())
    shop.bill("2026-05-01")
    for amount in (-1500, -300):
        subscriptions.agree(shop.contract(ada), f"goodwill {amount}", amount, acting=shop.sales)
    for day in ("2026-06-01", "2026-07-01", "2026-08-01", "2026-09-01"):
        shop.bill(day)
    notes = Document.objects.filter(kind="credit_note")
    assert notes.exists()
    for note in notes:
        given = sum(-one.gross for one in notes if one.corrects == note.corrects)
        assert given <= Document.objects.get(id=note.corrects).gross
    assert sum(Charge.objects.values_list("amount", flat=True)) == -1800, "nothing of what was agreed is lost"
    invoiced = sum(line.amount for one in Document.objects.all() for line in lines(one))
    assert invoiced == 5 * 1000 - 1800


def test_what_never_was_ready_is_in_no_document(shop: "Market") -> None:
    shop.prices(shop.price(3100))
    shop.pay(shop.customer(), 3100, "deposit")
    shop.turn("2026-03-10")
    shop.order("never")
    shop.end("never")
    assert shop.bill("2026-04-01") == []


def test_a_credit_note_has_the_names_of_its_own_day(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.customers import party_history
    from freehold.master.billing.invoicing import documents, reversal
    from freehold.master.billing.queries import document_number
    from freehold.master.billing.queries import documents as read

    shop.prices(shop.price(1000))
    ada = shop.customer()
    shop.pay(ada, 1000, "deposit")
    shop.turn("2026-04-01")
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-05-01")
    shop.turn("2026-06-10")
    spec = customers.CustomerIdentity("Lovelace SARL", "person", "99 new street", "FR", "EUR")
    customers.change_customer(ada, spec, acting=shop.sales)
    party_history.change_seller("FR", party_history.Terms("New Hosting", "2 rue neuve"), acting=shop.accountant)
    shop.turn("2026-06-20")
    number = document_number("FR", "invoice", invoice.year, invoice.number)
    note = reversal.take_back("FR", number, acting=shop.accountant)
    (row,) = read("d.id = :id", FIRST, id=note.id)
    whole = documents.whole(row)
    assert (whole["customer"]["name"], whole["seller"]["name"]) == ("Lovelace SARL", "New Hosting")
    (row,) = read("d.id = :id", FIRST, id=invoice.id)
    assert documents.whole(row)["customer"]["name"] == "Ada"


def test_a_payment_came_on_a_day_that_was(shop: "Market") -> None:
    from freehold.master.foundation import days

    with pytest.raises(Invalid) as refused:
        shop.pay(shop.customer(), 1000, day=days.parse("2999-01-01"))
    assert refused.value.errors[0].field == "day"


# One's trouble is nobody else's


def test_an_offer_is_refused_where_it_could_not_be_billed(market: "Market") -> None:
    for wrong in ({"account": "nonesuch"}, {"account": "604"}, {"tax_category": "nonesuch"}):
        with pytest.raises(Invalid) as refused:
            market.offer("odd", **wrong)
        assert refused.value.errors[0].field == next(iter(wrong))
    market.offer("odd", account="706")


def test_a_contract_without_a_tax_rule_waits_alone_and_its_seller_is_told(shop: "Market") -> None:
    from freehold.master.billing import tax_rules
    from freehold.master.billing.models import Document, TaxRule
    from freehold.master.foundation import days
    from freehold.master.support.models import Ticket
    from freehold.master.tasks import lanes

    shop.prices(shop.price(1000))
    for name, country, project in (("Ada", "FR", "shop"), ("Bob", "DE", "bench")):
        customer = shop.customer(name, country=country, project=project)
        shop.pay(customer, 5000, "deposit")
    shop.turn("2026-04-01")
    shop.ready(shop.order("a"))
    TaxRule.objects.filter(tax_class="domestic").delete()
    shop.turn("2026-05-02")
    lanes.run_once(bulk=True)
    lanes.run_once(bulk=True)
    assert not Document.objects.exists()
    (ticket,) = Ticket.objects.filter(about__startswith="contract:")
    assert "Ada" in ticket.title
    spec = tax_rules.TaxRuleSpec("domestic", "services", 2000, "S", days.parse("2026-05-01"))
    tax_rules.add("FR", spec, acting=shop.accountant)
    shop.turn("2026-05-03")
    lanes.run_once(bulk=True)
    assert Document.objects.count() == 1
    ticket.refresh_from_db()
    assert ticket.closed_at is not None


def test_an_error_at_one_seller_keeps_no_other_from_billing(market: "Market", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.billing.models import Document
    from freehold.master.billing.rating import consumption
    from freehold.master.tasks import lanes

    first = market.seller("AA", "FR", "EUR", "Europe/Paris")
    market.offer("small")
    market.prices(market.price(1000, offer="small"))
    market.pay(market.customer("Good"), 10_000, "deposit")
    market.turn("2026-04-01")
    market.ready(market.order("fine", offer="small"))
    real = consumption.add_up

    def fails_for_one(entity: Any) -> None:
        if entity.id == first.id:
            raise ZeroDivisionError("an error of ours")
        real(entity)

    monkeypatch.setattr(consumption, "add_up", fails_for_one)
    market.turn("2026-05-02")
    lanes.run_once(bulk=True)
    assert Document.objects.filter(entity=market.entity.id).count() == 1


def test_a_change_is_made_whole_or_not_at_all(shop: "Market") -> None:
    from freehold.master.billing.models import Subscription
    from freehold.master.billing.subscriptions import actions as subscriptions

    shop.prices(shop.price(1000))
    shop.pay(shop.customer(), 1000, "deposit")
    shop.turn("2026-04-01")
    web = shop.order()
    shop.ready(web)
    before = Subscription.objects.get().contract
    with pytest.raises(MasterError):
        subscriptions.change(web, customer=shop.customer("Bob", project=""), offer="nonesuch", acting=shop.sales)
    assert Subscription.objects.get().contract == before


# Rules of tax


def test_who_has_no_tax_rule_sells_nothing_and_one_writes_them(shop: "Market") -> None:
    from freehold.master.billing import tax_rules
    from freehold.master.foundation import days

    seller = shop.seller("CHE", "CH", "CHF", "Europe/Zurich")
    shop.prices(shop.price(1000), entity="CHE", currency="CHF")
    shop.pay(shop.customer(country="CH", currency="CHF"), 5000, "deposit", currency="CHF", entity=seller)
    shop.turn("2026-04-01")
    with pytest.raises(PaymentRequired, match="no tax rules"):
        shop.order()
    spec = tax_rules.TaxRuleSpec("domestic", "services", 810, "S", days.parse("2024-01-01"))
    tax_rules.add("CHE", spec, acting=shop.accountant)
    shop.ready(shop.order())
    (invoice,) = shop.bill("2026-05-01", "CHE")
    assert (invoice.net, invoice.tax) == (1000, 81)
    with pytest.raises(Conflict, match="were issued"):
        tax_rules.add("CHE", spec, acting=shop.accountant)


def test_rules_of_one_seller_are_not_those_of_another_of_its_country(shop: "Market") -> None:
    from freehold.master.billing import tax_rules
    from freehold.master.foundation import days

    other = shop.seller("FRB", "FR", "EUR", "Europe/Paris")
    spec = tax_rules.TaxRuleSpec("domestic", "services", 1000, "S", days.parse("2026-06-01"))
    tax_rules.add("FRB", spec, acting=shop.accountant)
    june = days.parse("2026-06-02")
    own = tax_rules.holding(other, "domestic", "services", june)
    others = tax_rules.holding(shop.entity, "domestic", "services", june)
    assert own is not None
    assert others is not None
    assert (own.rate, others.rate) == (1000, 2000)
    before = tax_rules.holding(other, "domestic", "services", days.parse("2026-05-31"))
    assert before is not None
    assert before.rate == 2000


@pytest.mark.parametrize(
    ("field", "value"),
    [("tax_class", "home"), ("tax_class", "eu-consumer-XX"), ("category", "goods"), ("rate", 10_001), ("rate", -1),
     ("code", "Q"), ("text", "a\nb"), ("from_day", 10**6)],
)  # fmt: skip
def test_what_is_no_tax_rule_is_refused(shop: "Market", field: str, value: Any) -> None:
    from freehold.master.billing import tax_rules

    spec = {"tax_class": "domestic", "category": "services", "rate": 800, "code": "S", "from_day": 20_000, field: value}
    with pytest.raises(Invalid):
        tax_rules.add("FR", tax_rules.TaxRuleSpec(**spec), acting=shop.accountant)
