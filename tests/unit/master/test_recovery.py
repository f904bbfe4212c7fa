"""A Master whose backup was restored goes on from where its nodes are."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.running import Master


def test_after_a_restore_nodes_are_heard_again_and_no_revision_is_given_twice(master: "Master") -> None:
    master.publish()
    node = master.node("home")
    master.supply("tiny", "home")
    made = master.request("shop", constraints={"node": "home"})["instance"]
    # As after a restore: the Master does not know the last reports, and the node knows later revisions.
    before = node.sequence, node.hash
    node.write()
    known = node.feed()[1]["revision"] + 100
    assert node.report()[0] == 409
    assert "--accept-loss" in master.run("resume").stderr
    master.cli("resume", "--accept-loss")
    status, feed = node.feed(known)
    assert status == 200
    assert feed["epoch"] > node.epoch + 1000, "it may have been given some that the Master forgot"
    assert feed["revision"] > known
    assert [(one["instance"], one["wanted"]) for one in feed["instances"]] == [(made["id"], "started")]
    assert feed["instances"][0]["revision"] > known, "the node takes it over, whatever it knew"
    node.epoch, node.sequence, node.hash = feed["epoch"], 0, "0" * 64
    assert node.report({"kind": "instance", "instance": made["id"], "revision": known, "state": "started"})[0] == 200
    assert before[0] >= 1


def test_a_node_that_lost_its_store_is_given_an_epoch_by_its_certificate(master: "Master") -> None:
    node = master.node("shelf")
    assert node.report()[0] == 200
    status, answer = node.send()
    assert answer["sequence"] == node.sequence, "so a node that has sent nothing sees that its store was lost"
    status, answer = node.call("POST", "/node/v1/epoch", {})
    assert (status, answer) == (200, {"epoch": node.epoch + 1})
    node.epoch, node.sequence, node.hash = answer["epoch"], 0, "0" * 64
    assert node.report()[0] == 200
    assert node.feed()[1]["epoch"] == answer["epoch"]


def test_a_stranger_is_given_no_epoch(master: "Master") -> None:
    assert master.call("POST", "/node/v1/epoch", {}).status == 401
