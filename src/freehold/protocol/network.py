"""Where an instance may connect, as releases declare it: one grammar for authors and for nodes."""

import ipaddress
import re

_CHARACTERS = re.compile("[0-9A-Fa-f:./]{2,80}")
_PORT = re.compile("[0-9]{1,5}")


def target(declared: str) -> tuple[str, int]:
    """Return the network (empty: any) and the port (0: any) of a target; raise ValueError when it is none.

    A target is `ADDRESS` or `ADDRESS/LENGTH`, each also with `:PORT` (an IPv6 address then in brackets), or `:PORT`.
    The network is as Python writes it, with its length. An address has no scope: Python takes any text for one.
    """
    address, port, has_port = declared, "", False
    if declared.startswith("["):
        address, closed, end = declared[1:].partition("]")
        has_port, port = bool(end), end.removeprefix(":")
        if not closed or (end and not end.startswith(":")):
            raise ValueError("its brackets are not closed, or not followed by a port")
    elif declared.count(":") == 1:
        address, _, port = declared.partition(":")
        has_port = True
    if not address and not has_port:
        raise ValueError("it names neither an address nor a port")
    if has_port and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise ValueError("its port is none: ports are from 1 to 65535")
    if not address:
        return "", int(port)
    if not _CHARACTERS.fullmatch(address):
        raise ValueError("its address is none: it has digits, dots and colons, and no scope")
    return str(ipaddress.ip_network(address, strict=False)), int(port or 0)


def written(network: str, port: int) -> str:
    """Return a target in its one form."""
    if not port:
        return network
    return f"[{network}]:{port}" if ":" in network else f"{network}:{port}"
