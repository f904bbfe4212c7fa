"""A partition that means harm, for real: what it tries is contained, its neighbour serves on, its owner sees it."""

import ast
import contextlib
import json
import os
import shutil
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import page, until
from freehold.node.isolation import audit, sandbox
from support.machines import MODES, REPOSITORY, Cloud, Machine

SLEEPERS = 5
"""More than may begin to be configured at once."""
LIMITS = ("--memory-mb", "96", "--processes", "40", "--disk-mb", "60", "--files", "4000")


class Place:
    """A machine with a neighbour and a hostile instance."""

    def __init__(self, cloud: Cloud, machine: Machine, title: str) -> None:
        self.cloud, self.machine, self.title = cloud, machine, title
        self.where = {"node": title}
        cloud.publish(REPOSITORY / "software" / "hello")
        cloud.publish(REPOSITORY / "tests" / "releases" / "hostile")
        self.neighbour = cloud.order(f"neighbour-{title}", constraints=self.where)
        self.hostile = cloud.order(f"hostile-{title}", "hostile", constraints=self.where)
        self.folder = machine.folder(self.hostile["partition"])
        self.neighbours = machine.folder(self.neighbour["partition"])

    def order(self, attempt: str, **target: str) -> None:
        parameters = {"attempt": attempt, "target": target}
        self.cloud.master.request(f"hostile-{self.title}", "hostile", parameters=parameters, constraints=self.where)

    def tries(self, attempt: str, **target: str) -> str:
        """Have it try something; return the error it got, or what it got instead."""
        result = self.folder / "srv" / "result.json"
        result.unlink(missing_ok=True)
        self.order(attempt, **target)

        def outcome() -> Any:
            if not result.exists():
                return None
            found = json.loads(result.read_text())
            return found if found["attempt"] == attempt else None

        found = until(outcome, 40, what=f"the outcome of '{attempt}'")
        return found.get("error") or f"GOT {found['got']}"

    def answer(self, name: str) -> None:
        """Have its next configuration answer something absurd."""
        parameters = {"answer": name}
        self.cloud.master.request(f"hostile-{self.title}", "hostile", parameters=parameters, constraints=self.where)

    def ends(self, title: str) -> None:
        """Destroy a service, and see it destroyed."""
        product = self.cloud.master.show(title)["product"]
        self.cloud.master.request(title, product, state="destroyed", constraints=self.where)
        until(lambda: self.cloud.master.show(title)["state"] == "destroyed", 30, what=f"{title} is destroyed")

    def neighbour_is_well(self) -> None:
        assert "hello" in page(self.neighbour["publication"]["url"])
        shown = self.cloud.master.show(self.neighbour["title"])
        assert shown["promises_kept"], shown

    def seen(self, words: str) -> None:
        """The machine's owner sees the attempt: on the machine, and at the Master."""

        def told() -> bool:
            row = self.cloud.master.node_row(self.title)
            return any(
                words in one["message"] and self.hostile["partition"] in one["name"] and not one["kept"]
                for one in row["promises"]
            )

        until(told, 60, what=f"'{words}' at the Master")
        assert words in self.machine.cli("status").stdout


@pytest.fixture(scope="module", params=MODES)
def place(request: pytest.FixtureRequest, cloud: Cloud) -> Place:
    is_root = request.param == "root"
    machine = cloud.machine(unprivileged=not is_root, partitions=8, title=request.param, options=LIMITS)
    return Place(cloud, machine, request.param)


def test_the_files_of_others_are_not_there(place: Place) -> None:
    root = place.machine.root
    for path in (
        place.neighbours / "etc" / "hello.json",
        root / "identity" / "key.pem",
        root / "node.json",
        root / "node.sqlite",
        root / "run" / "supervisor.json",
        Path(__file__),
    ):
        assert path.exists()
        assert place.tries("read", path=str(path)).startswith(("FileNotFoundError", "PermissionError")), path
    listing = place.tries("look_around", folders=json.dumps([str(root / "partitions")]))
    seen = ast.literal_eval(listing.partition("GOT")[2].strip())
    assert place.neighbours.name not in seen[str(root / "partitions")]
    place.neighbour_is_well()


def test_nothing_is_written_outside(place: Place) -> None:
    for path in ("/etc/freehold-was-here", "/usr/freehold-was-here", f"{place.machine.root}/software/x", "/x"):
        assert not place.tries("write", path=path).startswith("GOT"), path
        assert not Path(path).exists()
    assert place.tries("write", path=f"{place.folder}/srv/own").startswith("GOT"), "its own folder is its own"


