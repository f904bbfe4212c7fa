"""The agent is built of the parts that it is given: with other parts it is another machine's."""

from dataclasses import replace
from pathlib import Path

import msgspec

from freehold.node.agent import Agent
from freehold.node.parts import AgentParts
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.feed import Feed, Installation, WantedInstance
from freehold.protocol.report import Applied, InstanceReport, ReportBatch, ReportBody
from freehold.protocol.states import Observed, SoftwareWanted, Wanted
from freehold.simulator.host import Builder, ForkServer, Machine, Meter, Promises
from freehold.simulator.node import (
    MachineEnclosures,
    NoIdentities,
    SimulatedHost,
    SimulatedMaintenance,
    VirtualRuntime,
)
from freehold.simulator.world import World

HELLO = msgspec.Raw(b'{"greeting": "hello"}')
SETTINGS = Settings("test", True, node="n", epoch=1, slots=[PartitionSlot("p0", "127.0.1.1")])
FEED = Feed(
    1,
    0.0,
    60.0,
    snapshot=True,
    epoch=1,
    installations=[Installation("red", 1, SoftwareWanted.AVAILABLE)],
    instances=[WantedInstance("shop", 1, "p0", "red", "default", Wanted.STARTED, parameters=HELLO)],
)


class OneFeed:
    """A Master that wants one thing for ever, and remembers what it was told."""

    master = "https://master"

    def __init__(self, world: World, store: Store) -> None:
        self._world, self._store = world, store
        self.told: list[ReportBody] = []

    def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = 30.0
    ) -> tuple[int, bytes, dict[str, str]]:
        self._store.clock.hear(self._world.now)
        if path.startswith("/node/v1/feed?since=0"):
            return 200, msgspec.json.encode(FEED), {}
        if path == "/node/v1/reports":
            batch = msgspec.json.decode(body or b"", type=ReportBatch)
            self.told += [msgspec.json.decode(report.body, type=ReportBody) for report in batch.reports]
            return 200, msgspec.json.encode(Applied(batch.reports[-1].sequence, 60.0)), {}
        self._world.sleep(50)
        return 204, b"", {}

    def close(self) -> None:
        pass


def parts_of(root: Path, world: World, machine: Machine) -> AgentParts:
    paths, fork_server, host = Paths(root), ForkServer(machine), SimulatedHost(SETTINGS)
    store = Store(Database(paths.store), hardware=machine)
    master = OneFeed(world, store)
    return AgentParts(
        paths=paths,
        settings=SETTINGS,
        runtime=VirtualRuntime(world, world.spawn),
        store=store,
        connect=lambda: master,
        keep_epoch=lambda epoch: SETTINGS,
        renew_certificate=lambda upstream: SETTINGS,
        supervisor=machine,
        fork_server=fork_server,
        own_fork_server=fork_server,
        enclosures=MachineEnclosures(machine),
        meter=Meter(machine),
        builder=Builder(machine),
        host=host,
        promises=lambda on_result: Promises(machine, on_result),
        maintenance=lambda **_: SimulatedMaintenance(store, host),
        identities=lambda identify, started: NoIdentities(),
    )


def live(parts: AgentParts, world: World, seconds: float) -> Agent:
    agent = Agent(parts)
    world.spawn(agent.run)
    world.run(world.now + seconds)
    return agent


def test_an_agent_keeps_what_is_wanted_on_the_machine_and_by_the_time_that_it_was_given(tmp_path: Path) -> None:
    world = World(1)
    machine = Machine(world, "n", spawn=world.spawn, troubled=False)
    parts = parts_of(tmp_path, world, machine)
    live(parts, world, 600)
    assert machine.runs("shop")
    assert machine.partition("p0").greeting == "hello"
    master = parts.connect()
    assert isinstance(master, OneFeed)
    states = [item.state for body in master.told for item in body.items if isinstance(item, InstanceReport)]
    assert states[-1] is Observed.STARTED
    assert {round(body.at - world.now, -4) for body in master.told} == {0}, "all of it in the world's time"


class Stubborn(Builder):
    """What it builds is never whole."""

    def is_built(self, paths: Paths, release: str) -> bool:
        return False

    def build(self, paths: Paths, settings: Settings, link: object, release: str) -> None:
        raise OSError("No space left on device")


def test_one_part_may_be_another_and_the_rest_the_same(tmp_path: Path) -> None:
    world = World(1)
    machine = Machine(world, "n", spawn=world.spawn, troubled=False)
    parts = replace(parts_of(tmp_path, world, machine), builder=Stubborn(machine))
    agent = live(parts, world, 600)
    assert not machine.runs("shop")
    (desired,) = agent.store.instances.all()
    assert desired.state is Observed.WAITING
