"""What encloses each partition of this node: its walls, its control groups, its rules of the firewall."""

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from freehold.node.host import cgroups, firewall, protections, quotas
from freehold.node.host.cgroups import Groups
from freehold.node.host.firewall import Network, Rule
from freehold.node.partition import holdings
from freehold.node.partition.layout import Outcome
from freehold.node.settings import Paths, Place, Settings
from freehold.node.workshop import Enclosure

if TYPE_CHECKING:
    from freehold.node.walls import Walls

_SHOWN = ("/usr", "/etc", "/opt", "/nix", "/gnu", "/sys/devices/system/cpu", "/run/systemd/resolve", "/run/resolvconf")
"""Folders of the machine that programs need and that hold nothing of partitions."""
_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_log = logging.getLogger(__name__)


class Enclosures:
    """The enclosures of a node's partitions. Safe from any thread."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._paths = paths
        self._settings = settings
        self.protections = protections.find(settings)
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
        self.limits = settings.limits.for_machine(memory_mb)
        self._links = {path: os.readlink(path) for path in _TOP if os.path.islink(path)}
        self._shown = _shown()
        self._admitted: dict[str, Rule] = {}
        self._admitting = threading.Lock()

    def walls(self, place: Place, release: str, outcome: Outcome | None = None) -> "Walls":
        """Return the walls of a partition in which a release is or will be configured."""
        network = outcome.network if outcome else None
        software = str(self._paths.software / release)
        given = self.protections
        return {
            "mounts": given.mounts,
            "user_namespace": given.user_namespace,
            "landlock": given.landlock,
            "links": self._links,
            "shows": [*self._shown, software] if os.path.isdir(software) else self._shown,
            "folder": str(self._paths.partitions / place.name),
            "listen": None if network is None else network.tcp,
            "alone": place.uid is None,
        }

    def groups(self, place: Place) -> Groups:
        """Return the control groups of a partition, made with its limits; those of the disk are set besides."""
        if place.uid is None:
            return Groups([], [])
        quotas.hold(self._paths.partitions, place.uid, self.limits.disk_mb, self.limits.files)
        return cgroups.create(self._tag(place), self.limits)

    def resource_limits(self, place: Place) -> dict[str, int]:
        """Return what is limited process by process, by the names of the module `resource`."""
        limits = {}
        if place.uid is not None and "pids" not in self.protections.limited:
            limits["RLIMIT_NPROC"] = self.limits.processes
        return limits

    def around(self, place: Place, release: str, outcome: Outcome | None = None) -> Enclosure:
        """Return what encloses what the node runs in a partition's name."""
        return Enclosure(
            self.walls(place, release, outcome),
            tuple(self.groups(place).checks),
            tuple(self.resource_limits(place).items()),
        )

    def admit(self, places: list[tuple[Place, Network | None]]) -> None:
        """Have partitions listen and connect as declared, from now on; raise HostError."""
        if not self.protections.firewall:
            return
        with self._admitting:
            owned = [(place, network) for place, network in places if place.uid is not None]
            rules = [Rule(place.name, place.address, place.uid or 0, network) for place, network in owned]
            news = [rule for rule in rules if self._admitted.get(rule.partition) != rule]
            if news:
                url = urlsplit(self._settings.master)
                firewall.admit(self._settings.tag, news, f"{url.hostname}:{url.port or 443}" if url.hostname else "")
                self._admitted.update({rule.partition: rule for rule in news})

    def held_back(self, place: Place) -> str:
        """Return why nothing may run in a partition, because of what it holds; empty when it may."""
        held = holdings.measure(str(self._paths.partitions / place.name))
        return holdings.too_much(held, self.limits.disk_mb, self.limits.files)

    def remove(self, place: Place) -> None:
        """Take a partition's enclosure down: nothing lives there."""
        if place.uid is not None:
            self.admit([(place, None)])
            cgroups.remove(self._tag(place))
            quotas.hold(self._paths.partitions, place.uid, 0, 0)

    def _tag(self, place: Place) -> str:
        return f"{self._settings.tag}/{place.name}"


def _shown() -> list[str]:
    """Return what of this machine every partition sees; each path is real, and none is inside another."""
    # Not the folder in which the agent was started, which is in the path of modules too.
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    ours = {
        *packages,
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[3]),
        str(Path(sys.executable).parent),
    }
    wanted = {os.path.realpath(path) for path in ours} | ours | {path for path in _TOP if not os.path.islink(path)}
    found: list[str] = []
    for path in sorted({*_SHOWN, *wanted}):
        if os.path.isdir(path) and not any(path == one or path.startswith(f"{one}/") for one in found):
            found.append(path)
    return found
