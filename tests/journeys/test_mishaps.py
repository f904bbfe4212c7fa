"""What a new user's mistakes, other people's malice and bad luck once broke."""

import json
import os
import signal
from pathlib import Path

import pytest

from freehold.kit.waiting import lives, until
from freehold.node.isolation import cgroups
from freehold.node.supervisor.children import MARK
from support.machines import MODES, REPOSITORY, Cloud
from support.running import Master

SHOP = "/api/v1/projects/provider/instances"


@pytest.mark.parametrize("text", ['"\\ud800"', "NaN", "9" * 5000, '{"a":' * 3000 + "1" + "}" * 3000])
def test_what_is_no_proper_json_is_refused(master: Master, text: str) -> None:
    """Half of a character, once accepted, stopped the feed of the whole node for ever."""
    for body in (f'{{"product": "tiny", "parameters": {{"greeting": {text}}}}}', f'{{"release": {text}}}'):
        answer = master.call("PUT", f"{SHOP}/half", raw=body.encode(), token=master.owner)
        assert answer.status in (400, 422), answer
        assert answer.kind == "application/problem+json"
    assert master.api("GET", "/projects/provider/instances") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("PUT", f"{SHOP}/a%2Fb", 422),
        ("PUT", f"{SHOP}/", 404),
        ("GET", "/node/v1/nothing", 404),
        ("DELETE", SHOP, 405),
    ],
)
def test_programs_get_a_problem_document_whatever_they_ask_for(
    master: Master, method: str, path: str, status: int
) -> None:
    answer = master.call(method, path, {} if method == "PUT" else None, token=master.owner)
    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert answer.body["remedy"]


def test_people_get_a_page(master: Master) -> None:
    assert master.call("GET", "/nothing").kind == "text/html"


def test_a_node_that_ended_leaves_nothing_behind_not_even_when_killed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a supervisor would that keeps the agent: its mark must not be on what the agent starts.
    monkeypatch.setenv(MARK, "other\ndemo\nnode\n1")
    machine = cloud.machine(unprivileged=MODES[0] != "root", title="brief", partitions=2)
    monkeypatch.delenv(MARK)
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("page")
    (pid,) = machine.pids("page")
    supervisor = machine.supervisor_pid
    assert b"other" not in Path(f"/proc/{supervisor}/environ").read_bytes()
    machine.kill()
    os.kill(supervisor, signal.SIGKILL)
    assert lives(pid)
    refused = machine.cli("stop")
    assert (refused.returncode, "  page\n" in refused.stdout, "Say --yes" in refused.stderr) == (1, True, True)
    assert "Nothing was done" in machine.cli("stop", "--dry-run").stdout
    assert lives(pid)
    done = machine.cli("stop", "--yes")
    assert done.returncode == 0, done.stderr
    assert not lives(pid)
    tag = json.loads((machine.root / "node.json").read_text())["tag"]
    assert not [base for base in cgroups._bases() if (base / cgroups.PARENT / tag).exists()]
    assert "nothing of this runs now" in machine.cli("status").stdout
    # And it starts again as it was.
    machine.start()
    until(lambda: machine.pids("page"))
    assert cloud.ready("page")["promises_kept"]
