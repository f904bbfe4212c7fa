"""What was destroyed by mistake, on a real machine: it is had back with its data, and ends when that is meant."""

import pytest

from freehold.kit.waiting import gone, page, until
from support.machines import MODES, REPOSITORY, Cloud

pytestmark = pytest.mark.usefixtures("usual_grace")


def test_what_was_destroyed_by_mistake_is_had_back_with_its_data(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=MODES[0] == "unprivileged", title="rack")
    cloud.publish(REPOSITORY / "software" / "hello")
    before = cloud.order("page")
    memory = machine.folder(before["partition"]) / "srv" / "what-matters"
    memory.parent.mkdir(exist_ok=True)
    memory.write_text("years of work")
    pids = machine.pids("page")
    answer = cloud.master.request("page", "hello", state="destroyed")
    assert answer["ends_at"] == answer["instance"]["ends_at"]
    until(gone(pids))
    shown = until(lambda: (shown := cloud.master.show("page"))["state"] == "stopped" and shown)
    assert (shown["ready"], shown["partition"]) == (True, before["partition"])
    cloud.master.request("page", "hello", state="started")
    back = until(lambda: (shown := cloud.master.show("page"))["ready"] and shown["state"] == "started" and shown)
    assert (back["ends_at"], back["publication"]) == (None, before["publication"])
    assert "hello" in page(back["publication"]["url"])
    assert memory.read_text() == "years of work"
    cloud.master.api("PUT", "/projects/provider/instances/page?now=true", {"state": "destroyed"})
    until(lambda: cloud.master.show("page")["state"] == "destroyed", 30)
    assert not memory.exists()
