"""The link to the Master: who may speak, what is heard when the Master says no, and what a lost connection costs."""

import contextlib
import hashlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.kit.waiting import until
from freehold.node.clock import Clock, Hardware
from freehold.node.errors import LinkDown, LinkError, SettingsError
from freehold.node.host.slots import prepare
from freehold.node.link import client, enrolment
from freehold.node.link.client import Link
from freehold.node.link.sync import LONGEST_PAUSE, FeedReader, OutboxSender, pause_after
from freehold.node.settings import Paths, load
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.upstream import MasterRefused, denied
from freehold.protocol.feed import Feed
from freehold.protocol.problem import MEDIA_TYPE, FieldError, Problem, Reason
from freehold.protocol.report import GENESIS, Applied, AsideReport, ReportBatch, ReportBody, SoftwareReport, link
from freehold.protocol.states import SoftwareObserved
from support.proxy import Proxy

IMPOSTOR = "0" * 64
FIELDS = [
    "revision", "time", "next_contact", "snapshot", "installations", "instances", "shared", "version", "release",
    "wanted", "instance", "partition", "type", "title", "parameters", "sequence", "refused", "status", "detail",
]  # fmt: skip
"""Of what a Master says."""


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A certificate authority of our own, with what it signed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.certificate, self.key = folder, folder / "authority.pem", folder / "authority.key"
        folder.mkdir()
        self._make(self.certificate, self.key, "/CN=authority", [])
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).hexdigest()

    def sign(self, name: str, days: int = 0) -> tuple[Path, Path]:
        """Return certificate and key for a host or a node; the certificate's two days begin so far from now."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        issuer = ["-CA", self.certificate, "-CAkey", self.key, "-addext", f"subjectAltName=IP:127.0.0.1,DNS:{name}"]
        self._make(certificate, key, f"/CN={name}", issuer)
        if days:
            self._date(certificate, days)
        return certificate, key

    def _date(self, path: Path, days: int) -> None:
        """Sign a certificate again with other dates."""
        made = x509.load_pem_x509_certificate(path.read_bytes())
        signer: Any = serialization.load_pem_private_key(self.key.read_bytes(), None)
        builder = x509.CertificateBuilder(made.issuer, made.subject, made.public_key(), made.serial_number)
        for one in made.extensions:
            builder = builder.add_extension(one.value, one.critical)
        begins = datetime.now(UTC) + timedelta(days=days)
        builder = builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=2))
        dated = builder.sign(signer, hashes.SHA256())
        path.write_bytes(dated.public_bytes(serialization.Encoding.PEM))

    def _make(self, certificate: Path, key: Path, subject: str, more: list[Any]) -> None:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-keyout", key, "-out", certificate, "-subj", subject, "-days", "2", *more)


class Endpoint:
    """A server that answers as a test says and remembers what it was asked; certificates are asked for."""

    def __init__(self, authority: Authority, *, demand: bool = False, days: int = 0) -> None:
        """`demand`: who shows no certificate is refused; `days`: so far from now its own certificate is valid."""
        self.asked: list[tuple[str, str, bytes]] = []
        self.dates: list[str | None] = []
        """What requests said of the time of who asks."""
        self.connections = 0
        self.answer: tuple[int, bytes, str] = (200, b"{}", "application/json")
        self.hang_up = self.endless = self.torn = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_GET(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, content))
                outer.dates.append(self.headers["Date"])
                status, body, kind = outer.answer
                if self.path == "/authority.pem":
                    status, body, kind = 200, authority.certificate.read_bytes(), "application/x-pem-file"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if not outer.endless:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if outer.torn else body)
                while outer.endless:
                    self.wfile.write(bytes(100_000))
                # Without a word, as a server that was stopped or is tired of an idle connection.
                self.close_connection = outer.hang_up or outer.torn

            do_POST = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
        context.load_cert_chain(*authority.sign("master", days=days))
        context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        # Who hangs up between `select` and `accept` is waited for otherwise, for ever.
        self.server.socket.settimeout(1)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours") / "authority")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("foreign") / "authority")


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    server = Endpoint(authority)
    yield server
    server.close()


def test_an_answer_is_returned_as_it_came(endpoint: Endpoint, authority: Authority) -> None:
    endpoint.answer = (200, b'{"a": 1}', "application/json")
    status, content, headers = Link(endpoint.url, authority.certificate).call("POST", "/x", b"body")
    assert (status, content, headers["Content-Type"]) == (200, b'{"a": 1}', "application/json")
    assert endpoint.asked == [("POST", "/x", b"body")]


def test_a_master_hears_of_a_clock_that_owes_it_nothing_and_of_no_other(
    endpoint: Endpoint, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hardware, "is_synchronised", lambda self: True)
    monkeypatch.setattr(Hardware, "wall", lambda self: 784111777.0)
    Link(endpoint.url, authority.certificate, time=Clock()).call("GET", "/")
    monkeypatch.setattr(Hardware, "is_synchronised", lambda self: False)
    Link(endpoint.url, authority.certificate, time=Clock()).call("GET", "/")
    Link(endpoint.url, authority.certificate).call("GET", "/")
    assert endpoint.dates == ["Sun, 06 Nov 1994 08:49:37 GMT", None, None]


def test_a_master_that_is_down_is_told_apart(authority: Authority) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LinkDown, match="cannot be reached"):
            Link(url, authority.certificate).call("GET", "/")


def test_a_master_that_does_not_answer_is_down(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = Link(f"https://127.0.0.1:{silent.getsockname()[1]}", authority.certificate)
        with pytest.raises(LinkDown, match="cannot be reached"):
            link.call("GET", "/", timeout=0.2)


def test_something_else_on_the_port_is_no_master(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def talk() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = other.accept()
                    caller.sendall(b"SSH-2.0-OpenSSH\r\n")
                    caller.close()

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(LinkError, match="cannot be reached"):
            Link(f"https://127.0.0.1:{other.getsockname()[1]}", authority.certificate).call("GET", "/", timeout=5)


def test_a_master_of_another_authority_is_not_believed_and_hears_nothing(
    endpoint: Endpoint, foreign: Authority
) -> None:
    with pytest.raises(LinkError, match="did not prove to be our Master") as error:
        Link(endpoint.url, foreign.certificate).call("POST", "/secret", b"secret")
    assert not isinstance(error.value, LinkDown)
    assert endpoint.asked == []


def test_a_foreign_certificate_is_refused_with_what_to_do(authority: Authority, foreign: Authority) -> None:
    server = Endpoint(authority, demand=True)
    try:
        with pytest.raises(LinkError, match="refused this node's certificate") as error:
            Link(server.url, authority.certificate, foreign.sign("node")).call("GET", "/")
        assert "Enrol the node again" in str(error.value)
        own = Link(server.url, authority.certificate, authority.sign("node"))
        assert own.call("GET", "/")[0] == 200
    finally:
        server.close()


def test_the_words_of_a_problem_document_reach_the_message(endpoint: Endpoint, authority: Authority) -> None:
    problem = Problem(
        "no-place",
        "No place",
        409,
        "No node can take it.",
        "Add a node.",
        [FieldError("a", "b", 3)],
        [Reason("full", 2)],
    )
    endpoint.answer = (409, msgspec.json.encode(problem), MEDIA_TYPE)
    with pytest.raises(MasterRefused, match=r"^No place: No node can take it\. Add a node\.$") as error:
        Link(endpoint.url, authority.certificate).call("GET", "/")
    assert error.value.problem == problem


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"type": 5}', b"\xff"])
def test_a_refusal_without_a_document_is_told_by_its_status(
    content: bytes, endpoint: Endpoint, authority: Authority
) -> None:
    for kind in (MEDIA_TYPE, "text/html"):
        endpoint.answer = (500, content, kind)
        with pytest.raises(MasterRefused, match="500 Internal Server Error"):
            Link(endpoint.url, authority.certificate).call("GET", "/")


@pytest.mark.parametrize("status", [503, 507], ids=["busy", "its disk is full"])
def test_a_busy_master_is_asked_again_soon_as_one_that_is_away(
    status: int, endpoint: Endpoint, authority: Authority
) -> None:
    endpoint.answer = (status, b"", "text/html")
    with pytest.raises(LinkDown, match="cannot do so now"):
        Link(endpoint.url, authority.certificate).call("GET", "/")


def test_one_connection_serves_many_requests_and_is_opened_again_when_the_master_ended_it(
    endpoint: Endpoint, authority: Authority
) -> None:
    link = Link(endpoint.url, authority.certificate)
    for _ in range(3):
        link.call("GET", "/")
    assert endpoint.connections == 1
    endpoint.hang_up = True
    link.call("GET", "/last")
    for number in range(5):
        assert link.call("POST", f"/{number}", b"x" * 100_000)[0] == 200, "nobody notices"
    assert [path for _, path, _ in endpoint.asked[-5:]] == [f"/{number}" for number in range(5)]


@pytest.mark.parametrize("url", ["", "master", "http://master", "https://", "https://x:port", "https://[x"])
def test_a_url_that_is_none_is_named(url: str, authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="is not a Master's URL"):
        Link(url, authority.certificate).call("GET", "/")
    with pytest.raises(LinkError, match="is not a Master's URL"):
        enrolment.fetch_authority(url, IMPOSTOR)


def test_an_identity_that_is_lost_is_named(endpoint: Endpoint, tmp_path: Path) -> None:
    for content in (None, b"", b"no pem"):
        if content is not None:
            (tmp_path / "authority.pem").write_bytes(content)
        with pytest.raises(LinkError, match="identity cannot be read"):
            Link(endpoint.url, tmp_path / "authority.pem").call("GET", "/")


# Enrolment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    prepare(tmp_path / "node", 1, unprivileged=True)
    return tmp_path / "node"


def test_a_token_of_another_master_is_refused_before_anything_is_sent(
    endpoint: Endpoint, foreign: Authority, root: Path
) -> None:
    with pytest.raises(LinkError, match="is not the Master that gave this token"):
        enrolment.enrol(root, endpoint.url, f"fh1.secret.{foreign.fingerprint}", "me")
    assert [path for _, path, _ in endpoint.asked] == ["/authority.pem"]
    assert not any("secret" in str(one) for one in endpoint.asked)
    assert list(Paths(root).identity.iterdir()) == []
    assert load(root).node == ""


@pytest.mark.parametrize("token", ["", "fh1", "fh1.a", "fh2.a." + IMPOSTOR, "fh1.a.b", "fh1.." + IMPOSTOR])
def test_what_is_no_token_is_not_sent(token: str, endpoint: Endpoint, root: Path) -> None:
    with pytest.raises(SettingsError, match="not an enrolment token"):
        enrolment.enrol(root, endpoint.url, token, "me")
    assert endpoint.asked == []


def test_a_refused_enrolment_leaves_the_identity_that_was_there(
    endpoint: Endpoint, authority: Authority, root: Path
) -> None:
    paths = Paths(root)
    paths.authority.write_text("the authority of our Master")
    settings = load(root)
    problem = Problem("used-token", "Used token", 403, "It was used.", "Ask for another.")
    endpoint.answer = (403, msgspec.json.encode(problem), MEDIA_TYPE)
    with pytest.raises(MasterRefused, match="Ask for another"):
        enrolment.enrol(root, endpoint.url, f"fh1.secret.{authority.fingerprint}", "me")
    assert paths.authority.read_text() == "the authority of our Master"
    assert load(root) == settings


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"node": 5}'])
def test_an_answer_that_is_not_understood_is_told(
    answer: bytes, endpoint: Endpoint, authority: Authority, root: Path
) -> None:
    endpoint.answer = (200, answer, "application/json")
    with pytest.raises(LinkError, match="not understood"):
        enrolment.enrol(root, endpoint.url, f"fh1.secret.{authority.fingerprint}", "me")
    assert load(root).node == ""


def test_a_certificate_is_renewed_in_the_last_third_of_its_life(root: Path) -> None:
    settings = msgspec.structs.replace(load(root), certificate_begins=1000.0, certificate_ends=4000.0)
    assert not enrolment.is_renewal_due(settings, 2999)
    assert enrolment.is_renewal_due(settings, 3000)
    assert enrolment.is_renewal_due(settings, 9999)


# Conversations


@given(some.integers(1, 10_000), some.booleans(), some.randoms())
def test_the_next_try_comes_ever_later_but_within_a_minute(failures: int, down: bool, chance: Random) -> None:
    assert 0 < pause_after(failures, chance, down=down) <= LONGEST_PAUSE
    assert pause_after(1, chance, down=True) < pause_after(1, chance, down=False)


def test_a_feed_of_a_newer_master_is_not_half_understood(
    endpoint: Endpoint, authority: Authority, tmp_path: Path
) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    reader = FeedReader(Link(endpoint.url, authority.certificate), store, lambda: None)
    endpoint.answer = (200, b'{"revision": 5, "instances": [{"no": "instance"}]}', "application/json")
    with pytest.raises(LinkError, match="Update this node"):
        reader.exchange()
    assert store.revision == 0
    endpoint.answer = (200, b'{"revision": 5, "time": 0, "next_contact": 60}', "application/json")
    reader.exchange()
    assert store.revision == 5
    store.close()


@pytest.mark.parametrize("path", ["/node/v1/feed", "/node/v1/releases/x"])
def test_an_answer_without_end_is_not_listened_to(
    path: str, endpoint: Endpoint, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST", 1_000_000)
    link = Link(endpoint.url, authority.certificate)
    endpoint.endless = True
    with pytest.raises(LinkError, match="more than 1000000 bytes"):
        link.call("GET", path)
    endpoint.endless = False
    assert link.call("GET", path)[1] == b"{}", "the next one is heard again"


WORDS = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.binary(max_size=60) | WORDS.map(lambda value: json.dumps(value).encode()), some.sampled_from([200, 400]))
def test_whatever_a_master_says_the_node_understands_it_or_changes_nothing(
    endpoint: Endpoint, authority: Authority, tmp_path: Path, content: bytes, status: int
) -> None:
    store = Store(Database(tmp_path / "fuzzed.sqlite"))
    try:
        store.outbox.add()
        revision, waiting = store.revision, store.outbox.count()
        endpoint.answer = (status, content, "application/json" if status == 200 else MEDIA_TYPE)
        for one in (
            FeedReader(Link(endpoint.url, authority.certificate), store, lambda: None),
            OutboxSender(Link(endpoint.url, authority.certificate), store),
        ):
            try:
                one.exchange()
            except LinkError:
                assert (store.revision, store.outbox.count()) == (revision, waiting)
            one.link.close()
    finally:
        store.close()


def test_reports_are_kept_until_the_master_has_them(endpoint: Endpoint, authority: Authority, tmp_path: Path) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    for _ in range(3):
        store.outbox.add()
    sender = OutboxSender(Link(endpoint.url, authority.certificate, time=store.clock), store)
    for answer in ((503, b"", "text/plain"), (200, b"<html>", "text/html")):
        endpoint.answer = answer
        with pytest.raises(LinkError):
            sender.exchange()
        assert store.outbox.count() == 3
    endpoint.answer = (200, msgspec.json.encode(Applied(2, 60)), "application/json")
    sender.exchange()
    assert store.outbox.count() == 1
    store.close()


class Particular:
    """A Master that never takes a report in which something stands; it counts what it was sent."""

    def __init__(self, hates: bytes, problem: str = "malformed", *, hates_all: bool = False) -> None:
        self.master, self.hates, self.problem, self.hates_all = "particular", hates, problem, hates_all
        self.sequence, self.hash = 0, GENESIS
        self.heard: list[bytes] = []
        self.calls = 0

    def call(self, method: str, path: str, body: bytes = b"", **_: object) -> tuple[int, bytes, dict[str, str]]:
        if path != "/node/v1/reports":
            return 200, b"", {}
        self.calls += 1
        batch = msgspec.json.decode(body, type=ReportBatch)
        if self.hates_all or self.hates in body:
            raise MasterRefused(Problem(self.problem, "No", 400))
        for report in batch.reports:
            assert report.sequence == self.sequence + 1
            assert link(self.hash, bytes(report.body)) == report.hash
            self.sequence, self.hash = report.sequence, report.hash
            self.heard.append(bytes(report.body))
        return 200, msgspec.json.encode(Applied(self.sequence, 60)), {}

    def close(self) -> None:
        pass


def told_particular(master: Particular, store: Store) -> OutboxSender:
    store.clock.hear(time.time())
    for release in ("a", "b", "hated", "c", "hated", "d"):
        store.outbox.add(SoftwareReport(release, SoftwareObserved.AVAILABLE))
    return OutboxSender(master, store)  # type: ignore[arg-type]


def test_what_a_master_refuses_for_its_form_is_set_aside_and_the_rest_arrives(tmp_path: Path) -> None:
    master, store = Particular(b'"hated"'), Store(Database(tmp_path / "node.sqlite"))
    sender = told_particular(master, store)
    while store.outbox.count():
        sender.exchange()
    heard = [item for body in master.heard for item in msgspec.json.decode(body, type=ReportBody).items]
    assert [getattr(item, "release", "set aside") for item in heard] == ["a", "b", "set aside", "c", "set aside", "d"]
    assert {item.reason for item in heard if isinstance(item, AsideReport)} == {"The Master refuses it: No:"}
    store.outbox.add()
    store.outbox.add()
    before = master.calls
    sender.exchange()
    assert (master.calls, store.outbox.count()) == (before + 1, 0), "then they go together again"
    store.close()


@pytest.mark.parametrize(("problem", "hates_all"), [("malformed", True), ("too-large", True), ("report-gap", False),
                                                    ("unknown", False), ("internal", False)])  # fmt: skip
def test_a_master_that_would_refuse_anything_takes_no_report_from_the_node(
    problem: str, hates_all: bool, tmp_path: Path
) -> None:
    master, store = Particular(b'"hated"', problem, hates_all=hates_all), Store(Database(tmp_path / "node.sqlite"))
    sender = told_particular(master, store)
    for _ in range(3):
        with pytest.raises(LinkError):
            sender.exchange()
    assert [report.body for report in store.outbox.hand_out(10, 1 << 20) if b"aside" in bytes(report.body)] == []
    assert store.outbox.count() == 6
    store.close()


class Knowing:
    """A Master that has nine reports of epoch 1, and none of epoch 7, which it gives."""

    master = "knowing"

    def __init__(self) -> None:
        self.told: list[tuple[int, list[int]]] = []

    def call(self, method: str, path: str, body: bytes = b"", **_: object) -> tuple[int, bytes, dict[str, str]]:
        if path == "/node/v1/epoch":
            return 200, b'{"epoch": 7}', {}
        batch = msgspec.json.decode(body, type=ReportBatch)
        self.told.append((batch.epoch, [one.sequence for one in batch.reports]))
        known = 9 if batch.epoch == 1 else 0
        return 200, msgspec.json.encode(Applied(max([known, *self.told[-1][1]]), 60)), {}

    def close(self) -> None:
        pass


def test_a_node_that_lost_its_store_is_given_an_epoch_and_tells_all_that_waits(tmp_path: Path) -> None:
    store, master, kept = Store(Database(tmp_path / "node.sqlite")), Knowing(), list[int]()
    store.clock.hear(store.clock.now())
    store.begin_epoch(1)
    store.outbox.add(SoftwareReport("red", SoftwareObserved.AVAILABLE))
    sender = OutboxSender(master, store, keep_epoch=kept.append)  # type: ignore[arg-type]
    sender.exchange()
    sender.exchange()
    assert kept == [7]
    assert master.told == [(1, [1]), (7, [1])], "what the Master skipped is told again under a number that it takes"
    assert (store.outbox.epoch, store.outbox.count()) == (7, 0)
    store.close()


class Remembering:
    """A Master that keeps each node's chain in memory as the real one does, and says what it knows in numbers."""

    master = "remembering"

    def __init__(self) -> None:
        self.epoch, self.chain, self.in_doubt = 1, [GENESIS], False
        self.shown: list[str] = []
        self.heard: list[str] = []

    def call(self, method: str, path: str, body: bytes = b"", **_: object) -> tuple[int, bytes, dict[str, str]]:
        if path.startswith("/node/v1/feed"):
            return 200, msgspec.json.encode(Feed(1, 0.0, 60.0, True, epoch=self.epoch)), {}
        if path == "/node/v1/epoch":
            self.epoch, self.chain = self.epoch + 1, [GENESIS]
            return 200, b'{"epoch": %d}' % self.epoch, {}
        batch = msgspec.json.decode(body, type=ReportBatch)
        self.shown.append(batch.statement or "")
        if self.in_doubt:
            raise denied(Problem("in-doubt", "Doubt", 503))
        last = batch.reports[-1] if batch.reports else None
        if last and last.sequence == len(self.chain) - 1 and last.hash != self.chain[-1]:
            raise MasterRefused(Problem("report-gap", "Fork", 409))
        for report in batch.reports[max(0, len(self.chain) - (batch.reports[0].sequence if batch.reports else 0)) :]:
            if report.sequence != len(self.chain) or link(self.chain[-1], bytes(report.body)) != report.hash:
                raise MasterRefused(Problem("report-gap", "Gap", 409))
            self.chain.append(report.hash)
            self.heard += [item.release for item in msgspec.json.decode(report.body, type=ReportBody).items  # type: ignore[union-attr]
                           if isinstance(item, SoftwareReport)]  # fmt: skip
        last = len(self.chain) - 1
        return 200, msgspec.json.encode(Applied(last, 60, statement=f"{self.epoch}.{last}")), {}

    def close(self) -> None:
        pass


def tell(store: Store, *releases: str) -> None:
    for release in releases:
        store.outbox.add(SoftwareReport(release, SoftwareObserved.AVAILABLE))


def send(sender: OutboxSender, store: Store) -> None:
    """Send until nothing waits, as the thread does: through refusals."""
    for _ in range(20):
        with contextlib.suppress(LinkError):
            sender.exchange()
        if not store.outbox.count():
            return
    raise AssertionError("something waits for ever")


@pytest.mark.parametrize("more", [1, 3, 5], ids=["fewer than the Master has", "as many", "more than the Master has"])
def test_a_store_that_was_restored_from_an_older_copy_loses_nothing_that_it_is_told(more: int, tmp_path: Path) -> None:
    path, copy = tmp_path / "node.sqlite", tmp_path / "copy.sqlite"
    master, store = Remembering(), Store(Database(path))
    store.clock.hear(store.clock.now())
    store.begin_epoch(1)
    tell(store, "first")
    send(OutboxSender(master, store), store)  # type: ignore[arg-type]
    store.database.execute("VACUUM INTO ?", (str(copy),))
    tell(store, *(f"lost{n}" for n in range(3)))
    send(OutboxSender(master, store), store)  # type: ignore[arg-type]
    store.close()
    store = Store(Database(copy))
    store.clock.hear(store.clock.now())
    tell(store, *(f"new{n}" for n in range(more)))
    send(OutboxSender(master, store), store)  # type: ignore[arg-type]
    assert master.epoch == store.outbox.epoch == 2, "it knew less than the Master, and began anew"
    assert master.heard == ["first", "lost0", "lost1", "lost2", *(f"new{n}" for n in range(more))]
    assert store.outbox.statement == f"2.{more}"
    store.close()


