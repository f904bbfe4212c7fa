"""What `instance.py` is written with: one pure function from parameters and context to a plan."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from freehold.promises import Promise


class ReleaseError(Exception):
    """A release or its plan is not usable; the message says which part and why."""


@dataclass(frozen=True)
class Context:
    """Where and for whom an instance is configured."""

    instance: str
    """The instance's id."""
    title: str
    type: str
    address: str
    """The partition's own address: fixed ports on it are safe."""
    partition: Path
    """The partition's folder."""
    software: Path
    """The folder in which buildout built the release: `bin`, `parts`, …"""
    release: Path
    """The folder of the release's own files: what stands beside `instance.py`."""


@dataclass(frozen=True)
class File:
    """A file in the partition. Its path is relative to the partition's folder."""

    path: str
    content: str | bytes
    mode: int = 0o600

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


@dataclass(frozen=True)
class Process:
    """A program to run. It is restarted exactly when its command, environment or what it `reads` changes."""

    name: str
    argv: tuple[str | Path, ...]
    """The program (absolute path) and its arguments. Never a secret: everybody can see them."""
    environment: dict[str, str] = field(default_factory=dict)
    reads: tuple[File, ...] = ()
    """The files of the plan on which it depends."""
    once: bool = False
    """Run to its end at each configuration, instead of being kept running."""

    def digest(self) -> str:
        """Return a hash of everything whose change means a restart."""
        state = json.dumps(
            [
                [str(part) for part in self.argv],
                sorted(self.environment.items()),
                [[file.path, hashlib.sha256(file.data).hexdigest()] for file in self.reads],
                self.once,
            ]
        )
        return hashlib.sha256(state.encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """Everything that an instance is: compared with what is there, and only the difference is done."""

    processes: tuple[Process, ...] = ()
    files: tuple[File, ...] = ()
    directories: tuple[str, ...] = ()
    """Relative to the partition's folder; kept with what is in them."""
    promises: dict[str, Promise] = field(default_factory=dict)
    """Checks by name: the instance is ready when each was kept."""
    publication: msgspec.Struct | None = None
    """What the requester gets back."""


@dataclass(frozen=True)
class Type:
    """One flavour of a release: its parameters and publication (msgspec structs) and its plan."""

    title: str
    parameters: type[msgspec.Struct]
    publication: type[msgspec.Struct]
    plan: Callable[[Any, Context], Plan]
    description: str = ""
    weight: int = 1
    """How much of a node's capacity an instance takes."""


@dataclass(frozen=True)
class Release:
    """A release: name it `release` in `instance.py`."""

    name: str
    version: str
    description: str
    types: dict[str, Type]
    """By name; the type ordered when none is named is `default`."""


def make_plan(release: Release, type_name: str, parameters: bytes, context: Context) -> Plan:
    """Return the plan of an instance from its parameters as JSON; raise ReleaseError saying what is wrong."""
    if type_name not in release.types:
        raise ReleaseError(f"{release.name} {release.version} has no type '{type_name}'.")
    chosen = release.types[type_name]
    try:
        values = msgspec.json.decode(parameters, type=chosen.parameters)
    except msgspec.DecodeError as error:
        raise ReleaseError(f"The parameters do not fit: {error}") from None
    plan = chosen.plan(values, context)
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    names = [process.name for process in plan.processes]
    for kind, given in (("process", names), ("file", [file.path for file in plan.files])):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise ReleaseError(f"The plan has two of the {kind} '{twice[0]}'.")
    for name in [*names, *plan.promises]:
        if not name or "/" in name or name.startswith("."):
            raise ReleaseError(f"'{name}' cannot be the name of a process or promise.")
    for path in [*(file.path for file in plan.files), *plan.directories]:
        parts = Path(path).parts
        if not parts or Path(path).is_absolute() or ".." in parts or parts[0] in (".freehold", ".."):
            raise ReleaseError(f"'{path}' is not a path inside the partition.")
    written = {file.path for file in plan.files}
    for process in plan.processes:
        for file in process.reads:
            if file.path not in written:
                raise ReleaseError(f"Process '{process.name}' reads '{file.path}', which the plan does not write.")
