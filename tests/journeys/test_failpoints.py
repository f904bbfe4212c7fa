"""kill -9 at every point that the code names, of agent, builder, supervisor and Master: the same end as without."""

import ast
import contextlib
import http.client
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.failpoints import VARIABLE
from freehold.kit.waiting import KitError, page, until
from freehold.protocol import archive
from freehold.recipes.lock import lock
from support.machines import REPOSITORY, Cloud, Machine

PRIVILEGED = os.geteuid() == 0
SOURCES = REPOSITORY / "src" / "freehold"
PROFILE = """
[buildout]
extends = hello.cfg
parts += tools

[tools]
recipe = freehold:debian
packages = hello
programs = usr/bin/hello
"""


def points() -> list[str]:
    """Return the names of all failpoints, as they stand in the code."""
    calls = (
        node
        for path in sorted(SOURCES.rglob("*.py"))
        if path.name != "failpoints.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint"
    )
    return [ast.literal_eval(call.args[0]) for call in calls]


def test_each_point_has_a_name_of_its_own_and_every_part_has_some() -> None:
    named = points()
    assert len(named) >= 38
    assert len(named) - len(set(named)) <= 1, "the two databases share one"


OF_THE_MASTER = {
    "act-committed", "act-not-committed", "reports-committed", "reports-not-committed",
    "task-done",
}  # fmt: skip


OF_ENROLMENT = {"enrolled-not-kept"}
OF_MESSAGES = {"message-claimed", "message-sent"}
"""Come by where there is a mail server (`test_messages.py`)."""


class Keeper:
    """Starts the agent and the Master again, as the machine's own supervisor would."""

    def __init__(self, cloud: Cloud, machine: Machine) -> None:
        self._cloud, self._machine = cloud, machine
        self._over = threading.Event()
        self.deaths = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            if (agent := self._machine._agent) is not None and agent.poll() is not None:
                self.deaths += 1
                self._machine.launch()
            if (master := self._cloud.master._process) is not None and master.poll() is not None:
                self.deaths += 1
                with contextlib.suppress(KitError):
                    # It may end again while it starts; the next turn sees that.
                    self._cloud.master.start()


