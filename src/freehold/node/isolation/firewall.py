"""Who may reach a partition, and whom it may reach: nftables, in a table of this node's own, by interface.

Without a declaration a partition listens and connects as it likes; whatever it declared, it sends in its own name only,
and nothing to the addresses by which a machine of a cloud asks its provider for secrets. With a declaration, what comes
for another port of its is refused, and so is what it sends elsewhere. What was refused is counted.

The rules are JSON made of typed values; what nftables says of them is for the operator, never for a tenant.
"""

import ipaddress
import json
import logging
import os
import socket
import subprocess
from typing import Any

import msgspec

from freehold.node.errors import HostError
from freehold.protocol.network import target

LINKS = "fh"
"""How the names of all links of partitions begin, of whichever node."""
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7")
]
"""Addresses to which nobody elsewhere has a way (RFC 1918, 4193, 6598)."""
_log = logging.getLogger(__name__)


class FirewallNetwork(msgspec.Struct, frozen=True):
    """What a release declared for an instance."""

    tcp: list[int] | None = None
    """The ports on which it listens; None: any."""
    udp: list[int] | None = None
    connect: list[str] | None = None
    """Where it may connect: `ADDRESS`, `ADDRESS/LENGTH`, each also `…:PORT`, or `:PORT`; None: anywhere."""
    tcp_internal: list[int] = []
    """The ports on which it listens for its peers only."""
    udp_internal: list[int] = []

    def bound(self) -> list[int] | None:
        """Return the TCP ports on which it listens, to whomever; None: any."""
        return None if self.tcp is None else [*self.tcp, *self.tcp_internal]


class FirewallRule(msgspec.Struct, frozen=True):
    """What holds for a partition."""

    partition: str
    address: str
    host_end: str
    """The host's end of its link."""
    network: FirewallNetwork | None
    peers: list[str] = []
    """The addresses of the other instances of its tree."""


class Surroundings(msgspec.Struct, frozen=True):
    """What partitions find around them."""

    master: str = ""
    """`HOST:PORT` of the Master, which each may reach."""
    resolvers: list[str] = []
    """Addresses of the machine's resolvers of names, which each may ask."""
    network: str = ""
    """The partitions' network, reached without a change of address; empty: one that only this machine knows."""


_Json = dict[str, Any]


def works() -> bool:
    """Return whether this machine has nftables and lets us use it."""
    return os.geteuid() == 0 and _nft("list", "tables") is not None


