"""kill -9 of everything in the middle of things: what should run does run, nothing is done twice or lost."""

import http.server
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import gone, lives, page, shows, until
from support.machines import REPOSITORY, Cloud, Machine

PRIVILEGED = os.geteuid() == 0


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    made = cloud.machine(unprivileged=not PRIVILEGED, title="tough", partitions=8)
    cloud.publish(REPOSITORY / "software" / "hello")
    return made


@pytest.fixture(scope="module")
def steady(cloud: Cloud, machine: Machine) -> Any:
    """A neighbour that nothing of this may touch."""
    return cloud.order("steady", parameters={"greeting": "steady"})


def test_a_killed_service_is_back_at_once(cloud: Cloud, machine: Machine, steady: Any) -> None:
    shop = cloud.order("killed", parameters={"greeting": "again"})
    neighbours = machine.pids("steady")
    (pid,) = machine.pids("killed")
    os.kill(pid, signal.SIGKILL)
    until(lambda: machine.pids("killed") not in ([], [pid]))
    until(shows(shop["publication"]["url"], "again"))
    assert machine.pids("steady") == neighbours


def test_a_killed_agent_stops_no_service_and_goes_on_where_it_was(cloud: Cloud, machine: Machine, steady: Any) -> None:
    neighbours = machine.pids("steady")
    cloud.master.request("halfway", "hello", parameters={"greeting": "halfway"})
    machine.kill()
    assert "steady" in page(steady["publication"]["url"])
    machine.start()
    assert "halfway" in page(cloud.ready("halfway")["publication"]["url"])
    assert machine.pids("steady") == neighbours


def test_a_killed_supervisor_is_started_again_and_finds_its_processes(
    cloud: Cloud, machine: Machine, steady: Any
) -> None:
    neighbours, supervisor = machine.pids("steady"), machine.supervisor_pid
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: _supervisor(machine) not in (None, supervisor))
    assert machine.pids("steady") == neighbours
    os.kill(neighbours[0], signal.SIGKILL)
    until(lambda: machine.pids("steady") not in ([], neighbours))
    until(shows(steady["publication"]["url"], "steady"))


def test_a_killed_master_stops_nothing_and_forgets_nothing(cloud: Cloud, machine: Machine, steady: Any) -> None:
    cloud.order("kept", parameters={"greeting": "kept"})
    neighbours = machine.pids("kept")
    cloud.master.request("interrupted", "hello", parameters={"greeting": "interrupted"})
    cloud.master.kill()
    cloud.master.start()
    assert "interrupted" in page(cloud.ready("interrupted")["publication"]["url"])
    assert machine.pids("kept") == neighbours
    assert (
        len([one for one in cloud.master.api("GET", "/projects/provider/instances") if one["title"] == "interrupted"])
        == 1
    )


def test_a_node_started_while_the_master_is_away_starts_its_services(
    cloud: Cloud, machine: Machine, steady: Any
) -> None:
    url = steady["publication"]["url"]
    cloud.master.stop()
    assert machine.cli("stop", "--yes").returncode == 0
    assert not shows(url, "steady")()
    machine.start()
    until(shows(url, "steady"), 30)
    cloud.master.start()
    until(lambda: machine.status()["reports_waiting"] == 0, 90)
    assert cloud.ready("steady")["state"] == "started"


class SlowSource:
    """A small server of sources that answers only when told to."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        self.times = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.times += 1
                outer.asked.set()
                outer.answer.wait(60)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"[buildout]\nparts =\n")

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slow.cfg"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def source() -> Iterator[SlowSource]:
    made = SlowSource()
    yield made
    made.answer.set()
    made.server.shutdown()


def test_an_agent_killed_during_a_build_leaves_no_half_release(
    cloud: Cloud, machine: Machine, steady: Any, source: SlowSource
) -> None:
    packed = cloud.master.release("slow", files={"software.cfg": f"[buildout]\nextends = {source.url}\n".encode()})
    release = _publish(cloud, packed)
    assert source.asked.wait(30)
    builders = _marked(str(machine.root / "software" / release))
    assert builders
    machine.kill()
    assert not (machine.root / "software" / release / ".complete").exists()
    source.answer.set()
    machine.start()
    until(gone(builders), 30)
    until(lambda: (machine.root / "software" / release / ".complete").exists(), 60)
    assert _supply(cloud, "slow")["observed"] in ("building", "available")
    until(lambda: _supply(cloud, "slow")["observed"] == "available")


def test_a_failing_build_shows_its_last_lines_delays_nobody_and_succeeds_once_its_cause_is_gone(
    cloud: Cloud, machine: Machine, steady: Any
) -> None:
    elsewhere = Elsewhere()
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    files = {
        "software.cfg": f"[buildout]\nextends = {elsewhere.url}\n".encode(),
        "instance.py": (REPOSITORY / "tests" / "releases" / "empty_instance.py").read_bytes(),
    }
    _publish(cloud, cloud.master.release("broken", files=files))
    cloud.master.request("unlucky", "broken")
    shown = until(lambda: _if(cloud.master.show("unlucky"), "state", "failed"), 60)
    assert "missing.cfg" in shown["message"]
    cloud.order("lucky", parameters={"greeting": "lucky"})
    elsewhere.has_it = True
    try:
        assert cloud.ready("unlucky")["state"] == "started"
    finally:
        elsewhere.shutdown()


class Elsewhere(http.server.ThreadingHTTPServer):
    """Where a profile is extended from: a server that does not have it yet."""

    has_it = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/missing.cfg"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.send_response(200 if self.server.has_it else 404)
        self.end_headers()
        if self.server.has_it:
            self.wfile.write(b"[buildout]\nparts =\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _publish(cloud: Cloud, packed: bytes) -> str:
    answer = cloud.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=cloud.master.owner)
    assert answer.status == 201, answer.body
    cloud.master.supply(answer.body["product"], "tough")
    return str(answer.body["release"])


def _supply(cloud: Cloud, product: str) -> Any:
    rows = cloud.master.api("GET", "/projects/provider/supplies")
    return next(row for row in rows if row["product"] == product)


def _supervisor(machine: Machine) -> int | None:
    try:
        return machine.supervisor_pid
    except Exception:
        return None


def _marked(folder: str) -> list[int]:
    """Return the living processes of a build."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and lives(int(entry.name)):
            try:
                if f"FREEHOLD_BUILD={folder}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _if(row: Any, field: str, value: str) -> Any:
    return row if row[field] == value else None
