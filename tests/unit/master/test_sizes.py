"""A service has a size: its type, offer or order says it, its node keeps it, and no node keeps more than it has."""

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import Conflict, Invalid, NoPlace
from freehold.protocol.size import WantedSize
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from support.market import Market
    from support.rooms import Rooms

USUAL = {"memory_mb": 256, "processes": 100}
"""What the type says."""
PAIRS = some.tuples(some.sampled_from("abcdef"), some.sampled_from([0, 100, 400, 900, 1500]))


@pytest.fixture
def node(rooms: "Rooms") -> "Node":
    """Return a node of 2 processors, 2000 MB of memory and 9000 MB of disk, a tenth of which is its own."""
    node = rooms.node("one", partitions=6)
    rooms.supply(rooms.publish(tiny_release(more={"size": USUAL, "data": False})), node)
    return node


def size_of(title: str) -> dict[str, Any]:
    from freehold.master.ordering.models import Instance

    size: dict[str, Any] = json.loads(Instance.objects.exclude(wanted="destroyed").get(title=title).size)
    return size


def kept(node: "Node") -> tuple[int, int, int]:
    """Return what is kept on a node, as the node's row and the sum of its partitions' both say."""
    from django.db.models import Sum

    from freehold.master.fleet.models import Partition

    node.refresh_from_db()
    names = ("kept_cpu_percent", "kept_memory_mb", "kept_disk_mb")
    sums = Partition.objects.filter(node=node, instance__isnull=False).aggregate(**{name: Sum(name) for name in names})
    told = (node.kept_cpu_percent, node.kept_memory_mb, node.kept_disk_mb)
    assert tuple(sums[name] or 0 for name in names) == told
    return told


def destroy(rooms: "Rooms", title: str) -> None:
    from freehold.master.ordering import actions
    from freehold.protocol.states import Wanted

    gone = actions.Request("shop", title, state=Wanted.DESTROYED)
    rooms.node_says(actions.request(gone, now=True, acting=rooms.customer).instance, "destroyed")


def test_what_an_order_names_goes_before_what_its_type_says(rooms: "Rooms", node: "Node") -> None:
    rooms.request("usual")
    rooms.request("own", size={"cpus": 0.5, "memory_mb": 512})
    assert size_of("usual") == USUAL
    assert size_of("own") == {"cpus": 0.5, "memory_mb": 512, "processes": 100}
    assert kept(node) == (50, 768, 0)
    destroy(rooms, "own")
    assert kept(node) == (0, 256, 0)


