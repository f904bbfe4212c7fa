"""The ready-made promises, each kept and broken by something real."""

import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freehold.kit.waiting import lives, until
from freehold.promises import Assessment, Command, Http, Promise, TcpPort, source


class _Page(http.server.BaseHTTPRequestHandler):
    """Answers hello to `/`, a large page to `/large`, the query to `/echo`, nothing else."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        said = "\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode()
        found = {"/": b"hello, world", "/large": b"x" * 3_000_000, "/echo": query.encode(), "/sent": said}.get(path)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        try:
            self.wfile.write(found or b"not here")
        except ConnectionError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[int]:
    """Yield the port of a web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


@pytest.fixture
def closed() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_page_that_answers_is_kept(port: int) -> None:
    assert Http(f"http://127.0.0.1:{port}/").check() == Assessment(True, f"http://127.0.0.1:{port}/ answers 200")
    assert Http(f"http://127.0.0.1:{port}/", contains="world").check().kept
    assert Http(f"http://127.0.0.1:{port}", contains="hello").check().kept
    assert Http(f"http://127.0.0.1:{port}/large", contains="xxx").check().kept
    assert Http(f"http://127.0.0.1:{port}/echo?a=1&b=2", contains="a=1&b=2").check().kept
    assert Http(f"http://127.0.0.1:{port}/nowhere", status=404).check().kept


def test_a_page_that_is_not_there_is_broken(port: int) -> None:
    found = Http(f"http://127.0.0.1:{port}/nowhere").check()
    assert not found.kept
    assert "answers 404 instead of 200" in found.message


def test_a_page_with_another_text_is_broken(port: int) -> None:
    found = Http(f"http://127.0.0.1:{port}/", contains="bonjour").check()
    assert not found.kept
    assert "does not contain 'bonjour'" in found.message


def test_a_server_that_is_not_there_is_broken(closed: int) -> None:
    found = Http(f"http://127.0.0.1:{closed}/").check()
    assert not found.kept
    assert "does not answer" in found.message


def test_a_server_that_says_nothing_is_broken_in_time(silent: int) -> None:
    started = time.monotonic()
    found = Http(f"http://127.0.0.1:{silent}/", timeout=0.2).check()
    assert not found.kept
    assert "does not answer" in found.message
    assert time.monotonic() - started < 2


def test_a_server_that_speaks_no_http_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example.org ready\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        found = Http(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5).check()
        thread.join()
    assert not found.kept


def test_a_server_with_its_own_authority_is_kept(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    done = subprocess.run(
        [*make, "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=p0",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.socket.settimeout(5)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}/"
        found = Http(url, contains="hello").check()
        known, other = Http(url, authority=str(certificate)).check(), Http(url, authority="system").check()
        named = Http(url.replace("127.0.0.1", "localhost"), authority=str(certificate)).check()
        lost = Http(url, authority=str(tmp_path / "lost.pem")).check()
        server.shutdown()
        thread.join()
    assert found.kept, found.message
    assert known.kept, known.message
    for wrong in (other, named):
        assert not wrong.kept
        assert "certificate verify failed" in wrong.message
    assert (lost.kept, "No such file" in lost.message) == (False, True)


def test_a_page_is_asked_for_as_somebody_with_headers(port: int) -> None:
    url = f"http://127.0.0.1:{port}/sent"
    sent = {"headers": ("X-Shop: one two", "host: shop.example"), "user": "é", "password": "a:b"}
    assert Http(url, contains="x-shop: one two", **sent).check().kept
    assert Http(url, contains="host: shop.example", **sent).check().kept
    assert Http(url, contains="authorization: Basic w6k6YTpi", **sent).check().kept
    for wrong in ("none", ": empty", "a b: c", "X: two\r\nlines: x", "X: \0"):
        found = Http(url, headers=("Secret: hush", wrong)).check()
        assert (found.kept, found.message) == (False, "headers: number 2 is no 'Name: value' of one line")
    assert not Http(url, user="a:b").check().kept


def test_a_command_finds_what_it_is_given_in_its_environment() -> None:
    given = ("PASSWORD=a=b", "EMPTY=")
    found = Command(("/bin/sh", "-c", "echo $PASSWORD-$EMPTY-$PATH"), environment=given).check()
    assert (found.kept, found.message.startswith("a=b--/")) == (True, True)
    for wrong in (("hush",), ("=hush",), ("A=hush", "A=hush")):
        found = Command(("/bin/true",), environment=wrong).check()
        assert (found.kept, "hush" in found.message) == (False, False)


def test_a_port_that_accepts_is_kept_and_one_that_does_not_is_broken(silent: int, closed: int) -> None:
    assert TcpPort("127.0.0.1", silent).check().kept
    found = TcpPort("127.0.0.1", closed).check()
    assert not found.kept
    assert f"127.0.0.1 port {closed} does not accept connections" in found.message


def test_a_command_says_yes_or_no_in_its_own_words() -> None:
    assert Command(("/bin/sh", "-c", "echo fine")).check() == Assessment(True, "fine")
    assert Command(("/bin/sh", "-c", "echo bad >&2; exit 2")).check() == Assessment(False, "bad")
    assert Command(("/bin/false",)).check() == Assessment(False, "/bin/false ended with status 1")
    assert Command(("/bin/sh", "-c", "yes | head -c 100000; echo the end")).check().message.endswith("the end")


def test_a_command_that_cannot_be_run_is_broken(tmp_path: Path) -> None:
    found = Command((str(tmp_path / "nothing"),)).check()
    assert not found.kept
    assert "cannot be run: No such file" in found.message


def test_a_command_that_takes_too_long_is_broken_and_ends_with_all_it_started(tmp_path: Path) -> None:
    started = time.monotonic()
    script = f"sleep 1000 & echo $! $$ > {tmp_path}/pids; wait"
    found = Command(("/bin/sh", "-c", script), timeout=0.5).check()
    assert found == Assessment(False, "/bin/sh did not end within 0.5 s")
    assert time.monotonic() - started < 5
    for pid in (tmp_path / "pids").read_text().split():
        until(lambda pid=pid: not lives(int(pid)))


@pytest.mark.parametrize(
    "promise",
    [
        Http("http://[2001:db8::1]:80/'\"\\?q=é", status=204, contains='"quoted"\n', period=5, timeout=1.5),
        TcpPort("::1", 80),
        Command(("/bin/echo", "it's", 'a "test"\\'), period=3.5),
    ],
)
def test_a_promise_written_as_a_plugin_is_the_same_promise(promise: Promise, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(source(promise))
    known: dict[str, object] = {}
    exec(compile(plugin.read_text(), str(plugin), "exec"), known)
    assert known["promise"] == promise


def test_promises_load_without_the_node_or_the_master() -> None:
    program = "import sys, freehold.promises; print([m for m in sys.modules if m.startswith('freehold.')])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "freehold.node" not in loaded
    assert "freehold.master" not in loaded
