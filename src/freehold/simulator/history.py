"""A history: some nodes, some customers, tens of faults; then peace, and everything must be as it is wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from freehold.node.parts import AgentParts
from freehold.protocol import size
from freehold.simulator.host import RATE
from freehold.simulator.master import Master, Rooms
from freehold.simulator.network import Weather
from freehold.simulator.node import Node, parts_of
from freehold.simulator.world import BEGINNING, World

OPERATED = 300.0
"""Seconds after the last fault until an operator looks at what nodes keep that nobody names."""
PEACE = 2100.0
"""Seconds after the last fault in which everything must become as it is wanted: longer than the longest pause."""
LONGEST = 900.0
"""Seconds that a fault lasts at most."""
LEASES = [0, 0, 120, 400]
"""Seconds of silence after which a history's nodes are taken for lost; 0: never."""
LATE = 60.0
"""Seconds within which a report is told in peace."""
UNNOTICED = 60.0
"""Seconds in which every node is heard; before, one with an older store may follow an older Master (decision 0034)."""
FORK = "was told before with another content"
"""Of what a node that lost its store, or has an older one, tells before it knows that."""
SIZES = (0, 200, 0, 700)
"""Megabytes of memory that orders ask for in turn."""
UNMEASURED = 65.0
"""Seconds of use that a loss of power may take: what was not measured yet."""


@dataclass
class HistoryOutcome:
    """What came of a history."""

    seed: int
    faults: int = 0
    orders: int = 0
    instances: int = 0
    cpu_ms: int = 0
    """Used and counted."""
    wrong: list[str] = field(default_factory=list)
    """What is not as it must be; empty when all is well."""
    happened: list[str] = field(default_factory=list)


def run(
    rooms: Rooms,
    seed: int,
    *,
    nodes: int = 3,
    days: float = 0.06,
    faults: int = 30,
    orders: int = 12,
    parts: Callable[[Node], AgentParts] = parts_of,
) -> HistoryOutcome:
    """Return what came of the history of a seed: the same each time. `parts` makes those of each node's agent."""
    world = World(seed)
    outcome = HistoryOutcome(seed)
    with TemporaryDirectory(prefix="freehold-world-", dir=rooms.root) as folder:
        master = Master(world, rooms)
        try:
            history = History(world, master, Path(folder), nodes, parts)
            history.live(days * 86400, faults, orders)
            history.judge(outcome)
            history.end()
        finally:
            master.close()
    outcome.happened = world.happened
    return outcome