def test_a_node_tells_what_its_instances_may_use(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.gateway.database import DatabaseConnection
    from freehold.master.gateway.feeds import read_feed

    rooms.request("own", size={"cpus": 0.5})
    with contextlib.closing(DatabaseConnection(rooms.url)) as reader:
        (instance,) = read_feed(reader, node.id, 0, 60.0).instances
    assert instance.size == WantedSize(cpus=0.5, memory_mb=256, processes=100)


def test_no_node_keeps_more_than_it_has(rooms: "Rooms", node: "Node") -> None:
    rooms.request("a", size={"memory_mb": 1000})
    with pytest.raises(NoPlace, match="has not 801 MB of memory left"):
        rooms.request("b", size={"memory_mb": 801})
    with pytest.raises(NoPlace, match=r"has not 2\.1 CPUs left"):
        rooms.request("b", size={"cpus": 2.1})
    with pytest.raises(NoPlace, match="has not 8101 MB of disk left"):
        rooms.request("b", size={"disk_mb": 8101})
    rooms.request("b", size={"memory_mb": 800, "cpus": 2, "disk_mb": 8100})
    assert kept(node) == (200, 1800, 8100)


def test_what_two_nodes_have_together_is_no_place(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.catalog.models import Release

    second = rooms.node("two", partitions=6)
    rooms.supply(Release.objects.get(product__name="tiny"), second)
    for title in ("a", "b"):
        rooms.request(title, size={"memory_mb": 1200})
    assert kept(node)[1] == kept(second)[1] == 1200
    with pytest.raises(NoPlace, match="2 nodes: has not 1200 MB of memory left"):
        rooms.request("c", size={"memory_mb": 1200})


def test_a_size_is_changed_where_it_is_or_refused_and_then_nothing_is_changed(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.ordering.models import Instance

    rooms.request("a", size={"memory_mb": 1000})
    rooms.request("b", size={"memory_mb": 500})
    where = Instance.objects.get(title="b").partition
    assert rooms.request("b", None, size={"memory_mb": 800, "cpus": 1}).changed
    assert (size_of("b"), kept(node)) == ({"cpus": 1, "memory_mb": 800, "processes": 100}, (100, 1800, 0))
    with pytest.raises(NoPlace, match="'one', where 'b' lives, has not so much left"):
        rooms.request("b", None, size={"memory_mb": 801})
    assert (size_of("b")["memory_mb"], kept(node)) == (800, (100, 1800, 0))
    assert not rooms.request("b", None, size={"memory_mb": 800, "cpus": 1}).changed, "it is so already"
    assert not rooms.request("b", None, parameters={}).changed, "what is not said stays"
    rooms.request("b", None, size={})
    assert (size_of("b"), kept(node)) == (USUAL, (0, 1256, 0))
    assert Instance.objects.get(title="b").partition == where


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"memory": 5}, "There is no 'memory' here; do you mean 'memory_mb'"),
        ({"memory_mb": -1}, "memory_mb"),
        ({"memory_mb": "much"}, "memory_mb"),
        ({"memory_mb": 1.5}, "memory_mb"),
        ({"cpus": 1e9}, "cpus"),
        ({"disk_mb": 2**70}, "disk_mb"),
        ({"open_files": True}, "open_files"),
    ],
)
def test_what_is_no_size_is_refused_with_its_names(
    rooms: "Rooms", node: "Node", asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        rooms.request("page", size=asked)
    assert [error.field for error in refused.value.errors] == ["size"]
    assert kept(node) == (0, 0, 0)


def test_what_moves_keeps_its_size_and_what_it_left_keeps_its_room_until_it_is_gone(
    rooms: "Rooms", node: "Node"
) -> None:
    from freehold.master.catalog.models import Release
    from freehold.master.ordering import moves
    from freehold.master.ordering.models import DepartedRow

    instance = rooms.request("page", size={"memory_mb": 1000}).instance
    second = rooms.node("two", memory_mb=1000)
    rooms.supply(Release.objects.get(), second)
    with pytest.raises(NoPlace, match="1000 MB of memory"):
        moves.move("shop", "page", abandon_data=False, dry_run=False, acting=rooms.customer)
    rooms.tell(second, memory_mb=1200)
    moves.move("shop", "page", abandon_data=False, dry_run=False, acting=rooms.customer)
    assert (kept(second)[1], node.kept_memory_mb) == (1000, 0)
    node.refresh_from_db()
    assert node.kept_memory_mb == 1000, "what is left there uses it still"
    DepartedRow.objects.create(instance_id=instance, node=node, at=1)
    moves.finish_departures()
    assert (kept(node)[1], kept(second)[1], size_of("page")["memory_mb"]) == (0, 1000, 1000)


def test_an_offer_says_the_size_of_what_is_sold(market: "Market") -> None:
    """Nobody has more than what is paid for; another plan brings another size."""
    market.offer("small", size={"memory_mb": 300})
    market.offer("large", size={"memory_mb": 900, "cpus": 1})
    market.prices(market.price(1000, offer="small"), market.price(3000, offer="large"))
    market.pay(market.customer(), 100_000, "deposit")
    with pytest.raises(Conflict, match="has another size"):
        market.order(offer="small", size={"memory_mb": 301})
    market.order(offer="small")
    assert size_of("web") == {"memory_mb": 300}
    with pytest.raises(Conflict, match="fixes the size"):
        market.rooms.request("web", None, size={"memory_mb": 1000})
    with pytest.raises(Conflict, match="fixes the size"):
        market.rooms.request("web", None, size={"disk_mb": 1000})
    market.rooms.request("web", None, offer="large")
    assert size_of("web") == {"cpus": 1, "memory_mb": 900}
    market.rooms.request("web", None, offer="small")
    assert size_of("web") == {"memory_mb": 300}


def test_a_plan_that_its_node_has_no_room_for_is_not_taken_and_not_paid(market: "Market") -> None:
    from freehold.master.billing.models import SubscriptionPrice

    market.offer("small", size={"memory_mb": 300})
    market.offer("large", size={"memory_mb": 100_000})
    market.prices(market.price(1000, offer="small"), market.price(3000, offer="large"))
    market.pay(market.customer(), 100_000, "deposit")
    market.order(offer="small")
    with pytest.raises(NoPlace, match="has not so much left"):
        market.rooms.request("web", None, offer="large")
    assert {price.amount for price in SubscriptionPrice.objects.all()} == {1000}
    assert size_of("web") == {"memory_mb": 300}


def test_an_offer_of_no_size_is_refused(market: "Market") -> None:
    with pytest.raises(Invalid) as refused:
        market.offer("odd", size={"memory_gb": 4})
    assert [error.field for error in refused.value.errors] == ["size"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(PAIRS, max_size=12))
def test_whatever_is_ordered_changed_and_destroyed_a_node_keeps_what_lives_there(
    rooms: "Rooms", node: "Node", asked: list[tuple[str, int]]
) -> None:
    from freehold.master.ordering.models import Instance

    for title, memory_mb in asked:
        is_there = Instance.objects.filter(title=title).exclude(wanted="destroyed").exists()
        with contextlib.suppress(NoPlace):
            if is_there and not memory_mb:
                destroy(rooms, title)
            else:
                rooms.request(title, size={"memory_mb": memory_mb})
        living = Instance.objects.exclude(wanted="destroyed")
        assert kept(node)[1] == sum(json.loads(size)["memory_mb"] for size in living.values_list("size", flat=True))
        assert kept(node)[1] <= 1800
    for instance in Instance.objects.exclude(wanted="destroyed"):
        destroy(rooms, instance.title)
    assert kept(node) == (0, 0, 0)


def test_what_was_only_shown_of_an_offer_is_its_size_now(market: "Market") -> None:
    """Offers of before named gigabytes, and other things, that nobody was given."""
    from importlib import import_module

    from django.apps import apps

    from freehold.master.sales.models import Offer

    market.offer("large", size={"memory_mb": 1})
    Offer.objects.update(size='{"cpus": 4, "memory_gb": 16, "disk_gb": 480, "gpus": 1}')
    import_module("freehold.master.sales.migrations.0002_size").have_real_sizes(apps, None)
    assert json.loads(Offer.objects.get().size) == {"cpus": 4, "memory_mb": 16384, "disk_mb": 491520}
