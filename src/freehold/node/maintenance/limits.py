"""Watches what partitions take of the disk, and tells who ran against a wall.

Where no quota of the file system holds a partition to its share (`freehold.node.isolation.quotas`), this does: it looks
at the file system every few seconds, which costs nothing, and at the folders only when it filled. A partition that
holds more than it is allowed is stopped.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from freehold.node.instances.enclosure import Enclosures
from freehold.node.isolation import audit, cgroups, firewall, quotas
from freehold.node.isolation.disk_usage import DiskUsage, measure_partition, too_much
from freehold.node.partition.layout import LIMITS_PROMISE, WALLS_PROMISE
from freehold.node.settings import Paths, Settings
from freehold.node.state.instances import DesiredInstance, Instances
from freehold.protocol.states import Observed

REMEMBERED = 3600.0
"""Who ran against a wall is spoken of for so many seconds after the last time."""
GROWTH_MB, GROWTH_FILES = 32, 2000
"""So much more on the file system, and the folders are looked at; sooner where limits are small."""
HELD_BACK = 600.0
"""So many seconds after the last time an instance counts as within its limits again."""
COUNTERS = 5.0
"""Seconds between looks at the counters of control groups, which cost little."""
ATTEMPTS = 30.0
"""Seconds between looks at the kernel's counters: there are many, and for those of packets a program is started."""
WALKING = 20
"""Looking at folders takes one part in so many of the time at most."""
_WORDS = {
    "memory": "{count} processes killed: it used all its memory",
    "processes": "{count} times refused another process",
    "disk": "{count} times at its limit on disk: what it writes is refused",
    "listen": "{count} packets to a port that it did not declare refused",
    "bind": "{count} times refused to listen on a port that it did not declare",
    "file": "{count} times refused a file that is not its own",
    "reach": "{count} times refused to reach a process of others",
    "connect": "{count} packets to where it declared not to connect refused",
    "posing": "{count} packets in its name from another partition dropped",
}
_OF_AUTHORS = frozenset({"listen", "bind", "file", "connect"})
"""What its author wants to know: the release may have to declare more."""
_log = logging.getLogger(__name__)


@dataclass
class _Attempts:
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    """The kernel's counters when they were last read."""
    last: float = 0.0


