"""Clusters: their members are made together, and changed, added and ended one at a time."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.protocol.states import Wanted
from support.happenings import Killed, die_at
from support.trees import ask_cluster, packed

if TYPE_CHECKING:
    from support.rooms import Rooms

VOTERS = {"product": "quorum", "type": "voter", "number": "size", "apart": "node"}


def quorum(version: str = "1.1", **voter: Any) -> bytes:
    return packed("quorum", version=version, default={"requests": [VOTERS]}, voter={"requests": []} | voter)


@pytest.fixture
def court(rooms: "Rooms") -> "Rooms":
    """Six nodes, and a release whose voters are to be apart."""
    release = rooms.publish(quorum())
    for number in range(6):
        rooms.supply(release, rooms.node(f"rack-{number}", partitions=2))
    return rooms


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock went evenly for long."""
    from freehold.master.foundation import clock

    monkeypatch.setattr(clock.steadiness, "look", lambda: 10.0**6)


def order(court: "Rooms", size: int, **more: Any) -> str:
    """Return a root that may have so many voters."""
    from freehold.master.ordering import actions

    spec = actions.Request("shop", "vote", product="quorum", parameters={"size": size}, **more)
    instance: str = actions.request(spec, acting=court.customer).instance
    says("vote", "started")
    return instance


def voters(root: str, size: int, color: str | None = None, **more: Any) -> Any:
    """Have the root request its voters, each with this color, and return why not."""
    parameters = {} if color is None else {"size": len(color)}
    found = ask_cluster(root, "voter", size, product="quorum", type="voter", parameters=parameters, **more)
    look()
    return found


def look() -> None:
    from freehold.master.tasks import lanes

    assert lanes.run_once() == []


def row(title: str) -> Any:
    from freehold.master.ordering.models import Instance

    return Instance.objects.filter(title=title).latest("created_at", "id")


def says(title: str, state: str, **more: Any) -> None:
    """Have the node of an instance say what it is as it is wanted now, and the Master look."""
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import InstanceRow

    told = {"message": "", "promises": "[]", "at": clock.now(), **more}
    InstanceRow.objects.create(instance=row(title), revision=row(title).revision, state=state, **told)
    look()


def says_only(title: str) -> None:
    """Have the node of an instance say that it is started, and nobody look."""
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import InstanceRow

    told = {"message": "", "promises": "[]", "at": clock.now()}
    InstanceRow.objects.create(instance=row(title), revision=row(title).revision, state="started", **told)


def is_up(title: str) -> bool:
    """Whether an instance is ready as it is wanted now."""
    from freehold.master.monitoring import queries as monitoring

    return monitoring.sights([row(title).id])[row(title).id].is_ready


def there() -> list[str]:
    from freehold.master.ordering.models import Instance

    living = Instance.objects.filter(type="voter").exclude(wanted="destroyed")
    return sorted(living.values_list("title", flat=True))


def up() -> list[bool]:
    return [is_up(title) for title in there()]


def colors() -> list[int]:
    return [json.loads(row(title).parameters).get("size", 0) for title in there()]


def view(title: str) -> dict[str, Any]:
    from freehold.master.ordering.models import ClusterMember

    return dict(json.loads(ClusterMember.objects.get(instance=row(title)).view))


def start_all() -> None:
    """Have each be ready as it is wanted, one after another, until nothing is to be done."""
    for _ in range(50):
        down = [title for title in there() if not is_up(title)]
        if not down:
            return
        says(down[0], "started")
    raise AssertionError("it never ends")


def picture(title: str) -> Any:
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import queries

    (found,) = monitoring.pictures([queries.by_title(row(title).project_id, title)])
    return found.status


def test_members_are_made_together_apart_and_know_each_other_from_the_start(court: "Rooms") -> None:
    assert voters(order(court, 3), 3) is None
    assert there() == ["vote/voter-0", "vote/voter-1", "vote/voter-2"]
    assert len({row(title).node_id for title in there()}) == 3
    views = [view(title) for title in there()]
    assert [one["ordinal"] for one in views] == [0, 1, 2]
    assert [[member["title"] for member in one["members"]] for one in views] == [there()] * 3
    assert all(member["address"] for one in views for member in one["members"])
    assert len({one["secret"] for one in views}) == 1
    assert not picture("vote").ready
    start_all()
    assert picture("vote").ready


