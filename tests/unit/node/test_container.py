"""Containers in the kernel: whose the addresses are, who reaches whom, what is left of them."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from freehold.kit.waiting import until
from freehold.node.isolation import cgroups, firewall, processes
from freehold.node.isolation.firewall import FirewallNetwork, Surroundings
from support import inside
from support.inside import Inside, client, containers, server

TAG = f"t{os.getpid() % 10**7}"
HERE, THERE = f"10.61.{os.getpid() % 250}.1", f"10.61.{os.getpid() % 250}.2"
WORLD = f"w{os.getpid() % 10**7}"
pytestmark = pytest.mark.skipif(
    not inside.needs_containers or shutil.which("catatonit") is None, reason="it takes root, catatonit and nftables"
)


@pytest.fixture
def pair() -> Iterator[list[Inside]]:
    with containers(TAG, {"p0": HERE, "p1": THERE}) as made:
        for one in made:
            one.admit(None)
        yield made


def hears(address: str, port: int) -> str:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 2) as sock:
        return sock.recv(100).decode()
    return ""


def test_each_has_every_port_of_its_own_and_a_loopback_that_nobody_shares(pair: list[Inside]) -> None:
    one, other = pair
    with one.running(server("0.0.0.0", 80, says="one")), other.running(server("0.0.0.0", 80, says="other")):
        assert hears(HERE, 80).endswith("one")
        assert hears(THERE, 80).endswith("other")
        assert other.run(client(HERE, 80)) == f"{THERE} one"
        assert other.run(client("127.0.0.1", 80)) == "127.0.0.1 other"
    with one.running(server("127.0.0.1", 5555)):
        assert other.run(client("127.0.0.1", 5555)) == "ConnectionRefusedError"
        assert not hears("127.0.0.1", 5555)


def test_an_address_is_its_partitions_alone(pair: list[Inside]) -> None:
    one, other = pair
    bind = f"import socket\ntry: socket.create_server(({HERE!r}, 9100)); print('mine')\n"
    bind += "except OSError as error: print(error.errno)"
    assert other.run(bind) == "99"
    spoof = (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
        "print('sent')\n"
    )  # fmt: skip
    assert "PermissionError" in other.run(spoof)
    # Even root of its network sends in no other's name.
    taken = f"import subprocess\nsubprocess.run(['ip', 'address', 'add', '{HERE}/32', 'dev', 'eth0'], check=True)\n"
    with one.running(server("0.0.0.0", 80, says="one")):
        other.run(taken, as_root=True)
        posing = f"import socket\ns = socket.socket(); s.bind(({HERE!r}, 0)); s.settimeout(2)\n"
        posing += "try: s.connect(('192.0.2.200', 80)); print('heard')\nexcept OSError as e: print(type(e).__name__)\n"
        assert other.run(posing) == "TimeoutError"
        assert hears(HERE, 80).endswith("one")


def test_only_declared_ports_are_reached_and_what_is_refused_is_counted(pair: list[Inside]) -> None:
    one, other = pair
    with one.running(server("0.0.0.0", 7101)), one.running(server("0.0.0.0", 7102)):
        one.admit(FirewallNetwork(tcp=[7101]))
        assert hears(HERE, 7101)
        assert not hears(HERE, 7102)
        assert other.run(client(HERE, 7102)) == "ConnectionRefusedError"
        assert firewall.refusals(TAG)["p0"]["listen"] > 0
        one.admit(None)
        assert hears(HERE, 7102), "the next one to live there declares anew"


def test_an_internal_port_is_reached_by_peers_alone(pair: list[Inside]) -> None:
    one, other = pair
    with one.running(server("0.0.0.0", 7101)):
        one.admit(FirewallNetwork(tcp=[], tcp_internal=[7101]), peers=[])
        assert other.run(client(HERE, 7101)) == "ConnectionRefusedError"
        one.admit(FirewallNetwork(tcp=[], tcp_internal=[7101]), peers=[THERE, "fd00::7"])
        assert other.run(client(HERE, 7101)) == f"{THERE} hello"
        assert not hears(HERE, 7101), "the machine is no peer"


def test_it_connects_only_where_it_declared(pair: list[Inside]) -> None:
    one, other = pair
    with one.running(server("0.0.0.0", 7101)), one.running(server("0.0.0.0", 7102)):
        other.admit(FirewallNetwork(connect=[f"{HERE}:7101"]))
        assert other.run(client(HERE, 7101)) == f"{THERE} hello"
        assert other.run(client(HERE, 7102)) == "ConnectionRefusedError"
        other.admit(FirewallNetwork(connect=[]))
        assert other.run(client(HERE, 7101)) == "ConnectionRefusedError"
        assert firewall.refusals(TAG)["p1"]["connect"] > 0


@pytest.fixture
def world() -> Iterator[str]:
    """A network elsewhere, with this machine as a neighbour; yields the name of the link that leads there."""
    run = ["ip", "netns", "exec", WORLD]
    for command in (
        ["ip", "netns", "add", WORLD],
        ["ip", "link", "add", f"{WORLD}o", "type", "veth", "peer", "name", "eth0", "netns", WORLD],
        ["ip", "address", "add", "198.51.100.1/24", "dev", f"{WORLD}o"],
        ["ip", "address", "add", "2001:db8:5::1/64", "dev", f"{WORLD}o", "nodad"],
        ["ip", "link", "set", f"{WORLD}o", "up"],
        [*run, "ip", "address", "add", "198.51.100.2/24", "dev", "eth0"],
        [*run, "ip", "address", "add", "2001:db8:5::2/64", "dev", "eth0", "nodad"],
        [*run, "ip", "link", "set", "eth0", "up"],
        [*run, "ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)
    try:
        yield f"{WORLD}o"
    finally:
        subprocess.run(["ip", "netns", "delete", WORLD], check=False)
        subprocess.run(["ip", "link", "delete", f"{WORLD}o"], check=False, capture_output=True)


@contextlib.contextmanager
def elsewhere(program: str) -> Iterator[None]:
    command = ["ip", "netns", "exec", WORLD, "/usr/bin/python3", "-I", "-S", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield
        finally:
            process.kill()


def from_elsewhere(address: str, port: int) -> str:
    command = ["ip", "netns", "exec", WORLD, "/usr/bin/python3", "-I", "-S", "-c", client(address, port)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def test_the_world_is_reached_from_a_private_address_as_the_machine_itself(world: str) -> None:
    with containers(TAG, {"p0": HERE}, uplinks=[world]) as (one,), elsewhere(server("198.51.100.2", 443)):
        one.admit(None)
        assert one.run(client("198.51.100.2", 443)) == "198.51.100.1 hello"
        one.admit(FirewallNetwork(connect=[]), Surroundings(master="198.51.100.2:443"))
        assert one.run(client("198.51.100.2", 443)) == "198.51.100.1 hello", "the Master is always reached"
        one.admit(FirewallNetwork(connect=[]))
        assert one.run(client("198.51.100.2", 443)) == "ConnectionRefusedError"


def test_names_are_asked_of_the_machines_own_resolvers_and_of_nobody_else(world: str) -> None:
    both = "import socket\n" + server("0.0.0.0", 53).partition("\n")[2]
    with containers(TAG, {"p0": HERE}, uplinks=[world]) as (one,), elsewhere(both):
        one.admit(FirewallNetwork(connect=[]), Surroundings(resolvers=["198.51.100.2"]))
        assert one.run(client("198.51.100.2", 53)) == "198.51.100.1 hello"
        one.admit(FirewallNetwork(connect=[]), Surroundings(resolvers=["198.51.100.3"]))
        assert one.run(client("198.51.100.2", 53)) == "ConnectionRefusedError"


@pytest.mark.parametrize(
    ("own", "far"), [("198.51.100.77", "198.51.100.2"), ("2001:db8:5::77", "2001:db8:5::2")], ids=["IPv4", "IPv6"]
)
def test_a_public_address_of_its_own_is_answered_for_and_kept(world: str, own: str, far: str) -> None:
    addresses, network = {"p0": own}, "198.51.100.64/26" if "." in own else "2001:db8:5::40/122"
    with containers(TAG, addresses, uplinks=[world], announced_on=world) as (one,):
        one.admit(FirewallNetwork(tcp=[8080]), Surroundings(network=network))
        with one.running(server("::" if ":" in own else "0.0.0.0", 8080)):
            until(lambda: "hello" in from_elsewhere(own, 8080), 20, what="an answer from a public address")
            assert from_elsewhere(own, 8080) == f"{far} hello"
            assert from_elsewhere(own, 8081) in ("ConnectionRefusedError", "TimeoutError")
        with elsewhere(server(far, 443)):
            assert one.run(client(far, 443)) == f"{own} hello", "it is not hidden behind the machine"


def test_the_addresses_by_which_clouds_give_secrets_are_not_reached(world: str) -> None:
    run = ["ip", "netns", "exec", WORLD]
    subprocess.run([*run, "ip", "address", "add", "169.254.169.254/32", "dev", "eth0"], check=True)
    subprocess.run(["ip", "route", "add", "169.254.169.254/32", "dev", world], check=True)
    with containers(TAG, {"p0": HERE}, uplinks=[world]) as (one,), elsewhere(server("169.254.169.254", 80)):
        one.admit(None)
        assert hears("169.254.169.254", 80), "the machine itself reaches it"
        assert one.run(client("169.254.169.254", 80)) == "TimeoutError"


def test_nothing_is_left_of_a_container_that_ends(pair: list[Inside]) -> None:
    one, _ = pair
    one.run("import ctypes\nassert ctypes.CDLL(None).shmget(0x1234, 4096, 0o1666) >= 0\n")
    assert "0x00001234" not in subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
    daemon = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    one.run(daemon + "os.close(0); os.close(1); os.close(2); time.sleep(1000)\n")
    until(lambda: processes.of_user(one.uid), what="a process that nobody waits for")
    assert cgroups.end(f"{TAG}/p0", 10)
    until(lambda: not os.path.exists(f"/sys/class/net/{one.host_end}"), what="its link's end")
    until(lambda: not processes.of_user(one.uid), what="the end of what was left")
