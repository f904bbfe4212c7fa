"""The public record of kept promises: a customer finds in it what their own service saw, and that it adds up."""

import hashlib
from typing import TYPE_CHECKING

import pytest

from support.panels import Visitor

if TYPE_CHECKING:
    from support.market import Market


@pytest.fixture
def spring(market: "Market") -> "tuple[Market, str, str]":
    """Two services of March: one kept its promise for the whole month, one broke it for half of the time."""
    market.turn("2026-03-01")
    kept, broken = market.order("good"), market.order("bad")
    for instance in (kept, broken):
        market.ready(instance)
    for day in range(1, 32):
        for hour in range(0, 24, 2):
            market.turn(f"2026-03-{day:02}T{hour:02}:30")
            market.assess(kept, kept=True)
            market.assess(broken, kept=day > 16)
    market.turn("2026-04-02")
    return market, kept, broken


def test_a_customer_finds_the_own_service_in_the_record_and_the_record_adds_up(
    spring: "tuple[Market, str, str]",
) -> None:
    from freehold.master.billing import public_prices
    from freehold.master.foundation.paging import ListPart
    from freehold.master.monitoring import record
    from freehold.master.monitoring.models import KeptRecord

    _market, kept, broken = spring
    record.keep()
    record.keep()
    assert KeptRecord.objects.count() == 1, "a month is written once"
    (site,) = public_prices.sites(ListPart())
    (month,) = site["record"]
    assert (month["month"], month["services"]) == ("2026-03", 2)
    assert 730_000 < month["millionths"] < 770_000

    page = Visitor(None).get(f"/prices/evidence/{month['evidence']}").content
    assert hashlib.sha256(page).hexdigest() == month["evidence"]
    lines = {
        name: (int(own), int(counted)) for name, own, counted in (one.split() for one in page.decode().splitlines())
    }
    assert sum(own for own, _ in lines.values()) == month["kept_ms"]
    assert sum(counted for _, counted in lines.values()) == month["counted_ms"]
    good, bad = (lines[hashlib.sha256(instance.encode()).hexdigest()] for instance in (kept, broken))
    assert good[0] / good[1] > 0.99
    assert 0.45 < bad[0] / bad[1] < 0.55
    assert kept not in page.decode(), "nobody learns from it which services there are"
