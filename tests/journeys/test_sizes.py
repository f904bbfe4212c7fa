"""A service of a size, for real: it is held to it, knows it, is told when it runs into it, and grows in place."""

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.machine import has_users
from freehold.kit.waiting import until
from support.machines import Cloud, Machine
from support.releases import written

EATER = '''\
"""A release whose service takes as much memory as it is told to."""
import sys

import msgspec

from freehold.release import Context, File, Plan, Process, Release, Size, Type

EAT = """
import json, os, resource, sys, time
eaten = bytearray(int(sys.argv[1]) << 20)
found = {"eaten": int(sys.argv[1]), "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)}
with open("srv/found.json.new", "w") as file:
    json.dump(found, file)
os.rename("srv/found.json.new", "srv/found.json")
time.sleep(1e6)
"""

class Parameters(msgspec.Struct):
    eat_mb: int = 1

class Published(msgspec.Struct):
    size: dict[str, float]

def plan(parameters: Parameters, context: Context) -> Plan:
    eat = File("etc/eat.py", EAT)
    return Plan(
        files=(eat,),
        directories=("srv",),
        processes=(Process("eater", (sys.executable, "-I", "-S", eat.path, str(parameters.eat_mb)), reads=(eat,)),),
        publication=Published(msgspec.structs.asdict(context.size)),
    )

release = Release("eater", "1", "Eats.", {"default": Type("", Parameters, Published, plan, size=Size(memory_mb=96))})
'''


class Eater:
    """The service, with its folder."""

    def __init__(self, cloud: Cloud, machine: Machine) -> None:
        self.cloud, self.machine = cloud, machine
        self.shown = cloud.order("eats", "eater", constraints={"node": "sized"}, size={"cpus": 0.5, "open_files": 512})
        self.folder = machine.folder(self.shown["partition"])

    def change(self, **spec: Any) -> None:
        self.cloud.master.request("eats", None, **spec)

    def found(self) -> Any:
        path = self.folder / "srv" / "found.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def show(self) -> Any:
        return self.cloud.master.show("eats")


pytestmark = pytest.mark.skipif(not has_users(), reason="only root has control groups")


@pytest.fixture(scope="module")
def eater(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Eater:
    machine = cloud.machine(unprivileged=False, partitions=4, title="sized")
    folder = tmp_path_factory.mktemp("eater")
    cloud.publish(written(folder, EATER))
    return Eater(cloud, machine)


def _held(eater: Eater) -> int:
    """Return how many bytes of memory the kernel lets it have."""
    tag = json.loads((eater.machine.root / "node.json").read_text())["tag"]
    group = f"freehold/{tag}/{eater.shown['partition']}"
    for path in (f"memory/{group}/memory.limit_in_bytes", f"{group}/memory.max"):
        if (Path("/sys/fs/cgroup") / path).exists():
            return int((Path("/sys/fs/cgroup") / path).read_text())
    raise AssertionError("no group holds it")


def test_it_knows_what_it_may_use_and_the_kernel_holds_it_to_that(eater: Eater) -> None:
    size = eater.shown["publication"]["size"]
    assert (size["cpus"], size["memory_mb"], size["open_files"]) == (0.5, 96, 512)
    assert size["processes"] > 0, "what nobody named is as on this node"
    assert _held(eater) == 96 << 20
    until(lambda: eater.found().get("open_files") == [512, 512], 20, what="it has looked")
    assert eater.show()["size"] == {"cpus": 0.5, "memory_mb": 96, "open_files": 512}


def test_who_takes_more_is_killed_and_its_owner_is_told_why(eater: Eater) -> None:
    eater.change(parameters={"eat_mb": 200})

    def told() -> Any:
        promises = {promise["name"]: promise for promise in eater.show()["promises"]}
        return (broken := promises.get("limits")) and broken["kept"] is False and broken["message"]

    words = until(told, 60, what="the promise of its limits is broken")
    assert "killed: it used all of its 96 MB of memory" in words
    assert eater.show()["ready"] is False
    events = eater.cloud.master.api("GET", "/projects/provider/events?title=eats")["events"]
    assert any("96 MB of memory" in json.dumps(event) for event in events), events


def test_a_larger_size_ends_that_and_loses_nothing(eater: Eater) -> None:
    kept = eater.folder / "srv" / "kept"
    kept.write_text("a year of work")
    eater.change(size={"memory_mb": 400, "cpus": 0.5})
    until(lambda: eater.show()["ready"], 60, what="it is ready with its new size")
    assert eater.found()["eaten"] == 200
    assert _held(eater) == 400 << 20
    assert kept.read_text() == "a year of work"
    assert "limits" not in [promise["name"] for promise in eater.show()["promises"]]
    assert eater.show()["publication"]["size"]["memory_mb"] == 400
    assert eater.show()["partition"] == eater.shown["partition"]


def test_more_than_its_node_has_is_refused_and_it_runs_on(eater: Eater) -> None:
    master = eater.cloud.master
    path = "/api/v1/projects/provider/instances/eats"
    answer = master.call("PUT", path, {"size": {"memory_mb": 2**25}}, token=master.owner)
    assert (answer.status, answer.body["type"]) == (409, "no-place")
    assert "has not so much left" in answer.body["detail"]
    assert _held(eater) == 400 << 20
    assert eater.show()["ready"]


def test_what_is_too_small_to_be_configured_says_so(eater: Eater) -> None:
    eater.cloud.master.request("tiny", "eater", size={"memory_mb": 3}, constraints={"node": "sized"})
    words = "it used all of its 3 MB of memory. Order a larger size."
    until(lambda: words in eater.cloud.master.show("tiny")["message"], 60, what="its owner is told why")
    eater.cloud.master.request("tiny", None, size={"memory_mb": 100})
    assert eater.cloud.ready("tiny")["publication"]["size"]["memory_mb"] == 100
