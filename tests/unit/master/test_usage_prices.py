"""What was used is priced by its month, and what was promised and not kept is given back."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.money import rounded
from freehold.master.monitoring.availability import SPEAKS, availability
from freehold.master.sales.rating import Model, credit, rate
from freehold.protocol.meters import PRICED
from support.metering import use

if TYPE_CHECKING:
    from support.market import Market

TERABYTE = 10**12
HOUR = 3_600_000
STEPS = ((0, 800), (2 * TERABYTE, 650), (4 * TERABYTE, 33))
SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def metered(market: "Market") -> "Market":
    market.offer()
    market.prices(market.price(0, "usage", meter="network_out", model=Model.VOLUME, unit=TERABYTE, tiers=STEPS))
    return market


def test_what_comes_late_is_asked_at_its_own_months_price_and_less_is_a_credit_note(metered: "Market") -> None:
    from freehold.master.billing.queries import lines
    from freehold.master.foundation import days

    metered.customer()
    web = metered.order()
    metered.ready(web)
    use(web, "2026-03-01", 3 * TERABYTE)
    (first,) = metered.bill("2026-04-01")
    assert (first.kind, first.net) == ("invoice", 1950)
    use(web, "2026-03-01", 2 * TERABYTE)
    use(web, "2026-04-01", 1 * TERABYTE)
    second, correction = metered.bill("2026-05-01")
    assert (second.kind, second.net) == ("invoice", 800)
    # All five terabytes of March cost 1.65; 19.50 was asked.
    assert (correction.kind, correction.net, correction.corrects) == ("credit_note", -1785, first.id)
    (line,) = lines(correction.id)
    assert (days.month_name(line["month"]), line["quantity"]) == ("2026-03", 2 * TERABYTE)
    assert metered.bill("2026-05-01") == []


def test_a_month_without_end_of_its_own_is_not_asked_for(metered: "Market") -> None:
    metered.customer()
    web = metered.order()
    metered.ready(web)
    use(web, "2026-04-01", TERABYTE)
    assert metered.bill("2026-04-01") == []
    (invoice,) = metered.bill("2026-05-01")
    assert invoice.net == 800


@SOME
@given(
    model=some.sampled_from(Model),
    quantity=some.integers(0, 2**53),
    amount=some.integers(0, 10**6),
    unit=some.sampled_from([4000, 3_600_000, 10**9, 10**12]),
)
def test_the_database_prices_as_we_say(market: "Market", model: Model, quantity: int, amount: int, unit: int) -> None:
    """`sql/consumption.sql` against `catalog.rating`, for every model."""
    from freehold.master.billing.models import Consumption, Subscription
    from freehold.master.billing.rating import consumption
    from freehold.master.ordering.models import Instance
    from freehold.master.sales import actions as sales
    from freehold.master.usage.models import Hour, LastReading

    market.turn("2026-03-01")
    for model_of in (Hour, LastReading):
        model_of.objects.all().delete()
    number = Instance.objects.count()
    name = f"o{number}"
    tiers = ((0, amount), (unit * 3, amount // 2), (unit * 1000, amount // 3))
    has_tiers = model in (Model.VOLUME, Model.GRADUATED)
    market.offer(name)
    market.prices(
        market.price(0 if has_tiers else amount, "usage", name, meter="network_out", model=model, unit=unit,
                     tiers=tiers if has_tiers else ()),
        region=market_region(market, number),
    )  # fmt: skip
    market.customer(f"c{number}")
    web = market.order(f"web{number}", offer=name, constraints={"region": f"r{number}"})
    market.ready(web)
    use(web, "2026-03-01", quantity)
    consumption.add_up(market.entity)
    subscription = Subscription.objects.get(instance=web)
    found = Consumption.objects.filter(subscription=subscription.id).values_list("rated", flat=True)
    expected = rate(model, quantity, amount, unit, sales.steps(tiers))
    assert list(found) == ([expected] if quantity else [])


def market_region(market: "Market", number: int) -> str:
    """Return a region of its own, with a node, for the prices of one example."""
    from freehold.master.catalog.models import Release

    node = market.rooms.node(f"n{number}", partitions=1, region=f"r{number}", site=f"s{number}")
    market.rooms.supply(Release.objects.get(), node)
    return f"r{number}"


@pytest.mark.parametrize(
    ("down_hours", "percent"),
    [(0, 0), (0.5, 0), (1, 10), (10, 25), (50, 100)],
    ids=["kept", "within the promise", "below", "far below", "mostly not"],
)
def test_what_was_not_kept_is_given_back_on_the_next_invoice(market: "Market", down_hours: float, percent: int) -> None:
    """March has 743 hours in Paris; 99.9 % of them are promised, so 0.743 hours may be missing."""
    from freehold.master.billing.queries import lines

    market.offer(availability=999_000)
    market.prices(market.price(10000))
    market.pay(market.customer(), 10000, "deposit")
    web = market.order()
    market.turn("2026-03-01T00:00")
    market.ready(web)
    begin = market.now
    for quarter in range(1, 743 * 4):
        at = begin + quarter * HOUR // 4
        market.assess(web, kept=not 100 <= quarter / 4 < 100 + down_hours, at=at)
    (invoice,) = market.bill("2026-04-01")
    credits = [line["net"] for line in lines(invoice.id) if line["kind"] == "sla"]
    assert credits == ([-100 * percent] if percent else [])
    assert invoice.net == 10000 - 100 * percent
    assert market.bill("2026-05-01")[0].net == 0, "a month of which nobody spoke is not kept at all"


def test_announced_maintenance_and_a_stop_by_the_customer_do_not_count(market: "Market") -> None:
    from freehold.master.monitoring import actions

    begin, end = market.now + 3 * 24 * HOUR, market.now + 3 * 24 * HOUR + 4 * HOUR
    actions.announce("provider", "paris", begin, end, "new switch", acting=market.rooms.owner)
    with pytest.raises(Invalid, match="cannot be announced"):
        actions.announce("provider", "paris", market.now + HOUR, end, "now", acting=market.rooms.owner)
    told = {"port": [(begin - HOUR, True), (begin, False), (end, True)]}
    span = (begin - HOUR, end + HOUR)
    assert availability(told, span, []).millionths == 333_333
    assert availability(told, span, [(begin, end)]).millionths == 1_000_000


spans = some.lists(some.tuples(some.integers(0, 10**6), some.booleans()), max_size=20).map(sorted)


@given(
    told=some.dictionaries(some.sampled_from("ab"), spans),
    holes=some.lists(some.tuples(some.integers(0, 10**6), some.integers(0, 10**6)), max_size=4),
)
def test_availability_is_a_share_of_what_counts(
    told: dict[str, list[tuple[int, bool]]], holes: list[tuple[int, int]]
) -> None:
    found = availability(told, (1000, 900_000), [(min(one), max(one)) for one in holes])
    assert 0 <= found.kept <= found.counted <= 899_000
    worse = {**told, "c": [(1000, False)]}
    assert availability(worse, (1000, 900_000), []).kept == 0


def test_a_result_speaks_for_two_hours() -> None:
    span = (0, 10 * HOUR)
    assert availability({"a": [(0, True)]}, span, []).kept == SPEAKS
    assert availability({"a": [(0, True), (HOUR, True)]}, span, []).kept == HOUR + SPEAKS
    assert availability({}, span, []).kept == 0


@given(
    amount=some.integers(0, 10**9), counted=some.integers(1, 10**10), broken=some.integers(0, 10**10),
    more=some.integers(0, 10**9),
)  # fmt: skip
def test_a_credit_grows_with_what_was_not_kept_and_never_beyond_the_price(
    amount: int, counted: int, broken: int, more: int
) -> None:
    """I13."""
    from freehold.master.sales.actions import STANDARD_CREDITS

    def of(missing: int) -> int:
        return credit(amount, max(0, counted - missing), counted, 999_000, STANDARD_CREDITS)

    assert 0 <= of(broken) <= of(broken + more) <= amount


@given(numerator=some.integers(-(10**20), 10**20), denominator=some.integers(1, 10**12))
def test_halves_are_rounded_away_from_zero(numerator: int, denominator: int) -> None:
    found = rounded(numerator, denominator)
    assert abs(2 * (found * denominator - numerator)) <= denominator
    assert rounded(-numerator, denominator) == -found


BAD = {
    "below zero": ({"amount": -1}, "amount"),
    "usage of no meter": ({"kind": "usage"}, "meter"),
    "a meter of what is no usage": ({"meter": "cpu_ms"}, "meter"),
    "a meter that has no price": ({"kind": "usage", "meter": "process_s", "model": Model.UNIT}, "meter"),
    "an offer that is none": ({"offer": "lost"}, "offer"),
    "steps that do not grow": (
        {"kind": "usage", "meter": "cpu_ms", "model": Model.VOLUME, "unit": 10**6, "tiers": ((0, 1), (5, 2), (5, 3))},
        "tiers",
    ),
    "more than the database can count": (
        {"kind": "usage", "meter": "cpu_ms", "amount": 10**6, "model": Model.UNIT}, "unit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("meter", PRICED)
def test_each_meter_that_has_a_price_is_asked_for(market: "Market", meter: str) -> None:
    from freehold.master.billing.queries import lines

    market.offer()
    market.prices(market.price(31, "usage", meter=meter, model=Model.UNIT, unit=100))
    market.pay(market.customer(), 3100, "deposit")
    web = market.order()
    market.ready(web)
    use(web, "2026-03-01", 900, meter)
    (invoice,) = market.bill("2026-04-01")
    assert [(line["kind"], line["meter"], line["net"]) for line in lines(invoice.id)] == [("usage", meter, 279)]


@pytest.mark.parametrize("case", BAD)
def test_prices_that_cannot_be_are_refused_whole(market: "Market", case: str) -> None:
    from freehold.master.sales.models import Price, PriceList

    spec, field = BAD[case]
    market.offer()
    asked = {"kind": "recurring", "amount": 1, **spec}  # type: ignore[dict-item]
    with pytest.raises(Invalid) as refused:
        market.prices(market.price(100), market.price(**asked))  # type: ignore[arg-type]
    assert f"prices.1.{field}" in [error.field for error in refused.value.errors]
    assert not Price.objects.exists()
    assert not PriceList.objects.exists()


def test_published_prices_do_not_change_and_do_not_overlap(market: "Market") -> None:
    from django.db import DatabaseError, transaction

    from freehold.master.foundation import days
    from freehold.master.sales.models import Price, PriceList

    market.offer()
    market.prices(market.price(100), until_day=days.parse("2026-06-01"))
    with pytest.raises(Conflict, match="holds from 2026-01-01 already"):
        market.prices(market.price(200), since="2026-05-31")
    market.prices(market.price(200), since="2026-06-01")
    market.prices(market.price(300), since="2026-09-01")
    assert list(PriceList.objects.order_by("from_day").values_list("until_day", flat=True)) == [
        days.parse("2026-06-01"), days.parse("2026-09-01"), days.NEVER,
    ]  # fmt: skip
    for attempt in (
        lambda: Price.objects.update(amount=1),
        lambda: Price.objects.all().delete(),
        lambda: PriceList.objects.update(currency="USD"),
        lambda: PriceList.objects.update(until_day=days.NEVER),
        lambda: Price.objects.create(list=PriceList.objects.first(), offer=Price.objects.first().offer, kind="setup"),
    ):
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            attempt()
