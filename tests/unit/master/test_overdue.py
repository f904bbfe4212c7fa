"""Money that does not come, and money that providers tell of: who pays is never stopped, whatever the order of news."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.paging import FIRST
from freehold.master.payments.settlement import SettlementKind, sum_up
from freehold.protocol.states import Wanted
from support.books import books_hold

if TYPE_CHECKING:
    from freehold.master.billing.models import Customer
    from freehold.master.ordering.models import Instance
    from support.market import Market

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
STOP_DAYS = 14


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A service at 42 a month that is stopped when an invoice is two weeks overdue (and is due after a month)."""
    market.offer()
    market.prices(market.price(4200))
    _terms(market, STOP_DAYS)
    return market


def test_what_is_long_overdue_is_stopped_and_goes_on_the_moment_it_is_paid(shop: "Market") -> None:
    buyer = shop.customer()
    shop.pay(buyer, 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    (invoice,) = shop.bill("2026-04-01")
    _hour(shop, "2026-05-15")
    assert _found(web).wanted == "started", "it is two weeks overdue today, not more"
    revision = _found(web).revision
    _hour(shop, "2026-05-16")
    assert (_found(web).wanted, _found(web).requested_state) == ("stopped", "started")
    assert _found(web).revision > revision, "its node hears of it"
    shop.pay(buyer, invoice.gross - 1)
    assert _found(web).wanted == "stopped"
    revision = _found(web).revision
    shop.pay(buyer, 10_000)
    assert _found(web).wanted == "started"
    assert _found(web).revision > revision, "its node hears of it at once, not at the next hour"


def test_a_customer_is_told_why_it_is_stopped_and_when_it_will_be(shop: "Market") -> None:
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.foundation import days
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import queries as ordering

    shop.pay(shop.customer(), 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    shop.bill("2026-04-01")
    project = _found(web).project_id
    shop.turn("2026-05-01")
    assert budgets.to_date(project).unpaid == [], "it is due today"
    shop.turn("2026-05-02")
    (told,) = budgets.to_date(project).unpaid
    assert (told.seller, days.iso(told.since_day), days.iso(told.stop_day or 0)) == (
        "FR Hosting",
        "2026-05-01",
        "2026-05-16",
    )
    _hour(shop, "2026-05-16")
    shop.rooms.node_says(web, "stopped")
    (picture,) = monitoring.pictures([ordering.by_id(web)])
    assert picture.status.state == "stopped"
    assert "not paid for" in picture.status.message
    assert next(one["actor"] for one in ordering.history(web)[0]) == "billing"


def test_time_in_which_nobody_paid_is_no_broken_promise(shop: "Market") -> None:
    from freehold.master.monitoring import queries as monitoring

    buyer = shop.customer()
    shop.pay(buyer, 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    shop.bill("2026-04-01")
    _hour(shop, "2026-05-16")
    begin = shop.now
    shop.turn("2026-05-20")
    assert monitoring.available(web, (begin, shop.now)).counted == 0


def test_what_is_asked_meanwhile_holds_when_it_is_paid(shop: "Market") -> None:
    buyer = shop.customer()
    shop.pay(buyer, 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    shop.bill("2026-04-01")
    _hour(shop, "2026-05-16")
    shop.rooms.request("web", None, state=Wanted.STOPPED)
    shop.rooms.request("web", None, state=Wanted.STARTED)
    assert _found(web).wanted == "stopped", "asking does not pay"
    shop.rooms.request("web", None, state=Wanted.STOPPED)
    shop.pay(buyer, 10_000)
    assert _found(web).wanted == "stopped", "its owner wants that"
    shop.rooms.request("web", None, state=Wanted.DESTROYED)
    assert _found(web).wanted == "destroyed"


def test_a_seller_that_does_not_say_so_stops_nothing(shop: "Market") -> None:
    shop.pay(shop.customer(), 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    shop.bill("2026-04-01")
    _hour(shop, "2026-05-16")
    _terms(shop, None)
    _hour(shop, "2026-05-17")
    assert _found(web).wanted == "started", "what it stopped while it did say so goes on"
    _hour(shop, "2027-05-17")
    assert _found(web).wanted == "started"


STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("days"), some.integers(1, 40)),
        some.tuples(some.just("pay"), some.integers(1, 15_000)),
        some.tuples(some.just("settle"), some.just(0)),
        some.tuples(some.just("take back"), some.just(0)),
        some.tuples(some.just("ask"), some.sampled_from([Wanted.STARTED, Wanted.STOPPED])),
    ),
    min_size=5,
    max_size=25,
)


@FEW
@given(steps=STEPS)
def test_a_paid_customer_is_never_stopped(shop: "Market", steps: list[tuple[str, Any]]) -> None:
    """I14: after each step, who owes nothing overdue runs as asked; who does long enough is stopped within the hour."""
    from freehold.master.billing.invoicing import reversal
    from freehold.master.foundation import days

    shop.turn("2026-03-01")
    buyer, title = shop.customer(), f"web{shop.fresh()}"
    shop.pay(buyer, 4200, "deposit")
    web = shop.order(title)
    shop.ready(web)
    today = days.parse("2026-03-01")
    for what, value in steps:
        if what == "days":
            for _ in range(value):
                today += 1
                _hour(shop, days.iso(today))
                _as_paid(shop, buyer, web, today)
        elif what == "pay":
            shop.pay(buyer, value)
        elif what == "settle" and (owed := _owed(shop, buyer)) > 0:
            shop.pay(buyer, owed)
            assert _found(web).wanted == _found(web).requested_state
        elif what == "take back" and (number := _last_invoice(shop, buyer)):
            try:
                reversal.take_back("FR", number, acting=shop.accountant)
            except Conflict:
                continue
        elif what == "ask":
            shop.rooms.request(title, None, state=value)
        _as_paid(shop, buyer, web, today)
    shop.end(title)
    books_hold()


def _as_paid(shop: "Market", buyer: "Customer", web: str, today: int) -> None:
    """A service is stopped when, and only when, more is overdue than was paid."""
    from freehold.master.billing.models import Document, Payment

    rows = list(Document.objects.filter(customer=buyer.id).values_list("kind", "due_day", "gross"))
    asked = sum(gross for kind, due, gross in rows if kind == "invoice" and today - due > STOP_DAYS)
    settled = sum(Payment.objects.filter(contract__customer=buyer, purpose="account").values_list("amount", flat=True))
    settled -= sum(gross for kind, _, gross in rows if kind == "credit_note")
    found = _found(web)
    assert found.wanted == ("stopped" if asked > settled else found.requested_state)


EVENTS = some.lists(
    some.tuples(some.sampled_from(["p1", "p2"]), some.sampled_from(list(SettlementKind)), some.integers(1, 9000)),
    min_size=1,
    max_size=8,
)


@given(told=EVENTS, chosen=some.data())
def test_where_a_payment_stands_does_not_depend_on_the_order_of_news(told: list[Any], chosen: some.DataObject) -> None:
    """I12, as arithmetic: captured once, refunded at most that, whatever is said twice and in whatever order."""
    events = [(str(number), kind, amount) for number, (_, kind, amount) in enumerate(told)]
    heard = chosen.draw(some.permutations(events + chosen.draw(some.lists(some.sampled_from(events)))))
    assert sum_up(heard) == sum_up(events)
    found = sum_up(heard)
    assert 0 <= found.refunded <= found.captured


@FEW
@given(told=EVENTS, purpose=some.sampled_from(["account", "deposit"]), chosen=some.data())
def test_news_of_payments_come_to_the_same_books(
    shop: "Market", told: list[Any], purpose: str, chosen: some.DataObject
) -> None:
    """I12, in the books: one customer's news comes as it happened, the other's late, twice and in pieces."""
    from freehold.master.billing.queries import balance

    shop.turn("2026-03-01")
    numbered = list(enumerate(told))
    both = []
    again = chosen.draw(some.lists(some.sampled_from(numbered)))
    for heard in (numbered, chosen.draw(some.permutations(numbered + again))):
        mark, buyer = shop.fresh(), shop.customer(project="")
        for part in (heard[:3], heard[2:], heard[5:]):
            _hear(shop, *(_news(buyer, mark, *one, purpose) for one in part))
        both.append(balance(shop.contract(buyer).id))
    assert both[0] == both[1]
    assert min(both[0].deposit, both[0].paid) >= 0
    books_hold()


def test_money_that_is_taken_back_makes_invoices_unpaid_again(shop: "Market") -> None:
    buyer = shop.customer()
    shop.pay(buyer, 4200, "deposit")
    web = shop.order()
    shop.ready(web)
    (invoice,) = shop.bill("2026-04-01")
    came = {"customer": buyer.id, "payment": "p", "provider": "card", "currency": "EUR", "amount": invoice.gross}
    assert _hear(shop, {**came, "event": "1", "kind": "captured"}) == 1
    assert _hear(shop, {**came, "event": "1", "kind": "captured"}) == 0, "told again, it is the same"
    assert _owed(shop, buyer) == 0
    assert _hear(shop, {**came, "event": "2", "kind": "refunded"}) == 1
    assert _owed(shop, buyer) == invoice.gross
    books_hold()


def test_news_that_cannot_be_changes_nothing(shop: "Market") -> None:
    from freehold.master.billing.models import Payment
    from freehold.master.payments.models import PaymentEvent

    buyer = shop.customer()
    good = {
        "customer": buyer.id, "payment": "p", "provider": "card", "currency": "EUR", "amount": 100, "event": "1",
        "kind": "captured",
    }  # fmt: skip
    _hear(shop, good)
    with pytest.raises(Conflict, match="another content"):
        _hear(shop, {**good, "event": "2"}, {**good, "amount": 200})
    with pytest.raises(Conflict, match="another customer"):
        _hear(shop, {**good, "event": "2", "customer": shop.customer("Eve", project="").id})
    with pytest.raises(NotFound, match="no customer"):
        _hear(shop, {**good, "event": "2", "payment": "q", "customer": "cust-nobody"})
    with pytest.raises(Invalid) as refused:
        _hear(shop, {**good, "event": "a b", "kind": "lost", "amount": 0, "provider": "deposit"})
    assert [one.field for one in refused.value.errors] == ["0.event", "0.provider", "0.kind", "0.amount"]
    assert (PaymentEvent.objects.count(), Payment.objects.count()) == (1, 1)


def _hear(shop: "Market", *told: dict[str, Any]) -> int:
    from freehold.master.payments import actions

    return actions.hear("FR", [actions.ProviderAnswer(**one) for one in told], acting=shop.accountant)


def _news(
    buyer: "Customer", mark: int, number: int, one: tuple[str, SettlementKind, int], purpose: str
) -> dict[str, Any]:
    payment, kind, amount = one
    return {
        "customer": buyer.id, "payment": f"{payment}-{mark}", "provider": "card", "currency": "EUR", "amount": amount,
        "event": f"{number}-{mark}", "kind": kind.value, "purpose": purpose,
    }  # fmt: skip


def _terms(shop: "Market", stop_days: int | None) -> None:
    from freehold.master.billing.customers import party_history

    spec = party_history.Terms("FR Hosting", "1 rue de la Paix", stop_days=stop_days)
    party_history.change_seller("FR", spec, acting=shop.accountant)


def _hour(shop: "Market", when: str) -> None:
    """Turn the calendar, and do what the Master does every hour."""
    from freehold.master.billing import reconcile

    shop.turn(when)
    for act in (reconcile.add_up, reconcile.issue_due, reconcile.suspend_overdue):
        act()


def _found(instance: str) -> "Instance":
    from freehold.master.ordering.models import Instance

    return Instance.objects.get(id=instance)


def _owed(shop: "Market", buyer: "Customer") -> int:
    from freehold.master.billing.queries import balance

    return balance(shop.contract(buyer).id).owed


def _last_invoice(shop: "Market", buyer: "Customer") -> str:
    from freehold.master.billing.queries import documents

    rows = documents("d.customer = :customer AND d.kind = 'invoice'", FIRST, customer=buyer.id)
    return str(rows[0]["name"]) if rows else ""