class LimitEnforcer:
    """The guard of a node's partitions; `look` is called every few seconds by one thread."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        instances: Instances,
        enclosures: Enclosures,
        contain: Callable[[str, str], None],
        shorten_logs: Callable[[], None],
    ) -> None:
        """`contain(instance, why)` ends what an instance runs."""
        self._paths = paths
        self._settings = settings
        self._instances = instances
        self._enclosures = enclosures
        self._contain = contain
        self._shorten_logs = shorten_logs
        self._slots = {slot.name: slot for slot in settings.slots}
        self._disk_usage: dict[str, DiskUsage] = {}
        self._used = (0, 0)
        """Blocks and inodes of the file system when folders were last looked at."""
        self._wrote: dict[str, float] = {}
        """Megabytes that each had written to disks by then."""
        self.unexplained = ""
        """What the operator is to know of a disk that fills, when no partition does it."""
        self._not_before = 0.0
        self._attempts: dict[str, _Attempts] = {}
        self._counters_due = 0.0
        self._groups_due = 0.0
        self._held_back: dict[str, float] | None = None
        """By instance that ran into its limits: when it did so last. None: not looked at yet."""
        self._audit = audit.Refusals()

    def look(self) -> bool:
        """Look at the file system, and at the folders when it filled; return whether somebody was stopped."""
        self._look_at_counters(time.monotonic())
        disk = os.statvfs(self._paths.partitions)
        used = (disk.f_blocks - disk.f_bfree, disk.f_files - disk.f_ffree)
        megabytes = (used[0] - self._used[0]) * disk.f_frsize / (1 << 20)
        reserve = min(self._settings.disk_reserve_mb, disk.f_blocks * disk.f_frsize // (10 << 20))
        is_full = disk.f_bavail * disk.f_frsize >> 20 < reserve
        usual = self._enclosures.usual_limits
        disks = [usual.disk_mb, *(size.disk_mb for size in self._instances.sizes().values())]
        grown = megabytes >= min(GROWTH_MB, *(disk_mb / 10 for disk_mb in disks if disk_mb), GROWTH_MB)
        grown |= used[1] - self._used[1] >= min(GROWTH_FILES, usual.files / 10 or GROWTH_FILES)
        # What was removed makes room that may be filled again.
        self._used = (min(self._used[0], used[0]), min(self._used[1], used[1]))
        if not (grown or is_full) or time.monotonic() < self._not_before:
            return False
        started = time.monotonic()
        # Who writes too much into a log is held to its end before anybody is stopped.
        self._shorten_logs()
        before, self._disk_usage, stopped = self._disk_usage, {}, False
        running = [
            desired
            for desired in self._instances.started()
            if desired.partition in self._slots and desired.state is not Observed.FAILED
        ]
        for desired in running:
            self._disk_usage[desired.partition] = held = self._measure(desired.partition)
            allowed = self._enclosures.limits(self._slots[desired.partition])
            if why := too_much(held, allowed.disk_mb, allowed.files):
                self._stop(desired.instance, desired.partition, why)
                stopped = True
        self._used = used
        wrote, self._wrote = self._wrote, {group.partition: self._written(group.partition) for group in running}
        self.unexplained = ""
        known = [group for group in running if group.partition in before and group.partition in wrote]
        if is_full and known and not stopped:
            held_more = {
                group.partition: self._disk_usage[group.partition].mb - before[group.partition].mb for group in known
            }
            wrote_more = {group.partition: self._wrote[group.partition] - wrote[group.partition] for group in known}
            stopped = self._stop_who_grew(known, held_more, wrote_more, max(0.0, megabytes))
        self._not_before = time.monotonic() + WALKING * (time.monotonic() - started)
        return stopped

    def _stop_who_grew(
        self, known: list[DesiredInstance], held_more: dict[str, float], wrote_more: dict[str, float], grown: float
    ) -> bool:
        """Stop the one of which it is measured that it filled the disk; where none explains it, nobody."""
        for more, words in ((held_more, "grew"), (wrote_more, "wrote")):
            most = max(known, key=lambda group: more[group.partition])
            if more[most.partition] > max(1.0, grown / 2):
                why = f"The machine's disk is full, and this {words} most: by {more[most.partition]:.0f} MB."
                self._stop(most.instance, most.partition, why)
                return True
        if grown > 1:
            self.unexplained = f"The disk is full: {grown:.0f} MB more, and no partition explains them."
        return False

    def _measure(self, partition: str) -> DiskUsage:
        return measure_partition(str(self._paths.partitions / partition), f"{self._settings.tag}/{partition}")

    def _written(self, partition: str) -> float:
        return (cgroups.written(f"{self._settings.tag}/{partition}") or 0) / (1 << 20)

    def tell_attempts(self) -> dict[str, str]:
        """Return who ran against its walls in the last hour, with words; read from the kernel's counters."""
        now = time.monotonic()
        if now >= self._counters_due and not self._settings.unprivileged:
            self._counters_due = now + ATTEMPTS
            self._read_counters(now)
        return {
            name: "; ".join(
                _WORDS.get(event, event).format(count=count)
                for event, count in sorted(attempts.counts.items())
                if count
            )
            for name, attempts in self._attempts.items()
            if any(attempts.counts.values()) and now - attempts.last < REMEMBERED
        }

    def _look_at_counters(self, now: float) -> None:
        """Tell of each instance that runs into its limits, and of each that does so no more."""
        if self._settings.unprivileged or now < self._groups_due:
            return
        self._groups_due = now + COUNTERS
        is_first = self._held_back is None
        if self._held_back is None:
            self._held_back = dict.fromkeys(self._instances.beyond_limits(), now)
        for instance, partition in self._instances.started_partitions().items():
            if partition not in self._slots:
                continue
            news = self._count(partition, cgroups.refusals(f"{self._settings.tag}/{partition}"), now)
            if news and not is_first:
                # What was counted before we looked for the first time was told by who looked then.
                self._held_back[instance] = now
                self._instances.record_held_back(instance, LIMITS_PROMISE, False, self._words(partition, news))
            elif now - self._held_back.get(instance, now) > HELD_BACK:
                del self._held_back[instance]
                self._instances.record_held_back(instance, LIMITS_PROMISE, True, "within what it may use")

    def _words(self, partition: str, news: dict[str, int]) -> str:
        limits = self._enclosures.limits(self._slots[partition])
        words = {
            "memory": f"processes killed: it used all of its {limits.memory_mb} MB of memory",
            "processes": f"times refused another process: it had all of its {limits.processes}",
        }
        counts = self._attempts[partition].counts
        happened = "; ".join(f"{counts[event]} {words[event]}" for event in news)
        return f"{happened}. Have it use less, or order a larger size."

    def _read_counters(self, now: float) -> None:
        packets = firewall.refusals(self._settings.tag)
        logged = self._audit.by_user()
        tenants = {partition: instance for instance, partition in self._instances.started_partitions().items()}
        for name, slot in self._slots.items():
            counters = dict(packets.get(name, {}))
            if slot.uid is not None:
                counters |= logged.get(slot.uid, {})
                counters["disk"] = int(quotas.is_full(self._paths.partitions, slot.uid))
            news = self._count(name, counters, now)
            if name in tenants and not _OF_AUTHORS.isdisjoint(news):
                counts = self._attempts[name].counts
                happened = "; ".join(
                    _WORDS[event].format(count=counts[event]) for event in sorted(_OF_AUTHORS & counts.keys())
                )
                self._instances.record_held_back(tenants[name], WALLS_PROMISE, True, f"within its walls: {happened}")

    def _count(self, name: str, counters: dict[str, int], now: float) -> dict[str, int]:
        """Add up what happened since the counters were read last; return that."""
        since = {}
        attempts = self._attempts.setdefault(name, _Attempts())
        if now - attempts.last >= REMEMBERED:
            attempts.counts = {}
        for event, number in counters.items():
            before = attempts.seen.get(event, 0)
            # Smaller than before: the group is a new one, of whoever lives there now.
            news = number - before if number >= before else number
            if news:
                attempts.counts[event] = attempts.counts.get(event, 0) + news
                attempts.last, since[event] = now, news
            attempts.seen[event] = number
        return since

    def _stop(self, instance: str, partition: str, why: str) -> None:
        _log.warning("partition %s is stopped: %s", partition, why)
        attempts = self._attempts.setdefault(partition, _Attempts())
        attempts.counts[f"stopped: {why}"] = 1
        attempts.last = time.monotonic()
        self._contain(instance, why)
