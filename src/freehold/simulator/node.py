"""A node of a simulation: the real agent, with a made-up machine below it and a made-up network around it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from freehold.node import agent as agents
from freehold.node.errors import HostError
from freehold.node.identities import Identities
from freehold.node.instances import lifecycle
from freehold.node.isolation import sandbox
from freehold.node.isolation.cgroups import Groups
from freehold.node.isolation.protections import Protections
from freehold.node.link import sync
from freehold.node.link.keys import signing_request
from freehold.node.link.sync import FeedReader, OutboxSender
from freehold.node.metering import thread
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.desired import Store
from freehold.node.state.outbox import put_damaged_aside
from freehold.protocol.report import HostFacts, Item, PartitionFacts, ReportBody
from freehold.simulator.host import Builder, ForkServer, Machine, Meter, Promises, quietly
from freehold.simulator.master import Master
from freehold.simulator.network import Link, Weather
from freehold.simulator.world import Killed, SimulatedEvent, SimulatedTask, Timeless, World

PARTITIONS = 4


class _Enclosures:
    """Stands for what encloses partitions, which the machine's are by themselves."""

    protections = Protections(True, True, False, 0, 0, [], False, False, False, "")

    def __init__(self, machines: dict[str, Machine], node: str) -> None:
        self._machines, self._node = machines, node

    def sandbox(self, slot: PartitionSlot, release: str, outcome: object = None) -> Any:
        return sandbox.NONE

    def groups(self, slot: PartitionSlot) -> Groups:
        return Groups([], [])

    def resource_limits(self, slot: PartitionSlot) -> dict[str, int]:
        return {}

    @contextmanager
    def around(
        self, slot: PartitionSlot, release: str, outcome: object = None, *, network: bool = True
    ) -> Iterator[None]:
        yield None

    def lasting(self, slot: PartitionSlot, release: str, outcome: object = None) -> None:
        return None

    def open(self, slot: PartitionSlot) -> None:
        pass

    def is_open(self, slot: PartitionSlot) -> bool:
        return True

    def end(self, slot: PartitionSlot) -> None:
        pass

    def prove_empty(self, slot: PartitionSlot) -> None:
        pass

    def tenant(self, slot: PartitionSlot) -> str:
        return self._machines[self._node].partition(slot.name).instance

    def occupy(self, slot: PartitionSlot, instance: str, *, is_new: bool) -> None:
        if self.tenant(slot) not in ("", instance):
            raise HostError(f"Partition {slot.name} has data of {self.tenant(slot)}.")
        self._machines[self._node].given_to(slot.name, instance)

    def vacate(self, slot: PartitionSlot) -> None:
        pass

    def host_end(self, slot: PartitionSlot) -> str:
        return ""

    def admit(self, slots: object) -> None:
        pass

    def held_back(self, slot: PartitionSlot) -> str:
        return ""

    def remove(self, slot: PartitionSlot) -> None:
        self._machines[self._node].given_to(slot.name, "")


@contextmanager
def simulated(world: World) -> Iterator[dict[str, Machine]]:
    """Have the agent's modules live in virtual time and take their chances from the seed; yield where machines go."""
    time = Timeless(world)
    machines: dict[str, Machine] = {}
    changed: list[tuple[Any, str, Any]] = [
        (agents, "time", time),
        (sync, "time", time),
        (thread, "time", time),
        (sync, "random", world.random),
        (lifecycle, "Enclosures", lambda paths, settings, run_as_root: _Enclosures(machines, settings.tag)),
        (agents, "host_facts", _facts),
        (agents, "keep_addresses", lambda settings, on_host: None),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    try:
        yield machines
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class FragileStore(Store):
    """A store whose machine may lose its power just before and just after each commit."""

    def __init__(self, path: Path, node: "Node") -> None:
        self._node = node
        super().__init__(path, hardware=node.machine)
        # What is committed is there: losing what was not synced is another test's subject, and this one's time.
        self._db.execute("PRAGMA synchronous=OFF")

    @contextmanager
    def _transaction(self, *, quietly: bool = False) -> Iterator[None]:
        with super()._transaction(quietly=quietly):
            yield
            self._node.may_lose_power()
        self._node.may_lose_power()

    def count(self, counters: dict[str, str], items: list[Item]) -> None:
        super().count(counters, items)
        self._node.machine.keep_readings()


class Agent(agents.Agent):
    """The real agent with threads that are tasks, and hands that touch a made-up machine."""

    def __init__(self, node: "Node") -> None:
        world, machine = node.world, node.machine
        self.paths, self.settings = Paths(node.root), node.settings
        self._node = node
        self._over, self._awake, self._built = SimulatedEvent(world), SimulatedEvent(world), SimulatedEvent(world)  # type: ignore[assignment]
        self._busy, self._building, self._configuring, self._failed = set(), {}, {}, {}
        self._wait = 0.0
        self._busy_lock = threading.Lock()
        self.store = FragileStore(self.paths.store, node)
        self.supervisor = machine  # type: ignore[assignment]
        self.fork_server = ForkServer(machine)  # type: ignore[assignment]
        self.promises = Promises(machine, self._on_result)  # type: ignore[assignment]
        self.lifecycle = lifecycle.InstanceLifecycle(
            self.paths,
            self.settings,
            self.store,
            self.supervisor,
            self.fork_server,
            self.promises,
            self.fork_server.call,
        )
        machine.on_event = self._on_event
        self.outbox = self._as_task(OutboxSender(self._link(), self.store, self._renewed, self._keep_epoch))
        self.outbox._told = SimulatedEvent(world)  # type: ignore[assignment]
        self.store.when_told(self.outbox.told)
        self.feed = self._as_task(FeedReader(self._link(), self.store, self._heard, self._keep_epoch))
        self.metering = thread.MeteringThread(
            self.paths,
            self.settings,
            self.store,
            self.supervisor,
            self.lifecycle.enclosures.host_end,
            self.lifecycle.enclosures.tenant,
        )
        self.metering._meter = Meter(machine)  # type: ignore[assignment]
        self.metering._hurry = SimulatedEvent(world)  # type: ignore[assignment]
        self.builder = Builder(machine)
        self.identities = Identities(lambda instance: None, list)
        self._builders = self._configurers = self._enders = node  # type: ignore[assignment]

    def _keep_epoch(self, epoch: int) -> None:
        self._node.settings = msgspec.structs.replace(self._node.settings, epoch=epoch)

    def _heard(self) -> None:
        self.lifecycle.adopt()
        self.store.tell_host(_facts(self.paths.root, self.settings, self.store.lease))
        self._awake.set()

    def _as_task(self, one: Any) -> Any:
        one.over, one._reconnect = SimulatedEvent(self._node.world), SimulatedEvent(self._node.world)
        return one

    def _start_threads(self) -> None:
        for work in (self.feed.run, self.outbox.run, self.metering.run, self._tell_services):
            self._node.spawn(work)

    def _tell_services(self) -> None:
        while not self._over.wait(agents.LOG_PERIOD):
            self.lifecycle.services.tell_all()

    def _link(self) -> Any:
        return Link(self._node.world, self._node.weather, self._node.ask, self.store, self._node.masters_now)

    def _telling_progress(self, release: str, attempts: int) -> Any:
        return quietly()


class Node:
    """A machine with an agent that comes and goes."""

    def __init__(self, world: World, master: Master, root: Path, name: str) -> None:
        self.world, self.root, self.name = world, root, name
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
            self.settings, node=answer.node, epoch=answer.epoch, certificate_ends=self.world.now + 1e9
        )

    def start(self) -> None:
        """Start the agent, when it is not there."""
        if not self._is_enrolled:
            self.world.at(self.world.now + 60, self.start)
        elif self.agent is None and not self.burnt:
            put_damaged_aside(Paths(self.root).store)
            self.agent = Agent(self)
            self.spawn(self.agent.run)

    def kill(self) -> None:
        """End the agent as `kill -9` does; services go on."""
        agent, self.agent = self.agent, None
        if agent is None:
            return
        agent.promises.stop()
        self.machine.on_event = None
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

    def submit(self, work: Callable[..., object], *arguments: Any) -> None:
        """As a pool of threads."""
        self.spawn(lambda: work(*arguments))

    def untold(self) -> float:
        """Return for how many seconds the oldest report has been waiting."""
        assert self.agent is not None
        waiting = self.agent.store.outbox(1, 0)
        if not waiting:
            return 0.0
        return self.world.now - msgspec.json.decode(waiting[0].body, type=ReportBody).at

    def ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        return self._master.answer(self.settings.node, method, path, body)

    def masters_now(self) -> float:
        return self._master.now()

    def _stopped(self, instance: str) -> None:
        agent = self.agent
        if agent is not None and not agent.store.lease_left():
            return
        if self._master.wants(instance) == "started" and not self._master.was_to_stop(instance, self.settings.node):
            self.stopped_wrongly.append(f"{instance} on {self.name} at {self.world.now:.1f}")


def _overwrite(path: Path, content: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)


def _facts(root: Path, settings: Settings, *told: Any) -> HostFacts:
    partitions = [PartitionFacts(slot.name, slot.address) for slot in settings.slots]
    return HostFacts(partitions, cpus=2, lease=told[-1])