def test_a_node_shows_a_master_its_last_word_and_ends_nothing_while_that_doubts(tmp_path: Path) -> None:
    master, store, renewed = Remembering(), Store(Database(tmp_path / "node.sqlite")), list[float]()
    store.clock.hear(store.clock.now())
    store.begin_epoch(1)
    store.apply_feed(Feed(1, 0.0, 60.0, True, [], [], lease=100.0))
    sender = OutboxSender(master, store, lambda: renewed.append(store.lease.left()))  # type: ignore[arg-type]
    tell(store, "one")
    sender.exchange()
    assert ([one or "" for one in master.shown], store.outbox.statement) == ([""], "1.1")
    master.in_doubt = True
    tell(store, "two")
    before = len(renewed)
    with pytest.raises(LinkError):
        sender.exchange()
    assert master.shown[-1] == "1.1"
    assert (store.outbox.count(), len(renewed)) == (1, before + 1), "a Master that doubts moves nothing elsewhere"
    store.close()


def test_what_a_master_in_doubt_answers_renews_the_lease_over_the_wire(
    endpoint: Endpoint, authority: Authority, tmp_path: Path
) -> None:
    store, renewed = Store(Database(tmp_path / "node.sqlite")), list[float]()
    store.apply_feed(Feed(1, 0.0, 60.0, True, [], [], lease=20.0))
    store.outbox.add()
    sender = OutboxSender(Link(endpoint.url, authority.certificate, time=store.clock), store,
                          lambda: renewed.append(store.lease.left()))  # fmt: skip
    problem = msgspec.json.encode(Problem("in-doubt", "Doubt", 503, "It was restored."))
    for content, renews in ((problem, 1), (msgspec.json.encode(Problem("busy", "Busy", 503)), 0)):
        endpoint.answer = (503, content, MEDIA_TYPE)
        before = len(renewed)
        with pytest.raises(LinkDown):
            sender.exchange()
        assert (len(renewed) - before, store.outbox.count()) == (renews, 1)
    assert sender.patience() == 5.0, "and is asked again before the lease is over"
    store.close()


