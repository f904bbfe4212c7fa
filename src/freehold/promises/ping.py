"""A machine answers echo requests."""

import os
import select
import socket
import struct
import time
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class Ping:
    """At most so many percent of the echo requests to a host stay without an answer (ICMP, without privileges).

    The kernel must let the partition's group do so: `sysctl net.ipv4.ping_group_range`.
    """

    host: str
    count: int = 5
    most_lost_percent: float = 20.0
    most_ms: float = 0.0
    """The longest that an answer may take on average; 0: any time."""
    period: float = 300.0
    timeout: float = 30.0

    def check(self) -> Assessment:
        try:
            family, _, _, _, address = socket.getaddrinfo(self.host, None, type=socket.SOCK_DGRAM)[0]
            is_v6 = family == socket.AF_INET6
            protocol = socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP
            with socket.socket(family, socket.SOCK_DGRAM, protocol) as sock:
                sock.connect(address)
                times = [self._once(sock, number, 128 if is_v6 else 8) for number in range(self.count)]
        except PermissionError:
            return Assessment(
                False, "This group may not ping. As root: sysctl -w net.ipv4.ping_group_range='0 4294967294'"
            )
        except OSError as error:
            return Assessment(False, f"{self.host} cannot be pinged: {error}")
        answered = [time for time in times if time is not None]
        lost = 100 * (self.count - len(answered)) / self.count
        mean = sum(answered) / len(answered) * 1000 if answered else 0.0
        slow = bool(self.most_ms) and mean > self.most_ms
        return Assessment(
            lost <= self.most_lost_percent and not slow, f"{self.host}: {lost:.0f} % lost, {mean:.1f} ms on average"
        )

    def _once(self, sock: socket.socket, number: int, kind: int) -> float | None:
        """Return the seconds until an answer, None when there was none in time."""
        content = os.urandom(16)
        # The kernel fills in checksum and identifier.
        sock.send(struct.pack("!BBHHH", kind, 0, 0, 0, number) + content)
        started = time.monotonic()
        end = started + max(0.2, self.timeout / self.count / 2)
        while (left := end - time.monotonic()) > 0:
            if select.select([sock], [], [], left)[0] and sock.recv(1024).endswith(content):
                return time.monotonic() - started
        return None
