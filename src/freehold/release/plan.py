"""What `instance.py` is written with: one pure function from parameters and context to a plan."""

import hashlib
import json
import os
import re
import traceback
from collections.abc import Callable, Iterable
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

    def __post_init__(self) -> None:
        _must_be(str, "File: path", self.path)
        _must_be((str, bytes), f"File '{self.path}': content", self.content)
        _must_be(int, f"File '{self.path}': mode", self.mode)

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

    def __post_init__(self) -> None:
        _must_be(str, "Process: name", self.name)
        what = f"Process '{self.name}':"
        _must_be((tuple, list), f"{what} argv", self.argv)
        _must_hold((str, Path), f"{what} argv", self.argv)
        if not self.argv:
            raise TypeError(f"{what} argv must name a program")
        _must_be(dict, f"{what} environment", self.environment)
        for name, value in self.environment.items():
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                raise TypeError(f"{what} {name!r} cannot be the name of a variable")
            _must_be(str, f"{what} environment {name}", value)
        _must_be((tuple, list), f"{what} reads", self.reads)
        _must_hold(File, f"{what} reads", self.reads)

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

    def __post_init__(self) -> None:
        for name, kind in (("processes", Process), ("files", File), ("directories", str)):
            _must_be((tuple, list), f"Plan: {name}", getattr(self, name))
            _must_hold(kind, f"Plan: {name}", getattr(self, name))
        _must_be(dict, "Plan: promises", self.promises)
        for name, promise in self.promises.items():
            _must_be(str, "Plan: name of a promise", name)
            # A node writes it as a plug-in file that imports its class.
            if not type(promise).__module__.startswith("freehold.promises"):
                raise TypeError(f"Plan: promise '{name}' must be one of freehold.promises, not {promise!r}")
        _must_be((msgspec.Struct, type(None)), "Plan: publication", self.publication)


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

    def __post_init__(self) -> None:
        for name in ("parameters", "publication"):
            kind = getattr(self, name)
            if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
                raise TypeError(f"Type: {name} must be a msgspec.Struct class, not {kind!r}")
        if not callable(self.plan):
            raise TypeError(f"Type: plan must be a function, not {self.plan!r}")


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
    try:
        plan = chosen.plan(values, context)
        if not isinstance(plan, Plan):
            raise ReleaseError(f"{_where(chosen.plan)} returns {_kind(plan)}, not a Plan.")
    except ReleaseError:
        raise
    except Exception as error:
        raise mistake(error) from error
    _check(plan)
    return plan


def mistake(error: BaseException) -> ReleaseError:
    """Return what an author must be told of an exception in a release: file, line and words."""
    if isinstance(error, SyntaxError):
        return ReleaseError(f"{error.filename}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}")
    ours = os.path.dirname(__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and os.path.dirname(frame.filename) != ours
    ]
    # The author's files stand in one folder; what they call stands elsewhere and is rarely to blame.
    own = [frame for frame in frames if os.path.dirname(frame.filename) == os.path.dirname(frames[0].filename)]
    place = f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}: " if own else ""
    return ReleaseError(f"{place}{type(error).__name__}: {error}")


def _check(plan: Plan) -> None:
    names = [process.name for process in plan.processes]
    for name in [*names, *plan.promises]:
        if not name or "/" in name or "\0" in name or name.startswith("."):
            raise ReleaseError(f"{name!r} cannot be the name of a process or promise.")
    given = [file.path for file in plan.files]
    for path in [*given, *plan.directories]:
        parts = Path(path).parts
        if not parts or Path(path).is_absolute() or ".." in parts or "\0" in path or parts[0] == ".freehold":
            raise ReleaseError(f"{path!r} is not a path inside the partition.")
    for kind, all_of in (("process", names), ("file", [Path(path).as_posix() for path in given])):
        twice = sorted({name for name in all_of if all_of.count(name) > 1})
        if twice:
            raise ReleaseError(f"The plan has two of the {kind} '{twice[0]}'.")
    _check_places(plan)
    for process in plan.processes:
        for file in process.reads:
            if file.path not in given:
                raise ReleaseError(f"Process '{process.name}' reads '{file.path}', which the plan does not write.")


def _check_places(plan: Plan) -> None:
    """See that no file stands where something else must stand."""
    written = {Path(file.path) for file in plan.files}
    made = {Path(f"etc/{'run' if process.once else 'service'}", process.name) for process in plan.processes}
    made |= {Path("etc/plugin", f"{name}.py") for name in plan.promises}
    folders = {Path(path) for path in plan.directories}
    folders |= {parent for path in [*written, *made, *folders] for parent in path.parents}
    for path in sorted((written & made) | ((written | made) & folders)):
        raise ReleaseError(f"The plan puts two things at '{path}'.")


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _must_be(kind: type | tuple[type, ...], what: str, value: object) -> None:
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        words = " or ".join(one.__name__ for one in kinds)
        raise TypeError(f"{what} must be {words}, not {_kind(value)}")


def _must_hold(kind: type | tuple[type, ...], what: str, values: Iterable[object]) -> None:
    for value in values:
        _must_be(kind, f"{what}: each", value)


def _kind(value: object) -> str:
    # Not the value itself: it may be a secret.
    return "None" if value is None else type(value).__name__


def _where(function: object) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}: {code.co_name}" if code else repr(function)
