"""Strangers at the Master's doors go to every bound; an honest caller beside them notices nothing."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from freehold.master.connections import Strangers
from freehold.master.foundation.addresses import network_of

if TYPE_CHECKING:
    from support.running import Master


@contextlib.contextmanager
def _connected(master: "Master") -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(master.authority))
    plain = socket.create_connection((master.host, master.port), 20)
    with context.wrap_socket(plain, server_hostname=master.host) as connection:
        connection.settimeout(30)
        yield connection


def _status(connection: ssl.SSLSocket) -> int:
    answer = b""
    with contextlib.suppress(OSError):
        while b"\r\n" not in answer and (part := connection.recv(65536)):
            answer += part
    return int(answer.split()[1]) if answer else 0


def _memory(master: "Master") -> int:
    """Return the resident memory of the server in MB."""
    (line,) = [one for one in Path(f"/proc/{master.pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def _send(connection: ssl.SSLSocket, part: bytes, megabytes: int) -> None:
    with contextlib.suppress(OSError):
        for _ in range(megabytes):
            connection.sendall(part * ((1 << 20) // len(part)))


@pytest.mark.parametrize(
    ("begin", "part"),
    [(b"X-A: ", b"a" * 1024), (b"", b"x-b: y\r\n")],
    ids=["one that does not end", "many"],
)
def test_headers_are_refused_as_soon_as_they_are_too_large(master: "Master", begin: bytes, part: bytes) -> None:
    before = _memory(master)
    with _connected(master) as connection:
        connection.sendall(b"GET /prices HTTP/1.1\r\nHost: x\r\n" + begin)
        _send(connection, part, 64)
        assert _status(connection) in (431, 0)
    assert _memory(master) - before < 30
    assert master.api("GET", "/me")


def test_headers_that_come_at_once_have_the_same_bound(master: "Master") -> None:
    for size, status in ((30_000, 200), (70_000, 431)):
        with _connected(master) as connection:
            connection.sendall(b"GET /prices HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * size + b"\r\n\r\n")
            assert _status(connection) == status


@pytest.mark.parametrize("path", ["/any/releases", "/api/v1/projects/provider/releases", "/api/v1/login"])
def test_a_strangers_body_is_not_read(master: "Master", path: str) -> None:
    before = _memory(master)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(_connected(master)) for _ in range(10)]
        for connection in connections:
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" % path.encode())
        assert {_status(connection) for connection in connections} == {401}
        for connection in connections:
            _send(connection, b"x" * 1024, 8)
        assert master.api("GET", "/me")
        assert _memory(master) - before < 30


def test_a_known_caller_sends_as_much_as_its_path_takes(master: "Master") -> None:
    answer = master.call("POST", "/api/v1/projects/provider/releases", raw=b"x" * 30_000_000, token=master.owner)
    assert (answer.status, answer.body["type"]) == (422, "invalid")
    for token in ("fhp_unknown", None):
        answer = master.call("POST", "/api/v1/projects/provider/releases", raw=b"x" * 100_000, token=token)
        assert (answer.status, answer.body["type"]) == (401, "unauthenticated")


def test_what_is_not_there_is_no_failure_of_the_master(master: "Master") -> None:
    said = len(master.log())
    assert master.call("GET", "/static/x").status == 404
    assert master.call("POST", "/static/panel/panel.js", raw=b"").status == 405
    assert "Traceback" not in master.log()[said:]


def test_pages_are_kept_to_tls_and_cookies_to_this_host(master: "Master") -> None:
    with _connected(master) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        page = b""
        while part := connection.recv(65536):
            page += part
    assert b"strict-transport-security: max-age=31536000" in page
    assert b" __Host-csrf=" in page


def test_connections_of_an_address_and_of_all_strangers_are_counted() -> None:
    strangers = Strangers(per_address=2, together=3)
    assert [strangers.enter("one") for _ in range(3)] == [True, True, False]
    assert [strangers.enter("two") for _ in range(2)] == [True, False]
    strangers.leave("one")
    assert strangers.enter("two")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
