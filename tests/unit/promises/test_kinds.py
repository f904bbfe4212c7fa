"""Every ready-made promise is seen kept and broken, by something real; has a schema; is in the page for authors."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import sqlite3
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import freehold.promises
from freehold.promises import (
    KINDS,
    BackupAge,
    CertificateMatchesKey,
    CertificateValid,
    ClockDrift,
    Command,
    CpuLoad,
    DiskSpace,
    DnsName,
    FileState,
    Http,
    Inodes,
    JobRan,
    LogErrors,
    MemoryFree,
    NetworkErrors,
    ProcessLives,
    Promise,
    QueueDepth,
    ReplicationLag,
    RestoreTested,
    ServerCertificate,
    SqlValue,
    TaskDone,
    TcpPort,
    Temperature,
    UdpPort,
    WebSocket,
    schema,
)  # fmt: skip
from freehold.promises.history import Samples

DOCUMENT = Path(__file__).parents[3] / "docs" / "authors" / "promises.md"


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(b"you said " + data, self.client_address)


class Names(socketserver.BaseRequestHandler):
    """A name server that knows `here.example` only."""

    def handle(self) -> None:
        data, sock = self.request
        question = data[12:]
        known = question.startswith(b"\4here\7example\0")
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 7]) if known else b""
        header = data[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, int(known), 0, 0)
        sock.sendto(header + question + answer, self.client_address)


class Clock(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        now = struct.pack("!II", int(time.time() + 2208988800), 0)
        head = b"\x24\x02" + bytes(10) + b"LOCL" + bytes(16)
        self.request[1].sendto(head + now + now, self.client_address)


class Sockets(http.server.BaseHTTPRequestHandler):
    """A page at `/`, a WebSocket that echoes at `/echo`."""

    def do_GET(self) -> None:
        if self.path != "/echo":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"page")
            return
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        head = self.rfile.read(2)
        if len(head) < 2:
            return
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self.rfile.read(head[1] & 127)))
        self.wfile.write(b"\x89\x01!" + b"\x81" + bytes([len(text) + 5]) + b"echo " + text)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])  # type: ignore[index,call-overload]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the promises look at: servers, files, certificates."""
    folder = tmp_path_factory.mktemp("here")
    found: dict[str, Any] = {"folder": folder}
    for name, days in (("long", "30"), ("short", "2"), ("other", "30")):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
        subprocess.run([*command, *files, "-days", days, "-subj", "/CN=x"], check=True, capture_output=True)
    (folder / "empty").touch()
    (folder / "full").write_text("something\nERROR: it burns\n")
    (folder / "old").write_text("old")
    os.utime(folder / "old", (time.time() - 7 * 86400,) * 2)
    (folder / "pid").write_text(str(os.getpid()))
    (folder / "dead").write_text("4194300")
    for zone, value in (("cool", "41000"), ("hot", "99000")):
        (folder / zone / "thermal" / "thermal_zone0").mkdir(parents=True)
        (folder / zone / "thermal" / "thermal_zone0" / "temp").write_text("40000")
        (folder / zone / "hwmon" / "hwmon0").mkdir(parents=True)
        for file, content in (
            ("name", "disk"),
            ("temp1_input", value),
            ("temp1_crit", "90000"),
            ("temp2_input", "127000"),
        ):
            (folder / zone / "hwmon" / "hwmon0" / file).write_text(content)
    for name, wrong in (("clean", 0), ("dirty", 1000)):
        (folder / name).mkdir()
        for counter, value in (("rx_packets", 10_000), ("tx_packets", 10_000), ("rx_errors", wrong)):
            (folder / name / counter).write_text(f"{value}\n")
    (folder / "queue").mkdir()
    for number in range(3):
        (folder / "queue" / str(number)).touch()
    for name, status, days in (("restored", 0, 1), ("not-restored", 1, 1)):
        (folder / name).write_text(json.dumps({"since": 0, "ended": time.time() - days * 86400, "status": status}))
    (folder / "done").write_text("digest 0\n")
    with contextlib.closing(sqlite3.connect(folder / "base.sqlite")) as base, base:
        base.execute("CREATE TABLE lag AS SELECT 5 AS seconds")
    with contextlib.ExitStack() as stack:
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sockets)
        found["web"] = stack.enter_context(serving(web))
        for name in ("long", "short"):
            tls = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sockets)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
            tls.socket = context.wrap_socket(tls.socket, server_side=True)
            tls.socket.settimeout(5)
            found[f"tls-{name}"] = stack.enter_context(serving(tls))
        for key, handler in (("echo", Echo), ("names", Names), ("clock", Clock)):
            found[key] = stack.enter_context(serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), handler)))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as closed:
            closed.bind(("127.0.0.1", 0))
            found["closed"] = closed.getsockname()[1]
            yield found


