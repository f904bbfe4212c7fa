"""A node of a simulation: the real agent, with a made-up machine below it and a made-up network around it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from freehold.node.agent import Agent
from freehold.node.errors import HostError
from freehold.node.forkserver import Enclosure
from freehold.node.isolation.cgroups import Groups
from freehold.node.isolation.protections import Protections
from freehold.node.isolation.sandbox import NONE
from freehold.node.link.keys import signing_request
from freehold.node.parts import AgentParts
from freehold.node.runtime import Runtime
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.counters import UsageCounters
from freehold.node.state.database import Database, put_damaged_aside
from freehold.node.state.store import Store
from freehold.protocol.report import HostFacts, Item, PartitionFacts, ReportBody
from freehold.protocol.size import UNNAMED, Size
from freehold.simulator.host import Builder, ForkServer, Machine, Meter, Promises
from freehold.simulator.master import Master
from freehold.simulator.network import Link, Weather
from freehold.simulator.world import Killed, SimulatedEvent, SimulatedTask, World

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec

PARTITIONS = 4
MEMORY_MB = 10_000
"""More than all sizes of a history: what finds no room is tried elsewhere (`tests/unit/master/test_sizes.py`)."""


class VirtualRuntime(Runtime):
    """Virtual time, chances from the seed, and a task in the place of each thread; all of it ends with the agent."""

    def __init__(self, world: World, spawn: Callable[[Callable[[], object]], None]) -> None:
        self.random = world.random
        self._world, self._spawn = world, spawn

    def monotonic(self) -> float:
        return self._world.now

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)

    def event(self) -> SimulatedEvent:
        return SimulatedEvent(self._world)

    def start(self, thread: threading.Thread) -> None:
        self._spawn(thread.run)

    def pool(self, workers: int, name: str) -> "TaskPool":
        return TaskPool(self._spawn)


class TaskPool:
    """A pool that does everything at once."""

    def __init__(self, spawn: Callable[[Callable[[], object]], None]) -> None:
        self._spawn = spawn

    def submit(self, work: Callable[..., object], /, *arguments: Any) -> None:
        self._spawn(lambda: work(*arguments))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


class MachineEnclosures:
    """What isolates partitions; a made-up machine's are isolated by themselves."""

    protections = Protections(True, True, False, 0, 0, [], False, False, False, "")

    def __init__(self, machine: Machine, size_in: Callable[[str], Size] = lambda partition: UNNAMED) -> None:
        self._machine = machine
        self._size_in = size_in

    def open(self, slot: PartitionSlot) -> None:
        pass

    def is_open(self, slot: PartitionSlot) -> bool:
        return True

    def end(self, slot: PartitionSlot) -> None:
        pass

    def prove_empty(self, slot: PartitionSlot) -> None:
        pass

    def tenant(self, slot: PartitionSlot) -> str:
        return self._machine.partition(slot.name).instance

    def occupy(self, slot: PartitionSlot, instance: str, *, is_new: bool) -> None:
        if self.tenant(slot) not in ("", instance):
            raise HostError(f"Partition {slot.name} has data of {self.tenant(slot)}.")
        self._machine.given_to(slot.name, instance)

    def vacate(self, slot: PartitionSlot) -> None:
        pass

    def sandbox(self, slot: PartitionSlot, release: str, outcome: object = None) -> "SandboxSpec":
        return NONE

    def groups(self, slot: PartitionSlot) -> Groups:
        return Groups([], [])

    def size(self, slot: PartitionSlot) -> Size:
        return self._size_in(slot.name)

    def kills(self, slot: PartitionSlot) -> int:
        return 0

    def resource_limits(self, slot: PartitionSlot) -> dict[str, int]:
        return {}

    @contextmanager
    def around(
        self, slot: PartitionSlot, release: str, outcome: object = None, *, network: bool = True
    ) -> Iterator[Enclosure]:
        yield Enclosure(NONE)

    def lasting(self, slot: PartitionSlot, release: str, outcome: object = None) -> Enclosure:
        return Enclosure(NONE)

    def admit(self, slots: object) -> None:
        pass

    def held_back(self, slot: PartitionSlot) -> str:
        return ""

    def remove(self, slot: PartitionSlot) -> None:
        self._machine.given_to(slot.name, "")

    def host_end(self, slot: PartitionSlot) -> str:
        return ""


