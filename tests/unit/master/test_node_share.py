"""One node, or many people, cannot take from other nodes what the Master has for them: its disk and its workers."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from freehold.kit import until
from freehold.master.gateway.reports import (
    LONGEST_REFUSED,
    MOST_REFUSED,
    MOST_REFUSED_CHARACTERS,
    SHARE,
    SHARE_A_SECOND,
    Shares,
)
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master

SLOW_S = 3.0
SLOW_PATHS = ("/api/v1/me", "/node/v1/enrol", "/node/v1/letters", "/node/v1/epoch")
SLOW = f"""
import sys
if "serve" in sys.orig_argv:
    import time
    from django.core.handlers.wsgi import WSGIHandler
    answer = WSGIHandler.__call__
    def slowly(self, environ, start_response):
        if environ["PATH_INFO"] in {SLOW_PATHS}:
            time.sleep({SLOW_S})
        return answer(self, environ, start_response)
    WSGIHandler.__call__ = slowly
"""


def _nonsense(instance: str, message: str = "") -> dict[str, object]:
    return {
        "kind": "instance", "instance": instance, "revision": 1, "state": "started", "message": message, "promises": [],
    }  # fmt: skip


def _kept(master: "Master", node: Pocket) -> tuple[int, int]:
    """Return how many refused items of a node are kept, and how many were let go."""
    ((kept,),) = master.sql("SELECT count(*) FROM fleet_refuseditem WHERE node_id = ?", node.node)
    gone = master.sql("SELECT items FROM fleet_refusedoverflow WHERE node_id = ?", node.node)
    return kept, gone[0][0] if gone else 0


def test_what_is_set_aside_of_a_node_has_a_share_and_its_count_stays(master: "Master") -> None:
    node, other = master.node("flood", partitions=1), master.node("calm", partitions=1)
    assert other.report(_nonsense("of-another"))[0] == 200
    status, answer = node.report(*[_nonsense(f"first-{number}") for number in range(MOST_REFUSED + 200)])
    assert (status, answer["refused"]) == (200, MOST_REFUSED + 200)
    assert _kept(master, node) == (MOST_REFUSED, 200)
    assert node.report(*[_nonsense(f"second-{number}") for number in range(300)])[0] == 200
    assert _kept(master, node) == (MOST_REFUSED, 500)
    newest = master.sql("SELECT item FROM fleet_refuseditem WHERE node_id = ? ORDER BY id DESC LIMIT 1", node.node)
    assert "second-299" in newest[0][0], "the oldest go"
    assert _kept(master, other) == (1, 0), "another node's are its own"
    assert master.log().count(f"of {node.node} was set aside") < 100, "the log has a share of it, too"

    def told() -> str:
        rows = master.sql(
            "SELECT m.text FROM support_message m JOIN support_ticket t ON t.id = m.ticket_id WHERE t.about = ?",
            f"refused:{node.node}",
        )
        return rows[-1][0] if rows else ""

    until(told, 30, "the ticket")
    assert "Only the newest are kept" in told()


def test_what_is_set_aside_has_a_share_of_characters(master: "Master") -> None:
    node = master.node("long", partitions=1)
    for number in range(3):
        assert node.report(*[_nonsense(f"{number}-{one}", "x" * 70_000) for one in range(40)])[0] == 200
    kept, gone = _kept(master, node)
    assert kept + gone == 120
    ((characters, longest),) = master.sql(
        "SELECT sum(length(item)), max(length(item)) FROM fleet_refuseditem WHERE node_id = ?", node.node
    )
    assert MOST_REFUSED_CHARACTERS * 0.9 < characters <= MOST_REFUSED_CHARACTERS
    assert longest == LONGEST_REFUSED


def test_a_node_tells_its_share_at_once_and_the_rest_by_and_by() -> None:
    shares = Shares()
    assert shares.take("one", SHARE, 0.0)
    assert not shares.take("one", SHARE_A_SECOND, 0.5)
    assert shares.take("other", SHARE, 0.5)
    assert shares.take("one", SHARE_A_SECOND, 1.0)
    assert not shares.take("one", 1, 1.0)
    assert not shares.take("one", SHARE + 1, 10_000.0), "no share grows beyond what may come at once"
    assert shares.take("one", SHARE, 10_000.0)


@pytest.fixture
def slow(master: "Master", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the Master take its time with what people ask."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    master.stop()
    master.start()
    yield
    monkeypatch.undo()
    master.stop()
    master.start()


def _renew(node: Pocket) -> None:
    status, answer = node.call("POST", "/node/v1/certificate", {"signing_request": node.signing_request()})
    assert (status, "certificate" in answer) == (200, True)


def _fill(*crowd: Callable[[], int]) -> AbstractContextManager[list[Future[int]]]:
    """Have a crowd ask at the same moment; it must not be answered before the block ends."""

    @contextmanager
    def filling() -> Iterator[list[Future[int]]]:
        with ThreadPoolExecutor(len(crowd)) as people:
            asked = [people.submit(one) for one in crowd]
            time.sleep(0.5)
            began = time.monotonic()
            yield asked
            assert time.monotonic() - began < SLOW_S / 2
            assert not all(one.done() for one in asked)

    return filling()


def test_slow_requests_of_people_never_keep_a_node_waiting(master: "Master", slow: None) -> None:
    node = master.node("patient", partitions=1)
    with _fill(*[lambda: master.call("GET", "/api/v1/me", token=master.owner).status] * 24) as asked:
        _renew(node)
    assert {one.result() for one in asked} == {200}


def test_slow_strangers_at_the_doors_for_nodes_never_keep_a_node_waiting(master: "Master", slow: None) -> None:
    node = master.node("served", partitions=1)
    release = master.publish()
    master.supply("tiny", "served")
    spec = {"token": "0" * 32, "title": "stranger", "signing_request": node.signing_request()}
    crowd = [
        lambda: master.call("POST", "/node/v1/enrol", spec).status,
        lambda: master.call("POST", "/node/v1/letters", raw=b"no letter").status,
    ]
    with _fill(*crowd * 12) as asked:
        for _ in range(3):
            _renew(node)
        archive = master.call("GET", f"/node/v1/releases/{release}", certificate=node.folder / "pocket.pem")
        assert archive.status == 200
    assert all(400 <= one.result() < 500 for one in asked)


def test_the_certificate_of_an_instance_opens_no_worker_of_the_nodes(master: "Master", slow: None) -> None:
    node = master.node("landlord", partitions=1)
    master.publish(version="2.0")
    master.supply("tiny", "landlord")
    tenant = master.certificate(node, master.request("tenant", constraints={"node": "landlord"})["instance"]["id"])
    with _fill(*[lambda: master.call("POST", "/node/v1/epoch", {}, certificate=tenant).status] * 12) as asked:
        _renew(node)
    assert {one.result() for one in asked} == {403}


def test_a_newcomer_enrols_when_strangers_are_done(master: "Master", slow: None) -> None:
    token = master.enrol_token("here").split(".")[1]
    spec = {"token": token, "title": "newcomer", "signing_request": master.pocket().signing_request()}
    assert master.call("POST", "/node/v1/enrol", spec).status == 200
