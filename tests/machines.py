"""Real nodes: machines with a real agent, supervisor and partitions, enrolled at a real Master."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.protocol import archive
from waiting import lives, until

REPOSITORY = Path(__file__).parent.parent


class Machine:
    """A machine with a node's folder; `start` runs its agent, `kill` ends it as a power cut would."""

    def __init__(self, root: Path, *, unprivileged: bool) -> None:
        self.root, self.unprivileged = root, unprivileged
        self._agent: subprocess.Popen[bytes] | None = None

    def cli(self, command: str, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `freehold node COMMAND` for this machine and return what came of it, whatever it was."""
        return subprocess.run(
            [sys.executable, "-m", "freehold.cli", "node", command, "--root", str(self.root), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def prepare(self, partitions: int) -> None:
        extra = ["--unprivileged"] if self.unprivileged else []
        done = self.cli("prepare", "--partitions", str(partitions), *extra)
        assert done.returncode == 0, done.stderr

    def enrol(self, master: Any, title: str, token: str) -> None:
        url = f"https://{master.host}:{master.port}"
        done = self.cli("enrol", "--master", url, "--token-file", "-", "--title", title, given=token)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Run the agent, and return once it holds its lock."""
        with (self.root / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [sys.executable, "-m", "freehold.cli", "node", "run", "--root", str(self.root)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: self.status()["agent"])

    def kill(self) -> None:
        """End the agent, and only the agent, at once."""
        assert self._agent is not None
        self._agent.send_signal(signal.SIGKILL)
        self._agent.wait()
        self._agent = None

    @property
    def agent_pid(self) -> int:
        assert self._agent is not None
        return self._agent.pid

    @property
    def supervisor_pid(self) -> int:
        from freehold.node.supervisor.client import Supervisor

        return Supervisor(self.root / "run").pid()

    def status(self) -> Any:
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pids(self, title: str) -> list[int]:
        """Return the processes that the supervisor keeps for an instance."""
        for one in self.status()["instances"]:
            if one["title"] == title:
                return [process["pid"] for process in one["processes"] if process["pid"]]
        return []

    def folder(self, partition: str) -> Path:
        return self.root / "partitions" / partition

    def log(self) -> str:
        return (self.root / "agent.log").read_text()

    def remove(self) -> None:
        """End everything of this machine and leave no trace of it on the real one."""
        self.cli("stop")
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()
        settings = json.loads((self.root / "node.json").read_text())
        if not settings["unprivileged"]:
            for number, place in enumerate(settings["places"]):
                _quietly("userdel", f"fh-{settings['tag']}-{number}")
                _quietly("ip", "address", "del", f"{place['address']}/32", "dev", settings["interface"])
            _quietly("userdel", f"fh-{settings['tag']}-build")
        shutil.rmtree(self.root, ignore_errors=True)


class Cloud:
    """A Master and its machines, with what customers and operators do to them."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self.machines: list[Machine] = []

    def machine(self, *, unprivileged: bool, partitions: int = 4, title: str = "", start: bool = True) -> Machine:
        """Make this machine a node of the Master, of a site of its own, and run its agent."""
        # Partitions have users of their own, who must be able to pass through the folders above theirs.
        root = Path(tempfile.mkdtemp(prefix="freehold-", dir="/var/tmp"))
        root.chmod(0o711)
        machine = Machine(root, unprivileged=unprivileged)
        self.machines.append(machine)
        title = title or f"machine-{len(self.machines)}"
        machine.prepare(partitions)
        self.master.site(title)
        machine.enrol(self.master, title, self.master.enrol_token(title))
        if start:
            machine.start()
            until(lambda: self.master.node_row(title)["partitions"] == partitions)
        return machine

    def publish(self, folder: Path) -> str:
        """Publish a release from its folder and supply it to every node; return its product."""
        packed = archive.pack(folder)
        answer = self.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=self.master.owner)
        assert answer.status == 201, answer.body
        product = str(answer.body["product"])
        wish = {"product": product, "release": answer.body["version"], "all": True}
        self.master.api("PUT", "/projects/provider/supplies", wish)
        return product

    def order(self, title: str, product: str = "hello", *, seconds: float = 60, **wish: Any) -> Any:
        """Request a service and return it when it is ready."""
        self.master.request(title, product, **wish)
        return self.ready(title, seconds=seconds)

    def ready(self, title: str, *, seconds: float = 60) -> Any:
        """Return a service as soon as it is as wanted."""

        def look() -> Any:
            shown = self.master.show(title)
            return shown if shown["ready"] else None

        try:
            return until(look, seconds)
        except AssertionError:
            logs = "\n".join(machine.log()[-3000:] for machine in self.machines if machine.root.exists())
            pytest.fail(f"{self.master.show(title)}\n{logs}")


def page(url: str) -> str:
    """Return what a URL shows."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def shows(url: str, text: str) -> Callable[[], bool]:
    """Return a condition: the page answers, with this text."""

    def look() -> bool:
        try:
            return text in page(url)
        except OSError:
            return False

    return look


def gone(pids: list[int]) -> Callable[[], bool]:
    """Return a condition: none of these processes lives."""
    return lambda: not any(lives(pid) for pid in pids)


MODES = ["root", "unprivileged"] if os.geteuid() == 0 else ["unprivileged"]


@pytest.fixture(scope="module")
def cloud(master: Any) -> Iterator[Cloud]:
    """A Master without machines yet; those that a test makes are removed at the end of its module."""
    built = Cloud(master)
    try:
        yield built
    finally:
        for machine in built.machines:
            machine.remove()


def _quietly(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pass
