"""What encloses each partition of this node: its container, its walls, its control groups, its rules of the firewall.

A partition is one thing: a user, a control group, and namespaces of processes, IPC and network that an init holds. All
that runs in its name is inside. `open` makes it, `end` ends it, whatever it does, and `prove_empty` says that nothing
is left before it is given on.
"""

import logging
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from freehold import durable
from freehold.node.errors import HostError
from freehold.node.forkserver import Enclosure
from freehold.node.host import resolvers
from freehold.node.isolation import (
    cgroups,
    container,
    disk_usage,
    firewall,
    group,
    processes,
    protections,
    quotas,
    remains,
)
from freehold.node.isolation.cgroups import Groups
from freehold.node.isolation.firewall import FirewallNetwork, FirewallRule, Surroundings
from freehold.node.isolation.sandbox import init_of
from freehold.node.partition import visible
from freehold.node.partition.layout import Outcome
from freehold.node.settings import Limits, PartitionSlot, Paths, Settings
from freehold.protocol.feed import WantedPeer
from freehold.protocol.size import Size

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec

END_SECONDS = 15.0
"""So long the kernel may take to end what was killed, before the partition is said not to end."""
RunAsRoot = Callable[[str, bytes], bytes]
"""Runs `module:function(payload)` in a child of one thread, as root."""
_log = logging.getLogger(__name__)


class Known(Protocol):
    """What is known of the instances that live in partitions; see `state.instances.Instances`."""

    def size_in(self, partition: str) -> Size: ...

    def peers_in(self, partition: str) -> list[WantedPeer]: ...