class History:
    """A world with a Master and nodes in it."""

    def __init__(
        self, world: World, master: Master, folder: Path, nodes: int, parts: Callable[[Node], AgentParts] = parts_of
    ) -> None:
        self.world, self.master = world, master
        names = [f"n{number}" for number in range(nodes)]
        self.nodes = [Node(world, master, folder / name, name, parts) for name in names]
        self.lost: dict[str, float] = {}
        """Milliseconds of each instance that were lost with a disk, before the Master could be told."""
        self.faults = self.orders = 0
        self.twice: list[str] = []
        self.ends: list[str] = []
        """What was destroyed that nobody wanted destroyed."""
        self.forgot = False
        """Whether a Master was restored: what it had counted, of what a node does not know any more, is lost."""
        self._restored_at = -UNNOTICED
        self.explained: set[str] = set()
        """Words of why reports may be set aside, after faults that make them untrue."""
        self._titles = 0
        for node in self.nodes:
            node.on_start = self._started
            node.machine.on_destroy = partial(self._destroyed, node)
            node.start()
        world.run(world.now + 30)
        enrolled = [node.settings.node for node in self.nodes]
        master.supply(enrolled)
        if lease := world.random.choice(LEASES):
            world.note(f"nodes have a lease of {lease} s")
            master.lease(enrolled, lease)
        self._leased = lease > 0

    def live(self, seconds: float, faults: int, orders: int) -> None:
        """Have faults and orders come at random moments; then let peace return."""
        begin, random = self.world.now, self.world.random
        for _ in range(faults):
            self.world.at(begin + random.uniform(0, seconds), self._fault)
        if self._leased and len(self.nodes) > 1 and random.random() < 0.5:
            self.world.at(begin + random.uniform(0, seconds), lambda: self._burn(random.choice(self.nodes)))
        for _ in range(orders):
            self.world.at(begin + random.uniform(0, seconds), self._order)
        self.world.run(begin + seconds)
        self._make_peace()
        self.world.run(self.world.now + PEACE)

    def judge(self, outcome: HistoryOutcome) -> None:
        """Write down what is not as it must be."""
        outcome.faults, outcome.orders = self.faults, self.orders
        nodes = {node.settings.node: node for node in self.nodes}
        rows = self.master.instances()
        outcome.instances = len(rows)
        for row in rows:
            node = nodes[row.node_id] if row.node_id else None
            outcome.wrong += list(self._wrong_with(row, node))
            counted, by_hours = self.master.used(row.id)
            outcome.cpu_ms += counted
            if counted != by_hours:
                outcome.wrong.append(f"{row.title}: {counted} ms counted, {by_hours} ms in its hours")
            truly = sum(node.machine.truly_used(row.id) for node in self.nodes)
            most = truly + 1
            boots = sum(node.machine.boots for node in self.nodes)
            lost = self.lost.get(row.id, 0.0) + sum(node.machine.unread.get(row.id, 0.0) for node in self.nodes)
            least = truly - lost - RATE * UNMEASURED * (1 + boots)
            if not (self.forgot or least <= counted) or counted > most:
                outcome.wrong.append(f"{row.title}: {counted} ms counted, {truly:.0f} ms used")
        outcome.wrong += self.twice + self.ends
        if self.master.doubts():
            outcome.wrong.append("the Master doubts itself, and its operator decided")
        for name in nodes:
            if len(set(self.master.kept(name))) > 1:
                outcome.wrong.append(f"of {nodes[name].name} is kept: {self.master.kept(name)} MB")
        for node in self.nodes:
            outcome.wrong += [f"stopped against all wishes: {words}" for words in node.stopped_wrongly]
            if not node.burnt and (late := node.untold()) > LATE:
                outcome.wrong.append(f"{node.name} has something to tell since {late:.0f} s")
        outcome.wrong += [
            f"set aside: {reason}"
            for reason in self.master.refused()
            if not any(words in reason for words in self.explained)
        ]

    def end(self) -> None:
        """Have every machine lose its power, so that nothing of this world stays open."""
        for node in self.nodes:
            node.lose_power()
        self.master.stop()
        self.world.run(self.world.now + 1)

    def _wrong_with(self, row: object, node: Node | None) -> Iterator[str]:
        title, wanted = str(row.title), str(row.wanted)  # type: ignore[attr-defined]
        if node is not None and node.burnt:
            # Of what holds data its owner decides, and what is to go is where nobody can see to it. Nothing is taken
            # from a machine that did not say, since it was made a node, that it obeys a lease.
            moves = row.type == "movable" and wanted != "destroyed" and row.node.acknowledged_lease  # type: ignore[attr-defined]
            if moves and self._has_room():
                yield f"{title} could run elsewhere, and its node is burnt"
            return
        for other_node in self.nodes:
            if other_node is not node and other_node.machine.runs(str(row.id)):  # type: ignore[attr-defined]
                yield f"{title} runs on {other_node.name} too"
        if wanted == "destroyed":
            if row.gone_at is None:  # type: ignore[attr-defined]
                yield f"{title} is wanted destroyed, and is not gone"
            return
        if node is None:
            yield f"{title} has no node"
            return
        partition = node.machine.partition(str(row.partition))  # type: ignore[attr-defined]
        if not self.master.is_ready(str(row.id)):  # type: ignore[attr-defined]
            yield f"{title} is wanted {wanted}, and the Master does not know it so"
        if partition.running != (wanted == "started"):
            yield f"{title} is wanted {wanted}, and runs: {partition.running}"
        if wanted == "started" and f'"{partition.greeting}"' not in str(row.parameters):  # type: ignore[attr-defined]
            yield f"{title} says {partition.greeting!r}, and is wanted with {row.parameters}"  # type: ignore[attr-defined]
        if wanted == "started" and partition.memory_mb != size.read(str(row.size)).memory_mb:  # type: ignore[attr-defined]
            yield f"{title} may use {partition.memory_mb} MB, and is wanted with {row.size}"  # type: ignore[attr-defined]

    def _has_room(self) -> bool:
        slots = [slot for node in self.nodes if not node.burnt for slot in node.settings.slots]
        living = {node.settings.node for node in self.nodes if not node.burnt}
        return len(slots) > sum(row.node_id in living and row.gone_at is None for row in self.master.instances())

    def _started(self, node: Node, instance: str) -> None:
        for other_node in self.nodes:
            if (
                other_node is not node
                and other_node.machine.runs(instance)
                and self.world.now > self._restored_at + UNNOTICED
            ):
                moment = self.world.now - BEGINNING
                self.twice.append(f"{instance} runs on {other_node.name}, and begins on {node.name} at {moment:.1f} s")

    def _destroyed(self, node: Node, instance: str) -> None:
        if self.master.wants(instance) != "destroyed" and not self.master.was_to_stop(instance, node.settings.node):
            self.ends.append(f"{instance} was destroyed on {node.name}, and nobody wanted that")

    # What people want

    def _order(self) -> None:
        from freehold.master.foundation.errors import MasterError

        random = self.world.random
        living = [row.title for row in self.master.instances() if row.wanted != "destroyed"]
        self.orders += 1
        try:
            if not living or random.random() < 0.4:
                self._titles += 1
                title, state = f"s{self._titles}", "started"
                type = random.choice(["default", "movable"])
            else:
                type = None
                title, state = random.choice(living), random.choice(["started", "started", "stopped", "destroyed"])
            self.world.note(f"{title} is wanted {state}{(type and f', {type}') or ''}")
            now = state == "destroyed" and self.orders % 2 == 0
            memory_mb = SIZES[self.orders % len(SIZES)]
            self.master.request(title, f"g{self.orders}", state, type, memory_mb=memory_mb, now=now)
        except MasterError as error:
            # Its words name what was made at random.
            self.world.note(f"refused: {error.type}")

    # What goes wrong

    def _fault(self) -> None:
        self.faults += 1
        random = self.world.random
        node = random.choice(self.nodes)
        fault = random.choice(FAULTS)
        self.world.note(f"{node.name}: {fault.__name__.lstrip('_').replace('_', ' ')}")
        fault(self, node)

    def _bad_weather(self, node: Node) -> None:
        random = self.world.random
        node.weather.loss, node.weather.doubled = random.uniform(0, 0.5), random.uniform(0, 0.3)
        node.weather.slowest = random.choice([0.05, 2.0, 20.0])
        self._later(lambda: self._clear_up(node))

    def _cut(self, node: Node) -> None:
        node.weather.cut = True
        self._later(lambda: self._clear_up(node))

    def _kill_agent(self, node: Node) -> None:
        node.kill()
        self._later(node.start)

    def _power_loss(self, node: Node) -> None:
        node.lose_power()
        self._later(node.start)

    def _power_loss_at_a_commit(self, node: Node) -> None:
        node.fragility = 0.05
        self._later(node.become_sturdy)

    def _wrong_clock(self, node: Node) -> None:
        node.machine.wrong_by = self.world.random.choice([-1, 1]) * self.world.random.uniform(60, 400 * 86400)
        node.lose_power()
        self._later(node.start)

    def _reinstalled(self, node: Node) -> None:
        self._lose_disk(node)
        node.reinstall()
        self._later(node.start)

    def _burn(self, node: Node) -> None:
        self.world.note(f"{node.name}: burnt")
        self._lose_disk(node)
        node.lose_power()
        node.burnt = True

    def _start_without_counters(self, node: Node) -> None:
        """What was not told before, and what was used since, may be lost with the store."""
        self._lose_disk(node)
        node.start()

    def _lose_disk(self, node: Node) -> None:
        for row in self.master.instances():
            truly = sum(node.machine.truly_used(row.id) for node in self.nodes)
            if node.machine.truly_used(row.id):
                self.lost[row.id] = max(self.lost.get(row.id, 0.0), truly - self.master.used(row.id)[0])

    def _master_crash(self, node: Node) -> None:
        self.master.crash()
        self.master.down = True
        self._later(self.master.come_up)

    def _masters_clock(self, node: Node) -> None:
        self.explained |= {"is in the future", "is of before the instance was ordered"}
        self.master.set_clock(self.world.random.choice([-1, 1]) * self.world.random.uniform(60, 400 * 86400))
        self._later(lambda: self.master.set_clock(0.0))

    def _master_restored(self, node: Node) -> None:
        # Nodes tell of what it does not know.
        self.explained |= {"does not live on this node", "is of before the instance was ordered", FORK}
        copy = self.master.back_up()

        def restore() -> None:
            self.world.note("the Master is restored from an older copy")
            self.forgot, self._restored_at = True, self.world.now
            self.master.restore(copy)
            copy.close()
            self._later(self._decide)

        self._later(restore)

    def _decide(self) -> None:
        """As the operator of a Master who reads its tickets."""
        if self.master.doubts():
            self.world.note("the Master goes on from what it knows")
            self.master.resume()

    def _store_damaged(self, node: Node) -> None:
        self.explained.add(FORK)
        node.kill()
        node.damage()
        self._later(lambda: self._start_without_counters(node))

    def _store_rolled_back(self, node: Node) -> None:
        self.explained |= {FORK, "a counter only grows within its series"}
        node.copy_store()
        self.world.at(self.world.now + self.world.random.uniform(1, 60), lambda: self._roll_back(node))

    def _roll_back(self, node: Node) -> None:
        node.kill()
        node.restore_store()
        self._later(lambda: self._start_without_counters(node))

    def _later(self, action: Callable[[], object], *, most: float = LONGEST) -> None:
        self.world.at(self.world.now + self.world.random.uniform(1, most), action)

    def _clear_up(self, node: Node) -> None:
        node.weather.__init__()  # type: ignore[misc]

    def _make_peace(self) -> None:
        self.world.note("the last fault is over")
        self.master.come_up()
        self.master.set_clock(0.0)
        for seconds in range(0, round(PEACE / 2), 60):
            self.world.at(self.world.now + seconds, self._decide)
        for node in self.nodes:
            for seconds in range(round(OPERATED), round(PEACE / 2), round(OPERATED)):
                self.world.at(self.world.now + seconds, partial(self._agree, node))
            node.fragility, node.machine.troubled = 0.0, False
            self._clear_up(node)
            node.start()

    def _agree(self, node: Node) -> None:
        """As an operator who agrees to the end of all that the Master forgot."""
        if node.agent is not None:
            for orphan in node.agent.store.orphans.all():
                self.world.note(f"{node.name}: what the Master forgot in {orphan.partition} may end")
                self.master.asked[orphan.instance].append((self.world.now, "destroyed"))
                node.agent.store.orphans.destroy(orphan.instance)


FAULTS: list[Callable[[History, Node], None]] = [
    History._bad_weather,
    History._bad_weather,
    History._cut,
    History._kill_agent,
    History._power_loss,
    History._power_loss_at_a_commit,
    History._wrong_clock,
    History._reinstalled,
    History._master_crash,
    History._masters_clock,
    History._master_restored,
    History._store_damaged,
    History._store_rolled_back,
]


@contextmanager
def rooms() -> Iterator[Rooms]:
    """Yield the rooms of a Master in memory, for many histories of one process."""
    with TemporaryDirectory(prefix="freehold-world-", dir="/dev/shm") as folder:
        yield Rooms(Path(folder))


__all__ = ["History", "HistoryOutcome", "Weather", "rooms", "run"]
