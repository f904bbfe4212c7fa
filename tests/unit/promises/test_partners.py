"""Promises before odd partners: whoever answers strangely, or without end, gets the right verdict, within bounds."""

import base64
import contextlib
import datetime
import gzip
import hashlib
import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freehold.promises import (
    BackupAge,
    CertificateValid,
    ClockDrift,
    Command,
    DnsName,
    FileState,
    Http,
    LogErrors,
    QueueDepth,
    RestoreTested,
    ServerCertificate,
    SqlValue,
    UdpPort,
    WebSocket,
)

Handle = Callable[[socket.socket], None]


@contextlib.contextmanager
def tcp(handle: Handle, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each connection by a function; yield the port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def talk(sock: socket.socket) -> None:
            with contextlib.suppress(OSError), sock:
                handle(context.wrap_socket(sock, server_side=True) if context else sock)

        def run() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    sock, _ = server.accept()
                    sock.settimeout(20)
                    threading.Thread(target=talk, args=(sock,), daemon=True).start()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


@contextlib.contextmanager
def udp(answer: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Answer each datagram with some; yield the port."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)

        def run() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    asked, peer = sock.recvfrom(65536)
                    for one in answer(asked):
                        sock.sendto(one, peer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            over.set()
            thread.join()


# Commands


def test_output_without_end_is_no_memory_without_end() -> None:
    program = (
        "from freehold.promises import Command\nfound = Command(('yes', 'freehold'), timeout=1).check()\n"
        # Not `ru_maxrss`: that begins with what the parent had.
        "(most,) = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')]\n"
        "print(found.kept, int(most) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    kept, megabytes = done.stdout.split()
    assert kept == "False"
    assert int(megabytes) < 120


def test_a_command_is_over_when_it_ends_and_what_it_left_ends_with_it() -> None:
    mark = f"60.{os.getpid()}"
    found = Command(("/bin/sh", "-c", f"sleep {mark} & echo ok; exit 0"), timeout=20).check()
    assert (found.kept, found.message) == (True, "ok")
    shown = subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True, check=False)
    assert shown.returncode == 1


def test_of_much_output_the_end_is_the_message() -> None:
    found = Command(("/bin/sh", "-c", "seq 200000; echo the last words; exit 3")).check()
    assert not found.kept
    assert found.message.endswith("199999\n200000\nthe last words")
    assert "\ufffd" in Command(("/bin/sh", "-c", "printf '\\377'; exit 1")).check().message


def test_a_command_that_closes_its_output_is_waited_for_all_the_same() -> None:
    assert Command(("/bin/sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 0")).check().kept
    found = Command(("/bin/sh", "-c", "exec >&- 2>&-; sleep 60"), timeout=0.5).check()
    assert "did not end within 0.5 s" in found.message


# Files and times


AHEAD = 10 * 365 * 86400


def test_what_is_of_a_time_to_come_is_not_fresh(tmp_path: Path) -> None:
    backup = tmp_path / "old.sql"
    backup.write_text("x")
    os.utime(backup, (time.time() + AHEAD, time.time() + AHEAD))
    (tmp_path / "tried.json").write_text(f'{{"ended": {time.time() + AHEAD}, "status": 0}}')
    for promise in (
        BackupAge(str(tmp_path), "*.sql"),
        FileState(str(backup), newer_than=60),
        QueueDepth(str(tmp_path), most=9, longest=60),
        RestoreTested(str(tmp_path / "tried.json")),
    ):
        found = promise.check()
        assert not found.kept, promise
        assert "a time that is to come" in found.message
    assert FileState(str(backup)).check().kept, "nobody asked how old it is"
    (tmp_path / "new.sql").write_text("x")
    found = BackupAge(str(tmp_path), "*.sql").check()
    assert found.kept, "one that is fresh is there"
    assert "1 others" in found.message


def test_folders_in_which_files_come_and_go_can_be_checked(tmp_path: Path) -> None:
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            for number in range(100):
                (tmp_path / f"{number}").touch()
            for number in range(100):
                (tmp_path / f"{number}").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        found = [QueueDepth(str(tmp_path), most=1000).check() for _ in range(200)]
        for _ in range(50):
            BackupAge(str(tmp_path)).check()
    finally:
        over.set()
        thread.join()
    assert [one.message for one in found if not one.kept] == []


def test_old_errors_are_old_and_new_ones_are_told(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("2020-01-01T00:00:00Z ERROR long ago\n  ERROR of its traceback\n")
    promise = LogErrors(str(log))
    assert promise.check().kept
    now = datetime.datetime.now(datetime.UTC)
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S,123+00:00", "[%Y-%m-%d %H:%M:%S UTC]"):
        log.write_text(f"2020-01-01T00:00:00Z fine\n{now.strftime(form)} ERROR of now\n")
        assert not promise.check().kept, form
    log.write_text("ERROR without a time\n")
    assert not promise.check().kept


# Certificates


def certificate(begins: float, ends: float, name: str = "here", issuer: str = "") -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject, signer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (name, issuer or name)
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(signer).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + datetime.timedelta(days=begins))
    built = builder.not_valid_after(now + datetime.timedelta(days=ends)).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return built.public_bytes(serialization.Encoding.PEM), private


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(10, 100, "is not valid before"), (-20, -1, "expired on"), (-1, 3, "expires in 3 days")],
)
def test_a_certificate_is_good_only_while_it_is_valid(tmp_path: Path, begins: float, ends: float, words: str) -> None:
    pem, key = certificate(begins, ends)
    path = tmp_path / "one.pem"
    path.write_bytes(pem + key)
    found = CertificateValid(str(path)).check()
    assert not found.kept
    assert words in found.message
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with tcp(lambda sock: time.sleep(0.2), context) as port:
        shown = ServerCertificate("127.0.0.1", port).check()
    assert not shown.kept
    assert words in shown.message


def test_a_chain_is_looked_at_whole_and_in_its_order(tmp_path: Path) -> None:
    leaf, authority = certificate(-1, 90, "leaf", "ca")[0], certificate(-1, 90, "ca")[0]
    old = certificate(-30, -1, "ca")[0]
    path = tmp_path / "chain.pem"
    for chain, kept, words in (
        (leaf + authority, True, "is good for"),
        (leaf + old, False, "certificate 2 of 2, expired on"),
        (authority + leaf, False, "wrong order"),
        (b"nothing of the kind", False, "cannot be read"),
    ):
        path.write_bytes(chain)
        found = CertificateValid(str(path)).check()
        assert (found.kept, words in found.message) == (kept, True), found.message


# HTTP


def answers(*parts: bytes, pause: float = 0.0) -> Handle:
    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        for part in parts:
            sock.sendall(part)
            time.sleep(pause)

    return handle


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("parts", "kept", "words"),
    [
        ([OK + b"Content-Length: 4\r\n\r\npage"], True, "answers 200"),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK + b"Content-Length: 4\r\n\r\npage"], True, "200"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Wait\r\n\r\n" + OK + b"\r\npage"], True, ""),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\npa\r\n2\r\nge\r\n0\r\n\r\n"], True, ""),
        ([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a page")], True, ""),
        ([OK + b"\r\na page until the end"], True, ""),
        ([OK + b"Content-Length: 500\r\n\r\npage"], False, "does not answer"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\npa\r\n"], False, "does not answer"),
        ([OK + b"Content-Encoding: gzip\r\n\r\nno such thing"], False, "cannot be read"),
        ([OK + b"Content-Encoding: br\r\n\r\npage"], False, "not asked for"),
        ([b"HTTP/1.1 301 Moved\r\nLocation: https://a.example/login\r\n\r\n"], False, "leads to https://a.example/login"),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], False, "does not answer"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], False, "does not answer"),
        ([b""], False, "without an answer"),
        ([b"X" * 200_000], False, "does not answer"),
    ],
)  # fmt: skip
def test_an_answer_is_taken_as_any_client_takes_it(parts: list[bytes], kept: bool, words: str) -> None:
    with tcp(answers(*parts)) as port:
        found = Http(f"http://127.0.0.1:{port}/a path?q=é", contains="page", timeout=5).check()
    assert (found.kept, words in found.message) == (kept, True), found.message


