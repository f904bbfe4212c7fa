"""A node as a user has it, on a machine of its own: the one file, control groups of version 2, 512 MB of memory, a disk
that says how it is. `FREEHOLD_GUESTS=1 ./dev test` runs it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from freehold.kit.waiting import until
from support.machines import REPOSITORY, Cloud
from support.vm import ARM, WANTED, X86, Guest, Kind, pyz

pytestmark = pytest.mark.skipif(not WANTED, reason="FREEHOLD_GUESTS is not set")
SLOW = 400.0
"""Seconds; an emulated processor takes its time."""


class Place:
    """A node in a guest."""

    def __init__(
        self, cloud: Cloud, guest: Guest, title: str, program: str = "python3 /root/freehold-node.pyz"
    ) -> None:
        self.cloud, self.guest, self.title, self.program = cloud, guest, title, program
        guest.reaches(cloud.master.port)

    def cli(self, words: str, given: str = "") -> str:
        return self.guest.must(f"{self.program} {words}", given, timeout=SLOW)

    def join(self, *options: str) -> None:
        """Become a node of the Master, and run the agent as an init would."""
        self.cloud.master.site(self.title)
        self.cli(" ".join(("prepare --partitions 6", *options)))
        token = self.cloud.master.enrol_token(self.title)
        self.cli(f"enrol --master {self.cloud.master.url} --token-file - --title {self.title}", token)
        self.guest.must(f"systemd-run --unit=freehold --property=KillMode=process {self.program} run")
        until(lambda: self.cloud.master.node_row(self.title)["partitions"] == 6, SLOW, "the node's first report")

    def status(self) -> Any:
        return json.loads(self.cli("status --json"))

    def promise(self, name: str) -> Any:
        """Return a promise of the machine's own, as the Master knows it."""
        row = self.cloud.master.node_row(self.title)
        return next((one for one in row["promises"] if one["name"] == name), None)

    def finding(self, name: str) -> Any:
        found = json.loads(self.guest.run(f"{self.program} doctor --json").stdout)
        return next(one for one in found if one["name"] == name)

    def page(self, url: str) -> str:
        return self.guest.must(f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode())'")


@contextmanager
def node(cloud: Cloud, title: str, kind: Kind, *options: str) -> Iterator[Place]:
    """A node that runs by the one file, in a guest of its own."""
    guest = Guest(kind, memory_mb=512)
    try:
        assert pyz.main(REPOSITORY / "dist" / "freehold-node.pyz") == 0
        guest.give(REPOSITORY / "dist" / "freehold-node.pyz", "/root/freehold-node.pyz")
        made = Place(cloud, guest, title)
        made.join(*options)
        yield made
    finally:
        guest.end()


@pytest.fixture(scope="module")
def place(cloud: Cloud) -> Iterator[Place]:
    with node(cloud, "guest", X86, "--memory-mb 96 --processes 40 --disk-mb 60 --files 4000") as made:
        yield made


def test_the_same_file_runs_on_another_processor(cloud: Cloud) -> None:
    with node(cloud, "arm", ARM) as place:
        assert place.guest.must("uname -m").strip() == cloud.master.node_row("arm")["architecture"] == "aarch64"
        assert all(place.status()["protections"].values())
        cloud.publish(REPOSITORY / "software" / "hello")
        page = cloud.order("arm-page", constraints={"node": "arm"}, seconds=SLOW)
        assert "hello" in place.page(page["publication"]["url"])
        assert page["promises_kept"]


