"""A made-up machine: partitions, processes, counters and builds that outlive the agent, and not the power."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from freehold.node.clock import Hardware
from freehold.node.errors import BuildError
from freehold.node.metering import MeteredPartition, Reading
from freehold.node.partition.layout import Executable, Layout
from freehold.node.promises import Result, Watch
from freehold.node.settings import Paths, Settings
from freehold.node.supervisor.client import GroupStatus, Process, SupervisorEvent
from freehold.simulator.world import SimulatedEvent, World

BUILD_FAILS = 0.2
RATE = 10.0
"""Milliseconds of processor that a running service uses in a second."""
SETTLES = 0.1
"""Seconds after which a service is told of as living."""


@dataclass
class Partition:
    """What is in a partition and what runs there."""

    instance: str = ""
    running: bool = False
    greeting: str = ""
    memory_mb: int = 0
    """What it was told that it may use."""
    """What the service was last configured with."""
    since: float = 0.0
    """Since when it runs."""
    cpu_ms: float = 0.0
    """Of the kernel's counter, until `since`; gone with the power."""
    read_ms: float = 0.0
    """What the agent last read there."""
    until: float | None = None
    """Until when (seconds since the boot) what runs there may run; None: as long as it likes."""
    kept_ms: float = 0.0
    """What of it it wrote down."""


@dataclass
class Machine(Hardware):
    """What the agent's hands touch."""

    world: World
    name: str
    partitions: dict[str, Partition] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    used: dict[str, float] = field(default_factory=dict)
    """Milliseconds of processor that each instance truly used, up to when it last began to run."""
    unread: dict[str, float] = field(default_factory=dict)
    """Milliseconds of each instance that were lost with the power: nobody had read the counters and written it down."""
    on_stop: Callable[[str], None] = lambda instance: None
    """Told which instance's processes the agent ends."""
    on_destroy: Callable[[str], None] = lambda instance: None
    """Told of which instance a partition is emptied."""
    on_start: Callable[[str], None] = lambda instance: None
    """Told which instance's processes begin to run."""
    on_event: Callable[[SupervisorEvent], None] | None = None
    """Told what becomes of processes, as long as an agent watches."""
    agents: int = 0
    """How many agents ended here."""
    spawn: Callable[[Callable[[], object]], object] = lambda work: None
    """Begins a task that ends with the agent."""
    booted: float = 0.0
    boots: int = 0
    wrong_by: float = 0.0
    """Seconds by which its clock is wrong."""
    troubled: bool = True
    """Whether builds may fail and promises break here."""

    # Time

    def wall(self) -> float:
        return self.world.now + self.wrong_by

    def is_synchronised(self) -> bool:
        return False

    def since_boot(self) -> float:
        return self.world.now - self.booted

    def boot(self) -> str:
        return f"{self.name}-{self.boots}"

    def power_lost(self) -> None:
        """Everything that runs ends, and the kernel's counters with it."""
        self.booted, self.boots = self.world.now, self.boots + 1
        for name, partition in self.partitions.items():
            lost = self.cpu_ms(name) - partition.kept_ms
            self.unread[partition.instance] = self.unread.get(partition.instance, 0.0) + lost
            self._end(partition)
            partition.cpu_ms = partition.read_ms = partition.kept_ms = 0.0

    def partition(self, name: str) -> Partition:
        return self.partitions.setdefault(name, Partition())

    def cpu_ms(self, name: str) -> float:
        """Return the kernel's counter of a partition."""
        partition = self.partition(name)
        return partition.cpu_ms + (RATE * (self.world.now - partition.since) if partition.running else 0.0)

    # As the supervisor

    def ensure(self) -> None:
        pass

    def watch(self, on_event: Callable[[SupervisorEvent], None]) -> None:
        self.on_event = on_event
        # It never ends by itself.
        SimulatedEvent(self.world).wait()

    def agent_ended(self) -> None:
        """Nobody watches any more."""
        self.on_event, self.agents = None, self.agents + 1

    def lend(self, groups: dict[str, float | None]) -> None:
        for name, until in groups.items():
            if self.partition(name).running:
                self._lend(name, until)

    def apply(
        self,
        group: str,
        processes: list[Process],
        *,
        until: float | None = None,
        patient: bool = False,
        on_event: Callable[[SupervisorEvent], None] | None = None,
    ) -> dict[str, str]:
        partition, agents = self.partition(group), self.agents
        if not partition.running and processes:
            partition.running, partition.since = True, self.world.now
            self.on_start(partition.instance)
        self._lend(group, until)
        versions = {process.name: f"{self.boots}-{process.digest}" for process in processes}

        def settled() -> None:
            # Of an agent that ended meanwhile: nobody hears it.
            if self.on_event is not None and self.agents == agents and partition.running:
                for process, version in versions.items():
                    self.on_event(SupervisorEvent(group, process, True, 0, None, version))

        self.world.at(self.world.now + SETTLES, lambda: self.spawn(settled))
        return versions

    def _lend(self, name: str, until: float | None) -> None:
        partition, boot = self.partition(name), self.boots
        partition.until = until

        def end() -> None:
            # Unless it was prolonged.
            if partition.running and partition.until == until and self.boots == boot:
                partition.cpu_ms = self.cpu_ms(name)
                self._end(partition)

        if until is not None:
            self.world.at(self.booted + until, end)

    def runs(self, instance: str) -> bool:
        """Return whether processes of an instance run here."""
        return any(partition.running and partition.instance == instance for partition in self.partitions.values())

    def stop(self, group: str, timeout: float = 0.0, *, then_kill: bool = False) -> None:
        partition = self.partition(group)
        if partition.running:
            self.on_stop(partition.instance)
            partition.cpu_ms = self.cpu_ms(group)
            self._end(partition)

    def given_to(self, name: str, instance: str) -> Partition:
        """Return a partition for an instance: another one's counters begin at zero."""
        partition = self.partition(name)
        if partition.instance != instance:
            self._end(partition)
            if partition.instance:
                self.on_destroy(partition.instance)
            partition.instance, partition.cpu_ms = instance, 0.0
            partition.read_ms = partition.kept_ms = 0.0
        return partition

    def keep_readings(self) -> None:
        """What the agent last read is written down."""
        for partition in self.partitions.values():
            partition.kept_ms = partition.read_ms

    def truly_used(self, instance: str) -> float:
        """Return the milliseconds of processor that an instance used here."""
        running = [
            partition for partition in self.partitions.values() if partition.instance == instance and partition.running
        ]
        return self.used.get(instance, 0.0) + sum(RATE * (self.world.now - partition.since) for partition in running)

    def _end(self, partition: Partition) -> None:
        if partition.running:
            self.used[partition.instance] = self.truly_used(partition.instance)
            partition.running = False

    def status(self) -> dict[str, GroupStatus]:
        return {}


class ForkServer:
    """Configures instances without children: what it would have written is in the machine's partition."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def call(self, target: str, payload: bytes, **_: object) -> bytes:
        if not target.endswith("configure:run"):
            return b""
        order = msgspec.json.decode(payload, type=dict[str, Any])
        greeting = str(msgspec.json.decode(order["parameters"]).get("greeting", ""))
        partition = self._machine.given_to(Path(order["folder"]).name, order["instance"])
        partition.greeting, partition.memory_mb = greeting, order.get("size", {}).get("memory_mb", 0)
        digest = hashlib.sha256(greeting.encode()).hexdigest()
        layout = Layout([Executable("web", digest)], [], ["etc/plugin/page.py"], {"greeting": greeting})
        return msgspec.json.encode(layout)

    def close(self) -> None:
        pass


class Promises:
    """Checks what is watched: kept a little later, and broken now and then while there is trouble."""

    def __init__(self, machine: Machine, on_result: Any) -> None:
        self._machine, self._on_result = machine, on_result
        self._watched: dict[str, Watch] = {}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._watched.clear()

    def watch(self, watch: Watch) -> None:
        self._watched[watch.partition] = watch
        self._check(watch, 1.0)

    def forget(self, partition: str) -> None:
        self._watched.pop(partition, None)

    def measured(self, partition: str) -> float:
        return math.inf

    def look_again(self, partition: str, since: float) -> None:
        pass

    def _check(self, watch: Watch, seconds: float) -> None:
        world = self._machine.world

        def look() -> None:
            if self._watched.get(watch.partition) is not watch:
                return
            is_kept = not (self._machine.troubled and world.random.random() < 0.2)
            self._on_result(Result(watch.partition, watch.instance, watch.revision, "page", is_kept, ""))
            self._check(watch, 60.0 if is_kept else 5.0)

        world.at(world.now + seconds, lambda: self._machine.spawn(look))


class Builder:
    """Stands for the module that builds releases."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def is_built(self, paths: Paths, release: str) -> bool:
        return release in self._machine.built

    def build(self, paths: Paths, settings: Settings, link: object, release: str) -> None:
        if release in self._machine.built:
            return
        world = self._machine.world
        world.sleep(world.random.uniform(1.0, 120.0))
        if self._machine.troubled and world.random.random() < BUILD_FAILS:
            raise BuildError("The package index is down.")
        self._machine.built.add(release)

    def share(self, paths: Paths, releases: list[str]) -> str:
        return ""

    def damaged(self, paths: Paths, release: str) -> list[str]:
        return []

    def discard(self, paths: Paths, release: str, wrong: list[str]) -> None:
        pass

    def remove(self, paths: Paths, settings: Settings, release: str) -> None:
        self._machine.built.discard(release)

    def interrupt(self, paths: Paths, settings: Settings, release: str) -> None:
        pass

    def last_lines(self, paths: Paths, release: str) -> str:
        return ""


class Meter:
    """Reads the machine's counters."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def read(self, slots: list[MeteredPartition]) -> dict[str, Reading]:
        return {slot.partition: self._reading(slot.partition) for slot in slots}

    def _reading(self, name: str) -> Reading:
        read = self._machine.partition(name).read_ms = self._machine.cpu_ms(name)
        return Reading({"cpu_ms": read, "memory_mb_s": 16.0})
