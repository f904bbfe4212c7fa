"""Around a month's end: payers, offers, price lists and projects change within months, and what was used is told late.

Each day and what was used on it is paid for once, by who paid on that day, at that day's price, for the project that
had the service. The model says so day by day; the Master says so by terms.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Conflict, PaymentRequired
from freehold.master.foundation.money import rounded, share
from freehold.master.sales.rating import Model, Tier, rate
from support.books import books_hold

if TYPE_CHECKING:
    from freehold.master.billing.models import Customer
    from support.market import Market

HOUR = 3_600_000
PARIS = ZoneInfo("Europe/Paris")
FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Stories


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A service at 31.00 a month and 1.00 for each hour of a processor, or at 62.00 and 2.00."""
    market.offer()
    market.offer("big")
    _publish(market, "2026-01-01", {"small": (3100, 100), "big": (6200, 200)})
    return market


def test_each_payer_pays_what_was_used_while_it_paid(shop: "Market") -> None:
    """The service changes payer on 11 March; ten hours are used before, and three from then on, told later."""
    from freehold.master.billing.subscriptions import actions as subscriptions

    first, web = _subscribed(shop)
    _use(web, "2026-03-05T10:00", 10)
    second = shop.customer("Second", project="")
    shop.turn("2026-03-11")
    subscriptions.change_payer(web, second, acting=shop.sales)
    _use(web, "2026-03-10T23:00", 2)
    _use(web, "2026-03-11T00:00", 3)
    shop.bill("2026-04-01")
    assert _asked(first) == {"recurring": 1000, "usage": 1200}
    assert _asked(second) == {"recurring": 2100, "usage": 300}


def test_what_was_added_up_before_the_change_of_a_day_is_asked_of_who_pays_from_that_day(shop: "Market") -> None:
    """Use of the day itself was added up for the first payer, when the second took over at noon."""
    from freehold.master.billing.rating import consumption
    from freehold.master.billing.subscriptions import actions as subscriptions

    first, web = _subscribed(shop)
    shop.turn("2026-03-11T11:00")
    _use(web, "2026-03-11T08:00", 4)
    consumption.add_up(shop.entity)
    subscriptions.change_payer(web, shop.customer("Second", project=""), acting=shop.sales)
    consumption.add_up(shop.entity)
    shop.bill("2026-04-01")
    assert _asked(first) == {"recurring": 1000}


def test_what_is_used_costs_what_it_cost_on_the_day_on_which_it_was_used(shop: "Market") -> None:
    """The offer changes on the 11th, prices on the 21st; each hour has the price of its day."""
    from freehold.master.billing.subscriptions import actions as subscriptions

    payer, web = _subscribed(shop)
    _publish(shop, "2026-03-21", {"small": (310, 10), "big": (620, 20)})
    for day, offer in (("2026-03-11", "big"), ("2026-03-21", "big")):
        shop.turn(day)
        subscriptions.change_offer(web, offer, acting=shop.sales)
    for day in ("2026-03-10", "2026-03-11", "2026-03-20", "2026-03-21", "2026-03-31"):
        _use(web, f"{day}T12:00", 1)
    shop.bill("2026-04-01")
    assert _asked(payer) == {"recurring": 1000 + 2000 + 220, "usage": 100 + 200 + 200 + 20 + 20}


def test_a_month_of_one_payer_at_one_price_is_one_quantity_also_in_pieces(market: "Market") -> None:
    """Whoever pays before and after another has its own use rated together: the second package is begun once."""
    from freehold.master.billing.subscriptions import actions as subscriptions

    market.offer()
    market.prices(market.price(100, "usage", meter="cpu_ms", model=Model.PACKAGE, unit=10 * HOUR))
    first, web = _subscribed(market)
    second = market.customer("Second", project="")
    for day, payer in (("2026-03-10", second), ("2026-03-20", first)):
        market.turn(day)
        subscriptions.change_payer(web, payer, acting=market.sales)
    for day in ("2026-03-02", "2026-03-12", "2026-03-25"):
        _use(web, f"{day}T12:00", 3)
    market.bill("2026-04-01")
    assert (_asked(first), _asked(second)) == ({"usage": 100}, {"usage": 100})


