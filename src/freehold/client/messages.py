"""What the public API answers, typed. Fields that a newer Master adds are ignored."""

from typing import Any

import msgspec


class PromiseResult(msgspec.Struct, frozen=True):
    """A check that must hold, and its last result; `kept` is None until it was checked as now configured."""

    name: str
    kept: bool | None
    message: str
    at: str | None


class Child(msgspec.Struct, frozen=True):
    """An instance below another one, at any depth."""

    title: str
    product: str
    type: str
    shared: bool
    state: str
    ready: bool
    message: str


class AnnouncedMaintenance(msgspec.Struct, frozen=True):
    """A time in which a service may be down, because that was announced for its site."""

    begins_at: str
    ends_at: str
    what: str


class Offer(msgspec.Struct, frozen=True):
    """What an instance offers to shared ones; `offered_to` is project or everyone."""

    offered_to: str
    free: int


class Instance(msgspec.Struct, frozen=True):
    """A service: what is wanted, what is, and what came out."""

    id: str
    project: str
    title: str
    product: str
    release: str
    type: str
    wanted: str
    state: str
    health: str
    """kept, starting, broken, unknown, or empty while it does not run."""
    last_heard: str | None
    """While its node is not heard: when it was last."""
    last_known: str
    ready: bool
    message: str
    parameters: dict[str, Any]
    constraints: dict[str, Any]
    publication: dict[str, Any]
    promises: list[PromiseResult]
    promises_kept: bool
    node: str
    site: str
    partition: str
    address: str | None
    revision: int
    created_at: str
    changed_at: str
    note: str = ""
    size: dict[str, float] = {}
    """What it may use, by name; what is not named is as its node allows everybody."""
    usage: dict[str, int | None] = {}
    parent: str | None = None
    """Title of the instance that requested it."""
    host: str | None = None
    """For a shared instance: id of the one that serves it."""
    orphaned_at: str | None = None
    """Since when its parent does not request it: after a time of grace it is destroyed."""
    ends_at: str | None = None
    """When it is destroyed, while it is stopped and can be had back."""
    protected: bool = False
    """It cannot be destroyed."""
    maintenances: list[AnnouncedMaintenance] = []
    """What is going on, and what comes."""
    children: list[Child] = []
    offer: Offer | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a request did; `instance` is None for a dry run."""

    created: bool
    changed: bool
    dry_run: bool
    node: str
    partition: str
    ends_at: str | None
    instance: Instance | None


class ReleaseType(msgspec.Struct, frozen=True):
    name: str
    title: str
    description: str
    request: dict[str, Any]
    response: dict[str, Any]


class Release(msgspec.Struct, frozen=True):
    """One version of a product."""

    product: str
    version: str
    release: str
    description: str
    published_at: str
    types: list[ReleaseType]


class Site(msgspec.Struct, frozen=True):
    name: str
    region: str
    nodes: int
    expected_silence: int
    """Seconds for which its nodes may be silent and nobody is told."""


class Node(msgspec.Struct, frozen=True):
    """A machine of the fleet."""

    id: str
    title: str
    site: str
    region: str
    state: str
    """open, closed, silent, stopped, lost or new."""
    open: bool
    builder: bool
    labels: dict[str, str]
    cpus: int
    memory_mb: int
    disk_mb: int
    architecture: str
    system: str
    agent: str
    capacity: int
    used: int
    partitions: int
    free: int
    last_contact: str | None
    silent_since: str | None
    stopped: str | None
    expected_silence: int
    protections: dict[str, bool] = {}
    lease: int = 0
    lost_at: str | None = None


class Restarted(msgspec.Struct, frozen=True):
    """What came of asking for a restart."""

    restarted: bool
    """False: it was asked for before, with the same token."""


class OpenedLog(msgspec.Struct, frozen=True):
    """A stream of logs that was opened."""

    stream: str


class LogPiece(msgspec.Struct, frozen=True):
    """Whole lines that one process wrote."""

    process: str
    text: str
    left_out: int
    """Bytes before these that are not shown."""


class LogPart(msgspec.Struct, frozen=True):
    """What came of a service's logs."""

    pieces: list[LogPiece]
    next: int
    over: bool
    why: str


class MoveAnswer(msgspec.Struct, frozen=True):
    """Where an instance was and is: titles of nodes."""

    former: str
    node: str
    abandoned: bool
    """It held data, which stays behind."""


class Drained(msgspec.Struct, frozen=True):
    """What became of the instances of a node that was drained: titles."""

    moved: list[str]
    stuck: dict[str, str]
    """Those that found no other place, and why."""
    stays: list[str]
    """Those that hold data."""
    later: list[str] = []
    """Members of clusters: they move one after another."""


class Supply(msgspec.Struct, frozen=True):
    """A release on a node."""

    id: str
    product: str
    release: str
    node: str
    wanted: str
    observed: str
    message: str
    everyone: bool


class Token(msgspec.Struct, frozen=True):
    token: str
    id: str
    expires_at: str
    projects: list[str]