def test_an_answer_that_never_ends_ends_in_time_and_takes_no_memory() -> None:
    def floods(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(OK + b"\r\n")
        while True:
            sock.sendall(b"page" * 100_000)

    def drips(sock: socket.socket) -> None:
        sock.recv(65536)
        for _ in range(400):
            sock.sendall(b"H")
            time.sleep(0.05)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tcp(floods) as port:
        assert Http(f"http://127.0.0.1:{port}/", contains="page", timeout=10).check().kept
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    began = time.monotonic()
    with tcp(drips) as port:
        assert not Http(f"http://127.0.0.1:{port}/", timeout=1).check().kept
    assert time.monotonic() - began < 15, "however often a little of it comes"


@pytest.mark.parametrize("url", ["htps://127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1:80", "http://", "http://[::1"])
def test_what_is_no_url_of_http_is_not_asked(url: str) -> None:
    found = Http(url).check()
    assert not found.kept
    assert url in found.message
    assert not WebSocket(url).check().kept


# Names


def test_names_are_asked_as_resolvers_ask() -> None:
    lost = [2]

    def answer(asked: bytes) -> list[bytes]:
        if lost[0]:
            lost[0] -= 1
            return []
        alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 8) + b"\5other\xc0\x11"
        target = (
            b"\5other\xc0\x11" + struct.pack("!HHIH", 28, 1, 60, 16) + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
        )
        question = asked[12:]
        return [asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 2, 0, 0) + question + alias + target]

    for written in ("2001:DB8::1", "2001:0db8:0:0:0:0:0:1"):
        lost[0] = 2
        with udp(answer) as port:
            found = DnsName("here.example", (written,), "127.0.0.1", port, "AAAA", timeout=8).check()
        assert found.kept, found.message
    with udp(lambda asked: [asked[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + asked[12:]]) as port:
        found = DnsName("gone.example", (), "127.0.0.1", port, timeout=3).check()
    assert not found.kept
    assert not DnsName("here.example", ("router",)).check().kept


def test_an_answer_that_is_cut_is_asked_for_over_tcp() -> None:
    def cut(asked: bytes) -> list[bytes]:
        return [asked[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + asked[12:]]

    def whole(sock: socket.socket) -> None:
        (size,) = struct.unpack("!H", sock.recv(2))
        asked = sock.recv(size)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, number]) for number in range(60)
        )
        packet = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 60, 0, 0) + asked[12:] + records
        sock.sendall(struct.pack("!H", len(packet)) + packet)

    with tcp(whole) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        sock.settimeout(10)

        def once() -> None:
            asked, peer = sock.recvfrom(4096)
            sock.sendto(cut(asked)[0], peer)

        threading.Thread(target=once, daemon=True).start()
        found = DnsName("here.example", ("192.0.2.59",), "127.0.0.1", port, timeout=8).check()
    assert found.kept, found.message


