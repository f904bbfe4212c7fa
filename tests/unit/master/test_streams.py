"""What people look at now: asked of a node in its feed, sent by it in parts, read once and kept by nobody."""

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict
from freehold.master.streams.redaction import MOST_SECRETS, redaction
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def node(master: "Master") -> Pocket:
    master.publish()
    pocket = master.node("main", partitions=40)
    master.supply("tiny", "main")
    return pocket


@pytest.fixture(scope="module")
def shop(master: "Master", node: Pocket) -> Any:
    return master.request("shop", constraints={"node": "main"})["instance"]


class Watched:
    """A log that somebody asked for, and the node that sends it by hand."""

    def __init__(self, master: "Master", node: Pocket, **asked: Any) -> None:
        self.master, self.node = master, node
        self.stream = master.api("POST", "/projects/provider/logs", {"title": "shop", **asked})["stream"]

    def told(self) -> Any:
        """Return what the node is told of it, as soon as it is."""
        revision = self.node.call("GET", "/node/v1/feed?since=0&wait=0")[1]["revision"]
        _, feed = self.node.call("GET", f"/node/v1/feed?since={revision}&wait=10&streams=1")
        return next((one for one in feed.get("streams", ()) if one["stream"] == self.stream), None) if feed else None

    def send(self, number: int, *texts: str, node: Pocket | None = None, **more: Any) -> bool:
        body = {"number": number, "pieces": [{"process": "web", "text": text} for text in texts], **more}
        status, answer = (node or self.node).call("POST", f"/node/v1/streams/{self.stream}", body)
        assert status == 200, answer
        return bool(answer["more"])

    def read(self, after: int = 0) -> Any:
        return self.master.api("GET", f"/projects/provider/logs?title=shop&stream={self.stream}&after={after}")


def test_a_node_is_told_what_to_show_and_the_reader_sees_what_it_sent(
    master: "Master", node: Pocket, shop: Any
) -> None:
    watched = Watched(master, node, process="web", lines=7)
    told = watched.told()
    assert (told["kind"], told["instance"], told["process"], told["lines"]) == ("log", shop["id"], "web", 7)
    assert watched.send(1, "begun\n", over=True) is False
    news = watched.read()
    assert news["pieces"] == [{"process": "web", "text": "begun\n", "left_out": 0}]
    assert (news["over"], news["why"]) == (True, "")


def test_a_node_that_waits_hears_at_once_and_one_that_lost_the_answer_again(
    master: "Master", node: Pocket, shop: Any
) -> None:
    revision = node.call("GET", "/node/v1/feed?since=0&wait=0")[1]["revision"]
    with ThreadPoolExecutor(1) as waiting:
        answer = waiting.submit(node.call, "GET", f"/node/v1/feed?since={revision}&wait=30&streams=1")
        time.sleep(0.5)
        began = time.monotonic()
        watched = Watched(master, node)
        assert answer.result()[1]["streams"][0]["stream"] == watched.stream
        assert time.monotonic() - began < 2
        # What it was told was lost on its way; the reader still waits.
        reading = waiting.submit(watched.read)
        assert watched.told()["stream"] == watched.stream
        watched.send(1, "heard\n", over=True)
        assert reading.result()["pieces"][0]["text"] == "heard\n"


def test_a_part_that_is_sent_twice_is_shown_once(master: "Master", node: Pocket, shop: Any) -> None:
    watched = Watched(master, node, follow=True)
    assert watched.send(1, "once\n")
    assert watched.send(1, "once\n")
    assert [piece["text"] for piece in watched.read()["pieces"]] == ["once\n"]
    assert watched.send(2, "twice\n")
    news = watched.read(after=1)
    assert ([piece["text"] for piece in news["pieces"]], news["next"]) == (["twice\n"], 2)
    assert not watched.send(3, over=True)


def test_a_node_writes_into_its_own_streams_only(master: "Master", node: Pocket, shop: Any) -> None:
    other = master.node("other", partitions=1)
    watched = Watched(master, node, follow=True)
    assert watched.send(1, "not ours\n", node=other) is False
    assert watched.send(1, "ours\n") is True
    assert [piece["text"] for piece in watched.read()["pieces"]] == ["ours\n"]
    assert not watched.send(2, over=True)
    watched.stream = "nothing"
    assert watched.send(1, "to nobody\n") is False


def test_a_node_that_writes_faster_than_it_is_read_waits_and_ends_when_nobody_reads(
    master: "Master", node: Pocket, shop: Any
) -> None:
    watched = Watched(master, node, follow=True)
    assert watched.send(1, "x" * 200_000)
    began = time.monotonic()
    assert watched.send(2, "y" * 200_000) is False
    assert 5 < time.monotonic() - began < 20
    assert watched.read()["why"] == "Nobody read on."


def test_a_reader_that_hangs_up_is_missed_within_seconds(master: "Master", node: Pocket, shop: Any) -> None:
    watched = Watched(master, node, follow=True)
    watched.send(1)
    path = f"/api/v1/projects/provider/logs?title=shop&stream={watched.stream}"
    with ssl._create_unverified_context().wrap_socket(socket.create_connection((master.host, master.port))) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {master.owner}\r\n\r\n".encode())
        time.sleep(0.5)
    began = time.monotonic()
    number = 2
    while watched.send(number):
        number += 1
        time.sleep(0.5)
    assert time.monotonic() - began < 15