def test_the_processes_of_others_cannot_be_touched(place: Place) -> None:
    (pid,) = place.machine.pids(place.neighbour["title"])
    if not place.machine.unprivileged:
        assert place.tries("processes") == "GOT []"
    assert not place.tries("environment", pid=str(pid)).startswith("GOT")
    assert not place.tries("kill", pid=str(pid)).startswith("GOT")
    assert place.machine.pids(place.neighbour["title"]) == [pid]
    place.neighbour_is_well()


def test_nobody_becomes_root(place: Place) -> None:
    if place.machine.unprivileged:
        pytest.skip("without root there is no program of root's to try")
    trap = place.machine.root / "software" / place.hostile["release"] / "id"
    release = next((place.machine.root / "software").glob("*/release/attempts.py")).parent
    trap = release / "id"
    shutil.copy("/usr/bin/id", trap)
    trap.chmod(stat.S_ISUID | 0o755)
    assert trap.stat().st_uid == 0
    assert place.tries("setuid", path=str(trap)) == f"GOT user {place.folder.stat().st_uid}"
    outcome = place.tries("mount")
    assert "mount 0" not in outcome
    assert "namespace 0" not in outcome


def test_it_is_reached_only_where_it_declared(place: Place) -> None:
    address = _address(place, place.hostile["partition"])
    assert place.tries("listen", address=address, port="8080") == "GOT listening"
    assert reaches(address, 8080)
    outcome = place.tries("listen", address=address, port="9999")
    if place.machine.unprivileged:
        assert not outcome.startswith("GOT")
    else:
        assert outcome == "GOT listening", "in a network of its own every port is its own"
        assert not reaches(address, 9999)
        place.seen("packets to a port that it did not declare refused")


def test_nobody_listens_at_the_address_of_another(place: Place) -> None:
    if place.machine.unprivileged:
        pytest.skip("without root there are no networks of their own")
    slots = json.loads((place.machine.root / "node.json").read_text())["slots"]
    for one in slots:
        if one["name"] != place.hostile["partition"]:
            assert not place.tries("listen", address=one["address"], port="8080").startswith("GOT"), one
    place.neighbour_is_well()


def test_what_landlock_refuses_is_told_where_there_is_an_audit_log(place: Place) -> None:
    if place.machine.unprivileged or sandbox.landlock_version() < 7:
        pytest.skip("it takes root and Linux 6.15")
    with audit_log():
        assert place.tries("write", path="/etc/new").startswith(("PermissionError", "OSError"))
        told = next(
            one for one in json.loads(place.machine.cli("doctor", "--json").stdout) if one["name"] == "attempts"
        )
        assert "and what Landlock refuses" in told["message"]


def test_it_connects_only_where_it_declared(place: Place) -> None:
    if place.machine.unprivileged:
        pytest.skip("without root there is no firewall")
    neighbour = _address(place, place.neighbour["partition"])
    assert not place.tries("connect", address=neighbour, port="8080").startswith("GOT")
    place.seen("connect")
    host, port = place.cloud.master.host, str(place.cloud.master.port)
    assert not place.tries("connect", address=host, port=port).startswith("GOT"), (
        "the machine's loopback is not its own"
    )
    place.neighbour_is_well()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has control groups")
@pytest.mark.parametrize(
    ("attempt", "contained", "words"),
    [
        ("forks", lambda outcome: "refused after" in outcome, "refused another process"),
        ("memory", lambda outcome: outcome == "GOT killed by signal 9", "it used all its memory"),
    ],
)
def test_what_it_eats_is_its_own(place: Place, attempt: str, contained: Callable[[str], bool], words: str) -> None:
    if place.machine.unprivileged:
        pytest.skip("without root there are no control groups")
    outcome = place.tries(attempt)
    assert contained(outcome), outcome
    place.seen(words)
    place.neighbour_is_well()


@pytest.mark.parametrize(("attempt", "words"), [("disk", "MB are allowed"), ("files", "files; 4000 are allowed")])
def test_who_fills_the_disk_is_stopped(place: Place, attempt: str, words: str) -> None:
    place.order(attempt)
    until(lambda: words in place.cloud.master.show(place.hostile["title"])["message"], 40, what=words)
    assert not place.machine.pids(place.hostile["title"])
    place.seen(words)
    place.neighbour_is_well()
    for name in ("much", "many"):
        shutil.rmtree(place.folder / "srv" / name, ignore_errors=True)
        (place.folder / "srv" / name).unlink(missing_ok=True)
    assert place.tries("nothing") == "GOT nothing", "when there is room again it runs again"


