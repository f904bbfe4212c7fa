"""Whoever orders sees what they can have, what it costs *them*, and what is sold out: nothing that fails at the end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.panels import Visitor, text
from support.running import tiny_release

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms


@dataclass(frozen=True)
class Card:
    """An offer as a page shows it."""

    value: str
    words: str
    chosen: bool
    closed: bool


def cards(content: str) -> Iterator[Card]:
    for part in re.findall(r'<label class="offer.*?</label>', content, re.DOTALL):
        (field,) = re.findall(r"<input [^>]*>", part)
        (value,) = re.findall(r'value="([^"]*)"', field)
        words = " ".join(re.sub(r"<[^>]+>", " ", part).split()).replace("&#x27;", "'")
        yield Card(value, words, " checked" in field, " disabled" in field)


def shown(visitor: Visitor) -> list[Card]:
    return list(cards(visitor.get("/catalogue/tiny").content.decode()))


@pytest.fixture
def sold(market: "Market") -> "Market":
    """An offer at 20 € in general, 16 € in Europe and 9 € in Asia, where there is no machine; and a cheap one."""
    market.turn("2026-07-01")
    market.offer("large")
    market.offer("cheap")
    market.prices(market.price(2000, offer="large"), market.price(500, offer="cheap"), title="All")
    market.prices(market.price(1600, offer="large"), region="europe", title="Europe")
    market.prices(market.price(900, offer="large"), region="asia", title="Asia")
    return market


def test_who_pays_sees_own_prices_with_tax_the_cheapest_first_and_what_is_sold_out_last(sold: "Market") -> None:
    sold.customer()
    found = shown(Visitor(sold.rooms.customer))
    assert [(card.words.partition(" Deposit")[0], card.closed) for card in found] == [
        ("cheap €6.00 a month €1.00 of it tax (20 %) ·", False),
        ("large europe €19.20 a month €3.20 of it tax (20 %) ·", False),
        ("large €24.00 a month €4.00 of it tax (20 %) ·", False),
        ("large asia €10.80 a month €1.80 of it tax (20 %) ·", True),
    ]
    assert [card.chosen for card in found] == [True, False, False, False]
    assert "Sold out at the moment" in found[3].words
    assert "is not in region 'asia'" in found[3].words


def test_what_is_ordered_is_what_was_shown(sold: "Market") -> None:
    from freehold.master.billing.models import Subscription, SubscriptionPrice

    sold.pay(sold.customer(), 100_00, "deposit")
    visitor = Visitor(sold.rooms.customer)
    europe = shown(visitor)[1]
    form = {"title": "web", "project": "shop", "offer": europe.value}
    assert visitor.post("/catalogue/tiny", form).status_code == 302
    subscription = Subscription.objects.get()
    assert subscription.quote
    assert SubscriptionPrice.objects.get(subscription=subscription.id).amount == 1600
    stale = visitor.post("/catalogue/tiny", {**form, "title": "other", "offer": f"{europe.value}x"})
    assert stale.status_code == 409
    assert "This price holds no more." in text(stale)
    assert Subscription.objects.count() == 1


def test_a_company_of_another_country_sees_no_tax_that_it_is_not_asked_for(sold: "Market") -> None:
    sold.customer("Bits GmbH", country="DE", kind="company", vat_number="DE136695976")
    assert shown(Visitor(sold.rooms.customer))[0].words.startswith("cheap €5.00 a month without tax")


def test_a_project_that_has_all_for_free_is_told_so(sold: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.models import Subscription

    customers.set_payer("provider", "shop", None, acting=sold.sales)
    visitor = Visitor(sold.rooms.customer)
    found = shown(visitor)
    assert {card.words.partition("Free")[2] for card in found[:3]} == {" for your project"}
    assert not any("€" in card.words for card in found)
    form = {"title": "web", "project": "shop", "offer": found[0].value}
    assert visitor.post("/catalogue/tiny", form).status_code == 302
    assert not Subscription.objects.exists()


def test_a_project_for_which_nobody_pays_is_told_whom_to_ask(sold: "Market") -> None:
    found = shown(Visitor(sold.rooms.customer))
    assert all(card.closed and "Nobody pays for your project yet" in card.words for card in found)
    assert not any(card.chosen for card in found)


def test_a_customer_sees_the_price_in_the_currency_that_they_pay_in(sold: "Market") -> None:
    sold.prices(sold.price(700, offer="cheap"), currency="USD", title="Dollars")
    sold.customer(currency="USD")
    found = shown(Visitor(sold.rooms.customer))
    assert found[0].words.startswith("cheap $8.40 a month")
    assert sum(card.words.startswith("cheap") for card in found) == 1


def test_what_is_sold_at_no_price_says_so_and_what_has_no_room_too(rooms: "Rooms") -> None:
    from freehold.master.fleet import actions as fleet

    node = rooms.node("rack", partitions=1)
    rooms.supply(rooms.publish(tiny_release()), node)
    visitor = Visitor(rooms.customer)
    assert "Nothing is asked for it." in visitor.reads("/catalogue/tiny")
    fleet.change_node(node.id, "provider", open=False, acting=rooms.owner)
    page = visitor.reads("/catalogue/tiny")
    assert "Sold out at the moment (closed for new instances)" in page
    assert "Nothing is asked for it." not in page


def test_a_shared_type_that_no_server_serves_is_sold_out(rooms: "Rooms") -> None:
    from support.trees import packed

    types: dict[str, Any] = {
        "default": {"requests": []},
        "shelf": {"shared": True, "software-type": "default", "requests": []},
    }
    rooms.supply(rooms.publish(packed("store", **types)), rooms.node("rack"))
    visitor = Visitor(rooms.customer)
    page = visitor.reads("/catalogue/store?type=shelf")
    assert "Sold out at the moment (no instance of store 1.0 (default) offers places to this project)" in page
    rooms.request("mine", "store")
    assert "Nothing is asked for it." in visitor.reads("/catalogue/store?type=shelf")


def test_a_size_is_asked_for_and_changed_on_the_pages(rooms: "Rooms") -> None:
    import json

    from freehold.master.ordering.models import Instance

    rooms.supply(rooms.publish(tiny_release()), rooms.node("one"))
    visitor = Visitor(rooms.customer)
    wrong = visitor.post("/catalogue/tiny", {"project": "shop", "title": "page", "size-memory_mb": "lots"})
    assert wrong.status_code == 422
    assert 'id="size-memory_mb-error">Must be of this kind: integer' in wrong.content.decode()
    assert not Instance.objects.exists()
    visitor.post("/catalogue/tiny", {"project": "shop", "title": "page", "size-memory_mb": "300", "size-cpus": "0,5"})
    assert json.loads(Instance.objects.get().size) == {"cpus": 0.5, "memory_mb": 300}
    assert "0.5 cores, 300 MB of memory" in visitor.reads("/services/shop/page")
    visitor.post("/services/shop/page/-/change", {"size-memory_mb": "1024", "size-cpus": "1"})
    assert "1 core, 1 GB of memory" in visitor.reads("/services/shop/page")
    refused = visitor.post("/services/shop/page/-/change", {"size-memory_mb": "5000", "size-cpus": "1"})
    assert "has not so much left" in refused.content.decode()
    assert json.loads(Instance.objects.get().size) == {"cpus": 1.0, "memory_mb": 1024}