def test_a_group_that_does_not_fit_whole_is_not_begun(court: "Rooms") -> None:
    from freehold.master.foundation.errors import NoPlace, Undeclared
    from freehold.master.ordering import actions
    from freehold.master.ordering.models import Cluster

    root = order(court, 4)
    refused = voters(root, 5)
    assert isinstance(refused, Undeclared)
    spec = actions.Request("shop", "vote", parameters={"size": 8})
    actions.request(spec, partial=True, acting=court.customer)
    refused = voters(root, 8)
    assert isinstance(refused, NoPlace)
    assert refused.detail == "7 nodes are needed apart, 6 have room."
    assert (there(), Cluster.objects.count()) == ([], 0)


def test_a_change_goes_through_the_members_one_by_one(court: "Rooms") -> None:
    root = order(court, 3)
    voters(root, 3)
    start_all()
    voters(root, 3, "blue")
    for done in range(3):
        assert colors() == [4] * (done + 1) + [0] * (2 - done)
        assert up() == [number != done for number in range(3)], "one is down at a time"
        assert not picture("vote").ready
        assert f"{done} of 3 of 'vote/voter' are ready as wanted" in picture("vote").message
        look()
        says(f"vote/voter-{done}", "started")
    assert picture("vote").ready
    assert colors() == [4, 4, 4]


def test_a_member_that_refuses_goes_back_and_the_root_says_so(court: "Rooms") -> None:
    root = order(court, 3)
    voters(root, 3)
    start_all()
    voters(root, 3, "red")
    says("vote/voter-0", "started")
    assert colors() == [3, 3, 0]
    says("vote/voter-1", "failed", message="It cannot be red.")
    assert colors() == [3, 0, 0], "it has again what it had"
    status = picture("vote")
    assert (status.ready, status.shown) == (False, "trouble")
    assert (
        "'vote/voter-1' did not become ready with the change, and has what it had before: It cannot be red."
        in status.message
    )
    says("vote/voter-1", "started")
    assert (colors(), up()) == ([3, 0, 0], [True] * 3), "nobody else is tried"
    voters(root, 3, "red")
    assert colors() == [3, 0, 0], "the same again is no news"
    voters(root, 3, "green")
    start_all()
    assert colors() == [5, 5, 5]
    assert (picture("vote").ready, picture("vote").message) == (True, "")


def test_another_size_goes_through_the_members_as_any_change(court: "Rooms") -> None:
    root = order(court, 4)
    voters(root, 3, each={"memory_mb": 100})
    start_all()
    assert sizes() == [100, 100, 100]
    voters(root, 3, each={"memory_mb": 300})
    assert (sizes(), up()) == ([300, 100, 100], [False, True, True])
    says("vote/voter-0", "failed", message="It cannot be large.")
    assert sizes() == [100, 100, 100], "it has again what it had"
    start_all()
    voters(root, 4, each={"memory_mb": 500})
    start_all()
    assert (sizes(), picture("vote").ready) == ([500] * 4, True)
    voters(root, 4, each={"memory_mb": 5000})
    assert sizes() == [500] * 4
    assert "has not so much left" in picture("vote").message
    assert up() == [True] * 4, "what runs goes on"


def sizes() -> list[int]:
    return [json.loads(row(title).size).get("memory_mb", 0) for title in there()]


def test_one_that_is_not_ready_in_time_goes_back(court: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import clock

    root = order(court, 3)
    voters(root, 3, ready_within=60.0)
    start_all()
    voters(root, 3, "red", ready_within=60.0)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 59_000)
    look()
    assert colors() == [3, 0, 0]
    monkeypatch.setattr(clock, "now", lambda: now + 61_000)
    look()
    assert colors() == [0, 0, 0]


def test_members_follow_the_release_one_by_one(court: "Rooms") -> None:
    root = order(court, 3)
    voters(root, 3, release="1.1")
    start_all()
    release = court.publish(quorum("1.2"))
    court.supply(release, *_nodes())
    voters(root, 3, release="1.2")
    assert versions() == ["1.2", "1.1", "1.1"]
    says("vote/voter-0", "failed")
    assert versions() == ["1.1", "1.1", "1.1"]
    court.supply(court.publish(quorum("1.3")), *_nodes())
    says("vote/voter-0", "started")
    voters(root, 3, release="1.3")
    start_all()
    assert versions() == ["1.3"] * 3


def _nodes() -> list[Any]:
    from freehold.master.fleet.models import Node

    return list(Node.objects.order_by("title"))


def versions() -> list[str]:
    return [row(title).release.version for title in there()]


def test_a_cluster_grows_one_by_one_and_the_others_hear_of_it_one_by_one(court: "Rooms") -> None:
    root = order(court, 5)
    voters(root, 3)
    start_all()
    voters(root, 5)
    assert len(there()) == 4
    assert [len(view(title)["members"]) for title in there()] == [4, 3, 3, 4]
    assert up() == [False, True, True, False]
    for title in ("vote/voter-0", "vote/voter-1", "vote/voter-2"):
        says(title, "started")
    assert len(there()) == 4, "the fourth is not there yet"
    says("vote/voter-3", "started")
    assert len(there()) == 5
    start_all()
    assert [len(view(title)["members"]) for title in there()] == [5] * 5
    assert picture("vote").ready


def test_a_cluster_shrinks_by_its_highest_who_leave_before_they_end(court: "Rooms") -> None:
    root = order(court, 5)
    voters(root, 5)
    start_all()
    voters(root, 3)
    assert view("vote/voter-4")["leaving"]
    assert row("vote/voter-4").wanted == "started"
    assert up() == [True, True, True, True, False]
    assert len(view("vote/voter-0")["members"]) == 5
    says("vote/voter-4", "started")
    assert there() == [f"vote/voter-{number}" for number in range(4)]
    assert row("vote/voter-4").wanted == "destroyed"
    assert sum(not one for one in up()) == 1
    start_all()
    assert there() == ["vote/voter-0", "vote/voter-1", "vote/voter-2"]
    assert [len(view(title)["members"]) for title in there()] == [3] * 3
    assert picture("vote").ready
    voters(root, 5)
    start_all()
    assert len(there()) == 5


def test_one_that_does_not_leave_in_time_goes_all_the_same_and_that_is_told(
    court: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation import clock

    root = order(court, 4)
    voters(root, 4)
    start_all()
    voters(root, 3, leave_within=30.0)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 31_000)
    look()
    assert row("vote/voter-3").wanted == "destroyed"
    start_all()
    status = picture("vote")
    assert (status.ready, status.message) == (True, "'vote/voter-3' did not leave within 30 s, and is destroyed.")