def pairs(here: dict[str, Any]) -> dict[type[Any], tuple[Promise, Promise]]:
    """Return for each kind one that is kept and one that is broken."""
    folder, local = here["folder"], "127.0.0.1"
    web, closed = here["web"], here["closed"]
    database = str(folder / "base.sqlite")
    return {
        TcpPort: (TcpPort(local, web), TcpPort(local, closed)),
        UdpPort: (UdpPort(local, here["echo"], "hi", "you said hi"), UdpPort(local, here["closed"], "hi", timeout=0.3)),
        Http: (Http(f"http://{local}:{web}/", contains="page"), Http(f"http://{local}:{web}/", contains="shop")),
        WebSocket: (
            WebSocket(f"ws://{local}:{web}/echo", "hi", "echo hi"),
            WebSocket(f"ws://{local}:{web}/", timeout=2),
        ),
        DnsName: (
            DnsName("here.example", ("192.0.2.7",), local, here["names"]),
            DnsName("gone.example", (), local, here["names"]),
        ),
        ServerCertificate: (ServerCertificate(local, here["tls-long"]), ServerCertificate(local, here["tls-short"])),
        CertificateValid: (CertificateValid(f"{folder}/long.pem"), CertificateValid(f"{folder}/short.pem")),
        CertificateMatchesKey: (
            CertificateMatchesKey(f"{folder}/long.pem", f"{folder}/long.key"),
            CertificateMatchesKey(f"{folder}/long.pem", f"{folder}/other.key"),
        ),
        Command: (Command(("/bin/true",)), Command(("/bin/false",))),
        ProcessLives: (ProcessLives(f"{folder}/pid", "python"), ProcessLives(f"{folder}/dead")),
        FileState: (FileState(f"{folder}/empty", "empty"), FileState(f"{folder}/old", "present", newer_than=3600)),
        LogErrors: (LogErrors(f"{folder}/full", ("panic",)), LogErrors(f"{folder}/full")),
        QueueDepth: (QueueDepth(f"{folder}/queue", 3), QueueDepth(f"{folder}/queue", 2)),
        BackupAge: (BackupAge(str(folder), "full"), BackupAge(str(folder), "old")),
        RestoreTested: (RestoreTested(f"{folder}/restored"), RestoreTested(f"{folder}/not-restored")),
        SqlValue: (
            SqlValue("sqlite3", database, "SELECT seconds FROM lag", most=5),
            SqlValue("sqlite3", database, "SELECT seconds FROM lag", least=6),
        ),
        ReplicationLag: (
            ReplicationLag("sqlite3", database, "SELECT seconds FROM lag"),
            ReplicationLag("sqlite3", database, "SELECT seconds * 100 FROM lag"),
        ),
        DiskSpace: (DiskSpace(str(folder), 0.001), DiskSpace(str(folder), 1e12)),
        Inodes: (Inodes(str(folder), 0.001), Inodes(str(folder), 101)),
        MemoryFree: (MemoryFree(1), MemoryFree(1e9)),
        CpuLoad: (CpuLoad(1e6), CpuLoad(-1)),
        Temperature: (Temperature(90, f"{folder}/cool"), Temperature(90, f"{folder}/hot")),
        NetworkErrors: (
            NetworkErrors("x", statistics=f"{folder}/clean"),
            NetworkErrors("x", statistics=f"{folder}/dirty"),
        ),
        ClockDrift: (ClockDrift(local, 5, here["clock"]), ClockDrift(local, -1, here["clock"])),
        TaskDone: (TaskDone(f"{folder}/done", "digest", ""), TaskDone(f"{folder}/done", "another", "")),
        JobRan: (
            JobRan(f"{folder}/restored", "", 2 * 86400, 60),
            JobRan(f"{folder}/not-restored", "", 2 * 86400, 60),
        ),
    }


KINDS_HERE = [kind for kind in KINDS if kind.__name__ != "Ping"]


@pytest.mark.parametrize("kind", KINDS_HERE, ids=lambda kind: kind.__name__)
def test_each_kind_is_seen_kept_and_broken(here: dict[str, Any], kind: type[Any]) -> None:
    kept, broken = pairs(here)[kind]
    found = kept.check()
    assert found.kept, found.message
    found = broken.check()
    assert not found.kept, found.message
    assert found.message


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="it takes a network of one's own")
def test_a_host_that_answers_pings_and_one_that_does_not() -> None:
    program = (
        "from freehold.promises import Ping\n"
        "print(Ping('127.0.0.1', count=2).check().kept, Ping('192.0.2.1', count=1, timeout=0.4).check().kept)"
    )
    network = "ip link set lo up && sysctl -qw net.ipv4.ping_group_range='0 2147483647'"
    command = ["unshare", "-n", "sh", "-c", f'{network} && exec {sys.executable} -c "$1"', "sh", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_has_a_schema_and_is_documented(kind: type[Any]) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert set(schema(kind)["properties"]) == fields
    row = next(line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{kind.__name__}` |"))
    for name in fields - {"period", "timeout"}:
        assert f"`{name}`" in row, name
    assert getattr(freehold.promises, kind.__name__) is kind


def test_a_disk_that_will_be_full_is_seen_before(tmp_path: Path) -> None:
    samples = Samples(str(tmp_path / "note"))
    now = time.time()
    for hour in range(6):
        samples.add(now - (5 - hour) * 3600, 10_000 - 100 * hour)
    assert samples.predicted(86400) == pytest.approx(9500 - 2400)
    assert Samples(str(tmp_path / "note")).predicted(86400) == pytest.approx(9500 - 2400), "it is remembered"
    assert Samples(str(tmp_path / "none")).predicted(1) is None
    falling = Samples(str(tmp_path / "falling"))
    for hour in range(6):
        falling.add(now - (6 - hour) * 3600, 1e12 / 2**hour)
    promise = DiskSpace(str(tmp_path), free_mb=1, days=1, note=str(tmp_path / "falling"))
    found = promise.check()
    assert not found.kept
    assert "in 1 days, as it fills, 0" in found.message


def test_what_a_plug_in_written_as_a_function_returns(tmp_path: Path) -> None:
    from freehold.node.promises.worker import assess

    plugin = tmp_path / "etc" / "plugin" / "short.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        "from freehold.promises import Assessment, every\n\n\n"
        "@every(30, timeout=5)\ndef promise() -> Assessment:\n    return Assessment(True, 'it is short')\n"
    )
    assert assess(str(plugin)) == {"kept": True, "message": "it is short", "period": 30, "timeout": 5}