def test_what_is_no_part_is_refused_in_words(master: "Master", node: Pocket, shop: Any) -> None:
    watched = Watched(master, node)
    for body in ({"number": -1}, {"number": 1, "pieces": [{"process": "web", "text": "x" * 300_000}]}, {"pieces": []}):
        status, problem = node.call("POST", f"/node/v1/streams/{watched.stream}", body)
        assert (status, problem["type"]) == (400, "malformed")
    assert not watched.send(1, over=True)


def test_a_node_that_knows_no_streams_is_not_waited_for(master: "Master", node: Pocket, shop: Any) -> None:
    revision = node.call("GET", "/node/v1/feed?since=0&wait=0")[1]["revision"]
    node.call("GET", f"/node/v1/feed?since={revision}&wait=0.1")
    answer = master.call("POST", "/api/v1/projects/provider/logs", {"title": "shop"}, token=master.owner)
    assert (answer.status, answer.body["type"]) == (409, "conflict")
    assert "does not show logs yet" in answer.body["detail"]
    node.call("GET", f"/node/v1/feed?since={revision}&wait=0.1&streams=1")
    assert not Watched(master, node).send(1, over=True)


def test_of_a_node_that_does_not_begin_it_is_said(master: "Master", node: Pocket, shop: Any) -> None:
    watched = Watched(master, node)
    news = watched.read()
    while not news["over"]:
        news = watched.read()
    assert "The node did not answer." in news["why"]


@pytest.mark.parametrize("wrong", [{"lines": 5001}, {"lines": -1}, {"colour": "red"}, {"process": "x" * 201}])
def test_what_cannot_be_asked_for_is_refused(master: "Master", node: Pocket, shop: Any, wrong: Any) -> None:
    answer = master.call("POST", "/api/v1/projects/provider/logs", {"title": "shop", **wrong}, token=master.owner)
    assert answer.status == 422


def test_a_secret_is_taken_out_in_each_form_that_it_has_in_logs() -> None:
    known = redaction(
        iter(["pass/word", {"key": "-----BEGIN-----\nAAAA\nBBBB\n"}, "pg://me:hidden@db/x", 'a"b\\c', 12345])
    )
    text = 'pass/word pass%2Fword AAAA hidden {"p": "a\\"b\\\\c"} 12345 other'
    assert known.of(text) == '[secret] [secret] [secret] [secret] {"p": "[secret]"} [secret] other'
    assert redaction(iter(["abc", "", True])).of("abc True") == "abc True", "what is too short stands in every text"
    with pytest.raises(Conflict, match="more than 2000 secrets"):
        redaction(f"secret-{n}" for n in range(MOST_SECRETS + 1))


def started(node: Pocket, shop: Any, master: "Master", **more: Any) -> None:
    revision = master.show("shop")["revision"]
    said = {"kind": "instance", "instance": shop["id"], "revision": revision, "state": "started", **more}
    assert node.report(said)[0] == 200


def test_a_restart_is_wanted_of_a_node_by_a_token_that_stays(master: "Master", node: Pocket, shop: Any) -> None:
    started(node, shop, master, processes=["web", "worker"])
    body = {"title": "shop", "process": "web", "token": "first"}
    assert master.api("POST", "/projects/provider/restarts", body) == {"restarted": True}
    (found,) = [one for one in node.feed()[1]["instances"] if one["instance"] == shop["id"]]
    assert found["restarts"] == [{"process": "web", "token": "first"}]
    revision = master.show("shop")["revision"]
    assert found["revision"] == revision
    assert master.api("POST", "/projects/provider/restarts", {**body, "process": "", "token": "all"})["restarted"]
    started(node, shop, master, processes=["web", "worker"])
    assert master.api("POST", "/projects/provider/restarts", {**body, "token": "second"})["restarted"]
    assert not master.api("POST", "/projects/provider/restarts", body)["restarted"], "a late repetition changes nothing"
    (found,) = [one for one in node.feed()[1]["instances"] if one["instance"] == shop["id"]]
    assert {one["process"]: one["token"] for one in found["restarts"]} == {"": "all", "web": "second"}
    audited = master.api("GET", "/projects/provider/audit?verb=instance.restart")
    assert [one["subject"] for one in audited] == [shop["id"]] * 3


def test_a_node_that_names_no_processes_is_not_asked_to_restart_any(master: "Master", node: Pocket, shop: Any) -> None:
    started(node, shop, master)
    answer = master.call("POST", "/api/v1/projects/provider/restarts", {"title": "shop"}, token=master.owner)
    assert (answer.status, answer.body["type"]) == (409, "conflict")
    assert "its node's version of Freehold cannot do it" in answer.body["detail"]


def test_a_node_cannot_name_more_processes_than_there_can_be(master: "Master", node: Pocket, shop: Any) -> None:
    before = master.show("shop")["processes"]
    said = {"kind": "instance", "instance": shop["id"], "revision": 1, "state": "started"}
    assert node.report({**said, "processes": [f"p{n}" for n in range(257)]})[1]["refused"] == 1
    assert node.report({**said, "processes": [""]})[1]["refused"] == 1
    assert master.show("shop")["processes"] == before
