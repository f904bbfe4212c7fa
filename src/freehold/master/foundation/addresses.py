"""Whom a network address stands for."""

import ipaddress

from django.http import HttpRequest


def network_of_caller(request: HttpRequest) -> str:
    """Return whom the address stands for from which a request came."""
    return network_of(request.META.get("REMOTE_ADDR", ""))


def network_of(address: str) -> str:
    """Return whom an address stands for: itself, or of IPv6 its /64, all of which one customer of a provider has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
