"""What is where in a partition's folder (SlapOS's layout), and what was found there.

The bounds that types can say stand here; `gate` checks the others and is where an answer is read.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from freehold.node.errors import ConfigureError
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.protocol import MAX_PROMISES, UNREADABLE
from freehold.protocol.descriptor import LONGEST_CHANGE

SERVICE, RUN, PLUGIN, PROMISE, PRERM = "etc/service", "etc/run", "etc/plugin", "etc/promise", "etc/prerm"
LOG = "var/log"
CONFIGURE_LOG = f"{LOG}/configure.log"
"""What a release prints while it is configured."""
SERVICES_PROMISE = "services"
"""The promise of every instance that runs something."""
LIMITS_PROMISE = "limits"
"""Broken since a process was killed, or refused, because the instance used all that it may."""
TASK_PROMISE = "task-"
"""How the promise of a task begins, that it ended well as it is now planned."""
WALLS_PROMISE = "walls"
"""Says, though it is kept, what an instance was refused because its release did not declare it."""
OURS = ".freehold"
PUBLISHED = f"{OURS}/published.json"
FOLDERS = (SERVICE, RUN, PLUGIN, PROMISE, PRERM, LOG, "srv", "tmp", OURS)


MOST_AFTER, LONGEST_STOP = 16, 120.0
"""What one may say of how it is supervised: so many others to come after, so many seconds to end."""
HEAD = 4096
"""So many bytes of an executable are searched for how it is supervised."""
MOST_PROGRAMS = 256
"""Services of a partition; what it runs once, as many again."""
LONGEST_NAME = 200
"""Bytes of the name of a service, task or promise: with what is added it is the name of a file."""
MOST_REQUESTS, MOST_LOGS, MOST_SERVED = 200, 200, 20_000
"""Requests of other instances, logs with a rotation of their own, shared instances that are served."""
MOST_MEMBERS, MOST_SHARED = 2000, 50
"""Members of a cluster; what of its publication each is told of the others."""
MOST_PORTS, MOST_TARGETS = 1000, 500
"""Of each protocol; where it may connect."""
_NAME = r"\A[^./\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]*\Z"
_Kind = TypeVar("_Kind", bound=msgspec.Struct)
Name = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=LONGEST_NAME)]
"""Of a file of the partition: of one line, without a slash, not hidden."""
Digest = Annotated[str, msgspec.Meta(max_length=200)]
Title = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}\Z")]
RelativePath = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]+\Z", max_length=1000)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
StopTimeout = Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_STOP)]
StopSignal = Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"]
_SUPERVISED = re.compile(rb"^# supervised: (.*)$", re.MULTILINE)
_CHANGED = re.compile(rb"^# changed: (.*)\n", re.MULTILINE)


class Executable(msgspec.Struct, frozen=True):
    """A program to run, and the digest whose change means that it must be restarted."""

    name: Name
    digest: Digest
    after: Annotated[list[Name], msgspec.Meta(max_length=MOST_AFTER)] = []
    """Services that are ended only when this one has ended."""
    stop_timeout: StopTimeout = 10.0
    """Seconds that it may take to end."""
    stop_signal: StopSignal = "TERM"
    """What tells it to end."""
    awaits: Annotated[list[Name], msgspec.Meta(max_length=MOST_PROGRAMS)] = []
    """What runs once and must have ended well before the one that runs is ended for this one."""
    reload_signal: StopSignal = "HUP"
    reload_digest: Digest = ""
    """Of the files that it reads anew when it gets that signal; when nothing else changed, it gets it."""


class Replacement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an executable says of how one that runs is changed into it: JSON in a line `# changed: …`.

    That line is no part of the program: another one restarts nothing.
    """

    awaits: Annotated[list[Name], msgspec.Meta(max_length=MOST_PROGRAMS)] = []
    reload_signal: StopSignal = "HUP"
    reload_digest: Digest = ""


class Supervised(msgspec.Struct, frozen=True):
    """What an executable says of how it is supervised: JSON in a line `# supervised: …` among its first ones."""

    after: Annotated[list[Name], msgspec.Meta(max_length=MOST_AFTER)] = []
    stop_timeout: StopTimeout = 10.0
    stop_signal: StopSignal | msgspec.UnsetType = msgspec.UNSET
    """Unset it is TERM, and not written: what an earlier version wrote stays as it is, and is not restarted for it."""


class ChildRequest(msgspec.Struct, frozen=True):
    """Another instance that this one requests."""

    title: Title
    spec: dict[str, object]
    """As the public API takes it."""


class ChildCluster(msgspec.Struct, frozen=True):
    """Instances that this one requests together."""

    name: Title
    member: dict[str, object]
    """Each, as the public API takes a request."""
    count: Annotated[int, msgspec.Meta(ge=0, le=MOST_MEMBERS)]
    most_down: Annotated[int, msgspec.Meta(ge=1, le=MOST_MEMBERS)]
    ready_within: Annotated[float, msgspec.Meta(gt=0.0, le=LONGEST_CHANGE)]
    leave_within: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_CHANGE)]
    shares: Annotated[list[Title], msgspec.Meta(max_length=MOST_SHARED)] = []


