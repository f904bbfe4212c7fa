"""Which node gets an instance, and every reason when none does."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.master.allocation.choice import Candidate, Constraints, Needs, Placement, explain, misfit, rank
from freehold.master.foundation.errors import NoPlace
from freehold.protocol.size import Size
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms


def _candidate(node: str = "node-1", **more: Any) -> Candidate:
    values: dict[str, Any] = {
        "title": node.removeprefix("node-"), "site": "paris", "region": "eu", "labels": {"disk": "ssd"},
        "cpus": 4, "memory_mb": 8000, "disk_mb": 100_000, "architecture": "x86_64",
        "free": 3, "capacity_left": 10, "cpu_percent_left": 150, "memory_mb_left": 3000, "disk_mb_left": 50_000,
        "built": True, **more,
    }  # fmt: skip
    return Candidate(node=node, **values)


# The choice as data: what is wished, and why the candidate above does not fit (None: it does).
MISFITS: list[tuple[Constraints, int | Size, str | None]] = [
    (Constraints(), 1, None),
    (Constraints(node="node-1"), 1, None),
    (Constraints(node="1"), 1, None),
    (Constraints(node="2"), 1, "is not node '2'"),
    (Constraints(site="paris"), 1, None),
    (Constraints(site="lille"), 1, "is not on site 'lille'"),
    (Constraints(region="eu"), 1, None),
    (Constraints(region="asia"), 1, "is not in region 'asia'"),
    (Constraints(labels={"disk": "ssd"}), 1, None),
    (Constraints(labels={"disk": "tape"}), 1, "has no label disk=tape"),
    (Constraints(labels={"disk": "ssd", "gpu": "1"}), 1, "has no label gpu=1"),
    (Constraints(architecture="x86_64"), 1, None),
    (Constraints(architecture="aarch64"), 1, "is not of architecture 'aarch64'"),
    (Constraints(cpus=4), 1, None),
    (Constraints(cpus=5), 1, "has fewer than 5 CPUs"),
    (Constraints(memory_mb=8000), 1, None),
    (Constraints(memory_mb=8001), 1, "has less than 8001 MB of memory"),
    (Constraints(disk_mb=100_000), 1, None),
    (Constraints(disk_mb=100_001), 1, "has less than 100001 MB of disk"),
    (Constraints(), 10, None),
    (Constraints(), 11, "has no capacity left"),
    (Constraints(placement=Placement.PACK), 1, None),
    (Constraints(), Size(cpus=1.5, memory_mb=3000, disk_mb=50_000), None),
    (Constraints(), Size(cpus=1.51), "has not 1.51 CPUs left"),
    (Constraints(), Size(memory_mb=3001), "has not 3001 MB of memory left"),
    (Constraints(), Size(disk_mb=50_001), "has not 50001 MB of disk left"),
    (Constraints(), Size(processes=10**6, open_files=10**6), None),
]


@pytest.mark.parametrize(("wished", "needed", "reason"), MISFITS)
def test_whether_a_node_fits_and_why_not(wished: Constraints, needed: int | Size, reason: str | None) -> None:
    needs = Needs(needed) if isinstance(needed, int) else Needs(1, needed)
    assert misfit(_candidate(), wished, needs) == reason


def _order(candidates: list[Candidate], placement: Placement = Placement.SPREAD) -> list[str]:
    return [one.node for one in rank(candidates, Constraints(placement=placement), Needs(1))]


def test_spread_takes_the_emptiest_node_and_pack_the_fullest() -> None:
    candidates = [_candidate("a", free=2), _candidate("b", free=9), _candidate("c", free=1)]
    assert _order(candidates) == ["b", "a", "c"]
    assert _order(candidates, Placement.PACK) == ["c", "a", "b"]


def test_between_equals_the_node_that_has_built_it_wins_then_the_name() -> None:
    candidates = [_candidate("c"), _candidate("a", built=False), _candidate("b")]
    assert _order(candidates) == ["b", "c", "a"]


_candidates = some.lists(
    some.builds(
        _candidate,
        node=some.integers(0, 30).map(lambda number: f"node-{number:02}"),
        site=some.sampled_from(["paris", "lille"]),
        cpus=some.integers(0, 8),
        free=some.integers(1, 6),
        capacity_left=some.integers(0, 5),
        built=some.booleans(),
        labels=some.dictionaries(some.sampled_from("ab"), some.sampled_from("xy")),
    ),
    unique_by=lambda one: one.node,
)
_constraints = some.builds(
    Constraints,
    site=some.sampled_from(["", "paris", "lille"]),
    cpus=some.integers(0, 8),
    labels=some.dictionaries(some.sampled_from("ab"), some.sampled_from("xy")),
    placement=some.sampled_from(Placement),
)


@given(_candidates, _constraints, some.integers(1, 3))
def test_every_candidate_is_either_ranked_or_explained(
    candidates: list[Candidate], constraints: Constraints, weight: int
) -> None:
    needs = Needs(weight)
    ranked = rank(candidates, constraints, needs)
    assert all(misfit(one, constraints, needs) is None for one in ranked)
    reasons = explain(candidates, constraints, needs)
    assert len(ranked) + sum(reason.nodes for reason in reasons) == len(candidates)
    assert [one.nodes for one in reasons] == sorted((one.nodes for one in reasons), reverse=True)


@given(_candidates, _constraints)
def test_the_same_question_has_the_same_answer(candidates: list[Candidate], constraints: Constraints) -> None:
    ranked = rank(candidates, constraints, Needs(1))
    assert rank(reversed(candidates), constraints, Needs(1)) == ranked
    free = [one.free for one in ranked]
    assert free == sorted(free, reverse=constraints.placement is Placement.SPREAD)


# With the database: the index finds what the pure choice would.


def _places(rooms: "Rooms", count: int, **constraints: Any) -> list[str]:
    """Request some instances and return the titles of the nodes where they went."""
    from freehold.master.fleet.models import Node

    titles = dict(Node.objects.values_list("id", "title"))
    start = _count(rooms)
    return [
        titles[rooms.request(f"i{start + number}", constraints=constraints or None).node] for number in range(count)
    ]


def _count(rooms: "Rooms") -> int:
    from freehold.master.ordering.models import Instance

    return Instance.objects.count()


@pytest.fixture
def fleet(rooms: "Rooms") -> "Rooms":
    """Three nodes on two sites, with 2, 3 and 4 partitions and a supply of `tiny`."""
    nodes = [
        rooms.node("a", partitions=2, site="paris", region="eu", labels={"disk": "ssd"}, cpus=2),
        rooms.node("b", partitions=3, site="tokyo", region="asia", cpus=4, memory_mb=4000),
        rooms.node("c", partitions=4, site="tokyo", region="asia", architecture="aarch64", disk_mb=10**6),
    ]
    rooms.supply(rooms.publish(tiny_release()), *nodes)
    return rooms


def test_spread_keeps_the_nodes_level(fleet: "Rooms") -> None:
    assert sorted(_places(fleet, 6)) == ["a", "b", "b", "c", "c", "c"]


def test_pack_fills_one_node_before_the_next(fleet: "Rooms") -> None:
    assert _places(fleet, 6, placement="pack") == ["a", "a", "b", "b", "b", "c"]


@pytest.mark.parametrize(
    ("constraints", "node"),
    [
        ({"node": "b"}, "b"),
        ({"site": "paris"}, "a"),
        ({"site": "tokyo"}, "c"),
        ({"site": "tokyo", "placement": "pack"}, "b"),
        ({"region": "eu"}, "a"),
        ({"labels": {"disk": "ssd"}}, "a"),
        ({"cpus": 3}, "b"),
        ({"memory_mb": 3000}, "b"),
        ({"disk_mb": 10_000}, "c"),
        ({"architecture": "aarch64"}, "c"),
    ],
    ids=str,
)
def test_each_constraint_is_kept(fleet: "Rooms", constraints: dict[str, Any], node: str) -> None:
    assert _places(fleet, 1, **constraints) == [node]


def test_the_lowest_partition_is_taken_first(fleet: "Rooms") -> None:
    partitions = [fleet.request(f"x{n}", constraints={"node": "c"}).partition for n in range(4)]
    assert partitions == ["p0", "p1", "p2", "p3"]


def _reasons(rooms: "Rooms", **constraints: Any) -> dict[str, int]:
    with pytest.raises(NoPlace) as caught:
        rooms.request("no place", constraints=constraints)
    assert caught.value.status == 409
    assert not _count_titled("no place")
    return {reason.reason: reason.nodes for reason in caught.value.reasons}


def _count_titled(title: str) -> int:
    from freehold.master.ordering.models import Instance

    return Instance.objects.filter(title=title).count()


def test_every_reason_is_told(fleet: "Rooms") -> None:
    from freehold.master.fleet import actions

    assert _reasons(fleet, node="z") == {"is not node 'z'": 3}
    assert _reasons(fleet, site="rome") == {"is not on site 'rome'": 3}
    assert _reasons(fleet, region="eu", cpus=3) == {"is not in region 'eu'": 2, "has fewer than 3 CPUs": 1}
    assert _reasons(fleet, memory_mb=10**6) == {"has less than 1000000 MB of memory": 3}
    assert _reasons(fleet, disk_mb=10**8) == {"has less than 100000000 MB of disk": 3}
    assert _reasons(fleet, architecture="riscv") == {"is not of architecture 'riscv'": 3}
    assert _reasons(fleet, labels={"disk": "tape"}) == {"has no label disk=tape": 3}
    actions.change_node("a", "provider", open=False, acting=fleet.owner)
    actions.change_node("b", "provider", capacity=0, acting=fleet.owner)
    _places(fleet, 4)
    assert _reasons(fleet) == {
        "closed for new instances": 1, "has no capacity left": 1, "has no free partition": 1,
    }  # fmt: skip


def test_a_release_without_supply_has_no_place(fleet: "Rooms") -> None:
    from freehold.master.ordering import actions

    fleet.publish(tiny_release("other"))
    with pytest.raises(NoPlace, match="there is no supply for it"):
        actions.request(actions.Request("shop", "x", product="other"), acting=fleet.customer)


def test_a_release_being_removed_takes_nobody(rooms: "Rooms") -> None:
    from freehold.protocol.states import SoftwareWanted

    node, release = rooms.node("a"), rooms.publish(tiny_release())
    rooms.supply(release, node)
    rooms.supply(release, node, wanted=SoftwareWanted.REMOVED)
    assert _reasons(rooms) == {"the release is being removed there": 1}


def test_a_private_supply_serves_its_owner_only(rooms: "Rooms") -> None:
    from freehold.master.ordering import actions

    node, release = rooms.node("a"), rooms.publish(tiny_release())
    rooms.supply(release, node, everyone=False)
    with pytest.raises(NoPlace, match="there is no supply for it"):
        rooms.request("x")
    mine = actions.request(actions.Request("provider", "x", product="tiny"), acting=rooms.owner)
    assert mine.created
    rooms.supply(release, node, everyone=True)
    assert rooms.request("x").created


def test_reasons_do_not_tell_of_nodes_that_serve_others(rooms: "Rooms") -> None:
    release = rooms.publish(tiny_release())
    rooms.supply(release, rooms.node("open", partitions=0))
    rooms.supply(release, rooms.node("private", partitions=0), everyone=False)
    assert _reasons(rooms) == {"has no free partition": 1}


def test_public_and_private_supplies_are_chosen_among_together(rooms: "Rooms") -> None:
    from freehold.master.ordering import actions

    release = rooms.publish(tiny_release())
    rooms.supply(release, rooms.node("open", partitions=2))
    rooms.supply(release, rooms.node("own", partitions=3), everyone=False)
    nodes = [
        actions.request(actions.Request("provider", f"x{n}", product="tiny"), acting=rooms.owner).node for n in range(5)
    ]
    assert len(set(nodes)) == 2


def test_heavy_instances_use_up_capacity(rooms: "Rooms") -> None:
    node = rooms.node("a", partitions=9, capacity=10)
    rooms.supply(rooms.publish(tiny_release(weight=4)), node)
    assert _places(rooms, 2) == ["a", "a"]
    node.refresh_from_db()
    assert (node.used, node.free) == (8, 7)
    assert _reasons(rooms) == {"has no capacity left": 1}


def test_a_full_node_far_down_the_list_is_found(rooms: "Rooms") -> None:
    """The index is read in pages; what fits may be on a later one."""
    release = rooms.publish(tiny_release())
    nodes = [rooms.node(f"n{number}", partitions=3) for number in range(7)]
    last = rooms.node("last", partitions=1, labels={"gpu": "1"})
    rooms.supply(release, *nodes, last)
    assert _places(rooms, 1, labels={"gpu": "1"}) == ["last"]
    assert _reasons(rooms, labels={"gpu": "1"}) == {"has no label gpu=1": 7, "has no free partition": 1}


@pytest.mark.parametrize(
    "name", ["anywhere_spread", "site_spread", "anywhere_pack", "site_pack", "node", "take_partition"]
)
def test_an_index_finds_the_place(fleet: "Rooms", name: str) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL scans tables of three rows whatever indexes there are")
    values = {
        "release": "r", "beneficiary": "", "free": 9, "node": "n", "limit": 4, "site": "s", "instance": "i",
        "cpu_percent": 0, "memory_mb": 0, "disk_mb": 0,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {_query(name)}", values)
        plan = [row[3] for row in cursor.fetchall()]
    assert plan
    assert not [step for step in plan if re.match("SCAN (s|n|fleet_supply|fleet_node|fleet_partition)\\b", step)], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    wanted = {"anywhere": "supply_choice", "site": "supply_choice_site", "take": "partition_free"}
    index = wanted.get(name.split("_")[0])
    assert index is None or any(f"INDEX {index} " in step for step in plan), plan


def _query(name: str) -> str:
    from freehold.master.allocation import queries
    from freehold.master.allocation.choice import Placement
    from freehold.master.fleet import partitions

    where, _, placement = name.partition("_")
    if where == "anywhere":
        return queries.ANYWHERE[Placement(placement)].format
    if where == "site":
        return queries.ON_SITE[Placement(placement)].format
    return queries.ON_NODE.format if where == "node" else partitions.SQL[name].format


def test_postgresql_uses_the_same_indexes_once_there_is_something_to_find(rooms: "Rooms") -> None:
    from django.db import connection

    if connection.vendor != "postgresql":
        pytest.skip("of PostgreSQL")
    node = rooms.node("large", partitions=500)
    with connection.cursor() as cursor:
        # Of a handful of rows one index is as good as another, and which is taken depends on when they were counted.
        cursor.execute("ANALYZE fleet_partition")
        cursor.execute("SET enable_seqscan = off")
        try:
            for name, index in (("anywhere_spread", "supply_choice"), ("take_partition", "partition_free")):
                values = {
                    "release": "r",
                    "beneficiary": "",
                    "free": 9,
                    "node": node.id,
                    "limit": 4,
                    "instance": "i",
                    "cpu_percent": 0,
                    "memory_mb": 0,
                    "disk_mb": 0,
                }
                cursor.execute(f"EXPLAIN {_query(name)}", values)
                plan = "\n".join(row[0] for row in cursor.fetchall())
                assert index in plan, plan
        finally:
            cursor.execute("SET enable_seqscan = on")
