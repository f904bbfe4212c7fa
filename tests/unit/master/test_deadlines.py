"""Strangers who take their time, or all connections, at a real server of short patience; others notice nothing."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from freehold.kit import until

if TYPE_CHECKING:
    from support.running import Master

HEADER_S, BODY_S, HANDSHAKE_S, CONNECTIONS = 2.0, 4.0, 1.5, 12
IMPATIENT = f"""
import sys
if "serve" in sys.orig_argv:
    import freehold.master.connections as connections
    connections.HEADER_S, connections.BODY_S, connections.HANDSHAKE_S = {HEADER_S}, {BODY_S}, {HANDSHAKE_S}
    connections.strangers = connections.Strangers(per_address={CONNECTIONS})
"""


@pytest.fixture(scope="module")
def impatient(master: "Master", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Master"]:
    """A Master with shorter deadlines and fewer connections; how long they are when nobody says so is in the manual."""
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        master.stop()
        master.start()
        yield master


def _plain(master: "Master") -> socket.socket:
    return socket.create_connection((master.host, master.port), 20)


@contextlib.contextmanager
def _connected(master: "Master") -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(master.authority))
    with context.wrap_socket(_plain(master), server_hostname=master.host) as connection:
        connection.settimeout(20)
        yield connection


def _ends(connection: socket.socket, drop: bytes, every: float = 0.2) -> tuple[int, float]:
    """Send byte after byte until the Master ends the connection; return its status, or 0, and after how long."""
    began, answer = time.monotonic(), b""
    connection.settimeout(every)
    while time.monotonic() - began < 20:
        try:
            connection.sendall(drop)
            part = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        answer += part
        if not part:
            break
    else:
        raise AssertionError("the connection was not ended")
    return (int(answer.split()[1]) if answer else 0), time.monotonic() - began


def test_headers_that_come_byte_by_byte_have_a_deadline(impatient: "Master") -> None:
    with _connected(impatient) as connection:
        connection.sendall(b"GET /prices HTTP/1.1\r\nHost: x\r\nX-A: ")
        status, seconds = _ends(connection, b"a")
    assert status == 408
    assert HEADER_S - 0.5 < seconds < HEADER_S + 3


def test_whoever_says_nothing_at_all_is_not_waited_for(impatient: "Master") -> None:
    with _connected(impatient) as connection:
        began = time.monotonic()
        connection.recv(100)
        assert HEADER_S - 0.5 < time.monotonic() - began < HEADER_S + 3
    with _plain(impatient) as connection:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            connection.recv(100)
        assert HANDSHAKE_S - 0.5 < time.monotonic() - began < HANDSHAKE_S + 3


@pytest.mark.parametrize(
    "path", [b"/api/v1/login", b"/login", b"/node/v1/enrol", b"/node/v1/letters"], ids=lambda path: path.decode()
)
def test_a_body_that_comes_byte_by_byte_has_a_deadline(impatient: "Master", path: bytes) -> None:
    with _connected(impatient) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" % path)
        status, seconds = _ends(connection, b"{")
    assert status in (0, 408)
    assert BODY_S - 0.5 < seconds < BODY_S + 3


def test_a_body_of_a_node_has_the_same_deadline(impatient: "Master") -> None:
    node = impatient.node("slow", partitions=1)
    context = ssl.create_default_context(cafile=str(impatient.authority))
    context.load_cert_chain(node.folder / "pocket.pem")
    with context.wrap_socket(_plain(impatient), server_hostname=impatient.host) as connection:
        connection.sendall(b"POST /node/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        _, seconds = _ends(connection, b"{")
    assert BODY_S - 0.5 < seconds < BODY_S + 3
    assert node.offer(1)[0] == 200


def test_slow_requests_take_no_worker_from_others(impatient: "Master") -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS - 2):
            connection = stack.enter_context(_connected(impatient))
            connection.sendall(b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{")
        began = time.monotonic()
        assert impatient.api("GET", "/me")
        assert time.monotonic() - began < BODY_S / 2


def test_an_address_has_so_many_connections_and_nodes_have_theirs(impatient: "Master") -> None:
    node = impatient.node("beside", partitions=1)
    time.sleep(HEADER_S)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(_connected(impatient)) for _ in range(CONNECTIONS)]
        for connection in held:
            connection.sendall(b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        with _connected(impatient) as one_more:
            answer = one_more.recv(1000)
        assert answer.startswith(b"HTTP/1.1 503 ")
        node.close()
        assert node.offer(1)[0] == 200, "with a certificate, from the same address, it is another matter"
    until(lambda: impatient.call("GET", "/prices").status == 200, what="a connection, once some are free")


def test_the_manual_says_how_long_and_how_many() -> None:
    from freehold.master.connections import BODY_S, HANDSHAKE_S, HEADER_S, LARGEST_HEADER, PER_ADDRESS, STRANGERS

    manual = (Path(__file__).parents[3] / "docs" / "operators.md").read_text()
    assert f"| handshake, headers, body | {HANDSHAKE_S:g} s, {HEADER_S:g} s, {BODY_S:g} s |" in manual
    assert f"| {PER_ADDRESS} of an address (of IPv6: a /64), {STRANGERS:,} of all" in manual
    assert f"| line and headers of a request | {LARGEST_HEADER // 1024} KiB |" in manual
