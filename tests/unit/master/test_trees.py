"""Instances that request others, and shared instances that live on others."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.protocol.states import Wanted
from support.panels import Visitor
from support.trees import ask, packed

if TYPE_CHECKING:
    from support.rooms import Rooms


@pytest.fixture
def shop(rooms: "Rooms") -> "Rooms":
    """A Master with a node, and two products: `tiny`, and `store` that serves `shelf`s."""
    node = rooms.node("rack", partitions=12)
    for release in (
        rooms.publish(packed("tiny", default={}, other={})),
        rooms.publish(packed("store", default={}, shelf={"shared": True, "software-type": "default"})),
    ):
        rooms.supply(release, node)
    rooms.partial = True
    return rooms


def row(title: str) -> Any:
    from freehold.master.ordering.models import Instance

    return Instance.objects.filter(title=title).latest("created_at", "id")


def states() -> dict[str, str]:
    """Return what is wanted of each living instance."""
    from freehold.master.ordering.models import Instance

    return dict(Instance.objects.filter(gone_at=None).values_list("title", "wanted"))


def publish_as(title: str, **values: Any) -> None:
    """Have an instance publish, and the Master look."""
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import PublicationRow
    from freehold.master.tasks import lanes

    PublicationRow.objects.create(instance=row(title), revision=1, published=json.dumps(values), at=clock.now())
    lanes.run_once()


def lanes_run_once() -> None:
    from freehold.master.tasks import lanes

    assert lanes.run_once() == []


def test_what_an_instance_requests_is_placed_below_it(shop: "Rooms") -> None:
    root = shop.request("site").instance
    answers = ask(root, left={"parameters": {"side": 1}}, right={})
    left = row("site/left")
    assert answers["left"].instance == left.id
    assert (left.parent, left.tree, left.project_id, json.loads(left.parameters)) == (
        root,
        root,
        shop.shop,
        {"side": 1},
    )
    assert row("site/right").partition != left.partition
    again = ask(root, left={"parameters": {"side": 1}}, right={})
    assert not any(answer.created or answer.changed for answer in again.values())


def test_one_that_is_refused_keeps_no_other_from_being_granted(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotFound

    answers = ask(shop.request("site").instance, good={}, lost={"product": "nothing"}, odd={"type": "huge"})
    assert answers["good"].created
    assert isinstance(answers["lost"], NotFound)
    assert isinstance(answers["odd"], NotFound)
    assert set(states()) == {"site", "site/good"}


def test_what_a_child_publishes_comes_to_its_parent_which_is_configured_again(shop: "Rooms") -> None:
    root = shop.request("site").instance
    ask(root, left={})
    before = row("site").revision
    publish_as("site/left", url="http://left/")
    assert json.loads(row("site").child_publications) == {"left": {"url": "http://left/"}}
    assert row("site").revision > before
    told = row("site").revision
    publish_as("site/left", url="http://left/")
    assert row("site").revision == told, "no news, no disturbance"
    publish_as("site/left", url="http://other/")
    assert row("site").revision > told


def test_a_parent_that_waits_for_a_ready_child_is_given_what_that_publishes_only_then(shop: "Rooms") -> None:
    root = shop.request("site").instance
    ask(root, await_ready=("left",), left={"product": "store", "type": "default"}, right={})
    ask(row("site/left").id, deep={})
    shop.node_says(row("site/left").id, "started")
    publish_as("site/left", url="http://left/")
    publish_as("site/right", url="http://right/")
    assert json.loads(row("site").child_publications) == {"right": {"url": "http://right/"}}, (
        "its own child is not there"
    )
    shop.node_says(row("site/left/deep").id, "started")
    lanes_run_once()
    assert json.loads(row("site").child_publications)["left"] == {"url": "http://left/"}
    told = row("site").revision
    shop.node_says(row("site/left/deep").id, "failed")
    lanes_run_once()
    publish_as("site/left", url="http://broken/")
    assert json.loads(row("site").child_publications)["left"] == {"url": "http://left/"}, "what was given stays"
    assert row("site").revision == told
    ask(root, left={"product": "store", "type": "default"}, right={})
    assert json.loads(row("site").child_publications)["left"] == {"url": "http://broken/"}, "it does not wait any more"


def test_what_a_former_child_of_the_title_published_is_not_given(shop: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Instance

    root = shop.request("site").instance
    ask(root, left={})
    publish_as("site/left", url="http://old/")
    Instance.objects.filter(title="site/left").update(
        wanted="destroyed", requested_state="destroyed", gone_at=clock.now()
    )
    ask(root, left={})
    assert json.loads(row("site").child_publications) == {}


def test_a_type_that_is_only_a_part_is_requested_and_neither_shown_nor_ordered(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotFound
    from freehold.master.ordering.models import Instance

    release = shop.publish(packed("engine", default={}, cylinder={"orderable": False}))
    shop.supply(release, *_all_nodes())
    with pytest.raises(NotFound) as refused:
        shop.request("loose", "engine", type="cylinder")
    assert "The type 'cylinder' of engine 1.0 is only a part of others." in str(refused.value)
    assert refused.value.remedy == "Order one of: default."
    assert not Instance.objects.filter(title="loose").exists()
    part = {"product": "engine", "type": "cylinder"}
    shop.supply(shop.publish(packed("car", default={"requests": [part]})), *_all_nodes())
    answers = ask(shop.request("car", "car").instance, first={"product": "engine", "type": "cylinder"})
    assert answers["first"].created
    me = Visitor(shop.customer)
    assert "cylinder" not in me.get("/catalogue").content.decode()
    page = me.get("/catalogue/engine?type=cylinder").content.decode()
    assert "cylinder" not in page.replace("?type=cylinder", "")


def test_a_product_of_parts_only_cannot_be_ordered(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NotFound

    shop.supply(shop.publish(packed("bolts", default={"orderable": False})), *_all_nodes())
    with pytest.raises(NotFound) as refused:
        shop.request("loose", "bolts")
    assert refused.value.remedy == "Order what it is a part of."
    assert Visitor(shop.customer).get("/catalogue/bolts").status_code == 404


def _all_nodes() -> list[Any]:
    from freehold.master.fleet.models import Node

    return list(Node.objects.all())


def test_a_circular_request_is_refused(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import Conflict

    root = shop.request("site").instance
    child = ask(root, child={})["child"].instance
    for circle in ({"type": "default"}, {"type": "other"}):
        answer = ask(child, grandchild=circle)["grandchild"]
        assert isinstance(answer, Conflict)
        assert "circular request: tiny (default) → tiny (other) → tiny" in answer.detail


def test_the_whole_tree_is_stopped_started_and_destroyed_with_its_root(shop: "Rooms") -> None:
    root = shop.request("site").instance
    ask(root, left={}, right={"state": Wanted.STOPPED}, store={"product": "store", "type": "default"})
    ask(row("site/store").id, deep={})
    shop.request("site", state=Wanted.STOPPED)
    assert set(states().values()) == {"stopped"}
    shop.request("site", state=Wanted.STARTED)
    assert states()["site/right"] == "stopped", "as its parent asked"
    assert {state for title, state in states().items() if title != "site/right"} == {"started"}
    shop.request("site", state=Wanted.DESTROYED)
    assert set(states().values()) == {"destroyed"}
    for title in ("site", "site/left", "site/right", "site/store", "site/store/deep"):
        shop.node_says(row(title).id, "destroyed")
    assert states() == {}


def picture(title: str) -> Any:
    """Return what everybody is told of an instance."""
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import queries

    (found,) = monitoring.pictures([queries.by_title(row(title).project_id, title)])
    return found.status


def test_a_root_is_ready_when_all_below_it_is(shop: "Rooms") -> None:
    root = shop.request("site").instance
    shop.node_says(root, "started")
    assert picture("site").ready
    ask(root, store={"product": "store", "type": "default"}, right={"state": Wanted.STOPPED})
    ask(row("site/store").id, deep={})
    shop.node_says(row("site/store").id, "started")
    shop.node_says(row("site/right").id, "stopped")
    coming = picture("site")
    assert (coming.ready, coming.promises_kept, coming.shown) == (False, False, "starting")
    assert coming.message == "'site/store/deep' is waiting."
    assert not picture("site/store").ready
    assert picture("site/right").ready
    shop.node_says(row("site/store/deep").id, "failed")
    assert (picture("site").ready, picture("site").shown) == (False, "trouble")
    shop.node_says(row("site/store/deep").id, "started")
    assert picture("site").ready


def test_a_shared_instance_is_as_well_as_what_serves_it(shop: "Rooms") -> None:
    from freehold.master.monitoring.models import Assessment

    host = shop.request("host", "store").instance
    guest = shop.request("guest", "store", type="shelf").instance
    shop.node_says(guest, "started")
    shop.node_says(host, "started", promises='["page"]')
    assert (picture("guest").ready, picture("guest").shown) == (False, "starting")
    told = {"instance_id": host, "promise": "page", "revision": 10**9, "message": "its words are its own"}
    Assessment.objects.create(**told, kept=True, at=1)
    assert picture("guest").ready
    Assessment.objects.create(**told, kept=False, at=2)
    row("host").instancerow_set.update(at=0)
    assert (picture("guest").ready, picture("guest").shown) == (False, "trouble")
    assert picture("guest").message == "What serves it does not keep its promises."
    shop.request("host", "store", state=Wanted.STOPPED)
    shop.node_says(host, "stopped")
    assert (picture("guest").state, picture("guest").message) == ("waiting", "What serves it is stopped.")


def test_what_is_requested_no_more_is_not_waited_for(shop: "Rooms") -> None:
    root = shop.request("site").instance
    shop.node_says(root, "started")
    ask(root, left={})
    assert not picture("site").ready
    ask(root)
    assert picture("site").ready


def test_a_root_is_stopped_and_destroyed_when_all_below_it_is(shop: "Rooms") -> None:
    root = shop.request("site").instance
    ask(root, left={}, right={})
    for title in ("site", "site/left", "site/right"):
        shop.node_says(row(title).id, "started")
    shop.request("site", state=Wanted.STOPPED)
    shop.node_says(root, "stopped")
    shop.node_says(row("site/right").id, "stopped")
    assert (picture("site").state, picture("site").ready) == ("stopping", False)
    assert picture("site").message == "'site/left' is stopping."
    shop.node_says(row("site/left").id, "stopped")
    assert (picture("site").state, picture("site").ready) == ("stopped", True)
    shop.request("site", state=Wanted.DESTROYED)
    for title in ("site", "site/right"):
        shop.node_says(row(title).id, "destroyed")
    assert (picture("site").state, picture("site").ready) == ("destroying", False)
    shop.node_says(row("site/left").id, "destroyed")
    assert (picture("site").state, picture("site").ready) == ("destroyed", True)


def test_a_child_is_not_for_its_customer_to_change(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import Conflict

    ask(shop.request("site").instance, left={})
    with pytest.raises(Conflict, match="requested by 'site'"):
        shop.request("site/left", state=Wanted.STOPPED)
    assert states()["site/left"] == "started"


def test_what_is_requested_no_more_is_stopped_and_can_be_had_back(shop: "Rooms") -> None:
    root = shop.request("site").instance
    ask(root, left={}, right={})
    left = row("site/left").id
    ask(root, right={})
    assert states() == {"site": "started", "site/left": "stopped", "site/right": "started"}
    assert not ask(root, left={}, right={})["left"].created
    assert states()["site/left"] == "started"
    assert row("site/left").id == left


def test_what_nobody_requests_ends_when_its_time_of_grace_is_over(
    shop: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    from freehold.master.tasks import lanes

    root = shop.request("site").instance
    ask(root, left={})
    ask(root)
    lanes.run_once()
    assert states()["site/left"] == "stopped"
    monkeypatch.setattr(settings, "CHILD_GRACE_S", -1)
    lanes.run_once()
    assert states()["site/left"] == "destroyed"


def test_what_was_requested_no_more_in_the_future_ends_in_the_usual_time(shop: "Rooms", monkeypatch: Any) -> None:
    from django.conf import settings

    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Instance
    from freehold.master.tasks import lanes

    ask(shop.request("site").instance, left={})
    Instance.objects.filter(title="site/left").update(orphaned_at=clock.now() + 365 * clock.DAY)
    lanes.run_once()
    assert (row("site/left").orphaned_at or 0) <= clock.now()
    monkeypatch.setattr(settings, "CHILD_GRACE_S", -1)
    lanes.run_once()
    assert states()["site/left"] == "destroyed"


def test_only_what_is_started_requests_and_nothing_destroyed(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import Conflict, Invalid

    root = shop.request("site").instance
    with pytest.raises(Invalid, match="cannot be requested destroyed"):
        ask(root, left={"state": Wanted.DESTROYED})
    shop.request("site", state=Wanted.STOPPED)
    with pytest.raises(Conflict, match="wanted started"):
        ask(root, left={})
    assert set(states()) == {"site"}


# Shared instances


def shelf(shop: "Rooms", title: str, **spec: Any) -> Any:
    shop.request(title, "store", type="shelf", **spec)
    return row(title)


def test_a_shared_instance_lives_on_a_host_and_takes_no_partition(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Partition

    shop.request("store", "store")
    taken = Partition.objects.exclude(instance=None).count()
    first, second = shelf(shop, "first"), shelf(shop, "second", constraints={"instance": "store"})
    assert first.host == second.host == row("store").id
    assert (first.node_id, first.partition, first.weight) == (row("store").node_id, row("store").partition, 0)
    assert Partition.objects.exclude(instance=None).count() == taken
    assert first.seed != second.seed


def test_without_a_host_there_is_no_place_and_the_answer_says_what_is_missing(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace

    with pytest.raises(NoPlace, match=r"no instance of store 1\.0"):
        shelf(shop, "first")
    shop.request("store", "store")
    with pytest.raises(NoPlace, match="'elsewhere' offers no place"):
        shelf(shop, "first", constraints={"instance": "elsewhere"})
    with pytest.raises(NoPlace, match="is not on site 'moon'"):
        shelf(shop, "first", constraints={"site": "moon"})


def test_a_host_that_fits_is_found_behind_any_number_that_do_not(shop: "Rooms", monkeypatch: Any) -> None:
    from freehold.master.ordering import sharing
    from freehold.master.ordering.models import HostOffer

    monkeypatch.setattr(sharing, "MOST_HOSTS", 2)
    for number in range(5):
        shop.request(f"store{number}", "store")
    shop.supply(shop.publish(packed("store", default={}, shelf={"shared": True, "software-type": "default"})),
                shop.node("far", site="moon", partitions=2))  # fmt: skip
    shop.request("far", "store", constraints={"site": "moon"})
    HostOffer.objects.filter(host=row("far").id).update(free=1)
    assert shelf(shop, "first", constraints={"site": "moon"}).host == row("far").id


def test_a_host_that_is_stopped_or_requested_no_more_serves_who_names_it_at_most(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace

    root = shop.request("site").instance
    ask(root, old={"product": "store", "type": "default"})
    shop.request("host", "store")
    ask(root)
    assert shop.request("first", "store", type="shelf").partition == row("host").partition, "not where it soon ends"
    shop.request("host", "store", state=Wanted.STOPPED)
    with pytest.raises(NoPlace):
        shop.request("second", "store", type="shelf")
    named = shop.request("second", "store", type="shelf", constraints={"instance": "host"})
    assert named.partition == row("host").partition


def test_a_host_serves_its_own_project_until_it_is_offered_to_everyone(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import Conflict, Forbidden, NoPlace
    from freehold.master.ordering import actions

    def offer(to: str) -> None:
        spec = actions.Request("provider", "big", product="store", offered_to=actions.OfferedTo(to))
        actions.request(spec, partial=True, acting=shop.owner)

    offer("project")
    with pytest.raises(NoPlace):
        shelf(shop, "first")
    offer("everyone")
    assert shelf(shop, "first").host == row("big").id
    with pytest.raises(Forbidden):
        shop.request("mine", "store", offered_to=actions.OfferedTo.EVERYONE)
    shop.request("plain")
    with pytest.raises(Conflict, match="takes in no shared"):
        shop.request("plain", offered_to=actions.OfferedTo.PROJECT)


def test_a_host_with_guests_of_others_does_not_end(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import Conflict

    shop.request("store", "store")
    guest = shelf(shop, "first")
    with pytest.raises(Conflict, match="'store' serves 1 shared"):
        shop.request("store", "store", state=Wanted.DESTROYED)
    assert states()["store"] == "started"
    shop.request("first", "store", state=Wanted.DESTROYED)
    shop.node_says(guest.id, "destroyed")
    shop.request("store", "store", state=Wanted.DESTROYED)
    shop.node_says(row("store").id, "destroyed")
    assert states() == {}


def test_a_tree_with_a_host_and_its_own_guests_ends_whole(shop: "Rooms") -> None:
    root = shop.request("site").instance
    answers = ask(
        root,
        store={"product": "store", "type": "default"},
        shelf={"product": "store", "type": "shelf", "constraints": {"instance": "store"}},
    )
    assert row("site/shelf").host == answers["store"].instance
    shop.request("site", state=Wanted.DESTROYED)
    assert set(states().values()) == {"destroyed"}


def test_an_ancestor_serves_none_of_its_descendants(shop: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace

    root = shop.request("store", "store").instance
    answer = ask(root, mine={"product": "store", "type": "shelf"})["mine"]
    assert isinstance(answer, NoPlace)
    assert "ancestor" in answer.detail


def test_guests_follow_their_host_to_another_release_if_they_fit(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node
    from freehold.master.foundation.errors import Conflict

    shop.request("store", "store")
    shelf(shop, "first", parameters={"size": 10})
    later = shop.publish(packed("store", "2.0", default={}, shelf={"shared": True, "software-type": "default"}))
    shop.supply(later, Node.objects.get())
    with pytest.raises(Conflict, match="does not fit the other release"):
        shop.request("store", "store", release="2.0")
    shop.request("first", "store", parameters={"size": 5})
    shop.request("store", "store", release="2.0")
    assert row("first").release_id == row("store").release_id == later.id
    assert shelf(shop, "second").host == row("store").id


def test_what_a_host_is_told_of_a_guest_does_not_say_whose_it_is(shop: "Rooms") -> None:
    from freehold.master.gateway.database import DatabaseConnection
    from freehold.master.gateway.feeds import read_feed

    shop.request("store", "store")
    guest = shelf(shop, "very-private-title", parameters={"size": 1})
    reader = DatabaseConnection(shop.url)
    try:
        feed = read_feed(reader, guest.node_id, 0, 60.0)
    finally:
        reader.close()
    (told,) = feed.shared
    assert (told.instance, told.host, bytes(told.parameters)) == (guest.id, row("store").id, b'{"size":1}')
    assert [one.title for one in feed.instances] == ["store"]
    assert "very-private-title" not in str(feed)


def test_each_change_of_a_request_is_remembered(shop: "Rooms") -> None:
    from freehold.master.ordering import queries

    instance = shop.request("page", parameters={"a": 1}).instance
    shop.request("page", parameters={"a": 2})
    shop.request("page", parameters={"a": 2})
    shop.request("page", state=Wanted.STOPPED)
    found = [(one["parameters"]["a"], one["requested_state"]) for one in queries.history(instance)[0]]
    assert found == [(2, "stopped"), (2, "started"), (1, "started")]


@given(some.lists(some.tuples(some.integers(0, 30), some.sampled_from(Wanted), some.booleans()), max_size=12))
def test_nothing_runs_below_what_is_stopped_and_nothing_lives_below_what_is_destroyed(rows: list[Any]) -> None:
    from freehold.master.ordering.states import Branch, effective

    tree = [
        Branch(str(number), str(parent % number) if number else None, asked, held_back and number > 0)
        for number, (parent, asked, held_back) in enumerate(rows)
    ]
    found = effective(tree)
    order = [Wanted.STARTED, Wanted.STOPPED, Wanted.DESTROYED]
    for branch in tree:
        assert order.index(found[branch.id]) >= order.index(branch.asked)
        if branch.parent is not None:
            assert order.index(found[branch.id]) >= order.index(found[branch.parent])
        if branch.held_back:
            assert found[branch.id] is not Wanted.STARTED
        above = Wanted.STARTED if branch.parent is None else found[branch.parent]
        if not branch.held_back and above is Wanted.STARTED:
            assert found[branch.id] is branch.asked


def test_who_wants_to_know_the_others_of_its_tree_is_told_when_they_are_others(rooms: "Rooms") -> None:
    import contextlib

    from freehold.master.gateway.database import DatabaseConnection
    from freehold.master.gateway.feeds import read_feed

    release = rooms.publish(packed("tiny", default={"peers": True}, other={"peers": True, "requests": []}, huge={}))
    nodes = [rooms.node(title, partitions=2) for title in ("one", "two", "three")]
    rooms.supply(release, *nodes)
    rooms.partial = True
    root = rooms.request("tree").instance

    def told(title: str, since: int = 0) -> list[str] | None:
        """Return the titles of the others that an instance is told of; None: nothing is told."""
        with contextlib.closing(DatabaseConnection(rooms.url)) as reader:
            told = read_feed(reader, row(title).node_id, since, 60.0).instances
        return next(([peer.title for peer in one.peers] for one in told if one.title == title), None)

    assert told("tree") == []
    before = row("tree").revision
    ask(root, left={})
    assert told("tree", before) == ["tree/left"]
    assert told("tree/left") == ["tree"]
    before = row("tree/left").revision
    ask(root, left={}, silent={"type": "huge"})
    assert told("tree/left", before) == ["tree", "tree/silent"]
    assert told("tree/silent") == [], "who does not ask is told nothing"
    before, silent = row("tree/left").revision, row("tree/silent").revision
    ask(root, left={}, silent={"type": "huge"}, right={})
    assert told("tree/left", before) == ["tree", "tree/right", "tree/silent"]
    assert row("tree/silent").revision == silent, "and not woken"
    before = row("tree/left").revision
    Instance = type(row("tree"))
    Instance.objects.filter(title="tree/right").update(wanted="destroyed")
    rooms.node_says(row("tree/right").id, "destroyed")
    assert told("tree/left", before) == ["tree", "tree/silent"]
