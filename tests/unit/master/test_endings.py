"""What somebody destroyed by mistake: it stops, costs nothing, and can be had back as it was until its time is over."""

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from django.urls import reverse

from freehold.master.foundation.errors import Conflict, Invalid
from freehold.protocol.states import Wanted
from support.panels import Visitor
from support.trees import ask, packed

if TYPE_CHECKING:
    from freehold.master.ordering.models import Instance
    from support.market import Market
    from support.rooms import Rooms

DAY = 24 * 3600 * 1000
GRACE_DAYS = 3


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "DESTROY_GRACE_S", GRACE_DAYS * DAY / 1000)


def family(rooms: "Rooms") -> None:
    """A service that requested two others."""
    rooms.supply(rooms.publish(packed("tiny", default={}, other={})), rooms.node("rack", partitions=9))
    rooms.partial = True
    ask(rooms.request("shop").instance, database={}, cache={})


def found(title: str) -> "Instance":
    from freehold.master.ordering.models import Instance

    return Instance.objects.filter(title=title).order_by("-created_at")[0]


def wanted() -> dict[str, str]:
    from freehold.master.ordering.models import Instance

    return dict(Instance.objects.order_by("title").values_list("title", "wanted"))


def destroy(rooms: "Rooms", title: str, *, now: bool = False, dry_run: bool = False) -> Any:
    from freehold.master.ordering import actions

    spec = actions.Request("shop", title, state=Wanted.DESTROYED)
    return actions.request(spec, now=now, dry_run=dry_run, acting=rooms.customer)


def pass_time(monkeypatch: pytest.MonkeyPatch, milliseconds: int, *, steady_for: float = 1000.0) -> int:
    """Have it be later, and look at what is due to end; return how many ended."""
    from freehold.master.foundation import clock
    from freehold.master.ordering import endings

    later = clock.now() + milliseconds
    monkeypatch.setattr(clock, "now", lambda: later)
    monkeypatch.setattr(clock, "steadiness", Mock(look=lambda: steady_for))
    return endings.end_due()


def test_what_is_destroyed_stops_with_all_that_belongs_to_it_and_is_had_back_as_it_was(rooms: "Rooms") -> None:
    family(rooms)
    before = wanted()
    assert set(before.values()) == {"started"}
    answer = destroy(rooms, "shop")
    assert (answer.changed, answer.ends_at) == (True, found("shop").ends_at)
    assert set(wanted().values()) == {"stopped"}
    again = destroy(rooms, "shop")
    assert (again.changed, again.ends_at) == (False, answer.ends_at), "asked again, it ends no later"
    assert rooms.request("shop", None, state=Wanted.STARTED).changed
    assert (wanted(), found("shop").ends_at) == (before, None)


