"""Bytes to and from each partition's address, counted by nftables: as root, where the kernel has it."""

import ipaddress
import json
import os
import subprocess


class NetworkMeter:
    """Counters in a table of this node's own; None for everything where they cannot be had."""

    def __init__(self, tag: str) -> None:
        self._table = _table(tag)
        self._counted: set[str] = set()
        self._works = os.geteuid() == 0

    def read(self, addresses: list[str]) -> dict[str, tuple[int, int]]:
        """Return bytes in and out by address; an address not counted yet starts from zero now."""
        new = [address for address in addresses if address not in self._counted]
        if not self._works or (new and not self._add(new)):
            self._works = False
            return {}
        shown = _nft("-j", "list", "counters", "table", "inet", self._table)
        if shown is None:
            # Somebody removed our table: make it again at the next reading.
            self._counted.clear()
            return {}
        counted = {
            one["counter"]["name"]: one["counter"]["bytes"] for one in json.loads(shown)["nftables"] if "counter" in one
        }
        return {
            address: (counted[f"in_{_name(address)}"], counted[f"out_{_name(address)}"])
            for address in addresses
            if f"in_{_name(address)}" in counted
        }

    def _add(self, addresses: list[str]) -> bool:
        if not self._counted:
            present = _nft("-j", "list", "table", "inet", self._table)
            if present is not None:
                self._counted = {
                    one["counter"]["comment"]
                    for one in json.loads(present)["nftables"]
                    if "counter" in one and "comment" in one["counter"]
                }
                addresses = [address for address in addresses if address not in self._counted]
        lines = [
            f"add table inet {self._table}",
            f"add chain inet {self._table} in {{ type filter hook input priority -300; }}",
            f"add chain inet {self._table} out {{ type filter hook output priority -300; }}",
        ]
        for address in addresses:
            name, family = _name(address), "ip6" if ipaddress.ip_address(address).version == 6 else "ip"
            for way, field in (("in", "daddr"), ("out", "saddr")):
                lines.append(f'add counter inet {self._table} {way}_{name} {{ comment "{address}"; }}')
                lines.append(f"add rule inet {self._table} {way} {family} {field} {address} counter name {way}_{name}")
        if _nft("-f", "-", given="\n".join(lines) + "\n") is None:
            return False
        self._counted.update(addresses)
        return True


def remove_table(tag: str) -> None:
    """Stop counting for a node: remove its table."""
    _nft("delete", "table", "inet", _table(tag))


def _table(tag: str) -> str:
    return f"freehold_{tag}"


def _name(address: str) -> str:
    return address.replace(".", "_").replace(":", "_")


def _nft(*arguments: str, given: str = "") -> str | None:
    try:
        done = subprocess.run(["nft", *arguments], input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