@pytest.fixture(scope="module")
def armed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of points that are to fire."""
    folder = tmp_path_factory.mktemp("points")
    folder.chmod(0o777)
    folder.parent.chmod(0o755)
    before = dict(os.environ)
    os.environ[VARIABLE] = str(folder)
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def machine(armed: Path, cloud: Cloud) -> Machine:
    made = cloud.machine(unprivileged=not PRIVILEGED, title="tough")
    cloud.master.api("PATCH", "/projects/provider/nodes/tough", {"builder": True})
    return made


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("release") / "hello"
    shutil.copytree(REPOSITORY / "software" / "hello", folder)
    (folder / "software.cfg").rename(folder / "hello.cfg")
    (folder / "software.cfg").write_text(PROFILE)
    for path, text in lock(folder).items():
        path.write_text(text)
    return archive.pack(folder)


def insist(what: Callable[[], Any]) -> Any:
    """Return what comes of asking the Master, also when it dies meanwhile: every request may be repeated."""
    said: list[BaseException] = []

    def ask() -> Any:
        try:
            return (what(),)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            said.append(error)
            return None

    try:
        (answer,) = until(ask, 60)
    except KitError as error:
        raise KitError(f"{error} {said[-1]!r}") from None
    return answer


def publish(cloud: Cloud, packed: bytes) -> None:
    answer = cloud.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=cloud.master.owner)
    assert answer.status in (200, 201), answer.body


def supplied(cloud: Cloud, wanted: str, observed: tuple[str, ...]) -> None:
    desired = {"product": "hello", "nodes": ["tough"], "wanted": wanted}
    insist(lambda: cloud.master.api("PUT", "/projects/provider/supplies", desired))

    def look() -> bool:
        rows = insist(lambda: cloud.master.api("GET", "/projects/provider/supplies"))
        return (rows[0]["observed"] if rows else "removed") in observed

    until(look, 90, f"the release {observed}")


def desired(cloud: Cloud, title: str, **more: Any) -> None:
    insist(lambda: cloud.master.request(title, "hello", **more))
    until(lambda: insist(lambda: cloud.master.show(title))["ready"], 90, f"{title} as wanted")


def live(cloud: Cloud, machine: Machine, packed: bytes, armed: Path) -> None:
    """What an operator and a customer do in the life of a release and a service."""
    insist(lambda: publish(cloud, packed))
    supplied(cloud, "available", ("available",))
    until(lambda: len(list((cloud.master.root / "cache").glob("entries/*/*/*.json"))) == 2, 60, "the build shared")
    # The Master dies later: a build that cannot reach it waits ever longer.
    for name in OF_THE_MASTER:
        (armed / name).touch(mode=0o666)
    desired(cloud, "shop", parameters={"greeting": "first"})
    desired(cloud, "shop", parameters={"greeting": "second"})
    desired(cloud, "shop", state="stopped")
    desired(cloud, "shop", state="started")
    insist(lambda: cloud.master.request("shop", "hello", state="destroyed"))
    until(lambda: insist(lambda: cloud.master.node_row("tough"))["free"] == 4, 60)
    supplied(cloud, "removed", ("removed", ""))
    supplied(cloud, "available", ("available",))
    supplied(cloud, "removed", ("removed", ""))
    for folder in (machine.root / "kept", cloud.master.root / "cache"):
        shutil.rmtree(folder / "entries" / "build", ignore_errors=True)
    supplied(cloud, "available", ("available",))
    desired(cloud, "again", parameters={"greeting": "after all"})


def test_whatever_dies_at_whatever_point_everything_ends_as_without(
    armed: Path, cloud: Cloud, machine: Machine, packed: bytes
) -> None:
    named = set(points())
    for name in named - OF_THE_MASTER - OF_ENROLMENT - OF_MESSAGES:
        (armed / name).touch(mode=0o666)
    keeper = Keeper(cloud, machine)
    try:
        live(cloud, machine, packed, armed)
        left = {path.name for path in armed.iterdir()}
    except AssertionError as error:
        waiting = sorted(path.name for path in armed.iterdir())
        pytest.fail(f"{error}\nNot come by: {waiting}\n{machine.log()[-6000:]}\n{cloud.master.log()[-3000:]}")
    finally:
        shutil.rmtree(armed)
        keeper.stop()
    assert left == set(), "each was come by, and killed"
    assert keeper.deaths >= 20
    until(lambda: machine.status()["agent"] and machine.status()["reports_waiting"] == 0, 60)
    shown = cloud.ready("again")
    assert "after all" in page(shown["publication"]["url"])
    (pid,) = machine.pids("again")
    assert pid
    assert cloud.master.node_row("tough")["free"] == 3
    assert cloud.master.cli("check").strip() == "Everything is in order."
    assert cloud.master.sql("SELECT count(*) FROM fleet_refuseditem") == [(0,)]
    until(lambda: cloud.master.chain("tough") == machine.chain(), 60, "each report applied once, and nothing else")
    folders = [path for path in (machine.root / "partitions").iterdir() if path.is_dir()]
    assert [path.name for path in folders if any(path.iterdir())] == [shown["partition"]]


def test_a_machine_that_dies_before_it_kept_its_identity_asks_again_with_the_same_token(
    tmp_path: Path, cloud: Cloud
) -> None:
    cloud.master.site("brief")
    made = Machine(unprivileged=not PRIVILEGED, partitions=1)
    cloud.machines.append(made)
    token, armed = cloud.master.enrol_token("brief"), tmp_path / "enrolled-not-kept"
    armed.touch()
    made.environment = {VARIABLE: str(tmp_path)}
    arguments = ("--master", cloud.master.url, "--token-file", "-", "--title", "brief")
    assert made.cli("enrol", *arguments, stdin=token).returncode == -signal.SIGKILL
    assert not armed.exists()
    assert made.cli("enrol", *arguments, stdin=token).returncode == 0
    made.start()
    until(lambda: cloud.master.node_row("brief")["partitions"] == 1)
    assert cloud.master.sql("SELECT epoch FROM fleet_node WHERE title = 'brief'") == [(1,)]