def admit(tag: str, rules: list[FirewallRule], around: Surroundings) -> None:
    """Have these partitions listen and connect as declared; others stay as they are.

    Raise HostError when the kernel does not take the rules; the former ones hold on.
    """
    table = _Table(tag)
    commands = table.base(around)
    reachable = _addresses_of(around.master)
    for rule in rules:
        try:
            commands += table.partition(rule, around, reachable)
        except ValueError as error:
            raise HostError(f"What {rule.partition} declares of its network cannot be: {error}") from None
    done = subprocess.run(
        ["nft", "-j", "-f", "-"], input=json.dumps({"nftables": commands}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        names = ", ".join(rule.partition for rule in rules)
        _log.error("nftables does not take the rules of %s: %s", names, done.stderr.strip())
        raise HostError(f"The machine's firewall does not take the rules of {names}; why is in the node's log.")


def refusals(tag: str) -> dict[str, dict[str, int]]:
    """Return how many packets were refused, by partition, then by what: listen, connect, posing."""
    shown = _nft("-j", "list", "counters", "table", "inet", _name(tag))
    counters: dict[str, dict[str, int]] = {}
    for entry in json.loads(shown)["nftables"] if shown else []:
        if "counter" in entry:
            direction, _, partition = entry["counter"]["name"].partition("_")
            counters.setdefault(partition, {})[direction] = entry["counter"]["packets"]
    return counters


def strangers() -> list[str]:
    """Return the chains of other software here that refuse what they do not know, partitions' packets too."""
    shown = _nft("-j", "list", "chains")
    return [
        f"{entry['chain']['family']} {entry['chain']['table']} {entry['chain']['name']}"
        for entry in (json.loads(shown)["nftables"] if shown else [])
        if "chain" in entry and entry["chain"].get("hook") == "forward" and entry["chain"].get("policy") == "drop"
    ]


def remove(tag: str) -> None:
    """Forget all rules of a node."""
    _nft("delete", "table", "inet", _name(tag))


class _Table:
    """The commands that make a node's table."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._where = {"family": "inet", "table": _name(tag)}

    def base(self, around: Surroundings) -> list[_Json]:
        """What is there whatever lives here; repeated, it changes nothing."""
        link, links = f"{LINKS}{self._tag}*", f"{LINKS}*"
        commands: list[_Json] = [{"add": {"table": {"family": "inet", "name": self._where["table"]}}}]
        for name in ("leaving", "coming"):
            commands.append({"add": {"map": {**self._where, "name": name, "type": "ifname", "map": "verdict"}}})
        for name, kind in (("own4", "ipv4_addr"), ("own6", "ipv6_addr")):
            commands.append({"add": {"set": {**self._where, "name": name, "type": kind}}})
        leaves, comes = _vmap("iifname", "@leaving"), _vmap("oifname", "@coming")
        never = [[_is("iifname", link), _to(network), {"drop": None}] for network in LINK_LOCAL]
        rules: dict[tuple[str, str, str, int], list[list[_Json]]] = {
            ("leaving_forward", "filter", "forward", -10): [*never, *self._strangers(links), [leaves]],
            ("leaving_input", "filter", "input", -10): [[leaves]],
            ("coming_forward", "filter", "forward", 0): [[comes]],
            ("coming_output", "filter", "output", 0): [[comes]],
            ("hiding", "nat", "postrouting", 100): self._hiding(links, around.network),
        }
        for (name, kind, hook, priority), those in rules.items():
            chain = {**self._where, "name": name, "type": kind, "hook": hook, "prio": priority, "policy": "accept"}
            commands += [{"add": {"chain": chain}}, {"flush": {"chain": {**self._where, "name": name}}}]
            commands += [self._rule(name, *statements) for statements in those]
        return commands

    def partition(self, rule: FirewallRule, around: Surroundings, master: list[tuple[str, int]]) -> list[_Json]:
        """What holds for a partition."""
        name, address = rule.partition, ipaddress.ip_address(rule.address)
        commands: list[_Json] = [
            {"add": {"counter": {**self._where, "name": f"{direction}_{name}"}}}
            for direction in ("listen", "connect", "posing")
        ]
        for chain, map in ((f"in_{name}", "coming"), (f"out_{name}", "leaving")):
            named = {**self._where, "name": chain}
            commands += [{"add": {"chain": named}}, {"flush": {"chain": named}}]
            element = [[rule.host_end, {"jump": {"target": chain}}]]
            commands.append({"add": {"element": {**self._where, "name": map, "elem": element}}})
        if any(address in network for network in _PRIVATE if network.version == address.version):
            own = {**self._where, "name": f"own{address.version}", "elem": [str(address)]}
            commands.append({"add": {"element": own}})
        network = rule.network or FirewallNetwork()
        commands += [self._rule(f"out_{name}", *target) for target in _outgoing(rule, network.connect, around, master)]
        if network.tcp is not None or network.udp is not None:
            commands += [self._rule(f"in_{name}", *source) for source in _incoming(rule, network)]
        return commands

    def _hiding(self, links: str, network: str) -> list[list[_Json]]:
        """Have what leaves the machine from a private address leave with the machine's."""
        rules = []
        for family, name in (("ip", "own4"), ("ip6", "own6")):
            matches = [_matches("==", _field(family, "saddr"), f"@{name}"), _is("oifname", links, "!=")]
            if network and ipaddress.ip_network(network).version == (4 if family == "ip" else 6):
                matches.append(_to(network, "!="))
            rules.append([*matches, {"masquerade": None}])
        return rules

    def _strangers(self, links: str) -> list[list[_Json]]:
        """Have a machine that was no router be one for its partitions only."""
        try:
            with open("/proc/sys/net/ipv4/conf/all/forwarding") as file:
                is_router = file.read().strip() == "1"
        except OSError:
            is_router = True
        foreign = [_is("iifname", links, "!="), _is("oifname", links, "!="), {"drop": None}]
        return [] if is_router else [[_matches("==", {"meta": {"key": "nfproto"}}, "ipv4"), *foreign]]

    def _rule(self, chain: str, *statements: _Json) -> _Json:
        return {"add": {"rule": {**self._where, "chain": chain, "expr": list(statements)}}}


_ICMP, _ICMPV6 = 1, 58
# Numbers: a machine without /etc/protocols (the package netbase) knows no names.
_ICMPS = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": [_ICMP, _ICMPV6]}}}
_KNOWN = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
_ACCEPT: _Json = {"accept": None}
_REJECT: _Json = {"reject": None}


def _incoming(rule: FirewallRule, network: FirewallNetwork) -> list[list[_Json]]:
    rules: list[list[_Json]] = [[_KNOWN, _ACCEPT], [_ICMPS, _ACCEPT]]
    for protocol, ports in (("tcp", network.tcp), ("udp", network.udp)):
        if ports:
            known = {"set": sorted(set(map(_port, ports)))}
            rules.append([_matches("==", _field(protocol, "dport"), known), _ACCEPT])
    family = "ip6" if ":" in rule.address else "ip"
    peers = sorted({address for address in rule.peers if (":" in address) == (family == "ip6")})
    for protocol, ports in (("tcp", network.tcp_internal), ("udp", network.udp_internal)):
        if ports and peers:
            known = {"set": sorted(set(map(_port, ports)))}
            from_peers = _matches("==", _field(family, "saddr"), {"set": peers})
            rules.append([from_peers, _matches("==", _field(protocol, "dport"), known), _ACCEPT])
    return [*rules, [{"counter": f"listen_{rule.partition}"}, _REJECT]]


def _outgoing(
    rule: FirewallRule, connect: list[str] | None, around: Surroundings, master: list[tuple[str, int]]
) -> list[list[_Json]]:
    address = ipaddress.ip_address(rule.address)
    own, other_family = ("ip", "ipv6") if address.version == 4 else ("ip6", "ipv4")
    posing: _Json = {"counter": f"posing_{rule.partition}"}
    # What it tells its link of itself has no address yet.
    silent = [[_ICMPS, _matches("==", {"meta": {"key": "nfproto"}}, other_family), _ACCEPT]]
    link_local = [[_matches("==", _field("ip6", "saddr"), _prefix("fe80::/10")), _ICMPS, _ACCEPT]]
    rules = [
        *(link_local if own == "ip6" else silent),
        [_matches("==", {"meta": {"key": "nfproto"}}, other_family), {"drop": None}],
        [_matches("!=", _field(own, "saddr"), str(address)), posing, {"drop": None}],
    ]
    if connect is None:
        return rules
    rules += [[_KNOWN, _ACCEPT], [_ICMPS, _ACCEPT]]
    allowed = [f"[{resolver}]:53" for resolver in around.resolvers]
    allowed += [f"[{host}]:{port}" for host, port in master]
    for destination in [*allowed, *connect]:
        where, port = target(destination)
        matched = [_to(where)] if where else []
        if port:
            ports = [_matches("==", _field(protocol, "dport"), port) for protocol in ("tcp", "udp")]
            rules += [[*matched, matching, _ACCEPT] for matching in ports]
        else:
            rules.append([*matched, _ACCEPT])
    return [*rules, [{"counter": f"connect_{rule.partition}"}, _REJECT]]


def _port(number: int) -> int:
    if not 0 < number < 65536:
        raise ValueError(f"{number} is no port: they go from 1 to 65535")
    return number


def _matches(operator: str, left: _Json, right: object) -> _Json:
    return {"match": {"op": operator, "left": left, "right": right}}


def _is(key: str, value: str, operator: str = "==") -> _Json:
    return _matches(operator, {"meta": {"key": key}}, value)


def _to(network: str, operator: str = "==") -> _Json:
    family = "ip6" if ":" in network else "ip"
    return _matches(operator, _field(family, "daddr"), _prefix(network))


def _prefix(network: str) -> object:
    parsed = ipaddress.ip_network(network, strict=False)
    if parsed.prefixlen == parsed.max_prefixlen:
        return str(parsed.network_address)
    return {"prefix": {"addr": str(parsed.network_address), "len": parsed.prefixlen}}


def _field(protocol: str, field: str) -> _Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _vmap(key: str, map: str) -> _Json:
    return {"vmap": {"key": {"meta": {"key": key}}, "data": map}}


def _addresses_of(master: str) -> list[tuple[str, int]]:
    host, _, port = master.rpartition(":")
    if not host:
        return []
    try:
        answers = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        # Away from the network: the rules are made again with the next configuration.
        return []
    return sorted({(str(answer[4][0]), int(port)) for answer in answers})


def _name(tag: str) -> str:
    return f"freehold_{tag}_walls"


def _nft(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
