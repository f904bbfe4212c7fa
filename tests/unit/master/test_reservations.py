"""A service that is made of several instances is ordered whole, or refused in one sentence."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.protocol.states import Wanted
from support.trees import ask, packed

if TYPE_CHECKING:
    from support.rooms import Rooms

PAGES = {"product": "page", "type": "default"}


@pytest.fixture
def shop(rooms: "Rooms") -> "Rooms":
    """A node of ten places, on which a site requests as many pages as it is told (two at first) and a database, which
    requests a disk.
    """
    node = rooms.node("rack", partitions=10)
    for release in (
        packed("disk", default={"requests": []}),
        packed("database", default={"requests": [{"product": "disk"}]}),
        packed("page", default={"requests": []}),
        packed("site", default={"requests": [{**PAGES, "number": "size"}, {"product": "database"}]}, version="1.1"),
    ):
        rooms.supply(rooms.publish(release), node)
    return rooms


def free() -> int:
    """Return how many places are free; the node counts as many as there are."""
    from freehold.master.fleet.models import Node, Partition, Supply

    empty = Partition.objects.filter(instance=None).count()
    assert set(Node.objects.values_list("free", flat=True)) == {empty}
    assert set(Supply.objects.values_list("free", flat=True)) == {empty}
    assert Node.objects.get().used == Partition.objects.exclude(instance=None).count()
    return empty


def order(shop: "Rooms", title: str, size: int, **how: Any) -> Any:
    from freehold.master.ordering import actions

    spec = actions.Request("shop", title, product="site", parameters={"size": size})
    return actions.request(spec, acting=shop.customer, **how)


def run_tasks() -> None:
    from freehold.master.tasks import lanes

    assert lanes.run_once() == []


def test_each_part_has_a_place_from_the_moment_of_the_order(shop: "Rooms") -> None:
    from freehold.master.ordering.models import Instance, Reservation

    root = order(shop, "shop", 3).instance
    assert free() == 10 - 1 - 3 - 2
    kept = set(Reservation.objects.values_list("partition", flat=True))
    run_tasks()
    assert free() == 4, "nothing is given back before it is known what is needed"
    made = ask(root, a=PAGES, b=PAGES, c=PAGES, db={"product": "database", "type": "default"})
    ask(made["db"].instance, disk={"product": "disk", "type": "default"})
    assert free() == 4
    assert not Reservation.objects.exists()
    assert {row.partition for row in Instance.objects.exclude(id=root)} == kept


def test_what_does_not_fit_whole_is_refused_in_words_and_leaves_nothing(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotWhole
    from freehold.master.ordering.models import Instance, Reservation

    with pytest.raises(NotWhole) as refused:
        order(shop, "shop", 9)
    assert refused.value.detail == (
        "'shop' is made of several instances: there is room for 9 page, not for any database."
    )
    assert [one.reason for one in refused.value.reasons] == ["has no free partition"]
    assert (free(), Instance.objects.count(), Reservation.objects.count()) == (10, 0, 0)
    assert order(shop, "shop", 9, partial=True).created
    assert free() == 9


def test_a_rehearsal_says_the_same_and_keeps_nothing(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotWhole

    assert order(shop, "shop", 7, dry_run=True).created
    assert free() == 10
    with pytest.raises(NotWhole):
        order(shop, "shop", 8, dry_run=True)


def test_nobody_else_takes_a_place_that_is_kept(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace

    root = order(shop, "shop", 7).instance
    assert free() == 0
    with pytest.raises(NoPlace):
        shop.request("mine", "page")
    made = ask(root, **{f"p{n}": PAGES for n in range(7)})
    assert all(one.created for one in made.values())


def test_what_was_not_requested_is_given_back_when_all_is_as_wanted(shop: "Rooms") -> None:
    root = order(shop, "shop", 5).instance
    page = ask(root, only=PAGES)["only"].instance
    assert free() == 10 - 8
    shop.node_says(root, "started")
    assert free() == 10 - 8, "a part is still being configured, and may request others"
    shop.node_says(page, "started")
    assert free() == 10 - 2


@pytest.mark.parametrize("way", ["destroyed", "late"])
def test_a_service_that_ends_or_is_never_ready_keeps_no_places(
    shop: "Rooms", way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering import actions

    order(shop, "shop", 5)
    if way == "destroyed":
        actions.request(actions.Request("shop", "shop", state=Wanted.DESTROYED), now=True, acting=shop.customer)
    else:
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 3_500_000)
        run_tasks()
        assert free() == 10 - 8
        monkeypatch.setattr(clock, "now", lambda: now + 3_700_000)
    run_tasks()
    assert free() == 9


def test_a_place_that_was_kept_in_the_future_is_given_back(shop: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Reservation

    order(shop, "shop", 5)
    Reservation.objects.update(made_at=clock.now() + 365 * clock.DAY)
    run_tasks()
    assert free() == 9


def test_more_parts_of_what_is_there_have_a_place_too_or_nothing_changes(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotWhole
    from freehold.master.ordering.models import Instance

    root = order(shop, "shop", 2).instance
    made = ask(root, a=PAGES, b=PAGES, db={"product": "database", "type": "default"})
    ask(made["db"].instance, disk={"product": "disk", "type": "default"})
    assert free() == 5
    with pytest.raises(NotWhole, match="there is room for 5 page, not for another page"):
        order(shop, "shop", 8)
    assert json.loads(Instance.objects.get(id=root).parameters) == {"size": 2}
    assert free() == 5
    order(shop, "shop", 4)
    assert free() == 3
    order(shop, "shop", 5)
    assert free() == 2
    ask(root, a=PAGES, b=PAGES, c=PAGES, d=PAGES, e=PAGES, db={"product": "database", "type": "default"})
    assert free() == 2


def test_what_asks_for_no_more_than_before_is_changed_also_where_nothing_is_free(shop: "Rooms") -> None:
    order(shop, "shop", 9, partial=True)
    for number in range(9):
        shop.request(f"mine-{number}", "page")
    assert free() == 0
    assert order(shop, "shop", 8).changed


def test_a_part_that_wants_to_be_elsewhere_gives_its_place_back(shop: "Rooms") -> None:
    from freehold.master.ordering.models import Instance

    root = order(shop, "shop", 1).instance
    page = shop.publish(packed("page", version="1.2", default={"requests": []}))
    shop.supply(page, shop.node("other", partitions=3))
    assert ask(root, a={**PAGES, "constraints": {"node": "other"}, "release": "1.2"})["a"].created
    assert Instance.objects.get(title="shop/a").node.title == "other"
    shop.node_says(root, "started")
    shop.node_says(Instance.objects.get(title="shop/a").id, "started")
    from freehold.master.fleet.models import Node

    assert dict(Node.objects.values_list("title", "free")) == {"rack": 9, "other": 2}


def test_a_customer_sees_what_does_not_fit_and_takes_it_in_part(shop: "Rooms") -> None:
    from freehold.master.ordering.models import Instance
    from support.panels import Visitor

    visitor = Visitor(shop.customer)
    form = {"title": "shop", "project": "shop", "p/size": "9"}
    for language, words in (("en", "Not all of it fits"), ("fr", "Tout n’y tient pas"), ("zh-hans", "无法全部容纳")):
        refused = Visitor(shop.customer, language).post("/catalogue/site", form)
        page = refused.content.decode()
        assert (refused.status_code, words in page, 'name="partial"' in page) == (409, True, True), language
    assert not Instance.objects.exists()
    assert visitor.post("/catalogue/site", {**form, "partial": "yes"}).status_code == 302
    assert Instance.objects.get().title == "shop"
    crowded = visitor.post("/catalogue/site", {**form, "title": "other", "node": "nowhere"}).content.decode()
    assert "No place fits" in crowded
    assert 'name="partial"' not in crowded, "it would not help"


def test_what_is_made_of_something_that_nobody_offers_is_refused(rooms: "Rooms") -> None:
    from freehold.master.foundation.errors import NotWhole

    requests = [{"product": "unheard", "type": "of"}]
    rooms.supply(rooms.publish(packed("site", default={"requests": requests})), rooms.node("rack"))
    with pytest.raises(NotWhole, match=r"requests unheard \(of\), which is not to be had here: There is no product"):
        rooms.request("shop", "site")


@pytest.fixture
def racks(rooms: "Rooms") -> "Rooms":
    """Two nodes of four places, and one full one, for a quorum whose voters are to be apart."""
    voters = {"product": "quorum", "type": "voter", "number": "size", "apart": "node"}
    quorum = rooms.publish(packed("quorum", version="1.1", default={"requests": [voters]}, voter={"requests": []}))
    for title in ("left", "right"):
        rooms.supply(quorum, rooms.node(title, partitions=4))
    return rooms


def quorum(rooms: "Rooms", size: int, **how: Any) -> Any:
    from freehold.master.ordering import actions

    spec = actions.Request("shop", "vote", product="quorum", parameters={"size": size})
    return actions.request(spec, acting=rooms.customer, **how)


def nodes_of(kind: str) -> list[str]:
    from freehold.master.ordering.models import Instance

    living = Instance.objects.filter(type=kind).exclude(wanted="destroyed")
    return sorted(living.values_list("node__title", flat=True))


VOTER = {"product": "quorum", "type": "voter"}


def test_parts_that_are_to_be_apart_have_a_node_each_or_are_refused_in_one_sentence(racks: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace, NotWhole
    from freehold.master.ordering.models import Instance, Reservation

    with pytest.raises(NotWhole) as refused:
        quorum(racks, 3)
    assert refused.value.detail == "'vote' is made of several instances: 3 nodes are needed apart, 2 have room."
    assert (Instance.objects.count(), Reservation.objects.count()) == (0, 0)
    root = quorum(racks, 2).instance
    assert sorted(Reservation.objects.values_list("node__title", flat=True)) == ["left", "right"]
    ask(root, a=VOTER, b=VOTER)
    assert nodes_of("voter") == ["left", "right"]
    with pytest.raises(NotWhole, match="3 nodes are needed apart, 2 have room"):
        quorum(racks, 3)
    quorum(racks, 3, partial=True)
    answer = ask(root, a=VOTER, b=VOTER, c=VOTER)["c"]
    assert isinstance(answer, NoPlace)
    assert answer.detail == "3 nodes are needed apart, 2 have room."
    racks.supply(Instance.objects.get(title="vote").release, racks.node("third", partitions=1))
    assert ask(root, a=VOTER, b=VOTER, c=VOTER)["c"].created
    assert nodes_of("voter") == ["left", "right", "third"]


def test_a_part_takes_the_place_that_is_kept_for_it_and_not_that_of_another(racks: "Rooms") -> None:
    """Each node has other places free, which are the better ones by their number."""
    from freehold.master.fleet.models import Partition
    from freehold.master.ordering.models import Reservation

    root = quorum(racks, 2).instance
    for number in range(3):
        racks.request(f"other-{number}", product="quorum")
    assert Partition.objects.filter(instance=None).count() == 2
    for number in range(2):
        racks.request(f"another-{number}", product="quorum")
    assert set(ask(root, a=VOTER, b=VOTER)) == {"a", "b"}
    assert nodes_of("voter") == ["left", "right"]
    assert not Reservation.objects.exists()


def test_parts_apart_by_site_are_on_no_two_nodes_of_one(racks: "Rooms") -> None:
    from freehold.master.foundation.errors import NotWhole

    voters = {"product": "court", "type": "voter", "number": 2, "apart": "site"}
    court = racks.publish(packed("court", default={"requests": [voters]}, voter={"requests": []}))
    for title in ("east", "west"):
        racks.supply(court, racks.node(title, partitions=4, site="town"))
    with pytest.raises(NotWhole, match="2 sites are needed apart, 1 has room"):
        racks.request("court", product="court")
    racks.supply(court, racks.node("far", partitions=4, site="island"))
    ask(racks.request("court", product="court").instance, **dict.fromkeys("ab", VOTER | {"product": "court"}))
    assert "far" in nodes_of("voter")
