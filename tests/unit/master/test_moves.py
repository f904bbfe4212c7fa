"""Instances of lost nodes go where nothing of them is left, and only from machines that said so."""

from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock, patch

import pytest

from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from support.rooms import Rooms


@pytest.fixture
def fleet(rooms: "Rooms") -> "list[Node]":
    """Three nodes that obey a lease, with a release whose instances hold no data."""
    from freehold.master.catalog.models import ReleaseType
    from freehold.master.fleet import actions

    nodes = [rooms.node(title, partitions=2, lease=60.0) for title in ("a", "b", "c")]
    rooms.supply(rooms.publish(tiny_release()), *nodes)
    ReleaseType.objects.update(holds_data=False)
    for node in nodes:
        actions.change_node(node.id, "provider", lease=60, acting=rooms.owner)
    return nodes


def _silent(node: str) -> None:
    """Have a node say nothing from now on that counts."""
    from freehold.master.fleet.models import Chain, Node

    epoch = Node.objects.get(id=node).epoch
    Chain.objects.update_or_create(
        node_id=node, defaults={"epoch": epoch, "sequence": 1, "hash": "00", "received_at": 1}
    )


def _enrol_anew(rooms: "Rooms", title: str, folder: Path) -> None:
    """Make another machine the node of this title."""
    from freehold.master.fleet import actions
    from freehold.node.link.keys import signing_request

    token = actions.make_enrol_token("provider", "here", acting=rooms.owner)
    actions.enrol(token.secret, title, signing_request(folder / "key.pem"))


def _lives_on(instance: str) -> str:
    from freehold.master.ordering.models import Instance

    return str(Instance.objects.get(id=instance).node_id)


def _find_lost(*, steady_for: float = 1000.0) -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering import moves

    with patch.object(clock, "steadiness", Mock(look=lambda: steady_for)):
        moves.find_lost()


def _take_over() -> None:
    from freehold.master.ordering import moves

    _find_lost()
    moves.move_from_lost()


def test_two_nodes_lost_in_a_row_are_both_left(rooms: "Rooms", fleet: "list[Node]") -> None:
    from freehold.master.fleet.models import Partition

    instance = rooms.request("page").instance
    lived = []
    for _ in fleet[1:]:
        lived.append(_lives_on(instance))
        _silent(lived[-1])
        _take_over()
        assert _lives_on(instance) not in lived
    left = Partition.objects.filter(instance__startswith="left:").values_list("node_id", flat=True)
    assert sorted(left) == sorted(lived), "each still has what it left, until it says that it has not"


def test_a_node_that_was_lost_by_a_clock_that_ran_ahead_comes_back_when_it_is_heard(
    rooms: "Rooms", fleet: "list[Node]"
) -> None:
    from freehold.master.fleet.models import Chain, Node, Supply
    from freehold.master.foundation import clock

    _silent(fleet[0].id)
    Node.objects.filter(id=fleet[0].id).update(lost_at=clock.now() + 365 * clock.DAY)
    _find_lost()
    assert Node.objects.get(id=fleet[0].id).lost_at is not None, "it was not heard since"
    Chain.objects.filter(node=fleet[0].id).update(received_at=clock.now() + 1000)
    _find_lost()
    assert Node.objects.get(id=fleet[0].id).lost_at is None
    assert Supply.objects.get(node=fleet[0].id).open


def test_who_does_not_find_a_place_does_not_keep_others_from_theirs(rooms: "Rooms", fleet: "list[Node]") -> None:
    pinned = rooms.request("pinned", constraints={"node": "a"}).instance
    free = rooms.request("free", constraints={"site": "here"}).instance
    for instance in (pinned, free):
        _silent(_lives_on(instance))
    before = _lives_on(free)
    _take_over()
    assert _lives_on(pinned) == fleet[0].id
    assert _lives_on(free) != before


def test_a_machine_that_was_made_a_node_anew_says_anew_what_it_obeys(
    rooms: "Rooms", fleet: "list[Node]", tmp_path_factory: pytest.TempPathFactory
) -> None:
    from freehold.master.fleet.models import Node

    instance = rooms.request("page").instance
    node = Node.objects.get(id=_lives_on(instance))
    _enrol_anew(rooms, node.title, tmp_path_factory.mktemp("key"))
    _silent(node.id)
    _take_over()
    assert _lives_on(instance) == node.id, "perhaps it runs there, and nobody promised to end it"


