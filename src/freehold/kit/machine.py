"""A real node: a machine with a node's folder, an agent that is started and killed, and real partitions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freehold.kit.waiting import KitError, until


class Machine:
    """A machine with a node's folder; `start` runs its agent, `kill` ends it as a power cut would."""

    program: Sequence[str] = (sys.executable, "-m", "freehold.cli", "node")
    """What is run for `freehold node`."""

    def __init__(
        self, *, unprivileged: bool, partitions: int, options: tuple[str, ...] = (), folder: Path | None = None
    ) -> None:
        """Prepare it; `options` are more of `freehold node prepare`, `folder` the one in which it gets its own."""
        # Partitions have users of their own, who must be able to pass through the folders above theirs.
        self.root = Path(tempfile.mkdtemp(prefix="freehold-", dir=folder or "/var/tmp"))
        self.root.chmod(0o711)
        self.unprivileged = unprivileged
        self.environment: dict[str, str] = {}
        """What every command of this machine has in its environment besides ours."""
        self._agent: subprocess.Popen[bytes] | None = None
        extra = [*(["--unprivileged"] if unprivileged else []), *options]
        self._must("prepare", "--partitions", str(partitions), *extra)

    def cli(self, command: str, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `freehold node COMMAND` for this machine and return what came of it, whatever it was."""
        return subprocess.run(
            [*self.program, command, "--root", str(self.root), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **self.environment},
            check=False,
        )

    def enrol(self, master: str, title: str, token: str) -> None:
        """Make this machine a node of the Master at a URL."""
        self._must("enrol", "--master", master, "--token-file", "-", "--title", title, stdin=token)

    def start(self) -> None:
        """Run the agent, and return once it holds its lock."""
        self.launch()
        until(lambda: self.status()["agent"], what="The agent's start")

    def launch(self) -> None:
        """Run the agent, whatever comes of it."""
        with (self.root / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [*self.program, "run", "--root", str(self.root)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

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

    def status(self) -> Any:
        """Return what `freehold node status --json` says."""
        return json.loads(self._must("status", "--json"))

    def pids(self, title: str) -> list[int]:
        """Return the processes that are kept for an instance."""
        for instance in self.status()["instances"]:
            if instance["title"] == title:
                return [process["pid"] for process in instance["processes"] if process["pid"]]
        return []

    def folder(self, partition: str) -> Path:
        """Return the folder of a partition."""
        return self.root / "partitions" / partition

    def log(self) -> str:
        """Return all that the agent said."""
        return (self.root / "agent.log").read_text()

    def remove(self) -> None:
        """End everything of this machine and leave no trace of it on the real one."""
        self.cli("stop", "--yes")
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()
        settings = json.loads((self.root / "node.json").read_text())
        if not settings["unprivileged"]:
            for number in range(len(settings["slots"])):
                _quietly("userdel", f"fh-{settings['tag']}-{number}")
        shutil.rmtree(self.root, ignore_errors=True)

    def _must(self, command: str, *arguments: str, stdin: str = "") -> str:
        done = self.cli(command, *arguments, stdin=stdin)
        if done.returncode != 0:
            raise KitError(f"freehold node {command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def has_users() -> bool:
    """Return whether partitions can have Unix users of their own here: for that, it takes root."""
    return os.geteuid() == 0


def _quietly(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=False)