class SimulatedHost:
    """Tells of a made-up machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def facts(self, protections: object, promises: object, lease: float) -> HostFacts:
        partitions = [PartitionFacts(slot.name, slot.address) for slot in self._settings.slots]
        return HostFacts(partitions, cpus=2, memory_mb=MEMORY_MB, lease=lease)

    def keep_addresses(self, *, on_host: bool) -> None:
        pass


class SimulatedMaintenance:
    """Tells of the machine when something changed; a made-up one needs no care."""

    def __init__(self, store: Store, host: SimulatedHost) -> None:
        self._store, self._host = store, host

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def tell_soon(self) -> None:
        self._store.report_host(self._host.facts({}, [], self._store.lease.seconds))


class NoIdentities:
    """Gives instances no certificates: nothing here reads them."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def want(self, instance: str) -> None:
        pass


class FragileDatabase(Database):
    """A node's database whose machine may lose its power just before and just after each commit."""

    def __init__(self, path: Path, node: "Node") -> None:
        self._node = node
        self._depth = 0
        """How many transactions are open, one within another; the outermost one commits."""
        self.is_in_use = False
        """While the store is opened, outside of the agent's tasks, the power stays."""
        super().__init__(path)
        # What is committed is there: losing what was not synced is another test's subject, and this one's time.
        self.execute("PRAGMA synchronous=OFF")

    @contextmanager
    def transaction(self, *, quietly: bool = False) -> Iterator[None]:
        with super().transaction(quietly=quietly):
            self._depth += 1
            try:
                yield
                if self._depth == 1 and self.is_in_use:
                    self._node.may_lose_power()
            finally:
                self._depth -= 1
        if not self._depth and self.is_in_use:
            self._node.may_lose_power()


class MeasuredCounters(UsageCounters):
    """Counters of which the machine learns when they were saved."""

    def __init__(self, store: Store, machine: Machine) -> None:
        super().__init__(store.database, store.outbox)
        self._machine = machine

    def save(self, counters: dict[str, str], items: list[Item]) -> None:
        super().save(counters, items)
        self._machine.keep_readings()


def parts_of(node: "Node") -> AgentParts:
    """Return the parts of an agent that lives in virtual time, on a made-up machine."""
    paths, machine = Paths(node.root), node.machine
    database = FragileDatabase(paths.store, node)
    store = Store(database, hardware=machine)
    store.counters = MeasuredCounters(store, machine)
    database.is_in_use = True
    host, fork_server = SimulatedHost(node.settings), ForkServer(machine)
    return AgentParts(
        paths=paths,
        settings=node.settings,
        runtime=VirtualRuntime(node.world, node.spawn),
        store=store,
        connect=lambda: Link(node.world, node.weather, node.ask, store.clock, node.masters_now),
        keep_epoch=node.keep_epoch,
        renew_certificate=lambda upstream: node.settings,
        supervisor=machine,
        fork_server=fork_server,
        own_fork_server=fork_server,
        enclosures=MachineEnclosures(machine, store.instances.size_in),
        meter=Meter(machine),
        builder=Builder(machine),
        host=host,
        promises=lambda on_result: Promises(machine, on_result),
        maintenance=lambda **_: SimulatedMaintenance(store, host),
        identities=lambda identify, started: NoIdentities(),
    )


