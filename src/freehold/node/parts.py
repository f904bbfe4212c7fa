"""What an agent is built of, and what it needs of each part (decision 0039).

`assembly.py` builds the parts of a machine's agent; the simulator and tests pass in others.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from freehold.node.forkserver import Enclosure, Interrupt
from freehold.node.isolation.cgroups import Groups
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.isolation.protections import Protections
from freehold.node.metering import MeteredPartition, Reading
from freehold.node.partition.layout import Outcome
from freehold.node.promises import Result, Watch
from freehold.node.runtime import Runtime
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.store import Store
from freehold.node.supervisor.client import GroupStatus, Process, SupervisorEvent
from freehold.node.upstream import Upstream
from freehold.protocol.report import HostFacts, HostPromise
from freehold.protocol.size import Size

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec


class SupervisorPart(Protocol):
    """Keeps processes alive; `supervisor.client.Supervisor` says what each order means."""

    def ensure(self) -> None: ...

    def watch(self, on_event: Callable[[SupervisorEvent], None]) -> None: ...

    def apply(
        self,
        group: str,
        processes: list[Process],
        *,
        until: float | None = None,
        patient: bool = False,
        on_event: Callable[[SupervisorEvent], None] | None = None,
    ) -> dict[str, str]: ...

    def lend(self, groups: dict[str, float | None]) -> None: ...

    def stop(self, group: str, timeout: float = 60.0, *, then_kill: bool = False) -> None: ...

    def status(self) -> dict[str, GroupStatus]: ...


class ForkServerPart(Protocol):
    """Runs functions in children, as other users; see `forkserver.ForkServer`."""

    def call(
        self,
        target: str,
        payload: bytes,
        *,
        uid: int | None = None,
        gid: int | None = None,
        cwd: str = "/",
        log: str = "",
        prints: str = "",
        warm: str = "",
        enclosure: Enclosure | None = None,
        timeout: float = 60.0,
        interrupt: Interrupt | None = None,
    ) -> bytes: ...

    def close(self) -> None: ...


class PromisesPart(Protocol):
    """Has promises checked in time; see `promises.Scheduler`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def watch(self, watch: Watch) -> None: ...

    def forget(self, partition: str) -> None: ...

    def measured(self, partition: str) -> float: ...

    def look_again(self, partition: str, since: float) -> None: ...


class EnclosuresPart(Protocol):
    """What isolates each partition; see `instances.enclosure.Enclosures`."""

    protections: Protections

    def open(self, slot: PartitionSlot) -> None: ...

    def is_open(self, slot: PartitionSlot) -> bool: ...

    def end(self, slot: PartitionSlot) -> None: ...

    def prove_empty(self, slot: PartitionSlot) -> None: ...

    def tenant(self, slot: PartitionSlot) -> str: ...

    def occupy(self, slot: PartitionSlot, instance: str, *, is_new: bool) -> None: ...

    def vacate(self, slot: PartitionSlot) -> None: ...

    def sandbox(self, slot: PartitionSlot, release: str, outcome: Outcome | None = None) -> "SandboxSpec": ...

    def groups(self, slot: PartitionSlot) -> Groups: ...

    def size(self, slot: PartitionSlot) -> Size: ...

    def kills(self, slot: PartitionSlot) -> int: ...

    def resource_limits(self, slot: PartitionSlot) -> dict[str, int]: ...

    def around(
        self, slot: PartitionSlot, release: str, outcome: Outcome | None = None, *, network: bool = True
    ) -> AbstractContextManager[Enclosure]: ...

    def lasting(self, slot: PartitionSlot, release: str, outcome: Outcome | None = None) -> Enclosure: ...

    def admit(self, slots: list[tuple[PartitionSlot, FirewallNetwork | None]]) -> None: ...

    def held_back(self, slot: PartitionSlot) -> str: ...

    def remove(self, slot: PartitionSlot) -> None: ...

    def host_end(self, slot: PartitionSlot) -> str: ...


class BuilderPart(Protocol):
    """Builds releases; the module `software.build` is one."""

    def is_built(self, paths: Paths, release: str) -> bool: ...

    def build(self, paths: Paths, settings: Settings, link: Upstream, release: str) -> None: ...

    def last_lines(self, paths: Paths, release: str) -> str: ...

    def remove(self, paths: Paths, settings: Settings, release: str) -> None: ...

    def share(self, paths: Paths, releases: list[str]) -> str: ...

    def damaged(self, paths: Paths, release: str) -> list[str]: ...

    def discard(self, paths: Paths, release: str, wrong: list[str]) -> None: ...

    def interrupt(self, paths: Paths, settings: Settings, release: str) -> None: ...


class MeterPart(Protocol):
    """Reads what partitions use; see `metering.Meter`."""

    def read(self, slots: list[MeteredPartition]) -> dict[str, Reading]: ...


class HostPart(Protocol):
    """The machine itself; see `host.Host`."""

    def facts(self, protections: dict[str, bool], promises: list[HostPromise], lease: float) -> HostFacts:
        """Return what the node tells of its machine."""

    def keep_addresses(self, *, on_host: bool) -> None:
        """Have the machine itself have the partitions' addresses, or none of them."""


class MaintenancePart(Protocol):
    """Guards partitions and keeps the machine's own promises; see `maintenance.loop.MaintenanceLoop`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def tell_soon(self) -> None: ...


class MakeMaintenance(Protocol):
    """Makes that part, which calls the agent back."""

    def __call__(
        self,
        *,
        contain: Callable[[str, str], None],
        shorten_logs: Callable[[], None],
        reopen: Callable[[], None],
    ) -> MaintenancePart: ...


class IdentitiesPart(Protocol):
    """Gives instances their certificates; see `identities.Identities`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def want(self, instance: str) -> None: ...


@dataclass(frozen=True)
class AgentParts:
    """All that an agent touches: with other parts it is another machine's, or nobody's."""

    paths: Paths
    settings: Settings
    runtime: Runtime
    store: Store
    connect: Callable[[], Upstream]
    """Each caller has a connection of its own."""
    keep_epoch: Callable[[int], Settings]
    """Writes down the epoch that the Master gave."""
    renew_certificate: Callable[[Upstream], Settings]
    supervisor: SupervisorPart
    fork_server: ForkServerPart
    own_fork_server: ForkServerPart
    """For work that is all ours, with our rights: strangers' work cannot starve or break it."""
    enclosures: EnclosuresPart
    meter: MeterPart
    builder: BuilderPart
    host: HostPart
    promises: Callable[[Callable[[Result], None]], PromisesPart]
    """Made for whom each result is told."""
    maintenance: MakeMaintenance
    identities: Callable[[Callable[[str], None], Callable[[], Iterable[str]]], IdentitiesPart]
    """Made for what gives one instance its certificate, and for what lists those that run."""