def test_a_packet_may_be_lost() -> None:
    lost = [2]

    def answer(asked: bytes) -> list[bytes]:
        lost[0] -= 1
        return [] if lost[0] >= 0 else [b"pong"]

    with udp(answer) as port:
        assert UdpPort("127.0.0.1", port, "ping", "pong", timeout=3).check().kept


# Time


@pytest.mark.parametrize(
    ("head", "kept", "words"),
    [
        (bytes([0x24, 2, 0, 0]), True, "the clock is"),
        (bytes([0xE4, 16, 0, 0]), False, "does not know the time itself"),
        (bytes([0x24, 16, 0, 0]), False, "does not know the time itself"),
        (bytes([0x24, 0, 0, 0]), False, "asks us to stay away (RATE)"),
        (bytes([0x23, 2, 0, 0]), False, "did not answer as a server"),
    ],
)
def test_a_time_server_is_believed_when_it_knows(head: bytes, kept: bool, words: str) -> None:
    def answer(_: bytes) -> list[bytes]:
        now = struct.pack("!II", int(time.time() + 2208988800) % 2**32, 0)
        return [head + bytes(8) + b"RATE" + bytes(16) + now + now]

    with udp(answer) as port:
        found = ClockDrift("127.0.0.1", 3, port).check()
    assert (found.kept, words in found.message) == (kept, True), found.message


