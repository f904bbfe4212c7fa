"""Reading what partitions use: one look at `/proc` for all, cgroups and nftables where there are any."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from freehold.node.isolation import cgroups, disk_usage
from freehold.node.metering import network
from freehold.node.metering.counters import Reading

DISK_PERIOD = 600.0
"""A partition's folder is walked so often at most, in seconds."""
FREE_MB = 64
"""Megabytes of each configuration, check of promises and the like that are the node's own work."""
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


@dataclass(frozen=True)
class MeteredPartition:
    """A partition to be read."""

    partition: str
    uid: int | None
    address: str
    folder: str
    sessions: list[int]
    """Ids of the sessions that the supervisor started for it."""
    dead_cpu_ms: float
    """Processor time of its processes that the supervisor saw end."""
    instance: str = ""
    """Which instance lives there now."""
    host_end: str = ""
    """Its link on the host; empty when it has no network of its own."""


class Meter:
    """Reads partitions of one node."""

    def __init__(self, tag: str, *, root_mode: bool) -> None:
        self._tag = tag
        self._root_mode = root_mode
        self._disk: dict[tuple[str, str], tuple[float, float]] = {}
        """When each instance's folder was last walked, and what was found."""

    def read(self, slots: list[MeteredPartition]) -> dict[str, Reading]:
        """Return a reading of each place, by partition."""
        living = _processes()
        self._disk = {(slot.partition, slot.instance): self._disk_mb(slot) for slot in slots}
        readings = {}
        for slot in slots:
            used, exact = self._used(slot, living)
            values = {
                "cpu_ms": used.cpu_ms,
                "memory_mb_s": used.memory_mb,
                "process_s": used.processes,
                "disk_mb_s": self._disk[slot.partition, slot.instance][1],
            }
            if counted := network.read(slot.host_end):
                values["network_in"], values["network_out"] = counted
            readings[slot.partition] = Reading(values, exact)
        return readings

    def _used(self, slot: MeteredPartition, living: "_Living") -> tuple["_Used", bool]:
        tag = f"{self._tag}/{slot.partition}"
        exact = cgroups.cpu_ms(tag) if self._root_mode else None
        if exact is not None:
            services, checks = cgroups.processes(tag)
            return _Used(exact, sum(_beyond_free(services, checks, living.memory_mb)), len(services)), True
        if slot.uid is not None:
            instances = [living.by_uid[slot.uid]]
        else:
            instances = [living.by_session[session] for session in slot.sessions]
        cpu_ms = sum(used.cpu_ms for used in instances) + slot.dead_cpu_ms
        return _Used(
            cpu_ms, sum(used.memory_mb for used in instances), sum(used.processes for used in instances)
        ), False

    def _disk_mb(self, slot: MeteredPartition) -> tuple[float, float]:
        looked, size = self._disk.get((slot.partition, slot.instance), (-DISK_PERIOD, 0.0))
        now = time.monotonic()
        if now - looked < DISK_PERIOD:
            return looked, size
        return now, disk_usage.measure_partition(slot.folder, f"{self._tag}/{slot.partition}").mb


def _beyond_free(services: list[int], checks: list[int], memory_mb: dict[int, float]) -> Iterator[float]:
    """Yield the memory that a partition uses: of what the node runs in its name, what is beyond our own part of it."""
    for pid in services:
        yield memory_mb.get(pid, 0.0)
    for pid in checks:
        yield max(0.0, memory_mb.get(pid, 0.0) - FREE_MB)


class _Used(NamedTuple):
    """What processes use together."""

    cpu_ms: float
    memory_mb: float
    """Resident."""
    processes: int


class _Living:
    """What living processes use, added up in three ways."""

    def __init__(self) -> None:
        self.by_uid: defaultdict[int, _Used] = defaultdict(lambda: _Used(0.0, 0.0, 0))
        self.by_session: defaultdict[int, _Used] = defaultdict(lambda: _Used(0.0, 0.0, 0))
        self.memory_mb: dict[int, float] = {}
        """By process."""


def _processes() -> _Living:
    living = _Living()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                uid = os.fstat(file.fileno()).st_uid
        except OSError:
            continue
        # After the name: state is 0, session 3, utime to cstime 11 to 14, rss in pages 21.
        cpu_ms = sum(int(ticks) for ticks in fields[11:15]) * _TICK_MS
        memory_mb = int(fields[21]) * _PAGE_MB
        living.memory_mb[int(entry)] = memory_mb
        for table, key in ((living.by_uid, uid), (living.by_session, int(fields[3]))):
            known = table[key]
            table[key] = _Used(known.cpu_ms + cpu_ms, known.memory_mb + memory_mb, known.processes + 1)
    return living