def test_every_protection_holds_there(place: Place) -> None:
    found = place.status()["protections"]
    assert all(found.values()), found
    assert place.guest.must("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"


def test_services_run_in_little_memory(place: Place) -> None:
    place.cloud.publish(REPOSITORY / "software" / "hello")
    where = {"node": place.title}
    shops = [place.cloud.order(f"shop-{one}", constraints=where, seconds=SLOW) for one in range(5)]
    assert all("hello" in place.page(one["publication"]["url"]) for one in shops)
    assert all(one["promises_kept"] for one in map(place.cloud.master.show, (one["title"] for one in shops)))
    groups = place.guest.must("cat /sys/fs/cgroup/freehold/*/p0/memory.max /sys/fs/cgroup/freehold/*/p0/pids.max")
    assert groups.split() == [str(96 << 20), "40"]
    assert place.guest.must("cat /sys/fs/cgroup/freehold/*/*/services/cgroup.procs").split()
    used = until(lambda: place.cloud.master.show("shop-0")["usage"]["cpu_ms"], SLOW, "what a service used")
    assert used > 0


def test_the_node_itself_needs_little_memory(place: Place) -> None:
    kilobytes = place.guest.must("ps -C python -o rss=,args= | grep -E ' node run|supervisor/__main__'")
    lines = kilobytes.splitlines()
    assert len(lines) == 2, "agent and supervisor"
    assert sum(int(line.split()[0]) for line in lines) <= 45 << 10, kilobytes


def test_short_memory_ends_services_before_their_supervisor(place: Place) -> None:
    supervisor = place.guest.must("cat /proc/$(pgrep -f '[s]upervisor/__main__')/oom_score_adj")
    services = place.guest.must(
        "cat $(sed 's,.*,/proc/&/oom_score_adj,' /sys/fs/cgroup/freehold/*/*/services/cgroup.procs)"
    )
    assert int(supervisor) < 0
    assert set(services.split()) == {"0"}


def test_a_service_that_is_stopped_leaves_nothing_in_its_group(place: Place) -> None:
    place.cloud.master.request("shop-4", "hello", constraints={"node": place.title}, state="stopped")
    place.cloud.ready("shop-4", seconds=SLOW)
    partition = place.cloud.master.show("shop-4")["partition"]
    procs = f"cat /sys/fs/cgroup/freehold/*/{partition}/*/cgroup.procs"
    assert place.guest.run(procs).stdout.split() == []


def test_the_disk_says_how_it_is_and_the_operator_hears_when_it_fails(place: Place) -> None:
    until(lambda: place.promise("disk nvme0n1"), SLOW, "the disk's promise")
    assert place.promise("disk nvme0n1")["kept"]
    assert place.promise("temperature")["kept"]
    assert "°C" in place.finding("temperature")["message"]
    # Bit 2: the reliability of the device is degraded.
    place.guest.qmp("qom-set", path="/machine/peripheral/nvme0", property="smart_critical_warning", value=4)
    until(lambda: not place.promise("disk nvme0n1")["kept"], SLOW, "the broken promise of the disk")
    assert "smartctl -a /dev/nvme0n1" in place.finding("disk nvme0n1")["remedy"]
    place.guest.qmp("qom-set", path="/machine/peripheral/nvme0", property="smart_critical_warning", value=0)
    until(lambda: place.promise("disk nvme0n1")["kept"], SLOW, "the promise kept again")


@pytest.fixture(scope="module")
def hostile(place: Place) -> "Hostile":
    place.cloud.publish(REPOSITORY / "tests" / "releases" / "hostile")
    return Hostile(place, place.cloud.order("hostile", "hostile", constraints={"node": place.title}, seconds=SLOW))


class Hostile:
    """An instance that means harm, in a guest; `test_hostile.py` has the whole story."""

    def __init__(self, place: Place, instance: Any) -> None:
        self.place, self.guest, self.instance = place, place.guest, instance
        self.folder = f"/srv/freehold/partitions/{instance['partition']}"

    def order(self, attempt: str, **target: str) -> None:
        parameters = {"attempt": attempt, "target": target}
        where = {"node": self.place.title}
        self.place.cloud.master.request("hostile", "hostile", parameters=parameters, constraints=where)

    def tries(self, attempt: str, **target: str) -> str:
        """Have it try something; return the error it got, or what it got instead."""
        result = f"{self.folder}/srv/result.json"
        self.guest.must(f"rm -f {result}")
        self.order(attempt, **target)

        def outcome() -> Any:
            shown = self.guest.run(f"cat {result}").stdout
            return json.loads(shown) if shown and json.loads(shown)["attempt"] == attempt else None

        found = until(outcome, SLOW, f"the outcome of '{attempt}'")
        return found.get("error") or f"GOT {found['got']}"

    def seen(self, words: str) -> None:
        """The machine's owner sees the attempt at the Master, and the neighbours are well."""

        def told() -> bool:
            row = self.place.cloud.master.node_row(self.place.title)
            return any(words in one["message"] and self.instance["partition"] in one["name"] for one in row["promises"])

        until(told, SLOW, f"'{words}' at the Master")
        shop = self.place.cloud.master.show("shop-0")
        assert shop["promises_kept"]
        assert "hello" in self.place.page(shop["publication"]["url"])


def test_what_it_eats_is_its_own(hostile: Hostile) -> None:
    assert "refused after" in hostile.tries("forks")
    hostile.seen("refused another process")
    assert hostile.tries("memory") == "GOT killed by signal 9"
    hostile.seen("it used all its memory")


def test_it_listens_and_connects_only_where_it_declared(hostile: Hostile) -> None:
    slots = json.loads(hostile.guest.must("cat /srv/freehold/node.json"))["slots"]
    addresses = {one["name"]: one["address"] for one in slots}
    mine, other = (
        addresses[hostile.instance["partition"]],
        addresses[hostile.place.cloud.master.show("shop-0")["partition"]],
    )
    assert hostile.tries("listen", address=mine, port="8080") == "GOT listening"
    assert not hostile.tries("connect", address=other, port="8080").startswith("GOT")
    hostile.seen("connect")


def test_the_files_and_processes_of_others_are_not_there(hostile: Hostile) -> None:
    for path in ("/srv/freehold/identity/key.pem", "/srv/freehold/node.sqlite"):
        hostile.guest.must(f"test -e {path}")
        assert hostile.tries("read", path=path).startswith(("FileNotFoundError", "PermissionError"))
    assert hostile.tries("processes") == "GOT []"
    assert not hostile.tries("write", path="/etc/freehold-was-here").startswith("GOT")


@pytest.mark.parametrize(("attempt", "what", "most"), [("disk", "-k", 60 << 10), ("files", "--inodes", 4000)])
def test_who_fills_the_disk_is_held_by_the_quota_and_not_stopped(
    hostile: Hostile, attempt: str, what: str, most: int
) -> None:
    result = f"{hostile.folder}/srv/result.json"
    hostile.guest.must(f"rm -f {result}")
    hostile.order(attempt)

    def held() -> int:
        return int(hostile.guest.must(f"du -s {what} {hostile.folder} 2>/dev/null || true").split()[0])

    until(lambda: held() > most * 0.98, SLOW, "as much as it may hold")
    hostile.seen("at its limit on disk")
    assert hostile.place.cloud.master.show("hostile")["state"] == "started"
    assert held() <= most
    hostile.order("nothing")

    def is_back() -> bool:
        # What still runs may fill it again meanwhile.
        hostile.guest.run(f"rm -rf {hostile.folder}/srv/m*")
        return '"nothing"' in hostile.guest.run(f"cat {result}").stdout

    until(is_back, SLOW, "its life with room")
