"""Where this machine asks for names, as far as a partition in a network of its own can ask there too."""

import ipaddress
from pathlib import Path

_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second names the servers behind systemd's own resolver, which only the machine itself reaches."""


def find(files: tuple[Path, ...] = _FILES) -> list[str]:
    """Return the addresses of the first file that names servers which are not the machine's own loopback."""
    for file in files:
        reachable = [address for address in _named(file) if not ipaddress.ip_address(address).is_loopback]
        if reachable:
            return reachable
    return []


def configuration(resolvers: list[str], files: tuple[Path, ...] = _FILES) -> str:
    """Return a `resolv.conf` for partitions: these servers, and what the machine says besides."""
    lines = [f"nameserver {resolver}" for resolver in resolvers]
    for file in files[:1]:
        lines += [line for line in _lines(file) if line.startswith(("search ", "domain ", "options "))]
    return "\n".join([*lines, ""])


def _named(file: Path) -> list[str]:
    addresses = []
    for line in _lines(file):
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                # An interface after it is the machine's, not the partition's.
                addresses.append(str(ipaddress.ip_address(words[1].partition("%")[0])))
            except ValueError:
                continue
    return addresses


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []
