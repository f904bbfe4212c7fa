"""The door for nodes: feeds that wake, reports that count once."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from freehold.protocol.meters import NAMES
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master

SOURCES = Path(__file__).parents[3] / "src" / "freehold"


@pytest.fixture(scope="module")
def node(master: "Master") -> Pocket:
    """A node with every release supplied."""
    master.publish()
    pocket = master.node("main", partitions=40)
    master.supply("tiny", "main")
    return pocket


@pytest.fixture(scope="module")
def neighbour(master: "Master", node: Pocket) -> Pocket:
    return master.node("neighbour", partitions=2)


def _on_main(master: "Master", title: str, **spec: Any) -> Any:
    return master.request(title, constraints={"node": "main"}, **spec)["instance"]


def _waiting(pocket: Pocket, since: int, wait: float = 30) -> tuple[Thread, list[Any]]:
    """Have a poll wait in another thread; return it and where its answer (with its moment) will be."""
    answers: list[Any] = []
    thread = Thread(target=lambda: answers.append((*pocket.feed(since, wait), time.monotonic())))
    thread.start()
    return thread, answers


def test_a_newcomer_gets_everything(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "everything", parameters={"greeting": "bonjour"})
    status, feed = node.feed()
    assert (status, feed["snapshot"], feed["version"]) == (200, True, 1)
    assert abs(feed["time"] - time.time()) < 60
    assert [one["name"] for one in feed["installations"]] == ["tiny 1.0"]
    (found,) = [one for one in feed["instances"] if one["instance"] == made["id"]]
    assert found["partition"] == made["partition"]
    assert found["parameters"] == {"greeting": "bonjour"}
    assert (found["title"], found["type"], found["wanted"]) == ("everything", "default", "started")


def test_a_request_wakes_the_node_that_waits(master: "Master", node: Pocket) -> None:
    revision = node.feed()[1]["revision"]
    thread, answers = _waiting(node, revision)
    made = _on_main(master, "waking")
    granted = time.monotonic()
    thread.join(30)
    status, feed, moment = answers[0]
    assert (status, feed.get("snapshot", False)) == (200, False)
    assert [one["instance"] for one in feed["instances"]] == [made["id"]]
    assert feed.get("installations", []) == []
    assert moment - granted < 0.4, "well before the watcher's timer"


def test_only_what_changed_after_is_told(master: "Master", node: Pocket) -> None:
    first, second = _on_main(master, "older"), _on_main(master, "newer")
    revision = node.feed()[1]["revision"]
    assert node.feed(revision)[0] == 204
    master.request("older", None, parameters={"greeting": "changed"})
    feed = node.feed(revision, 30)[1]
    assert [one["instance"] for one in feed["instances"]] == [first["id"]]
    feed = node.feed(second["revision"] - 1)[1]
    assert {one["instance"] for one in feed["instances"]} >= {first["id"], second["id"]}
    revisions = [one["revision"] for one in feed["instances"]]
    assert revisions == sorted(revisions)
    assert max(revisions) <= feed["revision"]


def test_a_node_that_knows_the_future_gets_everything_again(master: "Master", node: Pocket) -> None:
    status, feed = node.feed(2**62)
    assert (status, feed["snapshot"]) == (200, True)


def test_nothing_new_for_as_long_as_asked(node: Pocket) -> None:
    revision = node.feed()[1]["revision"]
    started = time.monotonic()
    assert node.feed(revision, 0.3)[0] == 204
    assert 0.25 < time.monotonic() - started < 3


def test_an_answer_that_was_waited_for_says_what_time_it_is_then(node: Pocket) -> None:
    begun = time.time()
    assert node.feed(node.feed()[1]["revision"], wait=2.5)[0] == 204
    assert node.date >= int(begun) + 2, "nodes set their clocks by it"


def test_what_happens_to_others_does_not_wake_a_node(master: "Master", node: Pocket, neighbour: Pocket) -> None:
    revision = neighbour.feed()[1]["revision"]
    thread, answers = _waiting(neighbour, revision, 1)
    _on_main(master, "not for the neighbour")
    thread.join(10)
    assert answers[0][0] == 204


def test_what_is_gone_is_not_told_any_more(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "leaving")
    gone = master.request("leaving", None, state="destroyed")["instance"]
    (told,) = [one for one in node.feed()[1]["instances"] if one["instance"] == made["id"]]
    assert told["wanted"] == "destroyed"
    node.report({"kind": "instance", "instance": made["id"], "revision": gone["revision"], "state": "destroyed"})
    master.until(lambda: made["id"] not in str(node.feed()[1]))


@pytest.mark.parametrize("query", ["since=x", "since=-1", f"since={2**63}", "since=1&wait=x", "wait=-1", "wait=nan"])
def test_a_feed_is_asked_for_in_numbers(node: Pocket, query: str) -> None:
    status, problem = node.call("GET", f"/node/v1/feed?{query}")
    assert (status, problem["type"]) == (400, "malformed")


@pytest.mark.parametrize(("method", "path"), [("POST", "/node/v1/feed"), ("GET", "/node/v1/reports")])
def test_other_methods_are_not_spoken(node: Pocket, method: str, path: str) -> None:
    status, problem = node.call(method, path, {})
    assert (status, problem["type"]) == (400, "malformed")


def _published(master: "Master", title: str) -> Any:
    return master.show(title)["publication"]


def _publication(instance: Any, **values: Any) -> dict[str, Any]:
    return {
        "kind": "publication", "instance": instance["id"], "revision": instance["revision"], "values": values,
    }  # fmt: skip


def _effects(master: "Master", instance: Any) -> int:
    ((count,),) = master.sql("SELECT count(*) FROM ordering_publicationrow WHERE instance_id = ?", instance["id"])
    return int(count)


def test_what_a_node_tells_is_shown(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "telling")
    about = {"instance": made["id"], "revision": made["revision"]}
    status, applied = node.report(
        {"kind": "instance", **about, "state": "started", "promises": ["web"]},
        {"kind": "assessment", **about, "promise": "web", "kept": True, "at": time.time(), "message": "ok"},
        {"kind": "publication", **about, "values": {"url": "http://[::1]/"}},
        {"kind": "usage", "instance": made["id"], "at": time.time(), "cpu_ms": 1234, "disk_mb_s": 0},
    )
    assert (status, applied["sequence"], applied["refused"]) == (200, node.sequence, 0)
    shown = master.show("telling")
    assert (shown["state"], shown["ready"], shown["promises_kept"]) == ("started", True, True)
    assert shown["publication"] == {"url": "http://[::1]/"}
    assert shown["promises"][0] | {"at": ""} == {"name": "web", "kept": True, "message": "ok", "at": ""}
    assert shown["usage"] == {**dict.fromkeys(NAMES), "cpu_ms": 1234, "disk_mb_s": 0}


def test_a_report_sent_twice_counts_once(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "twice")
    report = node.write(_publication(made, url="one"))
    assert [node.send(report)[1]["sequence"] for _ in range(3)] == [node.sequence] * 3
    assert _effects(master, made) == 1
    more = node.write(_publication(made, url="two"))
    assert node.send(report, more)[1]["sequence"] == node.sequence
    assert _effects(master, made) == 2
    assert _published(master, "twice") == {"url": "two"}


def test_one_report_from_many_connections_counts_once(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "crowd")
    report = node.write(_publication(made, url="x"))
    copies = []
    for _ in range(8):
        copy = Pocket(node.folder, node.host, node.port, node.authority)
        copy.epoch = node.epoch
        copies.append(copy)
    statuses: list[int] = []
    threads = [Thread(target=lambda copy=copy: statuses.append(copy.send(report)[0])) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert _effects(master, made) == 1


def test_reports_out_of_order_are_refused_whole(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "order")
    before = node.sequence
    first, second = node.write(_publication(made, n=1)), node.write(_publication(made, n=2))
    status, problem = node.send(second, first)
    assert (status, problem["type"]) == (409, "report-gap")
    assert f"The report after {before} is missing: {before + 2}" in problem["detail"]
    assert _effects(master, made) == 0
    assert node.send(first, second)[1]["sequence"] == before + 2
    assert _effects(master, made) == 2


def test_a_gap_is_refused_and_can_be_filled(master: "Master", node: Pocket) -> None:
    missing, late = node.write(), node.write()
    assert node.send(late)[0] == 409
    assert node.send(missing, late)[0] == 200


def test_two_stories_of_one_number_are_told_apart(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "fork")
    sequence, digest = node.sequence, node.hash
    node.hash = hashlib.sha256(b"another past").hexdigest()
    forged = node.write(_publication(made, url="forged"))
    status, problem = node.send(forged)
    assert (status, problem["type"]) == (409, "report-gap")
    assert "does not continue the chain" in problem["detail"]
    node.sequence, node.hash = sequence, digest
    assert node.send(node.write(_publication(made, url="true")))[0] == 200
    assert _published(master, "fork") == {"url": "true"}


def test_what_another_story_tells_is_kept_in_quarantine_with_a_ticket(master: "Master", node: Pocket) -> None:
    """I10: a report that contradicts what we have neither takes its place nor is forgotten."""
    made = _on_main(master, "twin")
    sequence, digest = node.sequence, node.hash
    true = node.write(_publication(made, url="true"))
    assert node.send(true)[0] == 200
    behind = node.sequence, node.hash
    node.sequence, node.hash = sequence, digest
    twin = node.write(_publication(made, url="twin"))
    for _ in range(3):
        status, problem = node.send(twin)
        assert (status, problem["type"]) == (409, "report-gap"), "acknowledged, it would be lost to who tells it"
    node.hash = hashlib.sha256(b"another past").hexdigest()
    heir = node.write(_publication(made, url="heir"))
    for _ in range(3):
        assert node.send(heir)[0] == 409
    node.sequence, node.hash = behind
    assert _published(master, "twin") == {"url": "true"}
    rows = sorted(master.sql("SELECT sequence, item FROM fleet_refuseditem WHERE sequence > ?", sequence))
    kept = [(number, "twin" in item, "heir" in item) for number, item in rows]
    assert kept == [(sequence + 1, True, False), (sequence + 2, False, True)], "once each, however often it is told"
    master.cli("reconcile")
    (ticket,) = [one for one in master.api("GET", "/projects/provider/tickets") if "'main'" in one["title"]]
    said = master.api("GET", f"/projects/provider/tickets/{ticket['id']}/messages")
    assert "told before with another content" in said[-1]["text"]


def test_reports_of_another_epoch_are_refused(master: "Master", node: Pocket) -> None:
    report = node.write()
    for epoch in (0, node.epoch + 1, 2**70):
        body = {"epoch": epoch, "reports": [report], "version": 1}
        status, problem = node.call("POST", "/node/v1/reports", raw=_compact(body))
        assert (status, problem["type"]) == (409, "report-gap")
        assert "enrol" in problem["remedy"]
    assert node.send(report)[0] == 200


def _compact(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _raw_report(node: Pocket, body: bytes) -> tuple[int, Any]:
    """Send a report whose body is these very bytes, well linked to the chain."""
    node.hash = hashlib.sha256(bytes.fromhex(node.hash) + body).hexdigest()
    node.sequence += 1
    head = f'{{"epoch":{node.epoch},"version":1,"reports":[{{"sequence":{node.sequence},"hash":"{node.hash}","body":'
    return node.call("POST", "/node/v1/reports", raw=head.encode() + body + b"}]}")


GARBAGE = {
    "a number": b"7",
    "null": b"null",
    "no items": b'{"at":1}',
    "a time that is none": b'{"at":"yesterday","items":[]}',
    "a time out of bounds": b'{"at":1e300,"items":[]}',
    "a time before time": b'{"at":-1,"items":[]}',
    "an unknown kind": b'{"at":1,"items":[{"kind":"telepathy"}]}',
    "an unknown state": b'{"at":1,"items":[{"kind":"instance","instance":"i","revision":1,"state":"dreaming"}]}',
    "a zero": b'"\\u0000"',
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_inside_the_chain_is_set_aside(master: "Master", node: Pocket, body: bytes) -> None:
    status, applied = _raw_report(node, body)
    assert (status, applied["sequence"], applied["refused"]) == (200, node.sequence, 1)
    ((item,),) = master.sql(
        "SELECT item FROM fleet_refuseditem WHERE node_id = ? AND sequence = ?", node.node, node.sequence
    )
    assert item == body.decode()
    assert node.report()[0] == 200, "the chain goes on"


def _items(instance: Any) -> dict[str, dict[str, Any]]:
    about = {"instance": instance["id"], "revision": 1}
    assessed = {"kind": "assessment", **about, "promise": "web", "kept": True, "at": 1.0}
    used = {"kind": "usage", "instance": instance["id"], "at": 1.0}
    return {
        "a counter beyond numbers": {**used, "cpu_ms": 2**63},
        "a counter below nothing": {**used, "network_in": -1},
        "a use before time": {**used, "at": -5},
        "a revision beyond numbers": {"kind": "instance", **about, "state": "started", "revision": 2**63},
        "a promise without end": {**assessed, "promise": "w" * 4000},
        "a promise without name": {**assessed, "promise": ""},
        "a promise with a zero": {**assessed, "promise": "\0"},
        "a result out of time": {**assessed, "at": 1e20},
        "a release with a zero": {"kind": "software", "release": "\0", "state": "failed"},
        "an instance with a zero": {"kind": "instance", "instance": "\0", "revision": 1, "state": "started"},
        "an instance nobody knows": {
            "kind": "publication",
            "instance": "inst-x",
            "revision": 1,
            "values": {},
        },
    }


def test_an_item_that_cannot_be_true_is_set_aside_and_the_others_count(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "impossible")
    for name, item in _items(made).items():
        status, applied = node.report(_publication(made, after=name), item)
        assert (status, applied["refused"]) == (200, 1), name
        assert _published(master, "impossible") == {"after": name}
    ((count,),) = master.sql("SELECT count(*) FROM monitoring_assessment WHERE instance_id = ?", made["id"])
    assert count == 0


@pytest.mark.parametrize("ahead", [3600, 315_360_000, 9e10])
def test_no_time_that_a_node_reports_is_of_the_future(master: "Master", node: Pocket, ahead: float) -> None:
    made = _on_main(master, f"ahead {ahead}")
    about = {"instance": made["id"], "revision": made["revision"]}
    status, applied = node.report(
        {"kind": "assessment", **about, "promise": "page", "kept": True, "at": time.time() + ahead},
        {"kind": "usage", "instance": made["id"], "at": time.time() + ahead, "cpu_ms": 1, "series": "s"},
        {"kind": "assessment", **about, "promise": "page", "kept": False, "at": time.time() + 60},
    )
    assert (status, applied["refused"]) == (200, 2)
    rows = master.sql("SELECT kept FROM monitoring_assessment WHERE instance_id = ?", made["id"])
    assert [bool(kept) for (kept,) in rows] == [False]


def test_of_a_report_of_the_future_its_time_alone_is_set_aside(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "ahead of time")
    item = {"kind": "instance", "instance": made["id"], "revision": made["revision"], "state": "failed"}
    body = json.dumps({"at": time.time() + 3600, "items": [item]}, separators=(",", ":")).encode()
    status, applied = _raw_report(node, body)
    assert (status, applied["refused"]) == (200, 1)
    ((reason,),) = master.sql(
        "SELECT reason FROM fleet_refuseditem WHERE node_id = ? AND sequence = ?", node.node, node.sequence
    )
    assert "in the future" in reason
    assert master.show("ahead of time")["state"] == "failed"


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "publication", "values": {"a": "x" * 262_144}},
        {"kind": "publication", "values": {"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
        {"kind": "instance", "state": "started", "promises": ["p"] * 301},
        {"kind": "instance", "state": "started", "promises": ["x" * 201]},
        {"kind": "aside", "item": "publication", "reason": "a publication of 300000 bytes"},
    ],
)
def test_what_is_beyond_the_form_of_an_item_is_set_aside(master: "Master", node: Pocket, item: dict[str, Any]) -> None:
    made = _on_main(master, "form")
    about = {"instance": made["id"], "revision": made["revision"]}
    assert node.report({**item, **about}, _publication(made, after="it"))[1]["refused"] == 1
    assert _published(master, "form") == {"after": "it"}
    ((reason,),) = master.sql(
        "SELECT reason FROM fleet_refuseditem WHERE node_id = ? AND sequence = ?", node.node, node.sequence
    )
    assert reason


def test_long_texts_keep_their_end(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "long")
    about = {"instance": made["id"], "revision": made["revision"]}
    text = "x" * 9000 + " the reason\0"
    assert node.report({"kind": "instance", **about, "state": "failed", "message": text})[1]["refused"] == 0
    shown = master.show("long")
    assert (shown["state"], len(shown["message"])) == ("failed", 4000)
    assert shown["message"].endswith(" the reason�")


def test_any_text_and_value_may_be_published(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "texts")
    values = {"word": "é🏡\0\\u0000", "number": 2**80, "deep": [{"a": [None, True, 1.5]}], "": ""}
    assert node.report(_publication(made, **values))[1]["refused"] == 0
    assert _published(master, "texts") == values


def test_a_node_speaks_only_of_itself(master: "Master", node: Pocket, neighbour: Pocket) -> None:
    made = _on_main(master, "not yours")
    node.report(_publication(made, url="mine"))
    for item in (
        _publication(made, url="stolen"),
        {"kind": "instance", "instance": made["id"], "revision": made["revision"], "state": "destroyed"},
        {"kind": "usage", "instance": made["id"], "at": 1, "cpu_ms": 10**9},
        {
            "kind": "assessment", "instance": made["id"], "revision": 1, "promise": "p",
            "kept": False, "at": 1,
        },
    ):  # fmt: skip
        assert neighbour.report(item)[1]["refused"] == 1
    shown = master.show("not yours")
    assert shown["publication"] == {"url": "mine"}
    assert shown["usage"]["cpu_ms"] is None
    ((reason,),) = master.sql(
        "SELECT reason FROM fleet_refuseditem WHERE node_id = ? AND sequence = ?",
        neighbour.node, neighbour.sequence,
    )  # fmt: skip
    assert reason == f"instance {made['id']} does not live on this node"
    assert made["id"] not in str(neighbour.feed())


def test_a_node_says_nothing_of_releases_of_others(master: "Master", node: Pocket, neighbour: Pocket) -> None:
    release = master.publish("quiet")
    master.supply("quiet", "main")
    neighbour.report({"kind": "software", "release": release, "state": "failed", "message": "false"})
    neighbour.offer(2)
    master.until(lambda: not master.sql("SELECT 1 FROM fleet_softwarerow"))
    (row,) = [one for one in master.api("GET", "/projects/provider/supplies") if one["product"] == "quiet"]
    assert row["observed"] == ""


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"epoch":1}', b'{"epoch":1,"reports":[{}]}'])
def test_garbage_is_not_a_batch(node: Pocket, body: bytes) -> None:
    status, problem = node.call("POST", "/node/v1/reports", raw=body)
    assert (status, problem["type"]) == (400, "malformed")


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_version_of_the_future_is_refused_with_what_is_spoken(node: Pocket, version: int) -> None:
    status, problem = node.call("POST", "/node/v1/reports", {"epoch": 1, "reports": [], "version": version})
    assert (status, problem["remedy"]) == (400, "Use a version from 1 to 1.")


def test_an_empty_batch_asks_where_the_chain_ends(node: Pocket) -> None:
    status, applied = node.send()
    assert (status, applied["sequence"], applied["refused"]) == (200, node.sequence, 0)


def test_a_body_too_large_is_refused(node: Pocket) -> None:
    status, problem = node.call("POST", "/node/v1/reports", raw=b" " * (4 * 1024 * 1024 + 1))
    assert (status, problem["type"]) == (413, "too-large")
    node.close()
    assert node.report()[0] == 200


def test_without_a_certificate_the_door_stays_shut(master: "Master") -> None:
    for method, path in (("GET", "/node/v1/feed"), ("POST", "/node/v1/reports")):
        answer = master.call(method, path, token=master.owner)
        assert (answer.status, answer.kind) == (401, "application/problem+json")


def test_what_was_acknowledged_survives_a_kill(master: "Master", node: Pocket) -> None:
    made = _on_main(master, "durable")
    report = node.write(_publication(made, url="kept"))
    assert node.send(report)[0] == 200
    master.kill()
    master.start()
    node.close()
    assert _published(master, "durable") == {"url": "kept"}
    assert node.send(report, node.write())[1]["sequence"] == node.sequence
    assert _effects(master, made) == 1


def test_a_server_told_to_stop_answers_who_waits(master: "Master", node: Pocket) -> None:
    revision = node.feed()[1]["revision"]
    thread, answers = _waiting(node, revision, 50)
    # The poll is there once the server has read it; asking the same on another connection shows it is past TLS.
    other = Pocket(node.folder, node.host, node.port, node.authority)
    assert other.feed(revision, 0.2)[0] == 204
    started = time.monotonic()
    master.stop()
    thread.join(10)
    assert time.monotonic() - started < 5
    assert answers[0][0] == 204
    master.start()
    node.close()
    assert node.feed()[0] == 200


def test_a_supply_wakes_its_node_and_is_told(master: "Master", node: Pocket) -> None:
    release = master.publish("fresh")
    revision = node.feed()[1]["revision"]
    thread, answers = _waiting(node, revision)
    master.supply("fresh", "main")
    thread.join(30)
    assert [one["release"] for one in answers[0][1]["installations"]] == [release]
    master.supply("fresh", "main", wanted="removed")
    feed = node.feed(answers[0][1]["revision"], 30)[1]
    assert [(one["release"], one["wanted"]) for one in feed["installations"]] == [(release, "removed")]


def test_the_gateway_needs_no_django() -> None:
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("django", "ninja", "jsonschema", "cryptography"):
            raise ImportError(f"the gateway imports {name}")
sys.meta_path.insert(0, Refuse())
import freehold.master.gateway.app, freehold.master.gateway.reports, freehold.master.gateway.watch
from freehold.master.gateway.database import QUERIES
assert QUERIES
rooms = sorted({name.split(".")[2] for name in sys.modules if name.startswith("freehold.master.")})
assert rooms == ["foundation", "gateway", "streams"], rooms
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr


def _all_queries() -> list[Any]:
    from freehold.master.foundation import sql

    found = []
    for path in sorted(SOURCES.rglob("*.sql")):
        # What works on tables that another query of its file makes is run by the tests of its room.
        passing = re.findall(r"TEMP TABLE (\w+)", path.read_text())
        for query in sql.load(path).values():
            if not any(name in query.format for name in passing):
                found.append(pytest.param(query, id=f"{path.stem}-{query.name}"))
    return found


@pytest.mark.parametrize("query", _all_queries())
def test_every_query_fits_the_schema(database: str, query: Any) -> None:
    from django.db import connection

    if query.name.endswith("_arrays") and connection.vendor == "sqlite":
        pytest.skip("PostgreSQL's own way")
    names = set(re.findall(r"%\((\w+)\)s", query.format))
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query.format}", dict.fromkeys(names))
        assert cursor.fetchall()


def test_the_gateway_writes_only_tables_that_grow_and_ends_and_sums_that_nobody_else_writes() -> None:
    master = SOURCES / "master"
    files = [master / "gateway" / "sql" / "gateway.sql", *sorted(master.glob("*/sql/reports.sql"))]
    text = "\n".join(path.read_text() for path in files)
    written = set(re.findall(r"^(INSERT INTO|UPDATE|DELETE FROM) (\w+)", text, re.MULTILINE))
    assert written
    assert {name for verb, name in written if verb == "UPDATE"} == {"fleet_chain", "generation_clockcomparison"}
    # The oldest of a node go, by whoever comes first.
    assert {name for verb, name in written if verb == "DELETE FROM"} == {"fleet_refuseditem"}
    changed = re.findall(r"INSERT INTO (\w+)(?:(?!INSERT).)*?DO UPDATE", text, re.DOTALL)
    assert set(changed) == {
        "fleet_chain", "fleet_farewell", "fleet_refusedoverflow", "generation_clockcomparison",
        "usage_lastreading", "usage_hour",
    }  # fmt: skip


def test_a_large_fleet_is_asked_to_report_more_calmly_and_a_small_one_as_ever() -> None:
    from freehold.master.foundation.pace import LONGEST_PACE, pace

    assert pace(60.0, 3) == pace(60.0, 50_000) == 60.0
    assert pace(60.0, 100_000) == 100.0
    assert pace(60.0, 10**9) == LONGEST_PACE


def test_reports_share_a_transaction_once_they_are_many_and_a_lone_one_never_waits() -> None:
    from freehold.master.gateway.reports import BUSY_RATE, BatchingPolicy

    crowd = BatchingPolicy()
    assert crowd.pause(100.0) == 0.0, "what came before it was made is nobody's crowd"
    crowd.came(BUSY_RATE * 2)
    assert crowd.pause(101.0) > 0.0
    crowd.came(1)
    assert crowd.pause(102.0) == 0.0
