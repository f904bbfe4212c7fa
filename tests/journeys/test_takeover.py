"""A node is lost: what holds no data runs elsewhere, and never in two places; the rest waits for its owner."""

import contextlib
import urllib.request
from typing import Any

import pytest

from freehold.kit.waiting import page, until
from support.machines import REPOSITORY, Cloud, Machine

LEASE = 10


@pytest.fixture(scope="module")
def machines(cloud: Cloud) -> tuple[Machine, Machine]:
    """Two machines that serve hello: what is ordered now goes to the first, which obeys a lease."""
    first = cloud.machine(unprivileged=True, partitions=3, title="first")
    second = cloud.machine(unprivileged=True, partitions=3, title="second")
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.publish(REPOSITORY / "tests" / "releases" / "hostile")
    cloud.master.api("PATCH", "/projects/provider/nodes/second", {"open": False})
    cloud.order("page")
    cloud.order("data", "hostile")
    cloud.master.api("PATCH", "/projects/provider/nodes/second", {"open": True})
    for title in ("first", "second"):
        cloud.master.api("PATCH", f"/projects/provider/nodes/{title}", {"lease": LEASE})
    until(lambda: cloud.master.sql("SELECT count(*) FROM fleet_node WHERE acknowledged_lease = ?", LEASE) == [(2,)], 30)
    return first, second


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


def test_a_dead_nodes_work_is_done_elsewhere_and_only_there(cloud: Cloud, machines: tuple[Machine, Machine]) -> None:
    first, _ = machines
    before = cloud.master.show("page")
    url = before["publication"]["url"]
    assert (before["node"], answers(url)) == ("first", True)
    first.kill()
    assert answers(url), "services outlive the agent, as long as the lease lasts"

    def moved() -> Any:
        shown = cloud.master.show("page")
        if shown["node"] == "second":
            # It is not placed elsewhere before it has ended here, though nobody was there to end it.
            assert not answers(url)
        return shown if shown["node"] == "second" and shown["ready"] else None

    after = until(moved, 60, what="the takeover")
    assert "hello" in page(after["publication"]["url"])
    assert cloud.master.node_row("first")["lost_at"]
    assert cloud.master.show("data")["node"] == "first", "what holds data waits for its owner"
    # The old node returns: it learns what it lost before it serves.
    first.start()
    until(lambda: not cloud.master.node_row("first")["lost_at"], 30)
    until(lambda: cloud.master.sql("SELECT count(*) FROM ordering_departure") == [(0,)], 30)
    until(lambda: cloud.master.node_row("first")["free"] == 2, 30, what="the partition that it left")
    assert not answers(url)
    assert "page" not in {one["title"] for one in first.status()["instances"]}
    assert first.pids("data"), "what cannot move runs on"
    assert cloud.ready("page")["node"] == "second"


def test_a_node_is_drained_and_says_what_stays(cloud: Cloud, machines: tuple[Machine, Machine]) -> None:
    assert machines
    path = "/projects/provider/nodes/second/drain"
    rehearsed = cloud.master.api("POST", f"{path}?dry_run=true", {})
    assert (rehearsed["moved"], cloud.master.show("page")["node"]) == (["page"], "second")
    assert cloud.master.node_row("second")["open"]
    assert cloud.master.api("POST", path, {}) == {"moved": ["page"], "later": [], "stuck": {}, "stays": []}
    assert not cloud.master.node_row("second")["open"]
    until(lambda: (shown := cloud.master.show("page"))["node"] == "first" and shown["ready"], 60)
    assert "hello" in page(cloud.master.show("page")["publication"]["url"])
    until(lambda: cloud.master.node_row("second")["free"] == 3, 30)
    drained = cloud.master.api("POST", "/projects/provider/nodes/first/drain", {})
    assert (drained["moved"], list(drained["stuck"]), drained["stays"]) == ([], ["page"], ["data"])
    assert "closed" in drained["stuck"]["page"], "the other one was drained before"
    cloud.master.api("PATCH", "/projects/provider/nodes/first", {"open": True})
    assert cloud.ready("page")["node"] == "first"


def test_an_owner_gives_up_data_and_has_the_service_elsewhere(cloud: Cloud, machines: tuple[Machine, Machine]) -> None:
    """The machine is gone for long: its owner decides that an empty service now is worth more than its data later."""
    first, _ = machines
    cloud.master.api("PATCH", "/projects/provider/nodes/second", {"open": True})
    first.kill()
    desired = {"title": "data"}
    refused = cloud.master.call("POST", "/api/v1/projects/provider/moves", desired, token=cloud.master.owner)
    assert (refused.status, "holds data" in refused.body["detail"]) == (409, True)
    rehearsed = cloud.master.api("POST", "/projects/provider/moves?dry_run=true", {**desired, "abandon_data": True})
    assert rehearsed == {"former": "first", "node": "second", "abandoned": True}
    assert cloud.master.show("data")["node"] == "first"
    assert cloud.master.api("POST", "/projects/provider/moves", {**desired, "abandon_data": True}) == rehearsed
    assert cloud.ready("data")["node"] == "second"
    first.start()
    until(lambda: cloud.master.sql("SELECT count(*) FROM ordering_departure") == [(0,)], 60)
    assert "data" not in {one["title"] for one in first.status()["instances"]}
    assert first.pids("data") == []
    assert cloud.ready("data")["node"] == "second"
