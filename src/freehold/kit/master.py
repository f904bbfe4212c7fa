"""A real Master in a child process: made in a folder, served, killed and started again."""

import atexit
import functools
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from freehold.client import Client
from freehold.kit.waiting import KitError, until

OWNER = "owner@example.org"
PASSWORD = "correct horse battery"
"""Of everybody on a Master of the kit, which listens on this machine only and ends with the test."""


class Master:
    """A Master of one owner, on a free port of this machine."""

    def __init__(self, root: Path, database_url: str) -> None:
        """Make it, in an empty folder and an empty database, and serve it."""
        self.root, self.database_url = root, database_url
        self.host = "127.0.0.1"
        self.port = _free_port()
        self.authority = root / "authority" / "authority.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self.make()
        self.start()

    def make(self) -> None:
        """Have keys, a database and an owner; in a file of its own as a copy of those that this process made once."""
        if self.database_url == _own_database(self.root):
            shutil.copytree(_made_once(), self.root, dirs_exist_ok=True)
        else:
            self.initialise()

    def initialise(self) -> None:
        """Make keys, database and owner by `freehold master init`, which takes seconds."""
        names = ("--name", self.host, "--name", "localhost")
        self.cli("init", *names, "--owner", OWNER, "--password-file", "-", secret=PASSWORD)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Return the variables that every command of this Master is given."""
        return {**os.environ, "FREEHOLD_MASTER_ROOT": str(self.root), "DATABASE_URL": self.database_url}

    def run(self, *arguments: str, secret: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `freehold master …` and return what came of it, whatever it was."""
        command = [sys.executable, "-m", "freehold.cli", "master", *arguments]
        return subprocess.run(
            command, env=self.environment(), input=secret, capture_output=True, text=True, timeout=60, check=False
        )

    def cli(self, *arguments: str, secret: str = "") -> str:
        """Run `freehold master …`, which must succeed, and return what it printed."""
        done = self.run(*arguments, secret=secret)
        if done.returncode != 0:
            raise KitError(f"freehold master {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Serve, on the same port as ever, and return once it answers."""
        command = [sys.executable, "-m", "freehold.cli", "master", "serve", "--port", str(self.port)]
        with (self.root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)
        until(self._answers, 30, "The Master's first answer")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Return all that the server said."""
        return (self.root / "server.log").read_text()

    def client(self, email: str = OWNER, *, project: str | None = None) -> Client:
        """Return a client of the public API as a person, with all that their role allows."""
        scopes = ["read", "order", "operate"]
        authority = self.authority.read_text()
        return Client.log_in(self.url, email, PASSWORD, project=project, scopes=scopes, authority=authority)

    def customer(self, project: str) -> Client:
        """Make a project with one customer and return a client as that customer."""
        email = f"customer@{project}.example"
        self.cli("project", project)
        self.cli("person", email, "--project", project, "--password-file", "-", secret=PASSWORD)
        return self.client(email)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise KitError(f"The Master ended:\n{self.log()}")
        try:
            trusted = ssl.create_default_context(cafile=str(self.authority))
            with urllib.request.urlopen(f"{self.url}/authority.pem", timeout=5, context=trusted):
                return True
        except (OSError, http.client.HTTPException):
            return False

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


class MadeOnce(Master):
    """A Master that is made and never served: others begin as copies of it, because to make one takes seconds."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root, self.database_url, self.host = root, database_url, "127.0.0.1"
        self.initialise()


@functools.cache
def _made_once() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="master-made-once-")
    atexit.register(folder.cleanup)
    root = Path(folder.name)
    return MadeOnce(root, _own_database(root)).root


def _own_database(root: Path) -> str:
    return f"sqlite:///{root / 'master.sqlite'}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