class Node:
    """A machine with an agent that comes and goes."""

    def __init__(
        self, world: World, master: Master, root: Path, name: str, parts: "Callable[[Node], AgentParts]" = parts_of
    ) -> None:
        """`parts` makes those of each agent that starts here."""
        self.world, self.root, self.name, self._parts = world, root, name, parts
        self._master = master
        self.weather = Weather()
        self.machine = Machine(world, name, on_stop=self._stopped, spawn=self.spawn)
        self.machine.on_start = lambda instance: self.on_start(self, instance)
        self.machine.booted = world.now
        self.on_start: Callable[[Node, str], None] = lambda node, instance: None
        """Told of each instance that begins to run here."""
        self.burnt = False
        """It never comes back."""
        self.fragility = 0.0
        """How likely it is that the power goes at a commit."""
        self.agent: Agent | None = None
        self.stopped_wrongly: list[str] = []
        self._tasks: list[SimulatedTask] = []
        self._lives = 0
        self.settings = Settings(name, True, slots=[PartitionSlot(f"p{n}", f"127.0.1.{n}") for n in range(PARTITIONS)])
        self.enrol()

    def enrol(self) -> None:
        """Become a node, or the same node anew with nothing in memory."""
        from freehold.master.foundation.errors import MasterError

        self._lives += 1
        self.root.mkdir(exist_ok=True)
        Paths(self.root).store.unlink(missing_ok=True)
        self._is_enrolled = False
        try:
            answer = self._master.enrol(self.name, signing_request(self.root / "key.pem"))
        except MasterError:
            # Its operator tries again.
            self.world.at(self.world.now + 60, self.enrol)
            return
        self._is_enrolled = True
        self.settings = msgspec.structs.replace(
            self.settings,
            node=answer.node,
            epoch=answer.epoch,
            certificate_begins=self.world.now,
            certificate_ends=self.world.now + 1e9,
        )

    def start(self) -> None:
        """Start the agent, when it is not there."""
        if not self._is_enrolled:
            self.world.at(self.world.now + 60, self.start)
        elif self.agent is None and not self.burnt:
            put_damaged_aside(Paths(self.root).store)
            self.agent = Agent(self._parts(self))
            self.spawn(self.agent.run)

    def kill(self) -> None:
        """End the agent as `kill -9` does; services go on."""
        agent, self.agent = self.agent, None
        if agent is None:
            return
        agent.promises.stop()
        self.machine.agent_ended()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.kill()
        self.world.at(self.world.now, agent.store.close)

    def lose_power(self) -> None:
        """End everything."""
        self.kill()
        self.machine.power_lost()

    def damage(self) -> None:
        """Write something else into the store's file: it cannot be read any more."""
        self.world.at(self.world.now, lambda: _overwrite(Paths(self.root).store, b"not a database" * 1000))

    def copy_store(self) -> None:
        """Keep a copy of the store as it is now, if it is in use."""
        if self.agent is None:
            return
        copy = self.root / "copy.sqlite"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(Paths(self.root).store)) as store:
            store.execute("VACUUM INTO ?", (str(copy),))

    def restore_store(self) -> None:
        """Put the copy, if this machine still has one, in the place of the store."""
        copy = self.root / "copy.sqlite"
        if copy.exists():
            content = copy.read_bytes()
            copy.unlink()
            self.world.at(self.world.now, lambda: _overwrite(Paths(self.root).store, content))

    def reinstall(self) -> None:
        """Lose the disk as well, and be enrolled anew."""
        self.lose_power()
        self.machine.partitions.clear()
        self.machine.built.clear()
        (self.root / "copy.sqlite").unlink(missing_ok=True)
        self.world.at(self.world.now, self.enrol)

    def become_sturdy(self) -> None:
        """Lose no more power at commits."""
        self.fragility = 0.0

    def may_lose_power(self) -> None:
        """Called around each commit of the store."""
        if self.fragility and self.world.random.random() < self.fragility:
            self.world.note(f"{self.name} loses its power at a commit")
            self.lose_power()
            self.world.at(self.world.now + self.world.random.uniform(1, 120), self.start)
            raise Killed

    def spawn(self, work: Callable[[], object]) -> None:
        self._tasks = [task for task in self._tasks if task.lives]
        self._tasks.append(self.world.spawn(work))

    def keep_epoch(self, epoch: int) -> Settings:
        self.settings = msgspec.structs.replace(self.settings, epoch=epoch)
        return self.settings

    def untold(self) -> float:
        """Return for how many seconds the oldest report has been waiting."""
        assert self.agent is not None
        waiting = self.agent.store.outbox.hand_out(1, 0)
        if not waiting:
            return 0.0
        return self.world.now - msgspec.json.decode(waiting[0].body, type=ReportBody).at

    def ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        return self._master.answer(self.settings.node, method, path, body)

    def masters_now(self) -> float:
        return self._master.now()

    def _stopped(self, instance: str) -> None:
        agent = self.agent
        if agent is not None and not agent.store.lease.left():
            return
        if self._master.wants(instance) == "started" and not self._master.was_to_stop(instance, self.settings.node):
            self.stopped_wrongly.append(f"{instance} on {self.name} at {self.world.now:.1f}")


def _overwrite(path: Path, content: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)