def test_an_answer_that_ends_in_its_middle_is_none(endpoint: Endpoint, authority: Authority) -> None:
    problem = msgspec.json.encode(Problem("report-gap", "Fork", 409, "It knows another chain."))
    link = Link(endpoint.url, authority.certificate)
    endpoint.torn = True
    for answer in ((200, b"[1, 2]", "application/json"), (409, problem, MEDIA_TYPE)):
        endpoint.answer = answer
        with pytest.raises(LinkDown, match=r"cannot be reached.*too early"):
            link.call("GET", "/node/v1/feed")
    endpoint.torn = False
    with pytest.raises(MasterRefused, match="another chain"):
        link.call("GET", "/node/v1/feed")


def test_a_conversation_goes_on_when_the_master_is_back(
    endpoint: Endpoint, authority: Authority, tmp_path: Path
) -> None:
    store = Store(Database(tmp_path / "node.sqlite"))
    endpoint.answer = (503, b"", "text/plain")
    sender = OutboxSender(Link(endpoint.url, authority.certificate, time=store.clock), store)
    store.database.when_changed(sender.told)
    store.outbox.add()
    sender.start()
    until(lambda: "cannot do so now" in sender.trouble)
    endpoint.answer = (200, msgspec.json.encode(Applied(1, 60)), "application/json")
    until(lambda: store.outbox.count() == 0, 20)
    until(lambda: sender.trouble == "")
    sender.stop()
    sender.join(5)
    assert not sender.is_alive()
    store.close()