def test_it_is_destroyed_when_its_time_is_over_and_not_before(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    family(rooms)
    destroy(rooms, "shop")
    assert pass_time(monkeypatch, GRACE_DAYS * DAY - 60_000) == 0
    assert set(wanted().values()) == {"stopped"}
    assert pass_time(monkeypatch, 60_000) == 1
    assert set(wanted().values()) == {"destroyed"}
    assert pass_time(monkeypatch, DAY) == 0


def test_a_clock_that_just_jumped_destroys_nothing(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    family(rooms)
    destroy(rooms, "shop")
    assert pass_time(monkeypatch, 30 * DAY, steady_for=60.0) == 0
    assert set(wanted().values()) == {"stopped"}


def test_what_is_had_back_is_not_destroyed_later(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    family(rooms)
    destroy(rooms, "shop")
    rooms.request("shop", None, state=Wanted.STOPPED)
    assert pass_time(monkeypatch, 30 * DAY) == 0
    assert (found("shop").wanted, found("shop").requested_state) == ("stopped", "stopped"), "as it was asked for"


def test_who_means_it_ends_it_at_once(rooms: "Rooms") -> None:
    family(rooms)
    assert destroy(rooms, "shop", now=True).ends_at is None
    assert set(wanted().values()) == {"destroyed"}


def test_who_changed_their_mind_about_the_time_ends_it_at_once_too(rooms: "Rooms") -> None:
    family(rooms)
    destroy(rooms, "shop")
    destroy(rooms, "shop", now=True)
    assert set(wanted().values()) == {"destroyed"}
    assert found("shop").ends_at is None


def test_what_serves_others_does_not_end_and_what_is_to_end_serves_nobody_new(rooms: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace

    shelves = packed("store", default={}, shelf={"shared": True, "software-type": "default"})
    rooms.supply(rooms.publish(shelves), rooms.node("rack", partitions=9))
    rooms.partial = True
    rooms.request("store", "store")
    rooms.request("shelf", "store", type="shelf")
    with pytest.raises(Conflict, match="'store' serves 1 shared instances of others"):
        destroy(rooms, "store")
    assert set(wanted().values()) == {"started"}
    destroy(rooms, "shelf", now=True)
    destroy(rooms, "store")
    with pytest.raises(NoPlace):
        rooms.request("late", "store", type="shelf")
    rooms.request("store", None, state=Wanted.STARTED)
    assert rooms.request("late", "store", type="shelf").created


def test_nothing_is_kept_of_a_rehearsal(rooms: "Rooms") -> None:
    family(rooms)
    assert destroy(rooms, "shop", dry_run=True).ends_at is not None
    assert (set(wanted().values()), found("shop").ends_at) == ({"started"}, None)


def test_what_is_to_be_destroyed_is_not_changed_by_the_way(rooms: "Rooms") -> None:
    from freehold.master.ordering import actions, handover

    family(rooms)
    destroy(rooms, "shop")
    with pytest.raises(Conflict, match="is to be destroyed, at 20"):
        rooms.request("shop", None, parameters={})
    with pytest.raises(Conflict, match="is to be destroyed, at 20"):
        handover.hand_over("shop", "shop", "shop", acting=rooms.customer)
    with pytest.raises(Invalid, match="Only an end can be asked for at once"):
        actions.request(actions.Request("shop", "shop", state=Wanted.STOPPED), now=True, acting=rooms.customer)


def test_the_trouble_of_one_end_does_not_stop_the_others(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.ordering import trees

    family(rooms)
    rooms.request("other")
    destroy(rooms, "shop")
    destroy(rooms, "other")
    settle, cursed = trees.settle, found("shop").tree
    monkeypatch.setattr(trees, "settle", lambda tree: 1 / 0 if tree == cursed else settle(tree))
    assert pass_time(monkeypatch, 4 * DAY) == 1
    assert (found("shop").wanted, found("other").wanted) == ("stopped", "destroyed")
    monkeypatch.setattr(trees, "settle", settle)
    assert pass_time(monkeypatch, 0) == 1


# The switch


def test_what_is_protected_is_not_destroyed_by_anybody_in_any_way(rooms: "Rooms") -> None:
    from freehold.master.ordering import actions, moves

    family(rooms)
    rooms.node("other", partitions=9)
    assert rooms.request("shop", None, protected=True).changed
    assert not rooms.request("shop", None, protected=True).changed
    revision = found("shop").revision
    for now in (False, True):
        with pytest.raises(Conflict, match="'shop' is protected"):
            destroy(rooms, "shop", now=now)
    with pytest.raises(Conflict, match="'shop' is protected"):
        moves.move("shop", "shop", abandon_data=True, dry_run=False, acting=rooms.customer)
    assert (set(wanted().values()), found("shop").revision) == ({"started"}, revision), "its node is not told"
    rooms.request("shop", None, state=Wanted.STOPPED)
    assert found("shop").protected, "what says nothing of it leaves it"
    off = actions.Request("shop", "shop", state=Wanted.DESTROYED, protected=False)
    actions.request(off, now=True, acting=rooms.customer)
    assert set(wanted().values()) == {"destroyed"}


def test_it_can_be_protected_from_the_beginning_and_not_while_it_ends(rooms: "Rooms") -> None:
    family(rooms)
    rooms.request("dear", protected=True)
    assert found("dear").protected
    destroy(rooms, "shop")
    with pytest.raises(Conflict, match="is to be destroyed"):
        rooms.request("shop", None, protected=True)
    assert not found("shop").protected
    rooms.request("shop", None, protected=True, state=Wanted.STARTED)
    assert (found("shop").protected, found("shop").ends_at) == (True, None)


def test_no_part_protects_itself(rooms: "Rooms") -> None:
    from freehold.master.foundation.errors import Forbidden

    family(rooms)
    answers = ask(found("shop").id, database={"protected": True}, cache={})
    assert isinstance(answers["database"], Forbidden)


# Money


@pytest.fixture
def shop(market: "Market", monkeypatch: pytest.MonkeyPatch) -> "Market":
    """A service at 30 a month, ready since the first of April, paid up to the end of May."""
    from freehold.master.foundation import clock

    monkeypatch.setattr(clock, "steadiness", Mock(look=lambda: 1000.0))
    market.offer()
    market.prices(market.price(3000))
    market.pay(market.customer(), 3000, "deposit")
    market.turn("2026-04-01")
    market.ready(market.order())
    market.bill("2026-06-01")
    return market


@pytest.mark.parametrize(
    ("moments", "june"),
    [
        ([("2026-06-10", "end")], 1000),
        ([("2026-06-10", "end"), ("2026-06-12", "back")], 2900),
        ([("2026-06-10", "end"), ("2026-06-10T18:00", "back")], 3000),
        ([("2026-06-10", "end"), ("2026-06-11", "back")], 3000),
        ([("2026-06-10", "end"), ("2026-06-12", "back"), ("2026-06-12T13:00", "end"), ("2026-06-13", "back")], 2900),
        ([("2026-06-10", "end"), ("2026-06-12", "now")], 1000),
        ([("2026-06-10", "end"), ("2026-06-14", "due")], 1000),
    ],
)
def test_days_on_which_it_waits_for_its_end_cost_nothing(
    shop: "Market", moments: list[tuple[str, str]], june: int
) -> None:
    from freehold.master.ordering import endings

    for moment, what in moments:
        shop.turn(moment)
        if what == "back":
            shop.rooms.request("web", None, state=Wanted.STARTED)
        elif what == "due":
            assert endings.end_due() == 1
        else:
            destroy(shop.rooms, "web", now=what == "now")
    assert [document.net for document in shop.bill("2026-07-01")] == [june]
    is_over = moments[-1][1] != "back"
    assert [document.net for document in shop.bill("2026-08-01")] == ([] if is_over else [3000])


def test_the_deposit_is_kept_until_the_end_and_given_back_with_it(shop: "Market") -> None:
    from freehold.master.billing.models import Contract, Subscription
    from freehold.master.billing.queries import balance

    contract = Contract.objects.get().id
    before = balance(contract).free
    destroy(shop.rooms, "web")
    assert (balance(contract).free, Subscription.objects.get().state) == (before, "active")
    destroy(shop.rooms, "web", now=True)
    assert (balance(contract).free, Subscription.objects.get().state) == (before + 3000, "ended")


@pytest.mark.parametrize(("seconds", "days"), [(None, GRACE_DAYS), (7 * 86400, 7), (0, 0)])
def test_an_offer_says_for_how_long_what_it_sold_can_be_had_back(
    market: "Market", seconds: int | None, days: int
) -> None:
    market.offer(grace=seconds)
    market.prices(market.price(3000))
    market.pay(market.customer(), 3000, "deposit")
    market.order()
    ends_at = destroy(market.rooms, "web").ends_at
    assert ((ends_at or market.now) - market.now, found("web").wanted) == (
        days * DAY,
        "stopped" if days else "destroyed",
    )


@pytest.mark.parametrize("seconds", [-1, 367 * 86400])
def test_nonsense_is_no_grace(market: "Market", seconds: int) -> None:
    with pytest.raises(Invalid, match="This cannot be an offer") as refused:
        market.offer(grace=seconds)
    assert [error.field for error in refused.value.errors] == ["grace"]


def test_who_pays_and_what_does_not_change_while_nobody_pays(shop: "Market") -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions

    shop.turn("2026-06-10")
    destroy(shop.rooms, "web")
    shop.turn("2026-06-12")
    with pytest.raises(Conflict, match="nobody pays for it"):
        subscriptions.change_payer(found("web").id, shop.customer("Bob", project=""), acting=shop.sales)
    assert [document.net for document in shop.bill("2026-07-01")] == [1000]


def test_what_never_was_ready_costs_nothing_also_when_it_is_had_back(shop: "Market") -> None:
    shop.pay(shop.customer("Eve"), 3000, "deposit")
    shop.turn("2026-06-05")
    shop.order("never")
    destroy(shop.rooms, "never")
    shop.rooms.request("never", None, state=Wanted.STARTED)
    shop.turn("2026-06-16")
    shop.ready(found("never").id)
    assert sorted(document.net for document in shop.bill("2026-07-01")) == [1500, 3000]


# Pages


def test_a_person_destroys_sees_until_when_it_can_be_had_back_and_has_it_back(rooms: "Rooms") -> None:
    family(rooms)
    visitor = Visitor(rooms.customer)
    page, end = (reverse(name, args=["shop", "shop"]) for name in ("instance", "instance-destroy"))
    assert "they can be had back" in visitor.reads(end)
    visitor.post(end, {"confirm": "shop"})
    seen = visitor.reads(page)
    assert ("to be destroyed" in seen, "Have it back" in seen, "Destroy now" in seen) == (True, True, True)
    assert "to be destroyed" in visitor.reads("/")
    assert "Nothing brings it back." in visitor.reads(end)
    visitor.post(reverse("instance-state", args=["shop", "shop"]), {"state": "started"})
    assert (found("shop").ends_at, found("shop").wanted) == (None, "started")
    protection = reverse("instance-protection", args=["shop", "shop"])
    visitor.post(protection, {"protected": "yes"})
    seen = visitor.reads(page)
    assert ("Allow destroying" in seen, ">Destroy<" in seen) == (True, False)
    assert visitor.post(end, {"confirm": "shop", "now": "yes"}).status_code == 409
    visitor.post(protection, {"protected": "no"})
    visitor.post(end, {"confirm": "shop", "now": "yes"})
    assert found("shop").wanted == "destroyed"