def test_what_was_used_before_it_was_ready_or_after_its_last_day_is_not_asked_for(shop: "Market") -> None:
    payer = shop.customer()
    shop.pay(payer, 3100, "deposit")
    web = shop.order(offer="small")
    _use(web, "2026-03-02T12:00", 5)
    shop.turn("2026-03-03")
    shop.ready(web)
    _use(web, "2026-03-03T00:00", 7)
    shop.turn("2026-03-20")
    shop.end("web")
    _use(web, "2026-03-20T23:00", 11)
    _use(web, "2026-03-21T00:00", 13)
    shop.bill("2026-04-01")
    assert _asked(payer)["usage"] == 1800


def test_what_becomes_free_is_not_asked_for_and_what_was_free_is_from_when_it_is_paid_for(shop: "Market") -> None:
    """Handed to a project that has all for free on the 11th, and back on the 21st."""
    from freehold.master.billing.customers import actions as customers
    from freehold.master.ordering import handover

    payer, web = _subscribed(shop)
    both = _project(shop, "free")
    customers.set_payer("provider", "free", None, acting=shop.sales)
    for day in ("2026-03-10", "2026-03-11", "2026-03-20", "2026-03-21"):
        _use(web, f"{day}T12:00", 1)
    shop.turn("2026-03-11")
    handover.hand_over("shop", "web", "free", acting=both)
    shop.turn("2026-03-21")
    shop.pay(payer, -3100, "deposit")
    with pytest.raises(PaymentRequired, match="deposit"):
        handover.hand_over("free", "web", "shop", acting=both)
    shop.pay(payer, 3100, "deposit")
    handover.hand_over("free", "web", "shop", acting=both)
    shop.ready(web)
    shop.bill("2026-04-01")
    assert _asked(payer) == {"recurring": 1000 + 1100, "usage": 200}


