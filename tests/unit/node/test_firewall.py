"""The firewall's rules, in the kernel: who reaches a partition's ports, and who may answer there."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.node.errors import HostError
from freehold.node.host import firewall
from freehold.node.host.firewall import Network, Rule

OWNER, OTHER = 62000 + os.getpid() % 400, 62500 + os.getpid() % 400
HERE = f"127.76.{os.getpid() % 250}.1"
Admit = Callable[[Network | None], None]
TAG = f"test{os.getpid()}"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None or not firewall.works(), reason="it takes root and nftables"
)


@pytest.fixture
def admit() -> Iterator[Admit]:
    def admit(network: Network | None) -> None:
        firewall.admit(TAG, [Rule("p0", HERE, OWNER, network)], "")

    yield admit
    firewall.remove(TAG)
    assert TAG not in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def server(port: int, uid: int) -> Iterator[None]:
    program = (
        "import socket\n"
        f"with socket.create_server(('{HERE}', {port})) as server:\n"
        "    print(flush=True)\n"
        "    while True: server.accept()[0].sendall(b'hello')\n"
    )
    command = ["/usr/bin/python3", "-I", "-S", "-c", program]
    with subprocess.Popen(command, user=uid, group=uid, extra_groups=[], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HERE, port), 0.5) as sock:
        return sock.recv(5) == b"hello"
    return False


def connects(uid: int, port: int) -> bool:
    program = f"import socket; socket.create_connection(('{HERE}', {port}), 1)"
    command = ["/usr/bin/python3", "-I", "-S", "-c", program]
    return subprocess.run(command, user=uid, group=uid, capture_output=True, check=False).returncode == 0


def test_only_declared_ports_are_reached_and_what_is_refused_is_counted(admit: Admit) -> None:
    with server(7101, OWNER), server(7102, OWNER):
        admit(None)
        assert answers(7101)
        assert answers(7102), "without a declaration any port will do"
        admit(Network(tcp=[7101]))
        assert answers(7101)
        assert not answers(7102)
        assert firewall.refusals(TAG)["p0"]["listen"] > 0
        admit(None)
        assert answers(7102), "the next one to live there declares anew"


def test_nobody_answers_in_the_place_of_another(admit: Admit) -> None:
    admit(Network(tcp=[7103]))
    with server(7103, OTHER):
        assert not answers(7103)
    assert firewall.refusals(TAG)["p0"]["posing"] > 0
    with server(7103, OWNER):
        assert answers(7103)


def test_a_partition_connects_only_where_it_declared(admit: Admit) -> None:
    with socket.create_server((HERE, 7104)), socket.create_server(("127.0.0.1", 7105)) as elsewhere:
        assert elsewhere
        admit(Network(connect=[]))
        assert connects(OWNER, 7104), "its own address is its own"
        program = "import socket; socket.create_connection(('127.0.0.1', 7105), 1)"

        def reaches() -> bool:
            command = [sys.executable, "-I", "-S", "-c", program]
            return subprocess.run(command, user=OWNER, capture_output=True, check=False).returncode == 0

        assert not reaches()
        assert firewall.refusals(TAG)["p0"]["connect"] > 0
        admit(Network(connect=["127.0.0.0/8:7105"]))
        assert reaches()


@pytest.mark.parametrize("target", ["", "10.0.0.1; drop", "::1%x; drop", ":0", ":70000", "10.0.0.0/99", "a.example"])
def test_what_is_no_address_reaches_no_rule(target: str) -> None:
    with pytest.raises(HostError, match="p0"):
        firewall.admit(TAG, [Rule("p0", HERE, OWNER, Network(connect=[target]))], "")


@given(some.ip_addresses(), some.none() | some.integers(1, 65535))
def test_an_address_is_read_with_and_without_a_port(address: object, port: int | None) -> None:
    text = f"[{address}]" if ":" in str(address) and port else str(address)
    found = firewall.split(text if port is None else f"{text}:{port}")
    assert found[1] == (port or 0)
    assert found[0].split("/")[0] == str(address)
