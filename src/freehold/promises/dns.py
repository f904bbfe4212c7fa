"""A name is known to the name servers."""

import ipaddress
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from freehold.promises.base import Assessment

_TYPES = {"A": 1, "AAAA": 28}


@dataclass(frozen=True)
class DnsName:
    """A name resolves, to the addresses named if any are; the machine's resolver is asked, or a server (RFC 1035)."""

    name: str
    addresses: tuple[str, ...] = ()
    """All of them must be among the answers."""
    server: str = ""
    """Address of a name server; empty: as the machine does."""
    port: int = 53
    type: Literal["A", "AAAA"] = "A"
    period: float = 300.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            found = self._asked() if self.server else self._resolved()
        except (OSError, ValueError, struct.error, IndexError) as error:
            return Assessment(False, f"{self.name} does not resolve: {error}")
        if missing := set(self.addresses) - found:
            return Assessment(False, f"{self.name} resolves to {_list(found)}, not to {_list(missing)}")
        return Assessment(bool(found), f"{self.name} resolves to {_list(found)}")

    def _resolved(self) -> set[str]:
        family = socket.AF_INET if self.type == "A" else socket.AF_INET6
        return {str(one[4][0]) for one in socket.getaddrinfo(self.name, None, family, socket.SOCK_STREAM)}

    def _asked(self) -> set[str]:
        number = secrets.token_bytes(2)
        labels = b"".join(bytes([len(one)]) + one for one in self.name.rstrip(".").encode("idna").split(b"."))
        query = number + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0"
        query += struct.pack("!HH", _TYPES[self.type], 1)
        family = socket.AF_INET6 if ":" in self.server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(self.timeout)
            sock.connect((self.server, self.port))
            sock.send(query)
            answer = sock.recv(4096)
        if answer[:2] != number:
            raise ValueError("the answer is to another question")
        flags, questions, answers = struct.unpack("!HHH", answer[2:8])
        if flags & 15:
            raise ValueError(f"the server answers with error {flags & 15}")
        place = 12
        for _ in range(questions):
            place = _after_name(answer, place) + 4
        found = set()
        for _ in range(answers):
            place = _after_name(answer, place)
            kind, _, _, size = struct.unpack("!HHIH", answer[place : place + 10])
            if kind == _TYPES[self.type]:
                found.add(str(ipaddress.ip_address(answer[place + 10 : place + 10 + size])))
            place += 10 + size
        return found


def _after_name(packet: bytes, place: int) -> int:
    while packet[place]:
        if packet[place] >= 0xC0:
            return place + 2
        place += packet[place] + 1
    return place + 1


def _list(addresses: set[str]) -> str:
    return ", ".join(sorted(addresses)) or "nothing"
