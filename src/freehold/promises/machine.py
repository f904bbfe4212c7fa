"""The machine has enough of everything, and is well."""

import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from freehold.promises.base import Assessment
from freehold.promises.history import Samples

_NTP_EPOCH = 2208988800
"""Seconds from 1900, where NTP counts from, to 1970."""


@dataclass(frozen=True)
class DiskSpace:
    """Enough is free on the file system of a path, and will be so in some days if it fills as it did."""

    path: str
    free_mb: float = 1000.0
    days: float = 0.0
    """How far to look ahead by the growth of the last day; 0: not."""
    note: str = ""
    """A file in which to remember, when it is to look ahead."""
    period: float = 600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            filesystem = os.statvfs(self.path)
        except OSError as error:
            return Assessment(False, f"{self.path} cannot be looked at: {error}")
        free = filesystem.f_bavail * filesystem.f_frsize / (1 << 20)
        if free < self.free_mb:
            return Assessment(False, f"{free:.0f} MB are free at {self.path}, less than {self.free_mb:.0f}")
        if self.days and self.note:
            samples = Samples(self.note)
            samples.add(time.time(), free)
            if (then := samples.predicted(self.days * 86400)) is not None and then < self.free_mb:
                return Assessment(
                    False, f"{free:.0f} MB are free; in {self.days:g} days, as it fills, {max(0.0, then):.0f}"
                )
        return Assessment(True, f"{free:.0f} MB are free at {self.path}")


@dataclass(frozen=True)
class Inodes:
    """Enough more files can be made on the file system of a path."""

    path: str
    free_percent: float = 5.0
    period: float = 600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            filesystem = os.statvfs(self.path)
        except OSError as error:
            return Assessment(False, f"{self.path} cannot be looked at: {error}")
        # Some file systems make them as they are needed, and say 0.
        free = 100.0 * filesystem.f_favail / filesystem.f_files if filesystem.f_files else 100.0
        return Assessment(free >= self.free_percent, f"{free:.1f} % of all inodes are free at {self.path}")


@dataclass(frozen=True)
class MemoryFree:
    """So many megabytes of memory can be had."""

    free_mb: float = 200.0
    period: float = 120.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) / 1024
        return Assessment(free >= self.free_mb, f"{free:.0f} MB of memory can be had")


@dataclass(frozen=True)
class CpuLoad:
    """The load of the last five minutes, for each processor, is not too high."""

    most: float = 2.2
    period: float = 180.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        load = os.getloadavg()[1] / (os.cpu_count() or 1)
        return Assessment(load <= self.most, f"the load is {load:.2f} for each processor")


@dataclass(frozen=True)
class Temperature:
    """No sensor of the machine tells more than so many degrees Celsius. A machine without sensors keeps this."""

    most: float = 90.0
    sensors: str = "/sys/class"
    period: float = 120.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        values: dict[str, float] = {}
        paths = [*Path(self.sensors).glob("thermal/thermal_zone*/temp")]
        # Inputs without a critical value of their own may be connected to nothing, and then tell anything.
        limited = Path(self.sensors).glob("hwmon/hwmon*/temp*_crit")
        paths += [path.with_name(path.name.replace("_crit", "_input")) for path in limited]
        for path in paths:
            try:
                name = path.with_name("name")
                label = name.read_text().strip() if name.exists() else path.parent.name
                values[label] = max(values.get(label, -273.0), int(path.read_text()) / 1000)
            except (OSError, ValueError):
                continue
        if not values:
            return Assessment(True, "there is no sensor")
        hottest = max(values, key=lambda name: values[name])
        return Assessment(values[hottest] <= self.most, f"{hottest} has {values[hottest]:.0f} °C")


@dataclass(frozen=True)
class NetworkErrors:
    """Of a million packets of an interface at most so many are wrong or lost."""

    interface: str
    most_per_million: float = 100.0
    statistics: str = "/sys/class/net/{interface}/statistics"
    period: float = 300.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        folder = Path(self.statistics.format(interface=self.interface))
        try:
            counts = {path.name: int(path.read_text()) for path in folder.iterdir()}
        except (OSError, ValueError) as error:
            return Assessment(False, f"{self.interface} has no counters: {error}")
        packets = counts.get("rx_packets", 0) + counts.get("tx_packets", 0)
        wrong = sum(counts.get(f"{way}_{event}", 0) for way in ("rx", "tx") for event in ("errors", "dropped"))
        share = wrong / packets * 1e6 if packets else 0.0
        return Assessment(share <= self.most_per_million, f"{wrong} of {packets} packets were wrong or lost")


@dataclass(frozen=True)
class ClockDrift:
    """The machine's clock is right to so many seconds, by a server of time (SNTP, RFC 4330)."""

    server: str
    most: float = 2.0
    port: int = 123
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            family, kind, _, _, address = socket.getaddrinfo(self.server, self.port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as sock:
                sock.settimeout(self.timeout)
                sock.connect(address)
                sent = time.time()
                sock.send(b"\x23" + bytes(47))
                answer = sock.recv(512)
                heard = time.time()
            received, answered = (
                # From 2036 on they count from then (RFC 4330, section 3).
                seconds + (0 if seconds & 0x80000000 else 2**32) - _NTP_EPOCH + fraction / 2**32
                for seconds, fraction in struct.iter_unpack("!II", answer[32:48])
            )
            if why := _why_not(answer):
                raise ValueError(why)
        except (OSError, struct.error, ValueError) as error:
            return Assessment(False, f"{self.server} does not tell the time: {error}")
        drift = ((sent - received) + (heard - answered)) / 2
        return Assessment(
            abs(drift) <= self.most, f"the clock is {abs(drift):.3f} s {'ahead' if drift > 0 else 'behind'}"
        )


def _why_not(answer: bytes) -> str:
    """Return why an answer of a time server is not to be believed (RFC 4330, section 5); empty when it is."""
    if len(answer) < 48:
        return "its answer is too short"
    leap, mode, stratum = answer[0] >> 6, answer[0] & 7, answer[1]
    delay, dispersion = (number / 2**16 for number in struct.unpack("!iI", answer[4:12]))
    if stratum == 0:
        return f"it asks us to stay away ({answer[12:16].decode('ascii', errors='replace').strip(chr(0))})"
    if mode not in (4, 5):
        return "it did not answer as a server"
    if leap == 3 or stratum > 15:
        return "it says that it does not know the time itself"
    if answer[40:48] == bytes(8):
        return "it says no time"
    if abs(delay) / 2 + dispersion > 1.5:
        return f"it says that it may be {abs(delay) / 2 + dispersion:.1f} s wrong itself"
    return ""
