"""Who may reach a partition, and whom it may reach: nftables, in a table of this node's own.

Without a declaration a partition listens and connects as it likes. With one, a packet to another port of its address is
refused, and so is what its user sends elsewhere; nobody else may answer at its ports. What was refused is counted.
"""

import ipaddress
import json
import os
import socket
import subprocess

import msgspec

from freehold.node.errors import HostError


class Network(msgspec.Struct, frozen=True):
    """What a release declared for an instance."""

    tcp: list[int] | None = None
    """The ports on which it listens; None: any."""
    udp: list[int] | None = None
    connect: list[str] | None = None
    """Where it may connect: `ADDRESS`, `ADDRESS/LENGTH`, each also `…:PORT`, or `:PORT`; None: anywhere."""


class Rule(msgspec.Struct, frozen=True):
    """What holds for a partition."""

    partition: str
    address: str
    uid: int
    network: Network | None


def works() -> bool:
    """Return whether this machine has nftables and lets us use it."""
    return os.geteuid() == 0 and _nft("list", "tables") is not None


def admit(tag: str, rules: list[Rule], master: str) -> None:
    """Have these partitions listen and connect as declared, the Master (`HOST:PORT`) besides; others stay as they are.

    Raise HostError when the kernel does not take the rules; the former ones hold on.
    """
    lines = [
        f"add table inet {_table(tag)}",
        *(f"add map inet {_table(tag)} {name} {{ {kind} : verdict; }}" for name, kind in _MAPS.items()),
        f"add chain inet {_table(tag)} in {{ type filter hook input priority 0; }}",
        f"add chain inet {_table(tag)} out {{ type filter hook output priority 0; }}",
        f"flush chain inet {_table(tag)} in",
        f"flush chain inet {_table(tag)} out",
        f"add rule inet {_table(tag)} in ip daddr vmap @to4",
        f"add rule inet {_table(tag)} in ip6 daddr vmap @to6",
        f"add rule inet {_table(tag)} out ip saddr vmap @from4",
        f"add rule inet {_table(tag)} out ip6 saddr vmap @from6",
        f"add rule inet {_table(tag)} out meta skuid vmap @user",
    ]
    reachable = _addresses_of(master)
    for rule in rules:
        try:
            lines += _lines(_table(tag), rule, reachable)
        except ValueError as error:
            raise HostError(f"What {rule.partition} declares of its network cannot be: {error}") from None
    answer = subprocess.run(["nft", "-f", "-"], input="\n".join(lines), capture_output=True, text=True, check=False)
    if answer.returncode:
        names = ", ".join(one.partition for one in rules)
        raise HostError(f"nftables does not take the rules of {names}: {answer.stderr.strip()}")


def refusals(tag: str) -> dict[str, dict[str, int]]:
    """Return how many packets were refused, by partition, then by what: listen, connect, posing."""
    shown = _nft("-j", "list", "counters", "table", "inet", _table(tag))
    found: dict[str, dict[str, int]] = {}
    for one in json.loads(shown)["nftables"] if shown else []:
        if "counter" in one:
            what, _, partition = one["counter"]["name"].partition("_")
            found.setdefault(partition, {})[what] = one["counter"]["packets"]
    return found


def remove(tag: str) -> None:
    """Forget all rules of a node."""
    _nft("delete", "table", "inet", _table(tag))


_ICMP, _ICMPV6 = 1, 58
_MAPS = {
    "to4": "type ipv4_addr",
    "to6": "type ipv6_addr",
    "from4": "type ipv4_addr",
    "from6": "type ipv6_addr",
    "user": "typeof meta skuid",
}


def _lines(table: str, rule: Rule, master: list[tuple[str, int]]) -> list[str]:
    name, network = rule.partition, rule.network
    family = "6" if ipaddress.ip_address(rule.address).version == 6 else "4"
    lines = [f"add counter inet {table} {what}_{name}" for what in ("listen", "connect", "posing")]
    for chain, key, map in (("in", rule.address, "to"), ("from", rule.address, "from"), ("out", rule.uid, "user")):
        lines += [
            f"add chain inet {table} {chain}_{name}",
            f"flush chain inet {table} {chain}_{name}",
            f"add element inet {table} {map}{'' if map == 'user' else family} {{ {key} : jump {chain}_{name} }}",
        ]
    if network is None:
        return lines
    if network.tcp is not None or network.udp is not None:
        lines += _incoming(f"add rule inet {table} in_{name}", f"add rule inet {table} from_{name}", rule, network)
    if network.connect is not None:
        lines += _outgoing(f"add rule inet {table} out_{name}", rule, network.connect, master)
    return lines


def _incoming(add: str, add_from: str, rule: Rule, network: Network) -> list[str]:
    # Numbers: a machine without /etc/protocols (the package netbase) knows no names.
    lines = [f"{add} ct state established,related accept", f"{add} meta l4proto {{ {_ICMP}, {_ICMPV6} }} accept"]
    for protocol, ports in (("tcp", network.tcp), ("udp", network.udp)):
        if ports:
            known = ", ".join(map(str, sorted(ports)))
            lines.append(f"{add} {protocol} dport {{ {known} }} accept")
            # Another user's process that answers here in its place is not heard.
            counted = f"counter name posing_{rule.partition} drop"
            lines.append(f"{add_from} {protocol} sport {{ {known} }} meta skuid != {rule.uid} {counted}")
    return [*lines, f"{add} counter name listen_{rule.partition} reject"]


def _outgoing(add: str, rule: Rule, connect: list[str], master: list[tuple[str, int]]) -> list[str]:
    lines = [f"{add} ct state established,related accept", f"{add} {_match(rule.address)} accept"]
    lines += [f"{add} {protocol} dport 53 accept" for protocol in ("udp", "tcp")]
    lines += [f"{add} {_match(address)} tcp dport {port} accept" for address, port in master]
    for target in connect:
        address, port = split(target)
        matched = [_match(address)] if address else []
        if port:
            lines += [f"{add} {' '.join(matched)} {protocol} dport {port} accept" for protocol in ("tcp", "udp")]
        else:
            lines += [f"{add} {' '.join(matched)} accept"]
    return [*lines, f"{add} counter name connect_{rule.partition} reject"]


def split(target: str) -> tuple[str, int]:
    """Return the address (or network, or nothing) and port (or 0) of a target; raise ValueError when it is none."""
    address, port = target, ""
    if target.startswith("["):
        address, _, port = target[1:].partition("]")
        port = port.removeprefix(":")
    elif target.count(":") == 1:
        address, _, port = target.partition(":")
    if address:
        # As Python writes it: nothing else gets into the rules.
        address = str(ipaddress.ip_network(address, strict=False))
    if port and not 0 < int(port) < 65536:
        raise ValueError(f"{port} is no port")
    if not address and not port:
        raise ValueError("it names neither an address nor a port")
    return address, int(port or 0)


def _match(address: str) -> str:
    return f"{'ip6' if ':' in address else 'ip'} daddr {address}"


def _addresses_of(master: str) -> list[tuple[str, int]]:
    host, _, port = master.rpartition(":")
    if not host:
        return []
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        # Away from the network: the rules are made again with the next configuration.
        return []
    return sorted({(str(one[4][0]), int(port)) for one in found})


def _table(tag: str) -> str:
    return f"freehold_{tag}_walls"


def _nft(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