def test_what_was_free_and_is_sold_at_several_sizes_is_ordered_anew_by_who_pays(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.ordering import handover, queries

    both = _project(shop, "free")
    customers.set_payer("provider", "shop", None, acting=shop.sales)
    web = shop.order()
    shop.customer("Payer", project="free")
    with pytest.raises(Conflict, match="several sizes"):
        handover.hand_over("shop", "web", "free", acting=both)
    assert queries.by_id(web)["project"] == "shop"


def test_a_promise_broken_in_a_month_of_two_payers_is_given_back_to_each(market: "Market") -> None:
    """Nobody spoke of the service in March: each has back what the offer says of its own days, and once."""
    from freehold.master.billing.models import Charge
    from freehold.master.billing.subscriptions import actions as subscriptions

    market.offer(availability=999_000, credits=((990_000, 50),))
    market.prices(market.price(3100))
    payer = market.customer()
    market.pay(payer, 3100, "deposit")
    web = market.order()
    market.ready(web)
    second = market.customer("Second", project="")
    market.turn("2026-03-11")
    subscriptions.change_payer(web, second, acting=market.sales)
    market.bill("2026-04-01")
    market.bill("2026-05-01")
    given = {charge.contract: charge.amount for charge in Charge.objects.filter(kind="sla", month=2026 * 12 + 2)}
    assert given == {market.contract(payer).id: -500, market.contract(second).id: -1050}


def test_costs_and_budgets_count_each_day_for_the_project_that_had_the_service(shop: "Market") -> None:
    """31.00 a month to the 10th of March in one project, then at 62.00 in another: both see their own."""
    from freehold.master.billing.rating import consumption
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.ordering import handover

    _, web = _subscribed(shop)
    both = _project(shop, "other")
    shop.pay(shop.customer("Second", project="other"), 6200, "deposit")
    budgets.set_budget("shop", 2000, "EUR", acting=shop.rooms.customer)
    _use(web, "2026-03-04T12:00", 2)
    shop.turn("2026-03-11")
    handover.hand_over("shop", "web", "other", acting=both)
    subscriptions.change_offer(web, "big", acting=shop.sales)
    _use(web, "2026-03-12T12:00", 3)
    shop.turn("2026-03-15")
    consumption.add_up(shop.entity)
    before, after = (budgets.to_date(both.project(name, _read())) for name in ("shop", "other"))
    assert (before.totals, before.spent_percent) == ({"EUR": 1000 + 200}, 60)
    assert [(cost.title, cost.offer, cost.state) for cost in before.services] == [("web", "small", "ended")]
    assert after.totals == {"EUR": 1000 + 600}
    assert [(cost.offer, cost.month, cost.so_far, cost.used) for cost in after.services] == [("big", 6200, 1000, 600)]


def test_each_project_sees_the_invoices_of_its_own_days_also_after_a_service_changed_hands(shop: "Market") -> None:
    from freehold.master.billing.invoicing import documents
    from freehold.master.billing.models import Document
    from freehold.master.foundation.paging import FIRST
    from freehold.master.ordering import handover

    first, _ = _subscribed(shop)
    both = _project(shop, "other")
    second = shop.customer("Second", project="other")
    shop.pay(second, 3100, "deposit")
    shop.bill("2026-04-01")
    shop.turn("2026-04-11")
    handover.hand_over("shop", "web", "other", acting=both)
    shop.bill("2026-05-01")
    for name, payer in (("shop", first), ("other", second)):
        seen = {row["id"] for row in documents.of_project(_id(name), FIRST)}
        assert seen == set(Document.objects.filter(customer=payer.id).values_list("id", flat=True)), name
        assert seen, name


def test_an_invoice_that_is_about_the_days_of_another_project_too_is_not_shown(shop: "Market") -> None:
    """One customer pays for both projects: what each had is not the other's to know."""
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.invoicing import documents
    from freehold.master.foundation.paging import FIRST
    from freehold.master.ordering import handover

    payer, _ = _subscribed(shop)
    both = _project(shop, "other")
    customers.set_payer("provider", "other", payer, acting=shop.sales)
    shop.turn("2026-04-11")
    handover.hand_over("shop", "web", "other", acting=both)
    shop.bill("2026-06-01")
    seen = [[row["net"] for row in documents.of_project(_id(name), FIRST)] for name in ("shop", "other")]
    assert seen == [[3100], [3100]], "March is of the first, May of the second, April of both"


def test_costs_of_a_month_with_two_prices_are_what_the_invoice_will_ask(shop: "Market") -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.billing.subscriptions import budgets

    payer, web = _subscribed(shop)
    shop.turn("2026-03-11")
    subscriptions.change_offer(web, "big", acting=shop.sales)
    shop.turn("2026-03-31")
    (cost,) = budgets.to_date(shop.rooms.shop).services
    shop.bill("2026-04-01")
    assert cost.so_far == _asked(payer)["recurring"] == 1000 + 4200


def test_another_offer_is_had_in_the_currency_of_who_pays_for_the_service(shop: "Market") -> None:
    """Somebody else than the project's payer pays for this service, in euros; the project's payer prefers dollars."""
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.subscriptions import actions as subscriptions

    payer, web = _subscribed(shop)
    shop.prices(shop.price(7000, offer="big"), currency="USD", title="in dollars")
    customers.set_payer("provider", "shop", shop.customer("Second", project="", currency="USD"), acting=shop.sales)
    shop.turn("2026-03-11")
    subscriptions.change_offer(web, "big", acting=shop.sales)
    shop.bill("2026-04-01")
    assert _asked(payer) == {"recurring": 1000 + 4200}


@pytest.mark.parametrize("broken", ["replace_term", "recount"])
def test_a_change_that_fails_anywhere_leaves_who_pays_what_as_it_was(
    shop: "Market", monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whatever step fails, of a change of payer and offer or of a project: nothing of it is left."""
    from freehold.master.billing.models import Subscription, SubscriptionPrice
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.billing.subscriptions import on_order
    from freehold.master.ordering import handover, queries

    _, web = _subscribed(shop)
    both = _project(shop, "other")
    second = shop.customer("Second", project="other")
    shop.pay(second, 6200, "deposit")
    shop.turn("2026-03-11")
    before = [list(model.objects.order_by("id").values()) for model in (Subscription, SubscriptionPrice)]
    whole = getattr(on_order, broken)

    def fails_at_the_end(*arguments: Any, **values: Any) -> None:
        whole(*arguments, **values)
        raise OSError("the disk is full")

    monkeypatch.setattr(on_order, broken, fails_at_the_end)
    with pytest.raises(OSError, match="full"):
        subscriptions.change(web, customer=second, offer="big", acting=shop.sales)
    with pytest.raises(OSError, match="full"):
        handover.hand_over("shop", "web", "other", acting=both)
    assert [list(model.objects.order_by("id").values()) for model in (Subscription, SubscriptionPrice)] == before
    assert queries.by_id(web)["project"] == "shop"


def test_a_reading_that_comes_while_use_is_added_up_is_added_up_the_next_time(
    shop: "Market", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node away for days tells of March in the moment in which March is added up: it is billed, if later."""
    from freehold.master.billing.rating import consumption

    payer, web = _subscribed(shop)
    _use(web, "2026-03-05T12:00", 1)
    shop.turn("2026-04-01")
    whole = consumption._add_up_month

    def then_a_reading_comes(month: int, zone: str) -> None:
        whole(month, zone)
        monkeypatch.setattr(consumption, "_add_up_month", whole)
        _use(web, "2026-03-06T12:00", 2)

    monkeypatch.setattr(consumption, "_add_up_month", then_a_reading_comes)
    shop.bill("2026-04-01")
    assert _asked(payer)["usage"] == 100
    shop.bill("2026-05-01")
    assert _asked(payer)["usage"] == 300


def test_a_change_while_use_is_added_up_is_seen_the_next_time(shop: "Market", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.billing.models import Consumption, Subscription
    from freehold.master.billing.rating import consumption
    from freehold.master.billing.subscriptions import on_order

    payer, web = _subscribed(shop)
    second = shop.contract(shop.customer("Second", project=""))
    _use(web, "2026-03-11T08:00", 1)
    shop.turn("2026-03-11")
    whole = consumption._add_up_month

    def then_another_pays(month: int, zone: str) -> None:
        whole(month, zone)
        on_order.replace_term(Subscription.objects.get(), _day("2026-03-11"), contract=second.id)

    monkeypatch.setattr(consumption, "_add_up_month", then_another_pays)
    consumption.add_up(shop.entity)
    monkeypatch.setattr(consumption, "_add_up_month", whole)
    consumption.add_up(shop.entity)
    rated = dict(Consumption.objects.filter(rated__gt=0).values_list("contract", "rated"))
    assert rated == {second.id: 100}, f"nothing is asked of {payer.name}"


# The model


@dataclass
class Day:
    """What the model knows of a day of service: who pays, at which price, for which project, and what was used."""

    payer: str
    price: tuple[str, str]
    """Offer and price list."""
    project: str
    used: dict[str, int] = field(default_factory=lambda: defaultdict(int))


PRICES = {
    ("small", "winter"): (3101, 100), ("big", "winter"): (6199, 77),
    ("small", "summer"): (999, 33), ("big", "summer"): (10_007, 250),
}  # fmt: skip
TIERS = ((0, 800), (2 * 10**12, 650), (4 * 10**12, 33))
SUMMER = date(2026, 4, 10)
START, LAST = date(2026, 3, 1), date(2026, 5, 31)
PAYERS = ("Ada", "Bob", "Eve")
ANCHORS = {"Ada": date(2026, 2, 1), "Bob": date(2026, 2, 14), "Eve": date(2026, 2, 28)}
PROJECTS = {"shop": "Ada", "other": "Bob"}

moments = some.integers(0, (LAST - START).days)
steps = some.one_of(
    some.tuples(some.just("pay"), moments, some.sampled_from(PAYERS)),
    some.tuples(some.just("offer"), moments, some.sampled_from(["small", "big"])),
    some.tuples(some.just("hand over"), moments, some.sampled_from(sorted(PROJECTS))),
    some.tuples(some.just("add up"), moments, some.none()),
    some.tuples(some.just("bill"), moments, some.none()),
    some.tuples(
        some.just("use"),
        moments,
        # On which day before, in which hour, of what, how much.
        some.tuples(some.integers(0, 40), some.integers(0, 23), some.sampled_from(["cpu_ms", "network_out"]),
                    some.integers(1, 3 * 10**12)),
    ),
)  # fmt: skip


@pytest.fixture
def street(market: "Market") -> "Market":
    """Three customers with periods of their own, two projects, two offers, and prices that change on 10 April."""
    market.offer()
    market.offer("big")
    for season, since, until in (("winter", "2026-01-01", SUMMER.isoformat()), ("summer", SUMMER.isoformat(), None)):
        prices = {offer: amounts for (offer, when), amounts in PRICES.items() if when == season}
        _publish(market, since, prices, **({"until_day": _day(until)} if until else {}))
    _project(market, "other")
    return market


@FEW
@given(changes=some.lists(steps, max_size=14), end=some.integers(0, (LAST - START).days))
def test_each_day_is_paid_by_who_paid_on_it_at_its_price(street: "Market", changes: list[Any], end: int) -> None:
    payers, web, title = _begin(street)
    model = _play(street, payers, web, title, changes, end)
    street.bill("2026-08-01")
    assert street.bill("2026-08-01") == []
    for name, customer in payers.items():
        assert _asked(customer) == _expected(model, name), name
    assert _noted(web) == _sum_of_use(model), "what was used on a day of service is noted once"
    books_hold()


def _begin(market: "Market") -> "tuple[dict[str, Customer], str, str]":
    from freehold.master.billing.customers import actions as customers

    made = {}
    number = market.fresh()
    for name, came in ANCHORS.items():
        market.turn(came.isoformat())
        made[name] = market.customer(f"{name} {number}", project="")
        market.pay(made[name], 100_000, "deposit")
    for project, name in PROJECTS.items():
        customers.set_payer("provider", project, made[name], acting=market.sales)
    market.turn(START.isoformat())
    title = f"web{number}"
    web = market.order(title, offer="small")
    market.ready(web)
    return made, web, title


def _play(
    market: "Market", payers: "dict[str, Customer]", web: str, title: str, changes: list[Any], end: int
) -> dict[date, Day]:
    """Do what happens, day by day, and return what the model makes of it."""
    from freehold.master.billing.rating import consumption
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.ordering import handover

    model: dict[date, Day] = {}
    present = Day("Ada", ("small", "winter"), "shop")
    both = _both(market)
    for number in range((LAST - START).days + 1):
        today = START + timedelta(days=number)
        market.turn(today.isoformat())
        if number <= end:
            model[today] = present = Day(present.payer, present.price, present.project)
        for kind, when, what in sorted(changes, key=lambda change: change[1]):
            if when != number:
                continue
            if kind == "use":
                _play_use(web, model, today, *what)
            elif kind == "add up":
                consumption.add_up(market.entity)
            elif kind == "bill":
                market.bill(today.isoformat())
            elif number > end:
                continue
            elif kind == "pay":
                subscriptions.change_payer(web, payers[what], acting=market.sales)
                present.payer = what
            elif kind == "offer":
                subscriptions.change_offer(web, what, acting=market.sales)
                present.price = what, "winter" if today < SUMMER else "summer"
            elif what != present.project:
                handover.hand_over(present.project, title, what, acting=both)
                present.project, present.payer = what, PROJECTS[what]
        if number % 5 == 0 or any(when == number for _, when, _ in changes):
            _costs_are_right(market, payers, model, web)
        if number == end:
            _end(market, present.project, title)
    return model


def _play_use(web: str, model: dict[date, Day], today: date, ago: int, hour: int, meter: str, amount: int) -> None:
    day = max(START, today - timedelta(days=ago))
    if meter == "cpu_ms":
        amount = amount % 100 * HOUR
    # An hour that there is on each day, also on that on which clocks go forward.
    _use(web, f"{day}T{hour if hour != 2 else 3:02d}:00", amount, meter)
    if day in model:
        model[day].used[meter] += amount


def _costs_are_right(market: "Market", payers: "dict[str, Customer]", model: dict[date, Day], web: str) -> None:
    """Costs to date are what the days cost that are in no document yet, by project; use is that which is added up."""
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.foundation import days
    from freehold.master.people.models import Project

    title = _title(web)
    for project in PROJECTS:
        expected = 0
        for name, customer in payers.items():
            billed_until = days.to_date(days.add_months(market.contract(customer).next_day, -1))
            expected += sum(
                _cost_of_day(name, day, one.price)
                for day, one in model.items()
                if (one.payer, one.project) == (name, project) and day >= billed_until
            )
        found = budgets.to_date(Project.objects.get(name=project).id).services
        assert sum(cost.so_far for cost in found if cost.title == title) == expected, project


def _cost_of_day(payer: str, day: date, price: tuple[str, str]) -> int:
    """A day costs what the running sum of its payer's period adds."""
    anchor = ANCHORS[payer].day
    begin = (
        day.replace(day=anchor) if day.day >= anchor else (day.replace(day=1) - timedelta(days=1)).replace(day=anchor)
    )
    length = ((begin.replace(day=1) + timedelta(days=32)).replace(day=anchor) - begin).days
    amount, before = PRICES[price][0], (day - begin).days
    return rounded(amount * (before + 1), length) - rounded(amount * before, length)


def _expected(model: dict[date, Day], payer: str) -> dict[str, int]:
    """What a payer is asked for in all: its days, and its use by month, price and meter."""
    mine = {day: one for day, one in model.items() if one.payer == payer}
    use: dict[Any, int] = defaultdict(int)
    for day, one in mine.items():
        for meter, amount in one.used.items():
            use[day.year, day.month, one.price, meter] += amount
    asked = {
        "recurring": sum(_cost_of_day(payer, day, one.price) for day, one in mine.items()),
        "usage": sum(_rate(meter, price, amount) for (*_, price, meter), amount in use.items()),
    }
    return {kind: amount for kind, amount in asked.items() if amount}


def _rate(meter: str, price: tuple[str, str], amount: int) -> int:
    if meter == "cpu_ms":
        return rate(Model.UNIT, amount, PRICES[price][1], HOUR)
    above = [*(step for step, _ in TIERS[1:]), 2**62]
    return rate(Model.VOLUME, amount, 0, 10**12, [Tier(a, u, p) for (a, p), u in zip(TIERS, above, strict=True)])


def _noted(web: str) -> dict[str, int]:
    from freehold.master.billing.models import Consumption, Subscription

    sums: dict[str, int] = defaultdict(int)
    for row in Consumption.objects.filter(subscription=Subscription.objects.get(instance=web).id, quantity__gt=0):
        sums[row.meter] += row.quantity
    return sums


def _sum_of_use(model: dict[date, Day]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for day in model.values():
        for meter, amount in day.used.items():
            if amount:
                sums[meter] += amount
    return sums


@given(cost=some.integers(0, 10**14), pieces=some.lists(some.integers(1, 2**50), min_size=1, max_size=6))
def test_shares_of_what_was_used_sum_to_what_the_whole_costs(cost: int, pieces: list[int]) -> None:
    whole = sum(pieces)
    running = [sum(pieces[:count]) for count in range(len(pieces) + 1)]
    shares = [share(cost, str(b), str(whole)) - share(cost, str(a), str(whole)) for a, b in _pairs(running)]
    assert sum(shares) == cost
    assert all(one >= 0 for one in shares)


def _pairs(values: list[int]) -> Iterator[tuple[int, int]]:
    return pairwise(values)


# What the tests say of the market


def _publish(market: "Market", since: str, prices: dict[str, tuple[int, int]], **more: Any) -> None:
    """Publish what offers cost a month, and an hour of a processor; traffic costs the same at all of them."""
    asked = []
    for offer, (month, hour) in prices.items():
        asked.append(market.price(month, offer=offer))
        asked.append(market.price(hour, "usage", offer, meter="cpu_ms", model=Model.UNIT, unit=HOUR))
        asked.append(market.price(0, "usage", offer, meter="network_out", model=Model.VOLUME, unit=10**12, tiers=TIERS))
    market.prices(*asked, since=since, **more)


def _subscribed(market: "Market") -> "tuple[Customer, str]":
    """Return a customer and its service, which is ready since 1 March."""
    from freehold.master.sales.models import Offer

    customer = market.customer()
    market.pay(customer, 3100, "deposit")
    more = {"offer": "small"} if Offer.objects.count() > 1 else {}
    web = market.order(**more)
    market.ready(web)
    return customer, web


def _id(project: str) -> str:
    from freehold.master.people.models import Project

    return str(Project.objects.get(name=project).id)


def _project(market: "Market", name: str) -> Any:
    """Return who may order in `shop` and in another project, which is made."""
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Role

    project = actions.add_project(name, acting=identity.system())
    person = Person.objects.get(email="customer@shop.example")
    actions.give_role(person, project, Role.CUSTOMER, acting=identity.system())
    return _both(market)


def _both(market: "Market") -> Any:
    from freehold.master.people import identity
    from freehold.master.people.models import Person

    return identity.by_person(Person.objects.get(email="customer@shop.example").id)


def _read() -> Any:
    from freehold.master.people.identity import Scope

    return Scope.READ


def _end(market: "Market", project: str, title: str) -> None:
    from freehold.master.ordering import actions
    from freehold.protocol.states import Wanted

    asked = actions.Request(project, title, state=Wanted.DESTROYED)
    actions.request(asked, acting=_both(market))


def _use(instance: str, when: str, amount: int, meter: str = "cpu_ms") -> None:
    """Have counted so much in the hour that begins at a time in Paris; of a processor, if nothing is said."""
    from freehold.master.usage.models import Hour, LastReading

    moment = datetime.fromisoformat(when).replace(tzinfo=PARIS).timestamp()
    hour = int(moment) // 3600
    amount = amount * HOUR if meter == "cpu_ms" and amount < HOUR else amount
    row, _ = Hour.objects.get_or_create(instance_id=instance, hour=hour)
    Hour.objects.filter(instance_id=instance, hour=hour).update(**{meter: (getattr(row, meter) or 0) + amount})
    # A series of its own for each hour: its counter stands at the beginning of that hour.
    counter, _ = LastReading.objects.get_or_create(instance_id=instance, series=str(hour), defaults={"at": hour * HOUR})
    more = (getattr(counter, meter) or 0) + amount
    LastReading.objects.filter(instance_id=instance, series=str(hour)).update(**{meter: more})


def _asked(customer: "Customer") -> dict[str, int]:
    """Return what all documents ask of a customer, by kind of line."""
    from freehold.master.billing.models import Document, DocumentLine

    sums: dict[str, int] = defaultdict(int)
    documents = Document.objects.filter(customer=customer.id).values_list("id", flat=True)
    for line in DocumentLine.objects.filter(document__in=list(documents)):
        sums[line.kind] += line.amount
    return {kind: amount for kind, amount in sums.items() if amount}


def _title(instance: str) -> str:
    from freehold.master.ordering.models import Instance

    return str(Instance.objects.get(id=instance).title)


def _day(text: str) -> int:
    from freehold.master.foundation import days

    return days.parse(text)
