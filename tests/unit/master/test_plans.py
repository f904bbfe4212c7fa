"""A customer takes another plan: its size changes, its price with it, and no day costs less than its dearest plan."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Conflict, NotFound, PaymentRequired
from support.panels import Visitor, text

if TYPE_CHECKING:
    from support.market import Market

MONTH = {"small": 3100, "large": 9300, "huge": 31000}
SIZES = {"small": 1, "large": 4, "huge": 9}
DEEP = 10_000_000


@pytest.fixture
def sized(market: "Market") -> "Market":
    """Three sizes of one product, in July of 31 days: 1, 3 and 10 euros a day; a service of the smallest runs."""
    market.turn("2026-07-01")
    for name, size in SIZES.items():
        market.offer(name, parameters={"size": size})
    market.prices(*(market.price(amount, offer=name) for name, amount in MONTH.items()), tax_included=True)
    market.pay(market.customer(), DEEP, "deposit")
    market.ready(market.order(offer="small"))
    market.rooms.node_says(service().id, "started", promises='["port"]')
    return market


def service() -> Any:
    from freehold.master.ordering.models import Instance

    return Instance.objects.get(title="web")


def take(market: "Market", offer: str, **more: Any) -> Any:
    return market.rooms.request("web", None, offer=offer, **more)


def size() -> int:
    return int(json.loads(service().parameters)["size"])


def terms() -> list[tuple[int, int]]:
    """Return from which day of July on what a month costs, for what is not over at once."""
    from freehold.master.billing.models import SubscriptionPrice
    from freehold.master.foundation import days

    first = days.parse("2026-07-01")
    rows = SubscriptionPrice.objects.order_by("from_day").values_list("from_day", "until_day", "amount")
    return [(begin - first + 1, amount) for begin, until, amount in rows if until > begin]


def test_a_larger_one_is_paid_from_today_and_a_smaller_one_from_tomorrow_on(sized: "Market") -> None:
    sized.turn("2026-07-11")
    assert take(sized, "large").changed
    assert (size(), terms()) == (4, [(1, 3100), (11, 9300)])
    sized.turn("2026-07-21")
    take(sized, "small")
    assert (size(), terms()) == (1, [(1, 3100), (11, 9300), (22, 3100)])
    (document,) = sized.bill("2026-08-01")
    assert document.gross == 10 * 100 + 11 * 300 + 10 * 100


def test_asking_again_changes_nothing(sized: "Market") -> None:
    sized.turn("2026-07-11")
    for name in ("small", "FR/small"):
        again = take(sized, name)
        assert (again.changed, size(), terms()) == (False, 1, [(1, 3100)])
    take(sized, "large")
    assert not take(sized, "large").changed
    assert terms() == [(1, 3100), (11, 9300)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.tuples(some.integers(2, 30), some.sampled_from(sorted(MONTH))), max_size=8))
def test_each_day_costs_the_dearest_plan_that_it_had(sized: "Market", wishes: list[tuple[int, str]]) -> None:
    from django.db import transaction

    wishes.sort(key=lambda one: one[0])
    dearest = dict.fromkeys(range(1, 32), "small")
    with transaction.atomic():
        for day, name in wishes:
            sized.turn(f"2026-07-{day:02}")
            take(sized, name)
        present, by_day = "small", {}
        for day in range(1, 32):
            had = [present, *(name for at, name in wishes if at == day)]
            by_day[day] = max(had, key=lambda name: MONTH[name])
            present = had[-1]
        dearest |= by_day
        assert size() == SIZES[present]
        costs = terms()
        paid = {day: [amount for begin, amount in costs if begin <= day][-1] for day in range(1, 32)}
        assert paid == {day: MONTH[name] for day, name in dearest.items()}
        transaction.set_rollback(True)


def test_what_is_fixed_by_the_plan_goes_with_it_and_the_rest_stays(sized: "Market") -> None:
    sized.rooms.request("web", None, parameters={"size": 1, "greeting": "hi"})
    take(sized, "large")
    assert json.loads(service().parameters) == {"size": 4, "greeting": "hi"}
    with pytest.raises(Conflict, match="another size"):
        take(sized, "huge", parameters={"size": 2})
    take(sized, "huge", parameters={"greeting": "ho"})
    assert json.loads(service().parameters) == {"size": 9, "greeting": "ho"}
    assert service().parameters != "", "one request, one change"


def test_what_must_be_left_for_it_is_asked_for_before(sized: "Market") -> None:
    from freehold.master.billing.queries import balance

    contract = sized.contract(sized.customer("Ada", project=""))
    from freehold.master.billing.models import Contract, Subscription

    mine = Contract.objects.get(id=Subscription.objects.get().contract)
    assert mine.id != contract.id
    sized.pay(mine.customer, -(DEEP - 3100 - 6000), "deposit")
    assert balance(mine.id).free == 6000
    with pytest.raises(PaymentRequired, match=r"€219\.00 of it is missing"):
        take(sized, "huge")
    assert (size(), terms()) == (1, [(1, 3100)])
    sized.pay(mine.customer, 200, "deposit")
    take(sized, "large")
    assert balance(mine.id).free == 0
    take(sized, "small")
    assert balance(mine.id).free == 6200, "a smaller one gives back what need not be left any more"


def test_nobody_takes_a_plan_that_is_not_for_their_service(sized: "Market") -> None:
    from support.running import tiny_release

    sized.rooms.supply(sized.rooms.publish(tiny_release(name="other")), sized.node)
    sized.offer("else", product="other")
    sized.prices(sized.price(100, offer="else"), title="Else", region="europe")
    with pytest.raises(NotFound):
        take(sized, "lost")
    with pytest.raises((Conflict, NotFound)):
        take(sized, "else")
    sized.offer("unpriced", parameters={"size": 3})
    with pytest.raises(Conflict, match="has no price"):
        take(sized, "unpriced")
    assert (size(), terms()) == (1, [(1, 3100)])


def test_what_is_to_be_destroyed_takes_no_other_plan(sized: "Market", monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings as configured

    from freehold.protocol.states import Wanted

    monkeypatch.setattr(configured, "DESTROY_GRACE_S", 3600.0)
    sized.rooms.request("web", None, state=Wanted.DESTROYED)
    with pytest.raises(Conflict):
        take(sized, "large")
    assert size() == 1


def test_a_customer_sees_the_difference_and_changes_the_plan(sized: "Market") -> None:
    sized.turn("2026-07-11")
    visitor = Visitor(sized.rooms.customer)
    assert "Change the plan" in visitor.reads("/services/shop/web/-/change")
    page = visitor.get("/services/shop/web/-/plan")
    words = text(page)
    assert "Now: small, €31.00 a month." in words
    assert "large €93.00 a month €62.00 a month more, from today on" in words
    assert "huge €310.00 a month €279.00 a month more, from today on" in words
    (value,) = [one for one in re.findall(r'name="offer" value="([^"]+)"', page.content.decode()) if "large" in one]
    assert visitor.post("/services/shop/web/-/plan", {}).status_code == 422
    stale = visitor.post("/services/shop/web/-/plan", {"offer": f"{value}x"})
    assert (stale.status_code, "This price holds no more." in text(stale)) == (409, True)
    assert visitor.post("/services/shop/web/-/plan", {"offer": value}).status_code == 302
    assert (size(), terms()) == (4, [(1, 3100), (11, 9300)])
    assert "small €31.00 a month €62.00 a month less, from tomorrow on" in visitor.reads("/services/shop/web/-/plan")


def test_another_plan_accepts_the_terms_that_its_page_showed(sized: "Market") -> None:
    from freehold.master.people import identity
    from freehold.master.people import terms as texts

    texts.publish("terms", "Be kind.", acting=identity.system())
    buyer, page = Visitor(sized.rooms.customer), "/services/shop/web/-/plan"
    content = buyer.get(page).content.decode()
    assert "Change the plan with obligation to pay" in content
    assert 'name="terms" value="terms-1"' in content
    (chosen,) = re.findall(r'value="(FR/large[^"]*)"', content)
    assert buyer.post(page, {"offer": chosen}).status_code == 422
    assert size() == 1
    assert buyer.post(page, {"offer": chosen, "terms": "terms-1"}).status_code == 302
    assert size() == 4
    assert [one.version.id for one in texts.accepted_by(sized.rooms.customer.person)] == ["terms-1"]
