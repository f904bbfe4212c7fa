"""Whatever is sent to a Master's doors: it says what is wrong with it, and nothing has changed."""

import contextlib
import copy
import hashlib
import http.client
import json
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.protocol import MAX_BODY
from freehold.protocol.cache import PREFIX, CacheKind, blob_path, entries_path
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master

EXAMPLES = int(os.environ.get("FREEHOLD_FUZZ", "40"))
fuzzed = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = some.text(max_size=20) | some.sampled_from(["\0", "\ud800", "é" * 300, "9" * 5000, "../..", "'; --", "1e999"])
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | TEXTS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@some.composite
def almost(draw: some.DrawFn, valid: Any) -> bytes:
    """Draw bytes, any JSON, or a message as it should be but for one place."""
    kind = draw(some.integers(0, 5))
    if kind == 0:
        return draw(some.binary(max_size=80))
    if kind == 1:
        return json.dumps(draw(VALUES)).encode()
    message = copy.deepcopy(valid)
    place = message
    while True:
        key = draw(some.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        deeper = place[key]
        if not (isinstance(deeper, dict | list) and deeper and draw(some.booleans())):
            break
        place = deeper
    place[key] = draw(VALUES)
    return json.dumps(message).encode()


@pytest.fixture(scope="module")
def node(master: "Master") -> Pocket:
    """A builder with an instance."""
    master.publish()
    pocket = master.node("fuzzed")
    master.supply("tiny", "fuzzed")
    master.request("lives")
    master.api("PATCH", "/projects/provider/nodes/fuzzed", {"builder": True})
    return pocket


@pytest.fixture(scope="module")
def tables(master: "Master", node: Pocket) -> str:
    """A query of how many rows each table has, and of the revision."""
    if master.database_url.startswith("sqlite"):
        rows = master.sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        rows = master.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    # What the Master writes by itself once it has served for a minute, whoever asks.
    by_itself = {
        *("monitoring_keptrecord", "support_ticket", "support_message"),
        *("notifications_cause", "notifications_notice", "notifications_outgoingmessage"),
    }
    names = [name for (name,) in sorted(rows) if not name.startswith("sqlite_") and name not in by_itself]
    counts = [f"SELECT '{name}', count(*) FROM {name}" for name in names]
    return " UNION ALL ".join([*counts, "SELECT 'the revision', sum(value) FROM fleet_revisionclock"])


def _refused(master: "Master", tables: str, status: int, problem: Any, before: list[Any]) -> None:
    assert 400 <= status < 500, (status, problem)
    assert {"type", "title", "detail"} <= set(problem), problem
    assert sorted(set(master.sql(tables)) - set(before)) == [], "nothing changed"


def _sent_by(
    node: Pocket, master: "Master", tables: str, method: str, path: str, raw: bytes | None, **more: Any
) -> None:
    before = master.sql(tables)
    status, problem = node.call(method, path, raw=raw, **more)
    _refused(master, tables, status, problem, before)


@fuzzed
@given(
    almost({"epoch": 1, "version": 1, "reports": [{"sequence": 99, "hash": "0" * 64, "body": {"at": 1, "items": []}}]})
)
def test_reports(master: "Master", node: Pocket, tables: str, body: bytes) -> None:
    before = master.sql(tables)
    status, answer = node.call("POST", "/node/v1/reports", raw=body)
    if status == 200:
        assert answer["sequence"] == node.sequence, "a batch without reports"
        assert master.sql(tables) == before
    else:
        _refused(master, tables, status, answer, before)


def _items(instance: str) -> dict[str, Any]:
    about = {"instance": instance, "revision": 1}
    return {
        "at": 1.0,
        "items": [
            {"kind": "instance", **about, "state": "started", "message": "", "promises": ["page"]},
            {"kind": "assessment", **about, "promise": "page", "kept": True, "at": 1.0, "message": ""},
            {"kind": "publication", **about, "values": {"url": "x"}},
            {"kind": "usage", "instance": instance, "at": 1.0, "cpu_ms": 1, "series": "s"},
            {"kind": "software", "release": "0" * 64, "state": "failed", "message": ""},
            {"kind": "host", "partitions": [{"name": "p0", "address": "127.7.0.1"}], "cpus": 2, "memory_mb": 1},
        ],
    }


@fuzzed
@given(almost(_items("inst-of-nobody")))
def test_bodies_of_reports_in_the_chain(master: "Master", node: Pocket, body: bytes) -> None:
    """They are of the chain, so they are taken; what cannot be true is set aside with its reason."""
    try:
        json.loads(body)
    except ValueError:
        body = b"null"
    digest = hashlib.sha256(bytes.fromhex(node.hash) + body).hexdigest()
    head = f'{{"epoch":{node.epoch},"version":1,"reports":[{{"sequence":{node.sequence + 1},"hash":"{digest}","body":'
    status, answer = node.call("POST", "/node/v1/reports", raw=head.encode() + body + b"}]}")
    if status == 400:
        return
    assert (status, answer["sequence"]) == (200, node.sequence + 1), answer
    node.hash, node.sequence = digest, node.sequence + 1
    ((count,),) = master.sql(
        "SELECT count(*) FROM fleet_refuseditem WHERE node_id = ? AND sequence = ?", node.node, node.sequence
    )
    assert count == answer["refused"]
    master.until(lambda: not master.sql("SELECT id FROM fleet_softwarerow UNION SELECT id FROM fleet_hostfactsrow"))


@fuzzed
@given(some.sampled_from(["since", "wait", "other"]), TEXTS)
def test_questions_for_the_feed(node: Pocket, name: str, value: str) -> None:
    status, _ = node.call("GET", f"/node/v1/feed?{name}={quote(value.encode('utf-8', 'surrogatepass'))}&x=%ff%00")
    assert status in (200, 204, 400)


@fuzzed
@given(almost({"token": "x" * 40, "title": "newcomer", "signing_request": "request", "version": 1}))
def test_enrolments(master: "Master", node: Pocket, tables: str, body: bytes) -> None:
    _sent_by(node, master, tables, "POST", "/node/v1/enrol", body)


@fuzzed
@given(some.data())
def test_signing_requests(master: "Master", node: Pocket, tables: str, data: some.DataObject) -> None:
    lines = node.signing_request().splitlines()
    row = data.draw(some.integers(0, len(lines) - 1))
    lines[row] = data.draw(TEXTS | some.just("") | some.just("A" * 64))
    body = json.dumps({"signing_request": "\n".join(lines)}).encode()
    if row == len(lines) - 1:
        return
    _sent_by(node, master, tables, "POST", "/node/v1/certificate", body)


HEADERS = some.dictionaries(
    some.sampled_from(["Client-Cert", "Signature", "Signature-Input", "Content-Digest"]),
    some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    | some.sampled_from([":AAAA:", "node=:AAAA:", 'node=("content-digest");created=1;keyid="x"', "sha-256=:AAAA:"]),
)


@fuzzed
@given(HEADERS, some.binary(max_size=60))
def test_letters(master: "Master", node: Pocket, tables: str, headers: dict[str, str], content: bytes) -> None:
    _sent_by(node, master, tables, "POST", "/node/v1/letters", content, headers=headers)


FILE = {"path": "build", "size": 3, "pieces": ["0" * 64]}
STATEMENT = {"kind": "build", "release": "0" * 64, "platform": "x", "builder": "node", "at": 1.0, "files": [FILE]}


@fuzzed
@given(almost({"statement": json.dumps(STATEMENT), "signature": "AAAA", "certificate": "x"}))
def test_entries_of_the_cache(master: "Master", node: Pocket, tables: str, body: bytes) -> None:
    ((release,),) = master.sql("SELECT id FROM catalog_release")
    _sent_by(
        node, master, tables, "PUT", PREFIX + entries_path(CacheKind.BUILD, release, "x86_64-debian-12-py3.11"), body
    )
    _sent_by(node, master, tables, "PUT", PREFIX + blob_path("0" * 64), body)


WISHES: dict[str, Any] = {
    "PUT /projects/provider/instances/new": {
        "product": "nowhere", "release": "1.0", "type": "default", "parameters": {"size": 1}, "state": "started",
        "constraints": {"node": "fuzzed"},
    },
    "PUT /projects/provider/supplies": {"product": "nowhere", "nodes": ["fuzzed"], "wanted": "available"},
    "POST /login": {"email": "nobody@example.org", "password": "wrong", "scopes": ["read"]},
    "POST /projects/provider/enrol-tokens": {"site": "nowhere"},
    "POST /projects/provider/releases": {},
}  # fmt: skip


@pytest.mark.parametrize("door", WISHES)
@fuzzed
@given(some.data())
def test_bodies_for_the_api(master: "Master", node: Pocket, tables: str, door: str, data: some.DataObject) -> None:
    method, path = door.split()
    body = data.draw(almost(WISHES[door]) if WISHES[door] else some.binary(max_size=80))
    token = {"Authorization": f"Bearer {master.owner}", "Content-Type": "application/json"}
    _sent_by(node, master, tables, method, f"/api/v1{path}", body, headers=token)


def _endless(master: "Master", path: str, certificate: Path | None) -> int:
    """Send more than is taken of a body that does not say its size and does not end; return the status."""
    context = ssl.create_default_context(cafile=str(master.authority))
    if certificate is not None:
        context.load_cert_chain(certificate)
    with context.wrap_socket(socket.create_connection((master.host, master.port)), server_hostname=master.host) as sock:
        sock.settimeout(30)
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in range(MAX_BODY // 0x10000 + 1):
                sock.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status


@pytest.mark.parametrize(
    ("path", "status"),
    [("/node/v1/reports", 413), ("/node/v1/enrol", 400), ("/node/v1/letters", 400), ("/api/v1/login", 400)],
)
def test_a_body_without_end_is_refused_before_it_ends(
    master: "Master", node: Pocket, tables: str, path: str, status: int
) -> None:
    before = master.sql(tables)
    certificate = node.folder / "pocket.pem" if path == "/node/v1/reports" else None
    assert _endless(master, path, certificate) == status
    assert master.sql(tables) == before


@pytest.mark.parametrize("path", ["/node/v1/enrol", "/node/v1/letters", "/api/v1/login"])
def test_a_body_too_large_is_refused_at_every_door(master: "Master", node: Pocket, tables: str, path: str) -> None:
    before = master.sql(tables)
    answer = master.call("POST", path, raw=b" " * (MAX_BODY + 1))
    _refused(master, tables, answer.status, answer.body, before)
    assert answer.status == 413
