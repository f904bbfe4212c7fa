"""Whatever is asked in whatever order, what is counted is what is."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from freehold.master.foundation.errors import Conflict, NoPlace, NotFound
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms

_titles = some.sampled_from(["a", "b", "c", "d", "e", "f"])
_nodes = some.sampled_from(["n0", "n1", "n2"])


class Orders(RuleBasedStateMachine):
    """Customers, operators and nodes act at random on three small nodes."""

    make: Any = None

    @initialize()
    def begin(self) -> None:
        from freehold.master.fleet.models import Node

        self.rooms: Rooms = type(self).make()
        release = self.rooms.publish(tiny_release(types=("default",), weight=2))
        nodes = [self.rooms.node(f"n{number}", partitions=2 + number, capacity=6) for number in range(3)]
        self.rooms.supply(release, *nodes)
        self.nodes = {node.title: node for node in Node.objects.all()}

    @rule(title=_titles, placement=some.sampled_from(["spread", "pack"]), dry=some.booleans())
    def request(self, title: str, placement: str, dry: bool) -> None:
        with suppress(NoPlace, Conflict):
            self.rooms.request(title, constraints={"placement": placement}, dry_run=dry)

    @rule(title=_titles, state=some.sampled_from(["started", "stopped", "destroyed"]))
    def want(self, title: str, state: str) -> None:
        from freehold.protocol.states import Wanted

        with suppress(NotFound, Conflict):
            self.rooms.request(title, None, state=Wanted(state))

    @rule(number=some.integers(0, 5), state=some.sampled_from(["started", "stopped", "destroyed"]))
    def node_says(self, number: int, state: str) -> None:
        from freehold.master.ordering.models import Instance

        live = list(Instance.objects.filter(gone_at=None).order_by("id"))
        if live:
            self.rooms.node_says(live[number % len(live)].id, state)

    @rule(title=_nodes, partitions=some.sets(some.integers(0, 5)))
    def node_offers(self, title: str, partitions: set[int]) -> None:
        self.rooms.tell(self.nodes[title], partitions=[f"p{number}" for number in sorted(partitions)])

    @rule(title=_nodes, open=some.booleans(), capacity=some.integers(0, 8))
    def operator_changes(self, title: str, open: bool, capacity: int) -> None:
        from freehold.master.fleet import actions

        actions.change_node(title, "provider", open=open, capacity=capacity, acting=self.rooms.owner)

    @invariant()
    def counts_are_true(self) -> None:
        from freehold.master import checks
        from freehold.master.fleet.models import Node, Partition, Supply
        from freehold.master.ordering.models import Instance

        for node in Node.objects.all():
            free = Partition.objects.filter(node=node, present=True, instance=None).count()
            living = Instance.objects.filter(node=node, gone_at=None)
            assert node.free == free
            assert node.used == sum(one.weight for one in living)
            supply = Supply.objects.get(node=node)
            assert (supply.free, supply.open) == (node.free, node.open and node.used < node.capacity)
            held = Partition.objects.filter(node=node).exclude(instance=None)
            assert {(one.instance, one.name) for one in held} == {(one.id, one.partition) for one in living}
        assert [line for line in checks.run() if "counts" in line] == []


def test_free_counts_always_equal_free_partitions(database: str) -> None:
    from conftest import empty_tables
    from support.rooms import Rooms

    def fresh() -> "Rooms":
        empty_tables()
        return Rooms(database)

    class Fresh(Orders):
        make = staticmethod(fresh)

    run_state_machine_as_test(
        Fresh,
        settings=settings(max_examples=12, stateful_step_count=20, suppress_health_check=list(HealthCheck)),
    )


def test_check_finds_a_miscount(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master import checks
    from freehold.master.fleet.models import Node

    rooms.node("n", partitions=4)
    assert checks.run() == []
    Node.objects.update(free=7)
    assert checks.run() == ["Node n counts 7 free partitions but has 4: report this as a bug."]
