"""A name is known to the name servers."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Literal

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class DnsName:
    """A name resolves, to the addresses named if any are; the machine's resolver is asked, or a server."""

    name: str
    addresses: tuple[str, ...] = ()
    """All of them must be among the answers, however they are written."""
    server: str = ""
    """Address of a name server; empty: as the machine does."""
    port: int = 53
    type: Literal["A", "AAAA"] = "A"
    period: float = 300.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            wanted = {ipaddress.ip_address(address) for address in self.addresses}
        except ValueError as error:
            return Assessment(False, f"the promise names no address: {error}")
        try:
            addresses = self._asked() if self.server else self._resolved()
        except (OSError, ValueError) as error:
            return Assessment(False, f"{self.name} does not resolve: {error}")
        if missing := wanted - addresses:
            return Assessment(False, f"{self.name} resolves to {_list(addresses)}, not to {_list(missing)}")
        return Assessment(bool(addresses), f"{self.name} resolves to {_list(addresses)}")

    def _resolved(self) -> "set[_Address]":
        family = socket.AF_INET if self.type == "A" else socket.AF_INET6
        answers = socket.getaddrinfo(self.name, None, family, socket.SOCK_STREAM)
        return {ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers}

    def _asked(self) -> "set[_Address]":
        """Ask the server: again when a packet is lost, over TCP when an answer is cut, along aliases to their end."""
        # Only workers that ask need it.
        import dns.exception
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [self.server], self.port
        resolver.lifetime, resolver.timeout = self.timeout, max(0.5, self.timeout / 4)
        try:
            answer = resolver.resolve(f"{self.name.rstrip('.')}.", self.type, raise_on_no_answer=False)
        except dns.exception.DNSException as error:
            raise ValueError(str(error) or type(error).__name__) from None
        return {ipaddress.ip_address(record.address) for record in answer.rrset or ()}


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _list(addresses: "set[_Address]") -> str:
    return ", ".join(sorted(map(str, addresses))) or "nothing"
