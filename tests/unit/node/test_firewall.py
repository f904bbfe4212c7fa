"""What becomes rules: only what is an address and a port. Who reaches whom with them: `test_container.py`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.node.errors import HostError
from freehold.node.isolation import firewall
from freehold.node.isolation.firewall import FirewallNetwork, FirewallRule, Surroundings
from freehold.protocol.network import target, written

RULE = FirewallRule("p0", "10.9.9.1", "fhtest0", FirewallNetwork())


def rules(network: FirewallNetwork) -> str:
    """Return the commands for a partition with this declaration, as nftables gets them."""
    table = firewall._Table("test")
    return json.dumps(table.partition(FirewallRule("p0", "10.9.9.1", "fhtest0", network), Surroundings(), []))


@pytest.mark.parametrize(
    "declared",
    [
        "", "10.0.0.1; drop", "::1%x; drop", ":0", ":70000", "10.0.0.0/99", "a.example", "[::1]:0x1", ":१",
        'fe80::1%lo accept\ninclude "shadow"', "[fe80::1%eth0]:22", ": 22", ":+22", "10.0.0.1:22:",
    ],
)  # fmt: skip
def test_what_is_no_address_reaches_no_rule(declared: str) -> None:
    with pytest.raises(HostError, match="What p0 declares of its network cannot be"):
        firewall.admit(
            "test", [FirewallRule("p0", "10.9.9.1", "fhtest0", FirewallNetwork(connect=[declared]))], Surroundings()
        )


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
def test_what_is_no_port_reaches_no_rule(port: int) -> None:
    for network in (FirewallNetwork(tcp=[port]), FirewallNetwork(udp=[port])):
        with pytest.raises(HostError, match="is no port: they go from 1 to 65535"):
            firewall.admit("test", [FirewallRule("p0", "10.9.9.1", "fhtest0", network)], Surroundings())


@given(some.text())
def test_no_text_of_others_is_among_the_rules(text: str) -> None:
    try:
        found = rules(FirewallNetwork(connect=[text]))
    except ValueError:
        return
    assert found == rules(FirewallNetwork(connect=[written(*target(text))]))


@given(some.ip_addresses(), some.none() | some.integers(1, 65535))
def test_an_address_is_read_with_and_without_a_port(address: object, port: int | None) -> None:
    text = f"[{address}]" if ":" in str(address) and port else str(address)
    found = target(text if port is None else f"{text}:{port}")
    assert found[1] == (port or 0)
    assert found[0].split("/")[0] == str(address)