def test_who_tells_again_what_is_known_has_been_heard(rooms: "Rooms", fleet: "list[Node]") -> None:
    """The answer to its report was lost; its lease begins anew with the next try, which brings nothing new."""
    import time

    from freehold.master.fleet.models import Chain
    from support.metering import Mouth, master, send

    instance = rooms.request("page").instance
    mouth = Mouth(_lives_on(instance), instance, 1)
    mouth.say(time.time(), cpu_ms=100)
    with master(rooms) as writer:
        send(writer, mouth, mouth.reports)
        assert Chain.objects.filter(node=mouth.node).update(received_at=1) == 1, "that was long ago"
        send(writer, mouth, mouth.reports)
    _take_over()
    assert _lives_on(instance) == mouth.node


def test_a_release_stays_where_something_of_it_is_still_to_be_ended(rooms: "Rooms", fleet: "list[Node]") -> None:
    from freehold.master.catalog.models import Release
    from freehold.master.fleet import actions
    from freehold.master.foundation.errors import Conflict
    from freehold.protocol.states import SoftwareWanted

    instance = rooms.request("page").instance
    former = _lives_on(instance)
    _silent(former)
    _take_over()
    assert _lives_on(instance) != former
    with pytest.raises(Conflict, match="1 instances on node"):
        actions.supply(Release.objects.get(), [former], "provider", wanted=SoftwareWanted.REMOVED, acting=rooms.owner)


def test_a_clock_that_just_jumped_makes_no_node_lost(rooms: "Rooms", fleet: "list[Node]") -> None:
    from freehold.master.fleet.models import Node

    _silent(fleet[0].id)
    _find_lost(steady_for=60.0)
    assert not Node.objects.filter(lost_at__isnull=False).exists(), "the lease lasts, by the time that passed"
    _find_lost(steady_for=71.0)
    assert Node.objects.get(lost_at__isnull=False).id == fleet[0].id


def test_how_long_a_clock_went_evenly_is_told_by_one_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import clock

    wall, passed = 1_000_000.0, 50.0
    monkeypatch.setattr(clock, "now", lambda: int(wall * 1000))
    monkeypatch.setattr(clock, "passed", lambda: passed)
    steadiness = clock.Steadiness()
    looks = []
    for step, jump in ((0, 0), (10, 0), (10, 0.5), (10, 86400), (10, 0), (10, 0), (10, -86400), (10, 0)):
        wall, passed = wall + step + jump, passed + step
        looks.append(steadiness.look())
    assert looks == [0, 10, 20, 0, 10, 20, 0, 10]


def test_nothing_more_is_moved_away_from_a_lost_node_once_another_machine_is_that_node(
    rooms: "Rooms", fleet: "list[Node]", tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It begins, by its first feed, what is still there; so that must not begin elsewhere meanwhile."""
    from freehold.master.fleet.models import Node

    instance = rooms.request("page").instance
    node = Node.objects.get(id=_lives_on(instance))
    _silent(node.id)
    _find_lost()
    _enrol_anew(rooms, node.title, tmp_path_factory.mktemp("key"))
    _take_over()
    assert _lives_on(instance) == node.id
    assert rooms.request("other", constraints={"node": node.title}).node == node.id, "and it takes new ones"


def test_use_of_before_a_move_counts_also_when_it_is_told_after(rooms: "Rooms", fleet: "list[Node]") -> None:
    import time

    from freehold.master.usage import queries
    from support.metering import Mouth, master, send

    instance = rooms.request("page").instance
    mouth = Mouth(_lives_on(instance), instance, 1)
    mouth.say(time.time(), cpu_ms=100)
    with master(rooms) as writer:
        send(writer, mouth, mouth.reports)
        _silence_and_move(mouth.node)
        assert _lives_on(instance) != mouth.node
        mouth.say(time.time(), cpu_ms=700)
        assert send(writer, mouth, mouth.reports).refused == 0
        foreign = Mouth(next(one.id for one in fleet if one.id not in (mouth.node, _lives_on(instance))), instance, 1)
        foreign.say(time.time(), cpu_ms=5000)
        assert send(writer, foreign, foreign.reports).refused == 1
    assert queries.so_far(instance)["cpu_ms"] == 700


def _silence_and_move(node: str) -> None:
    from freehold.master.fleet.models import Chain

    Chain.objects.filter(node=node).update(received_at=1)
    _take_over()