@pytest.mark.parametrize("days", [-400, 400])
def test_a_machine_with_a_wrong_clock_reaches_its_master_and_learns_the_time(authority: Authority, days: int) -> None:
    """The Master's certificate is right; it is this machine that is `days` away from the day on which it is."""
    server = Endpoint(authority, days=days)
    with pytest.raises(LinkError, match="did not prove to be our Master"):
        Link(server.url, authority.certificate).call("GET", "/")
    Link(server.url, authority.certificate, time=Clock()).call("GET", "/")
    server.close()


def test_a_certificate_that_is_over_for_certain_is_not_believed(authority: Authority) -> None:
    server = Endpoint(authority, days=-400)
    for clock in (Clock(certain=time.time() - 86400), Clock(heard=True)):
        with pytest.raises(LinkError, match=r"shows a certificate that is valid from .* and not now"):
            Link(server.url, authority.certificate, time=clock).call("GET", "/")
    assert server.asked == [], "nothing was said to who cannot prove anything"
    server.close()


def test_every_answer_tells_the_time_also_one_that_says_no(endpoint: Endpoint, authority: Authority) -> None:
    clock = Clock(anchor=0.0)
    endpoint.answer = (503, b"", "text/plain")
    with pytest.raises(LinkError):
        Link(endpoint.url, authority.certificate, time=clock).call("GET", "/")
    assert abs(clock.now() - time.time()) < 5


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    served = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:se%20same@127.0.0.1:{served.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    yield served
    served.close()


def test_by_a_proxy_the_master_is_reached_and_the_proxy_reads_nothing(
    endpoint: Endpoint, authority: Authority, proxy: Proxy
) -> None:
    link = Link(endpoint.url, authority.certificate)
    for _ in range(2):
        assert link.call("POST", "/x", b"a secret")[0] == 200
    (asked,) = proxy.asked
    assert asked.startswith(b"CONNECT 127.0.0.1:")
    assert b"Basic bWU6c2Ugc2FtZQ==" in asked
    assert len(proxy.passed) > 1000
    assert b"a secret" not in proxy.passed
    assert enrolment.fetch_authority(endpoint.url, authority.fingerprint) == authority.certificate.read_text()
    assert len(proxy.asked) == 2, "who is not trusted yet is asked by the proxy too"


def test_a_proxy_cannot_stand_in_for_the_master(
    endpoint: Endpoint, authority: Authority, foreign: Authority, proxy: Proxy
) -> None:
    impostor = Endpoint(foreign)
    try:
        with pytest.raises(LinkError, match="did not prove to be our Master"):
            Link(impostor.url, authority.certificate).call("POST", "/x", b"a secret")
        assert impostor.asked == []
    finally:
        impostor.close()


def test_no_proxy_is_asked_for_a_master_that_is_near(
    endpoint: Endpoint, authority: Authority, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert Link(endpoint.url, authority.certificate).call("GET", "/")[0] == 200
    assert proxy.asked == []


@pytest.mark.parametrize("value", ["ftp://there:1", "http://there:x", "http://:80"])
def test_a_proxy_that_is_none_is_told_so(
    endpoint: Endpoint, authority: Authority, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(LinkError, match="HTTPS_PROXY does not name a proxy"):
        Link(endpoint.url, authority.certificate).call("GET", "/")


def test_a_proxy_that_is_down_is_a_master_that_is_away(endpoint: Endpoint, authority: Authority, proxy: Proxy) -> None:
    proxy.close()
    with pytest.raises(LinkDown):
        Link(endpoint.url, authority.certificate).call("GET", "/")
