"""A partition is given on: whoever lived there left what it could, and the next one finds nothing."""

import json
import os
import signal
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from freehold.node.isolation import processes, remains
from support.machines import REPOSITORY, Cloud, Machine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="without root partitions share one user")


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    """A machine with one partition only, so that the next one comes into the same."""
    machine = cloud.machine(unprivileged=False, partitions=1, title="narrow")
    cloud.publish(REPOSITORY / "tests" / "releases" / "leaver")
    cloud.publish(REPOSITORY / "software" / "hello")
    return machine


def uid(machine: Machine) -> int:
    slots = json.loads((machine.root / "node.json").read_text())["slots"]
    return int(slots[0]["uid"])


def segments(machine: Machine) -> list[str]:
    """Return what of a partition's user is shared among the machine's processes, by the kernel's tables."""
    tables = [Path(f"/proc/sysvipc/{kind}").read_text().splitlines() for kind in ("shm", "sem", "msg")]
    fields = [(table[0].split(), row) for table in tables for row in table[1:]]
    return [row for names, row in fields if row.split()[names.index("cuid")] == str(uid(machine))]


def leftovers(machine: Machine) -> list[int]:
    return [pid for pid in processes.of_user(uid(machine)) if b"kworker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def destroy(cloud: Cloud, title: str, product: str) -> None:
    cloud.master.request(title, product, state="destroyed")
    until(lambda: cloud.master.show(title)["state"] == "destroyed", 60, what=f"the end of {title}")


def test_nothing_of_the_last_is_there_for_the_next(cloud: Cloud, machine: Machine) -> None:
    cloud.order("leaver", "leaver", parameters={"ways": ["configuration", "service", "promise", "hook"]})
    until(lambda: leftovers(machine), 30, what="what a service leaves behind")
    assert segments(machine) == [], "what it shares it shares with itself"
    destroy(cloud, "leaver", "leaver")
    assert remains.of_user(uid(machine), machine.folder("p0")) == []
    cloud.order("next")
    assert not leftovers(machine)
    destroy(cloud, "next", "hello")


def test_what_a_configuration_leaves_ends_with_it(cloud: Cloud, machine: Machine) -> None:
    cloud.order("honest", "leaver", parameters={"ways": ["configuration"]})
    until(lambda: not leftovers(machine), 30, what="the end of what a configuration left")
    destroy(cloud, "honest", "leaver")


def test_what_a_service_leaves_ends_before_it_starts_again(cloud: Cloud, machine: Machine) -> None:
    cloud.order("again", "leaver", parameters={"ways": ["service"]})
    (left,) = until(lambda: leftovers(machine), 30, what="what a service leaves behind")
    (main,) = machine.pids("again")
    os.kill(main, signal.SIGKILL)
    until(lambda: machine.pids("again") not in ([main], []), 30, what="another service")
    until(
        lambda: len(leftovers(machine)) == 1 and left not in leftovers(machine), 30, what="only what the new one left"
    )
    destroy(cloud, "again", "leaver")


def test_a_partition_that_cannot_be_proved_empty_is_not_given_on(cloud: Cloud, machine: Machine) -> None:
    cloud.order("hello")
    foreign = Path("/var/tmp") / f"freehold-left-{os.getpid()}"
    foreign.write_text("a secret of the last one")
    os.chown(foreign, uid(machine), uid(machine))
    try:
        cloud.master.request("hello", "hello", state="destroyed")
        until(lambda: str(foreign) in machine.log(), 60, what="that it is told")
        assert cloud.master.show("hello")["state"] != "destroyed"
    finally:
        foreign.unlink()
    until(lambda: cloud.master.show("hello")["state"] == "destroyed", 60, what="its end, once that is gone")


def test_a_partition_with_data_of_one_that_is_not_known_any_more_is_given_to_nobody(
    cloud: Cloud, machine: Machine
) -> None:
    shown = cloud.order("kept", "hello")
    data = machine.folder("p0") / "srv" / "precious"
    data.write_text("precious")
    pids = machine.pids("kept")
    machine.kill()
    for path in machine.root.glob("node.sqlite*"):
        path.unlink()
    machine.start()
    again = cloud.ready("kept")
    assert again["partition"] == shown["partition"]
    assert data.read_text() == "precious", "a store that is lost loses no data"
    assert machine.pids("kept") == pids, "and ends no service"
    note = machine.root / "partitions" / ".p0.instance"
    mine = note.read_text()
    note.write_text("inst-somebody-else")
    destroy(cloud, "kept", "hello")
    assert data.read_text() == "precious", "nobody empties what another one has there"
    cloud.master.request("other", "hello")
    until(lambda: "has data of inst-somebody-else" in machine.log(), 60, what="that it is told")
    assert cloud.master.show("other")["state"] != "started"
    note.write_text(mine)
