"""Configuring an instance: runs in a child of the workshop, as the partition's user.

Two ways lead to the same layout: the typed plan of `instance.py`, and a buildout profile `instance.cfg`.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec

from freehold.node.partition import layout
from freehold.promises import source
from freehold.release import Context, Plan, Process, ReleaseError, make_plan
from freehold.release.folder import load

BUILDOUT_TIMEOUT = 300
_OPTION = re.compile(r"[A-Za-z0-9_.-]+")


class Order(msgspec.Struct, frozen=True):
    """What to configure, and where."""

    instance: str
    title: str
    type: str
    address: str
    folder: str
    software: str
    parameters: str
    """JSON object."""


def run(payload: bytes) -> bytes:
    """Configure as an `Order` in JSON says; return the `Layout` that came of it, in JSON."""
    order = msgspec.json.decode(payload, type=Order)
    folder, release = Path(order.folder), Path(order.software) / "release"
    layout.prepare(folder)
    if (release / "instance.py").exists():
        _apply(folder, _plan(order, folder, release))
    elif (release / "instance.cfg").exists():
        _run_profile(order, folder, release)
    else:
        raise ReleaseError("The release has neither instance.py nor instance.cfg.")
    return msgspec.json.encode(layout.scan(folder))


def write(path: Path, content: bytes, mode: int) -> bool:
    """Write a file so that it is never seen half-written; return whether anything changed."""
    try:
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            return False
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return True


def _plan(order: Order, folder: Path, release: Path) -> Plan:
    context = Context(
        instance=order.instance,
        title=order.title,
        type=order.type,
        address=order.address,
        partition=folder,
        software=Path(order.software),
        release=release,
    )
    return make_plan(load(release), order.type, order.parameters.encode(), context)


def _apply(folder: Path, plan: Plan) -> None:
    """Make a partition what a plan says; what is as planned already is not touched."""
    for directory in plan.directories:
        (folder / directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    written = [file.path for file in plan.files]
    for file in plan.files:
        write(folder / file.path, file.data, file.mode)
    kept = set(written)
    for process in plan.processes:
        path = f"{layout.RUN if process.once else layout.SERVICE}/{process.name}"
        write(folder / path, wrapper(process), 0o700)
        kept.add(path)
    for name, promise in plan.promises.items():
        path = f"{layout.PLUGIN}/{name}.py"
        write(folder / path, source(promise).encode(), 0o600)
        kept.add(path)
    published = {} if plan.publication is None else msgspec.to_builtins(plan.publication)
    write(folder / layout.PUBLISHED, json.dumps(published).encode(), 0o600)
    _remove_others(folder, kept)


def wrapper(process: Process) -> bytes:
    """Return the executable that starts a process; its text changes whenever a restart is due."""
    lines = ["#!/bin/sh", f"# digest: {process.digest()}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(process.environment.items())]
    lines.append("exec " + " ".join(shlex.quote(str(part)) for part in process.argv))
    return ("\n".join(lines) + "\n").encode()


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Remove what an earlier plan wrote and this one does not."""
    record = folder / layout.OURS / "planned.json"
    earlier = set(json.loads(record.read_text())) if record.exists() else set()
    write(record, json.dumps(sorted(earlier | kept)).encode(), 0o600)
    for path in earlier - kept:
        (folder / path).unlink(missing_ok=True)
    write(record, json.dumps(sorted(kept)).encode(), 0o600)


def _run_profile(order: Order, folder: Path, release: Path) -> None:
    """Have buildout process the release's `instance.cfg` in the partition, without network."""
    ours = folder / layout.OURS
    profile = ours / "buildout.cfg"
    write(profile, profile_text(order, release).encode(), 0o600)
    command = [sys.executable, "-c", "from zc.buildout.buildout import main; main()", "-c", str(profile)]
    try:
        done = subprocess.run(
            command,
            cwd=ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILDOUT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"buildout did not end within {BUILDOUT_TIMEOUT} s in instance.cfg.") from None
    if done.returncode:
        tail = done.stdout.decode(errors="replace").strip().splitlines()[-15:]
        raise ReleaseError("buildout failed in instance.cfg:\n" + "\n".join(tail))


def profile_text(order: Order, release: Path) -> str:
    """Return the profile that extends a release's `instance.cfg` with what is particular to an instance."""
    parameters = json.loads(order.parameters)
    return "".join(
        (
            _section(
                "buildout",
                {
                    "extends": str(release / "instance.cfg"),
                    "offline": "true",
                    "directory": order.folder,
                    "parts-directory": f"{order.folder}/{layout.OURS}/parts",
                    "bin-directory": f"{order.folder}/{layout.OURS}/bin",
                    "develop-eggs-directory": f"{order.folder}/{layout.OURS}/develop-eggs",
                    "installed": f"{order.folder}/{layout.OURS}/installed.cfg",
                    "eggs-directory": f"{order.software}/eggs",
                },
            ),
            _section(
                "freehold",
                {
                    "instance": order.instance,
                    "title": order.title,
                    "type": order.type,
                    "address": order.address,
                    "partition": order.folder,
                    "software": order.software,
                    "release": str(release),
                },
            ),
            _section(
                "parameters",
                {
                    "json": json.dumps(parameters),
                    **{
                        name: value if isinstance(value, str) else json.dumps(value)
                        for name, value in parameters.items()
                        if _OPTION.fullmatch(name) and name != "json"
                    },
                },
            ),
        )
    )


def _section(name: str, options: dict[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{option} = {_value(text)}\n" for option, text in options.items()) + "\n"


def _value(text: str) -> str:
    """Return a text as buildout reads it back, whatever a customer wrote: never a reference or a section.

    Buildout reads `$$` as no reference, so every dollar before a brace is doubled (recipes halve them). What
    Python reads as the end of a line must be followed by an indent to belong to its option.
    """
    text = re.sub(r"\$+(?=\{)", lambda dollars: dollars[0] * 2, text)
    return re.sub(r"\r\n|[\n\r]", "\n    ", text)