def test_what_members_share_is_told_to_the_others(court: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import PublicationRow

    root = order(court, 2)
    voters(root, 2, shares=("key",))
    published = json.dumps({"key": "k0", "password": "secret"})
    PublicationRow.objects.create(instance=row("vote/voter-0"), revision=1, published=published, at=clock.now())
    look()
    assert [one["published"] for one in view("vote/voter-1")["members"]] == [{"key": "k0"}, {}]
    assert [one["published"] for one in view("vote/voter-0")["members"]] == [{}, {}]


def test_a_cluster_that_is_requested_no_more_ends_as_other_parts_do(court: "Rooms") -> None:
    from freehold.master.ordering.models import Cluster, ClusterMember
    from support.trees import ask

    root = order(court, 3)
    voters(root, 3)
    start_all()
    ask(root)
    assert (Cluster.objects.count(), ClusterMember.objects.count()) == (0, 0)
    assert {row(title).wanted for title in there()} == {"stopped"}
    voters(root, 3)
    start_all()
    assert {row(title).wanted for title in there()} == {"started"}
    assert len({view(title)["secret"] for title in there()}) == 1


def test_a_drained_node_gives_members_away_one_at_a_time(court: "Rooms") -> None:
    from freehold.master.catalog.models import ReleaseType
    from freehold.master.ordering import moves
    from freehold.master.ordering.models import Instance

    ReleaseType.objects.update(holds_data=False)
    root = order(court, 3)
    voters(root, 3)
    start_all()
    nodes = {title: row(title).node for title in there()}
    for title in ("vote/voter-0", "vote/voter-1"):
        Instance.objects.filter(title="vote").update(node=row("vote/voter-2").node)
        done = moves.drain(nodes[title].id, "provider", dry_run=False, acting=court.owner)
        assert (done["later"], done["moved"]) == ([title], [])
    look()
    assert row("vote/voter-0").node != nodes["vote/voter-0"]
    assert row("vote/voter-1").node == nodes["vote/voter-1"], "not before the other is there"
    assert up() == [False, True, True]
    assert not picture("vote").ready
    start_all()
    assert not {row(title).node for title in there()} & {nodes["vote/voter-0"], nodes["vote/voter-1"]}
    assert len({row(title).node_id for title in there()}) == 3, "apart as ever"
    known = {member["node"] for member in view("vote/voter-2")["members"]}
    assert known == {row(title).node.title for title in there()}
    assert picture("vote").ready


def test_a_stopped_root_stops_all_and_they_start_together(court: "Rooms") -> None:
    from freehold.master.catalog.models import ReleaseType
    from freehold.master.ordering import moves

    root = order(court, 3)
    voters(root, 3)
    start_all()
    court.request("vote", product=None, state=Wanted.STOPPED)
    assert {row(title).wanted for title in there()} == {"stopped"}
    look()
    ReleaseType.objects.update(holds_data=False)
    former = row("vote/voter-0").node
    moves.drain(former.id, "provider", dry_run=False, acting=court.owner)
    assert row("vote/voter-0").node != former, "what is stopped need not wait for others"
    court.request("vote", product=None, state=Wanted.STARTED)
    says("vote", "started")
    start_all()
    voters(root, 3, "blue")
    start_all()
    assert colors() == [4, 4, 4]


def test_a_master_that_is_killed_anywhere_goes_on_from_there(court: "Rooms") -> None:
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering.clusters import Rollouts
    from freehold.master.ordering.models import Instance

    root = order(court, 5)
    voters(root, 3)
    start_all()
    rollouts, killed = Rollouts(monitoring.sights), 0
    for number, (size, color) in enumerate([(3, "a"), (5, "ab"), (3, "abc"), (4, "abcd"), (3, "abcde")]):
        # Without a look of the Master at it.
        parameters = {"size": len(color)}
        ask_cluster(root, "voter", size, product="quorum", type="voter", parameters=parameters)
        for point in range(24):
            try:
                with die_at((number + point) % 4):
                    rollouts()
            except Killed:
                killed += 1
            down = [title for title in there()[:3] if not is_up(title)]
            assert len(down) <= 1
            for title in [title for title in there() if not is_up(title)][:1]:
                says_only(title)
        start_all()
        for gone in Instance.objects.filter(wanted="destroyed", gone_at=None):
            court.node_says(gone.id, "destroyed")
        look()
        start_all()
        assert colors() == [len(color)] * size
    assert killed > 20


def test_what_is_refused_to_a_member_is_told_and_tried_again(court: "Rooms") -> None:
    from freehold.master.ordering.models import Cluster

    root = order(court, 3)
    voters(root, 3, release="1.1")
    start_all()
    release = court.publish(quorum("1.2"))
    voters(root, 3, release="1.2")
    assert "has no supply of quorum 1.2" in picture("vote").message
    assert versions() == ["1.1"] * 3
    assert up() == [True] * 3
    court.supply(release, *_nodes())
    Cluster.objects.update(changed_at=0)
    look()
    start_all()
    assert versions() == ["1.2"] * 3
    assert picture("vote").message == ""
