"""Reading what partitions use: one look at `/proc` for all of them, cgroups and nftables where there are any."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass

from freehold.node.metering import cgroups
from freehold.node.metering.counters import Reading
from freehold.node.metering.network import NetworkMeter

DISK_PERIOD = 600.0
"""A partition's folder is walked so often at most, in seconds."""
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


@dataclass(frozen=True)
class Place:
    """A partition to be read."""

    partition: str
    uid: int | None
    address: str
    folder: str
    sessions: list[int]
    """Ids of the sessions that the supervisor started for it."""
    dead_cpu_ms: float
    """Processor time of its processes that the supervisor saw end."""


class Meter:
    """Reads partitions of one node."""

    def __init__(self, tag: str, *, root_mode: bool) -> None:
        self._tag = tag
        self._root_mode = root_mode
        self._network = NetworkMeter(tag)
        self._disk: dict[str, tuple[float, float]] = {}

    def read(self, places: list[Place]) -> dict[str, Reading]:
        """Return a reading of each place, by partition."""
        by_uid, by_session = _processes()
        network = (
            self._network.read([place.address for place in places]) if self._root_mode and places else {}
        )
        readings = {}
        for place in places:
            living = by_uid[place.uid] if place.uid is not None else _sum(by_session, place.sessions)
            exact = cgroups.cpu_ms(f"{self._tag}/{place.partition}") if self._root_mode else None
            counted = network.get(place.address)
            readings[place.partition] = Reading(
                cpu_ms=exact if exact is not None else living[0] + place.dead_cpu_ms,
                exact=exact is not None,
                memory_mb=living[1],
                disk_mb=self._disk_mb(place),
                network_in=counted[0] if counted else None,
                network_out=counted[1] if counted else None,
            )
        return readings

    def _disk_mb(self, place: Place) -> float:
        looked, size = self._disk.get(place.partition, (-DISK_PERIOD, 0.0))
        if time.monotonic() - looked >= DISK_PERIOD:
            size = folder_mb(place.folder)
            self._disk[place.partition] = (time.monotonic(), size)
        return size


def folder_mb(folder: str) -> float:
    """Return the megabytes on disk of what is below a folder, following no links."""
    blocks = 0
    for parent, directories, files in os.walk(folder):
        for name in [*directories, *files]:
            try:
                blocks += os.lstat(os.path.join(parent, name)).st_blocks
            except OSError:
                continue
    return blocks * 512 / (1024 * 1024)


_Used = tuple[float, float]


def _processes() -> tuple[defaultdict[int, _Used], dict[int, _Used]]:
    """Return processor milliseconds and resident megabytes of living processes, by user and by session."""
    by_uid: defaultdict[int, _Used] = defaultdict(lambda: (0.0, 0.0))
    by_session: defaultdict[int, _Used] = defaultdict(lambda: (0.0, 0.0))
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            uid = os.stat(f"/proc/{entry}").st_uid
        except OSError:
            continue
        # After the name: state is 0, session 3, utime to cstime 11 to 14, rss in pages 21.
        cpu_ms = sum(int(ticks) for ticks in fields[11:15]) * _TICK_MS
        memory_mb = int(fields[21]) * _PAGE_MB
        for table, key in ((by_uid, uid), (by_session, int(fields[3]))):
            table[key] = (table[key][0] + cpu_ms, table[key][1] + memory_mb)
    return by_uid, by_session


def _sum(by_session: dict[int, _Used], sessions: list[int]) -> _Used:
    found = [by_session[session] for session in sessions if session in by_session]
    return sum(cpu for cpu, _ in found), sum(memory for _, memory in found)