class Served(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a shared instance."""

    published: dict[str, object] = {}
    error: str = ""


class Rotation(msgspec.Struct, frozen=True):
    """How a log is kept short."""

    path: RelativePath
    most: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    """Bytes."""
    keep: Annotated[int, msgspec.Meta(ge=0, le=1000)]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a configuration leaves for the agent, besides what stands in the partition."""

    requests: Annotated[list[ChildRequest], msgspec.Meta(max_length=MOST_REQUESTS)] = []
    missing: Annotated[list[Title], msgspec.Meta(max_length=MOST_REQUESTS)] = []
    """Titles of requests that did not return yet what they must."""
    clusters: Annotated[list[ChildCluster], msgspec.Meta(max_length=MOST_REQUESTS)] = []
    await_ready: Annotated[list[Title], msgspec.Meta(max_length=MOST_REQUESTS)] = []
    """Titles of requests of which it wants to know only when they are ready."""
    keeps: bool = False
    """While those are missing, the partition is as it was, and what it serves."""
    served: Annotated[dict[Id, Served], msgspec.Meta(max_length=MOST_SERVED)] = {}
    logs: Annotated[list[Rotation], msgspec.Meta(max_length=MOST_LOGS)] = []
    attested: bool = False
    """Promises of the release's author speak of what runs here."""
    network: FirewallNetwork | None = None
    """Where it listens and connects; None: nothing was declared."""
    renew_at: float | None = None
    """When to configure again because a certificate must be renewed, seconds since 1970."""


class Layout(msgspec.Struct, frozen=True):
    """What a configured partition holds, whichever way it was configured."""

    services: Annotated[list[Executable], msgspec.Meta(max_length=MOST_PROGRAMS)] = []
    """In `etc/service`: kept running."""
    runs: Annotated[list[Executable], msgspec.Meta(max_length=MOST_PROGRAMS)] = []
    """In `etc/run`: run once."""
    promises: Annotated[list[RelativePath], msgspec.Meta(max_length=MAX_PROMISES - 1)] = []
    """Paths of plug-ins and executables, relative to the folder."""
    published: dict[str, object] = {}
    outcome: Outcome = Outcome()


def prepare(folder: Path) -> None:
    """Make the folders of a partition."""
    for name in FOLDERS:
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def scan(folder: Path) -> Layout:
    """Return what a partition holds. What its configuration left besides is for the caller to add."""
    return Layout(
        services=_executables(folder / SERVICE),
        runs=_executables(folder / RUN),
        promises=[f"{PLUGIN}/{path.name}" for path in _files(folder / PLUGIN) if path.suffix == ".py"]
        + [f"{PROMISE}/{path.name}" for path in _files(folder / PROMISE) if path.stat().st_mode & 0o100],
        published=_published(folder / PUBLISHED),
    )


def after(former: Layout, planned: Layout) -> Layout:
    """Return what a partition holds after a configuration that may have kept what was there, as `former` says."""
    if not planned.outcome.keeps:
        return planned
    outcome = planned.outcome
    kept = msgspec.structs.replace(
        former.outcome,
        requests=outcome.requests,
        missing=outcome.missing,
        clusters=outcome.clusters,
        await_ready=outcome.await_ready,
        keeps=True,
    )
    return msgspec.structs.replace(planned, outcome=kept)


def promise_names(layout: Layout) -> list[str]:
    """Return the promises of what a partition holds, that of its processes included."""
    names = list(dict.fromkeys(promise_name(path) for path in layout.promises))
    return [*names, SERVICES_PROMISE] if layout.services or layout.runs else names


def promise_name(path: str) -> str:
    """Return the name of a promise from its path."""
    return path.rpartition("/")[2].removesuffix(".py")


def _published(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except UNREADABLE as error:
        raise ConfigureError(f"What it publishes cannot be read: {error}.") from None


def _executables(folder: Path) -> list[Executable]:
    return [_executable(path.name, path.read_bytes()) for path in _files(folder) if path.stat().st_mode & 0o100]


def _executable(name: str, content: bytes) -> Executable:
    supervised, changed = _said(name, content, _SUPERVISED, Supervised), _said(name, content, _CHANGED, Replacement)
    return Executable(
        name,
        hashlib.sha256(_CHANGED.sub(b"", content, 1)).hexdigest(),
        supervised.after,
        supervised.stop_timeout,
        supervised.stop_signal or "TERM",
        changed.awaits,
        changed.reload_signal,
        changed.reload_digest,
    )


def _said(name: str, content: bytes, line: re.Pattern[bytes], kind: type[_Kind]) -> _Kind:
    """Return what an executable says in a line of its head; raise ConfigureError when that is not as it must be."""
    match = line.search(content, 0, HEAD)
    try:
        return msgspec.json.decode(match[1], type=kind) if match else kind()
    except UNREADABLE as error:
        words = line.pattern[1:].partition(b" (")[0].decode()
        raise ConfigureError(f"{name}: what follows '{words}' is not as it must be: {error}") from None


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
