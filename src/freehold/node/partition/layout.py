"""What is where in a partition's folder (SlapOS's layout), and what was found there."""

import hashlib
import re
from pathlib import Path
from typing import Literal

import msgspec

from freehold.node.errors import ConfigureError
from freehold.node.host.firewall import Network
from freehold.protocol import UNREADABLE

SERVICE, RUN, PLUGIN, PROMISE, PRERM = "etc/service", "etc/run", "etc/plugin", "etc/promise", "etc/prerm"
LOG = "var/log"
OURS = ".freehold"
PUBLISHED = f"{OURS}/published.json"
FOLDERS = (SERVICE, RUN, PLUGIN, PROMISE, PRERM, LOG, "srv", "tmp", OURS)


MOST_AFTER, LONGEST_STOP = 16, 120.0
"""What one may say of how it is supervised: so many others to come after, so many seconds to end."""
HEAD = 4096
"""So many bytes of an executable are searched for how it is supervised."""
_SUPERVISED = re.compile(rb"^# supervised: (.*)$", re.MULTILINE)


class Executable(msgspec.Struct, frozen=True):
    """A program to run, and the digest whose change means that it must be restarted."""

    name: str
    digest: str
    after: list[str] = []
    """Services that are ended only when this one has ended."""
    stop_timeout: float = 10.0
    """Seconds that it may take to end."""
    stop_signal: str = "TERM"
    """What tells it to end."""


class Supervised(msgspec.Struct, frozen=True):
    """What an executable says of how it is supervised: JSON in a line `# supervised: …` among its first ones."""

    after: list[str] = []
    stop_timeout: float = 10.0
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"] | msgspec.UnsetType = msgspec.UNSET
    """Unset it is TERM, and not written: what an earlier version wrote stays as it is, and is not restarted for it."""


class Wish(msgspec.Struct, frozen=True):
    """Another instance that this one requests."""

    title: str
    wish: dict[str, object]
    """As the public API takes it."""


class Served(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a shared instance."""

    published: dict[str, object] = {}
    error: str = ""


class Rotation(msgspec.Struct, frozen=True):
    """How a log is kept short."""

    path: str
    most: int
    """Bytes."""
    keep: int


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a configuration leaves for the agent, besides what stands in the partition."""

    requests: list[Wish] = []
    missing: list[str] = []
    """Titles of requests that did not return yet what they must."""
    served: dict[str, Served] = {}
    logs: list[Rotation] = []
    network: Network | None = None
    """Where it listens and connects; None: nothing was declared."""
    renew_at: float | None = None
    """When to configure again because a certificate must be renewed, seconds since 1970."""


class Layout(msgspec.Struct, frozen=True):
    """What a configured partition holds, whichever way it was configured."""

    services: list[Executable] = []
    """In `etc/service`: kept running."""
    runs: list[Executable] = []
    """In `etc/run`: run once."""
    promises: list[str] = []
    """Paths of plug-ins and executables, relative to the folder."""
    published: dict[str, object] = {}
    outcome: Outcome = Outcome()


def prepare(folder: Path) -> None:
    """Make the folders of a partition."""
    for name in FOLDERS:
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def scan(folder: Path) -> Layout:
    """Return what a partition holds. What its configuration left besides is for the caller to add."""
    published = folder / PUBLISHED
    return Layout(
        services=_executables(folder / SERVICE),
        runs=_executables(folder / RUN),
        promises=[f"{PLUGIN}/{path.name}" for path in _files(folder / PLUGIN) if path.suffix == ".py"]
        + [f"{PROMISE}/{path.name}" for path in _files(folder / PROMISE) if path.stat().st_mode & 0o100],
        published=msgspec.json.decode(published.read_bytes(), type=dict[str, object]) if published.exists() else {},
    )


def promise_name(path: str) -> str:
    """Return the name of a promise from its path."""
    return path.rpartition("/")[2].removesuffix(".py")


def _executables(folder: Path) -> list[Executable]:
    return [_executable(path.name, path.read_bytes()) for path in _files(folder) if path.stat().st_mode & 0o100]


def _executable(name: str, content: bytes) -> Executable:
    said = Supervised()
    if found := _SUPERVISED.search(content, 0, HEAD):
        try:
            said = msgspec.json.decode(found[1], type=Supervised)
        except UNREADABLE as error:
            raise ConfigureError(f"{name}: what follows '# supervised:' is not as it must be: {error}") from None
    return Executable(
        name, hashlib.sha256(content).hexdigest(), said.after, said.stop_timeout, said.stop_signal or "TERM"
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
