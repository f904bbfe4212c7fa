"""A ship that is silent when its month is billed: what it has yet to tell is not held against it, nor forgotten."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.master.monitoring.availability import SPEAKS, availability

if TYPE_CHECKING:
    from support.market import Market

HOUR = 3_600_000
MONTH = 743
"""Hours of March in Paris."""


class Ship:
    """A service at 100 € a month, 99.9 % promised, whose node was heard last at the 500th hour of March."""

    HEARD = 500

    def __init__(self, market: "Market") -> None:
        from freehold.master.fleet.models import Node

        self.market = market
        market.offer(availability=999_000)
        market.prices(market.price(10000))
        market.pay(market.customer(), 100_000, "deposit")
        self.web = market.order()
        market.turn("2026-03-01T00:00")
        market.ready(self.web)
        self.begin = market.now
        self.tell(0, self.HEARD, kept=True)
        Node.objects.filter(id=market.node.id).update(silent_since=self.begin + self.HEARD * HOUR)

    def tell(self, since: int, until: int, *, kept: bool) -> None:
        """Have the results of these hours arrive, whenever that is."""
        for hour in range(since, until):
            self.market.assess(self.web, kept=kept, at=self.begin + hour * HOUR)

    def comes_home(self) -> None:
        from freehold.master.fleet.models import Node

        Node.objects.filter(id=self.market.node.id).update(silent_since=None)
        for hour in range(MONTH, MONTH + 30 * 24):
            self.market.assess(self.web, kept=True, at=self.begin + hour * HOUR)


@pytest.fixture
def ship(market: "Market") -> Ship:
    return Ship(market)


def credits_of(when: str, ship: Ship) -> int:
    from freehold.master.billing.models import Charge
    from freehold.master.foundation import days

    ship.market.bill(when)
    march = days.month_of(days.parse("2026-03-01"))
    return -sum(Charge.objects.filter(kind="sla", month=march).values_list("amount", flat=True))


def test_a_ship_that_kept_its_promises_is_paid_in_full(ship: Ship) -> None:
    assert credits_of("2026-04-01", ship) == 0, "nothing is known yet"
    ship.tell(Ship.HEARD, MONTH, kept=True)
    ship.comes_home()
    assert credits_of("2026-05-01", ship) == 0


def test_a_ship_that_broke_them_gives_back_with_the_next_invoice_once(ship: Ship) -> None:
    assert credits_of("2026-04-01", ship) == 0
    ship.tell(Ship.HEARD, MONTH, kept=False)
    ship.comes_home()
    assert credits_of("2026-05-01", ship) == 10000
    assert credits_of("2026-06-01", ship) == 10000


def test_what_nobody_told_a_month_later_was_not_kept(ship: Ship) -> None:
    assert credits_of("2026-04-01", ship) == 0
    assert credits_of("2026-05-01", ship) == 10000


@pytest.mark.parametrize("how", [{"stopped": "node"}, {"lost_at": 1}, {"silent_since": None}])
def test_of_a_node_that_is_heard_stopped_or_lost_nothing_is_waited_for(ship: Ship, how: dict[str, object]) -> None:
    from freehold.master.fleet.models import Node

    Node.objects.filter(id=ship.market.node.id).update(**how)
    assert credits_of("2026-04-01", ship) == 10000


def test_what_was_broken_before_it_fell_silent_is_given_back_at_once(ship: Ship) -> None:
    ship.tell(400, 410, kept=False)
    assert credits_of("2026-04-01", ship) == 2500, "ten hours of 743"


def test_the_public_record_of_a_month_waits_for_the_ship_and_not_for_ever(ship: Ship) -> None:
    from freehold.master.foundation import days
    from freehold.master.monitoring import record
    from freehold.master.monitoring.models import KeptRecord

    march = days.month_of(days.parse("2026-03-01"))
    ship.market.turn("2026-04-02")
    record.keep()
    assert not KeptRecord.objects.filter(month=march).exists()
    ship.tell(Ship.HEARD, MONTH, kept=True)
    ship.comes_home()
    record.keep()
    row = KeptRecord.objects.get(month=march)
    assert row.kept / row.counted > 0.99


def test_the_public_record_of_a_ship_that_never_came_says_so(ship: Ship) -> None:
    from freehold.master.foundation import days
    from freehold.master.monitoring import record
    from freehold.master.monitoring.models import KeptRecord

    ship.market.turn("2026-05-02")
    record.keep()
    row = KeptRecord.objects.get(month=days.month_of(days.parse("2026-03-01")))
    assert row.kept / row.counted == pytest.approx((Ship.HEARD + 1) / MONTH, abs=0.01)


spans = some.lists(some.tuples(some.integers(0, 10**8), some.booleans()), max_size=20).map(sorted)


@given(
    spans,
    some.integers(-(10**7), 2 * 10**8),
    some.lists(some.tuples(some.integers(0, 10**8), some.integers(0, 10**8)), max_size=4),
)
def test_each_moment_that_counts_is_kept_not_kept_or_unknown(
    told: list[tuple[int, bool]], heard: int, holes: list[tuple[int, int]]
) -> None:
    left_out = [(min(one), max(one)) for one in holes]
    known = availability({"a": told}, (0, 10**8), left_out)
    waited = availability({"a": told}, (0, 10**8), left_out, heard_until=heard)
    assert (waited.kept, waited.counted, known.unknown) == (known.kept, known.counted, 0)
    assert 0 <= waited.unknown <= known.counted - known.kept
    if heard >= 10**8:
        assert waited.unknown == 0
    if heard <= 0:
        assert waited.unknown == known.counted - known.kept


def test_what_the_last_result_speaks_for_is_known() -> None:
    told = {"a": [(0, True)]}
    found = availability(told, (0, 10 * HOUR), [], heard_until=HOUR)
    assert (found.kept, found.unknown) == (SPEAKS, 10 * HOUR - SPEAKS)