class Enclosures:
    """The enclosures of a node's partitions. Safe from any thread."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        run_as_root: RunAsRoot,
        known: "Known",
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._run_as_root = run_as_root
        self.protections = protections.find(settings)
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
        self.usual_limits = settings.limits.for_machine(memory_mb)
        """Of an instance whose size names none."""
        self._known = known
        self._links = {path: os.readlink(path) for path in visible.TOP if os.path.islink(path)}
        self._shown = visible.folders()
        self._admitted: dict[str, FirewallRule] = {}
        self._admitting = threading.Lock()
        self._opening = threading.Lock()

    def open(self, slot: PartitionSlot) -> None:
        """Have a partition's container be there, whole; raise HostError when it cannot be made."""
        if not self.protections.namespaces or slot.uid is None:
            return
        if container.is_whole(self._init(slot), self.host_end(slot)):
            # Asked before each call and each start of a service; root's child is for the first of them.
            return
        order = container.ContainerOrder(
            init=self.groups(slot).init,
            address=slot.address,
            host_end=self.host_end(slot),
            uplinks=self._uplinks(),
            announced_on="" if self._settings.interface == "lo" else self._settings.interface,
        )
        with self._opening:
            self._run_as_root("freehold.node.isolation.container:make", msgspec.json.encode(order))

    def is_open(self, slot: PartitionSlot) -> bool:
        """Return whether a partition's container is there, if it should have one."""
        return not self.protections.namespaces or slot.uid is None or bool(init_of(self._init(slot)))

    def end(self, slot: PartitionSlot) -> None:
        """End all that runs in a partition's name, by whatever way it was started; raise HostError when it does not."""
        if (uid := slot.uid) is None:
            return
        deadline = time.monotonic() + END_SECONDS
        gone = cgroups.end(self._tag(slot), END_SECONDS)
        pids = processes.end(lambda: processes.of_user(uid), deadline - time.monotonic())
        has_no_link = container.remove_link(self.host_end(slot), deadline - time.monotonic())
        if pids or not gone:
            raise HostError(f"{slot.name} does not end: {len(pids)} of its processes are still there.")
        if not has_no_link:
            raise HostError(f"{slot.name} does not end: its link {self.host_end(slot)} is still there.")

    def prove_empty(self, slot: PartitionSlot) -> None:
        """Raise HostError, naming it, when anything is left of a partition's user on this machine."""
        if slot.uid is None:
            return
        left = remains.of_user(slot.uid, self._paths.partitions / slot.name, self.host_end(slot))
        if left:
            words = f"Partition {slot.name} is not empty and is not given to anybody: {', '.join(left[:5])}"
            _log.error("%s", words)
            raise HostError(f"{words}.")

    def tenant(self, slot: PartitionSlot) -> str:
        """Return which instance a partition was given to, whatever else of the node was lost; empty: none."""
        try:
            return self._note(slot).read_text().strip()
        except OSError:
            return ""

    def occupy(self, slot: PartitionSlot, instance: str, *, is_new: bool) -> None:
        """Give a partition to an instance; raise HostError when another one has it, or left something there."""
        tenant = self.tenant(slot)
        if tenant == instance:
            return
        if tenant:
            words = f"Partition {slot.name} has data of {tenant}, which no Master names any more"
            _log.error("%s: decide what becomes of it by freehold node orphans", words)
            raise HostError(f"{words}.")
        if is_new:
            # Whoever lived here before was proved to be gone then; much may have happened since.
            self.end(slot)
            self.prove_empty(slot)
        durable.replace(self._note(slot), instance.encode(), 0o600)

    def vacate(self, slot: PartitionSlot) -> None:
        """Note that a partition is nobody's: it was proved to be empty."""
        self._note(slot).unlink(missing_ok=True)

    def sandbox(self, slot: PartitionSlot, release: str, outcome: Outcome | None = None) -> "SandboxSpec":
        """Return the walls of a partition in which a release is or will be configured."""
        network = outcome.network if outcome else None
        software = str(self._paths.software / release)
        protections = self.protections
        is_contained = protections.namespaces and slot.uid is not None
        has_network = is_contained and protections.network
        etc, folder = self._paths.run / "etc" / slot.name, str(self._paths.partitions / slot.name)
        resolv_conf = resolvers.configuration(self._resolvers) if has_network else None
        return {
            "mounts": protections.mounts,
            "user_namespace": protections.user_namespace,
            "landlock": protections.landlock,
            "host_name": slot.name,
            "links": self._links,
            "shows": [*self._shown, software] if os.path.isdir(software) else self._shown,
            "files": visible.files(etc, slot, folder, resolv_conf, self._names(slot)) if protections.mounts else {},
            "folder": folder,
            # Where it has a network of its own, every port of it is its own.
            "listen": None if network is None or has_network else network.bound(),
            "init": self._init(slot) if is_contained else "",
            "network": has_network,
            "filter": protections.filter,
            "alone": slot.uid is None,
        }

    def limits(self, slot: PartitionSlot) -> Limits:
        """Return what may be used in a partition: by the size of the instance that lives there, or as on this node."""
        return self.usual_limits.for_size(self._known.size_in(slot.name))

    def size(self, slot: PartitionSlot) -> Size:
        """Return what the instance in a partition is told that it may use; 0: no limit."""
        limits = self.limits(slot)
        return Size(
            cpus=limits.cpu_percent / 100 if limits.cpu_percent else float(os.cpu_count() or 1),
            memory_mb=limits.memory_mb,
            disk_mb=limits.disk_mb,
            processes=limits.processes,
            open_files=limits.open_files or resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        )

    def kills(self, slot: PartitionSlot) -> int:
        """Return how often a process in a partition was killed because all of its memory was used."""
        return 0 if slot.uid is None else cgroups.refusals(self._tag(slot)).get("memory", 0)

    def groups(self, slot: PartitionSlot) -> Groups:
        """Return the control groups of a partition, made with its limits; those of the disk are set besides."""
        if slot.uid is None:
            return Groups([], [])
        limits = self.limits(slot)
        quotas.hold(self._paths.partitions, slot.uid, limits.disk_mb, limits.files)
        return cgroups.create(self._tag(slot), limits)

    def resource_limits(self, slot: PartitionSlot) -> dict[str, int]:
        """Return what is limited process by process, by the names of the module `resource`."""
        allowed, limits = self.limits(slot), {}
        if slot.uid is not None and "pids" not in self.protections.limited:
            limits["RLIMIT_NPROC"] = allowed.processes
        if allowed.open_files:
            # Without root nobody may have more than we.
            most = allowed.open_files if os.geteuid() == 0 else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limits["RLIMIT_NOFILE"] = min(allowed.open_files, most)
        return limits

    @contextmanager
    def around(
        self, slot: PartitionSlot, release: str, outcome: Outcome | None = None, *, network: bool = True
    ) -> Iterator[Enclosure]:
        """Enclose something that the node runs in a partition's name; what it leaves behind ends with it.

        Without `network` it is on the machine's network: for programs of ours only, that speak for the partition.
        """
        enclosure = self.lasting(slot, release, outcome, network=network)
        try:
            yield enclosure
        finally:
            if enclosure.own_group:
                group.end(enclosure.own_group, END_SECONDS)

    def lasting(
        self, slot: PartitionSlot, release: str, outcome: Outcome | None = None, *, network: bool = True
    ) -> Enclosure:
        """Return what encloses something that runs in a partition's name for as long as the partition does."""
        groups = self.groups(slot)
        own = groups.call()
        sandbox = self.sandbox(slot, release, outcome)
        sandbox["network"] = sandbox["network"] and network
        return Enclosure(
            sandbox,
            (*([f"{own}/cgroup.procs"] if own else []), *groups.checks),
            tuple(self.resource_limits(slot).items()),
            own,
        )

    def admit(self, slots: list[tuple[PartitionSlot, FirewallNetwork | None]]) -> None:
        """Have partitions listen and connect as declared, from now on; raise HostError."""
        if not (self.protections.firewall and self.protections.network):
            return
        with self._admitting:
            owned = [(slot, network) for slot, network in slots if slot.uid is not None]
            rules = [
                FirewallRule(slot.name, slot.address, self.host_end(slot), network, self._peers(slot, network))
                for slot, network in owned
            ]
            news = [rule for rule in rules if self._admitted.get(rule.partition) != rule]
            if news:
                url = urlsplit(self._settings.master)
                master = f"{url.hostname}:{url.port or 443}" if url.hostname else ""
                around = Surroundings(master, self._resolvers, self._settings.network)
                firewall.admit(self._settings.tag, news, around)
                self._admitted.update({rule.partition: rule for rule in news})

    def held_back(self, slot: PartitionSlot) -> str:
        """Return why nothing may run in a partition, because of what it holds; empty when it may."""
        held = disk_usage.measure(str(self._paths.partitions / slot.name))
        limits = self.limits(slot)
        return disk_usage.too_much(held, limits.disk_mb, limits.files)

    def remove(self, slot: PartitionSlot) -> None:
        """Take a partition's enclosure down: nothing lives there."""
        if slot.uid is not None:
            self.admit([(slot, None)])
            quotas.hold(self._paths.partitions, slot.uid, 0, 0)

    def host_end(self, slot: PartitionSlot) -> str:
        """Return the name of a partition's link on the host; empty when it has no network of its own."""
        return host_end(self._settings, slot) if self.protections.network and slot.uid is not None else ""

    def _names(self, slot: PartitionSlot) -> dict[str, str]:
        """Return the addresses of the others of the tree of the instance in a partition, by host name."""
        return {visible.host_name(peer.title): peer.address for peer in self._known.peers_in(slot.name)}

    def _peers(self, slot: PartitionSlot, network: FirewallNetwork | None) -> list[str]:
        if network is None or not (network.tcp_internal or network.udp_internal):
            return []
        return [peer.address for peer in self._known.peers_in(slot.name)]

    @property
    def _resolvers(self) -> list[str]:
        return resolvers.find()

    def _uplinks(self) -> list[str]:
        """Return the interfaces that lead out of this machine."""
        named = {self._settings.interface} - {"lo"}
        return sorted(named | container.default_interfaces())

    def _note(self, slot: PartitionSlot) -> Path:
        return note_of_tenant(self._paths, slot)

    def _init(self, slot: PartitionSlot) -> str:
        return Groups([], [], cgroups.tracking(self._tag(slot))).init

    def _tag(self, slot: PartitionSlot) -> str:
        return f"{self._settings.tag}/{slot.name}"


def note_of_tenant(paths: Paths, slot: PartitionSlot) -> Path:
    """Return the file that says which instance a partition was given to; beside its folder, where only we write."""
    return paths.partitions / f".{slot.name}.instance"


def host_end(settings: Settings, slot: PartitionSlot) -> str:
    """Return the name of a partition's link on the host; the kernel takes 15 letters."""
    return f"{firewall.LINKS}{settings.tag}{slot.name.removeprefix('p')}"