def test_a_time_server_that_may_be_wrong_itself_is_no_measure() -> None:
    def answer(_: bytes) -> list[bytes]:
        now = struct.pack("!II", int(time.time() + 2208988800) % 2**32, 0)
        return [bytes([0x24, 2, 0, 0]) + struct.pack("!iI", 0, 100 << 16) + b"LOCL" + bytes(16) + now + now]

    with udp(answer) as port:
        found = ClockDrift("127.0.0.1", 3, port).check()
    assert "may be 100.0 s wrong itself" in found.message


# WebSockets


def websocket(*frames: bytes, hear: list[bytes] | None = None) -> Handle:
    def handle(sock: socket.socket) -> None:
        heads = sock.recv(65536).split(b"\r\n")
        (key,) = [line.split(b":")[1].strip() for line in heads if line.lower().startswith(b"sec-websocket-key")]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        head = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        sock.sendall(head + accept + b"\r\n\r\n")
        sock.recv(65536)
        for frame in frames:
            sock.sendall(frame)
            if hear is not None and frame[:1] == b"\x89":
                hear.append(sock.recv(100))
        time.sleep(0.2)

    return handle


@pytest.mark.parametrize(
    ("frames", "kept", "words"),
    [
        ([b"\x81\x0bhello world"], True, ""),
        ([b"\x01\x06hello ", b"\x80\x05world"], True, ""),
        ([b"\x02\x06hello ", b"\x00\x00", b"\x89\x02hi", b"\x8a\x00", b"\x80\x05world"], True, ""),
        ([b"\x80\x05world"], False, "do not belong together"),
        ([b"\x01\x06hello ", b"\x81\x05world"], False, "do not belong together"),
        ([b"\x88\x07\x03\xf1away!"], False, "closed the connection: away!"),
        ([b"\xc1\x05world"], False, "another form"),
        ([b"\x81\x85\0\0\0\0world"], False, "another form"),
        ([b"\x81\x7f" + struct.pack("!Q", 1 << 40)], False, "longer than"),
        ([b"\x81\x10short"], False, "does not answer"),
    ],
)
def test_a_message_comes_in_every_form_that_is_allowed(frames: list[bytes], kept: bool, words: str) -> None:
    with tcp(websocket(*frames)) as port:
        found = WebSocket(f"ws://127.0.0.1:{port}/", send="x", contains="hello world", timeout=3).check()
    assert (found.kept, words in found.message) == (kept, True), found.message


def test_a_ping_is_answered_and_a_long_message_can_be_sent() -> None:
    heard: list[bytes] = []
    with tcp(websocket(b"\x89\x02hi", b"\x81\x02ok", hear=heard)) as port:
        assert WebSocket(f"ws://127.0.0.1:{port}/", send="x" * 300, contains="ok", timeout=3).check().kept
    assert heard
    assert heard[0][0] == 0x8A


# Databases


def test_a_database_is_looked_at_and_never_made(tmp_path: Path) -> None:
    path = tmp_path / "typo.db"
    assert not SqlValue("sqlite3", str(path), "select 1", least=1).check().kept
    assert not path.exists()
    subprocess.run(
        [sys.executable, "-c", f"import sqlite3; sqlite3.connect({str(path)!r}).execute('create table a (b)')"]
    )
    assert SqlValue("sqlite3", str(path), "select count(*) from a", most=0).check().kept
    assert "readonly" in SqlValue("sqlite3", str(path), "insert into a values (1) returning 1").check().message
    for query in ("select 'many'", "select 9e999"):
        assert "no number" in SqlValue("sqlite3", str(path), query).check().message