# What its configuration answers

WORDS = {
    "large publication": "at most 262144 are accepted",
    "path as a name": "did not answer with a layout",
    "line feed in a name": "did not answer with a layout",
    "zero in a name": "did not answer with a layout",
    "endless stop": "`float` <= 120",
    "services without end": "of length <= 256",
    "promises without end": "of length <= ",
    "script as a network": "no scope",
    "ports out of range": "ports are from 1 to 65535",
    "log outside": "is no path of a log inside the partition",
    "no JSON": "JSON is malformed",
    "half a character": "did not answer with a layout",
    "no UTF-8": "it is not text in UTF-8",
    "500 digits": "more than 40 digits",
    "endless nesting": "did not answer with a layout",
    "announcement of 4 GB": "at most 8388608 are read",
    "error of 3 MB": "at most 65536 are read",
    "shorter than announced": "ended suddenly",
    "escape": "hello \\udce9",
}


def test_absurd_answers_are_failures_of_their_instance_and_of_nobody_else(place: Place) -> None:
    agent, title = place.machine.agent_pid, f"hostile-{place.title}"
    memory = _memory_mb(agent)
    for answer, words in WORDS.items():
        place.answer(answer)
        until(lambda words=words: words in place.cloud.master.show(title)["message"], 30, what=f"{answer}: {words}")
        assert place.cloud.master.show(title)["state"] == "failed"
    place.neighbour_is_well()
    beside = place.cloud.order(f"beside-{place.title}", constraints=place.where)
    assert "hello" in page(beside["publication"]["url"])
    place.ends(beside["title"])
    assert place.machine.agent_pid == agent
    assert _memory_mb(agent) < memory + 64
    assert place.cloud.master.sql("SELECT count(*) FROM fleet_refuseditem") == [(0,)], "the Master refused nothing"
    log = place.machine.log()
    assert "failed; retrying" not in log
    assert not set(log) & set("\x1b\x07\x00")
    assert max(map(len, log.splitlines())) < 9000
    shown = place.machine.cli("status").stdout
    assert "\\x1b[2Jhello" in shown
    assert "\x1b" not in shown
    assert place.tries("write", path=f"{place.folder}/srv/own").startswith("GOT"), "an honest answer is taken as ever"


def test_what_a_configuration_prints_is_in_its_own_log(place: Place) -> None:
    ours = place.machine.root / "run" / "forkserver.log"
    before = ours.read_bytes()
    place.answer("scribble")
    log = place.folder / "var" / "log" / "configure.log"
    until(lambda: log.exists() and b"written by a stranger" in log.read_bytes()[-1000:])
    assert ours.read_bytes() == before
    place.neighbour_is_well()


def test_configurations_that_never_end_stop_nobody_else(place: Place) -> None:
    sleepers = [f"sleeper-{number}-{place.title}" for number in range(SLEEPERS)]
    for title, answer in zip(sleepers, ["byte by byte", *["sleep"] * (SLEEPERS - 1)], strict=True):
        place.cloud.master.request(title, "hostile", parameters={"answer": answer}, constraints=place.where)
    for title in sleepers:
        # Four begin at once, the fifth when the first had their turn.
        asleep = place.machine.folder(place.cloud.master.show(title)["partition"]) / "srv" / "asleep"
        until(asleep.exists, 40, what=f"{title} sleeps")
    stopped = place.cloud.master.request(f"neighbour-{place.title}", "hello", state="stopped", constraints=place.where)
    until(lambda: place.cloud.master.show(stopped["instance"]["title"])["state"] == "stopped", 30, what="stopping")
    place.cloud.order(f"neighbour-{place.title}", state="started", constraints=place.where)
    beside = place.cloud.order(f"beside-{place.title}", constraints=place.where)
    place.ends(beside["title"])
    for title in sleepers:
        place.ends(title)
    place.neighbour_is_well()


def _memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


@contextlib.contextmanager
def audit_log() -> Iterator[None]:
    """Have the machine keep an audit log, as `auditctl -e 1` would."""
    was = audit.is_on()

    def switch(on: bool) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as kernel:
            kernel.send(struct.pack("=IHHII10I", 56, 1001, 5, 1, 0, 1, int(on), *[0] * 8))
            kernel.recv(4096)

    switch(True)
    try:
        yield
    finally:
        switch(was)


def reaches(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 2):
        return True
    return False


def _address(place: Place, partition: str) -> str:
    slots = json.loads((place.machine.root / "node.json").read_text())["slots"]
    return str(next(one["address"] for one in slots if one["name"] == partition))
