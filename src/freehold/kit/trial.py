"""`freehold software try`: a release as it is in its folder, running as a service of one's own, within seconds.

Each content is published as a version of its own, `VERSION+try.HASH`, and supplied to the nodes of the project for that
project alone: nobody else's order gets it. A former trial is taken off the nodes when the service has left it.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.client import Client, NotReady, Refused
from freehold.client.messages import Instance, Supply
from freehold.kit import KitError
from freehold.protocol import archive
from freehold.protocol.descriptor import DESCRIPTOR, Descriptor
from freehold.release import folder as release_folder

MARK = "+try."
"""What is between a release's version and the hash of its content, in the version of a trial."""
FORMER = "+former"
"""After the version of what is upgraded in a test."""
LOOK_PERIOD = 0.3
"""Seconds between two looks at a folder that is watched."""
_LAST_LINES = 20


@dataclass(frozen=True)
class Trial:
    """What is tried: a packed release of a version that only this content has."""

    product: str
    version: str
    packed: bytes


def pack(folder: Path) -> Trial:
    """Return a release's folder as a trial, its descriptor and schemas as `instance.py` says today.

    Nothing in the folder changes. Raise ReleaseError for what is no release.
    """

    def version(described: Descriptor, copy: Path) -> str:
        return f"{described.version}{MARK}{hashlib.sha256(archive.pack(copy)).hexdigest()[:12]}"

    return _pack(folder, version)


def pack_former(folder: Path) -> Trial:
    """Return a release's folder as if it were its former version: `VERSION+former`, with the content of today."""
    return _pack(folder, lambda described, copy: f"{described.version}{FORMER}")


def _pack(folder: Path, version_of: Callable[[Descriptor, Path], str]) -> Trial:
    with tempfile.TemporaryDirectory(prefix="freehold-try-") as place:
        copy = Path(place) / "release"
        shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        if (copy / "instance.py").exists():
            for name, text in release_folder.generate(release_folder.load(copy)).items():
                (copy / name).write_text(text)
        described = release_folder.descriptor(copy)
        version = version_of(described, copy)
        path = copy / DESCRIPTOR
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}, indent=2))
        return Trial(described.name, version, archive.pack(copy))


def run(client: Client, trial: Trial, title: str, *, seconds: float, say: Callable[[str], None], **spec: Any) -> bool:
    """Have a service run a trial, ordering it or changing it; return whether it is ready within so many seconds.

    `say` is given what happens, line by line. Raise KitError for what cannot be built, ClientError for what the Master
    refuses.
    """
    began = time.monotonic()
    client.publish(trial.packed)
    client.supply(trial.product, release=trial.version, everyone=False)
    client.request(title, product=trial.product, release=trial.version, partial=True, **spec)
    try:
        instance = client.wait(title, seconds=seconds, watch=lambda now: _check_build(client, trial))
    except NotReady as error:
        say(str(error))
        for line in _last_lines(client, title):
            say(line)
        return False
    say(f"'{title}' runs {trial.product} {trial.version} after {time.monotonic() - began:.1f} s.")
    for name, value in instance.publication.items():
        say(f"  {name} = {value}")
    _take_former_off(client, trial, instance)
    return True


def changes(folder: Path) -> Iterator[None]:
    """Yield each time when something in a folder has changed since this was called, and rests."""
    return _changes(folder, _marks(folder))


def _changes(folder: Path, seen: dict[str, tuple[int, int]]) -> Iterator[None]:
    while True:
        time.sleep(LOOK_PERIOD)
        now = _marks(folder)
        if now != seen:
            # An editor writes in several steps.
            while now != seen:
                seen = now
                time.sleep(LOOK_PERIOD)
                now = _marks(folder)
            yield


def _check_build(client: Client, trial: Trial) -> None:
    supplies = [supply for supply in _supplied(client, trial) if supply.release == trial.version]
    failed = [supply for supply in supplies if supply.observed == "failed"]
    if failed and len(failed) == len(supplies):
        raise KitError(f"It cannot be built on '{failed[0].node}':\n{failed[0].message}")


def _last_lines(client: Client, title: str) -> Iterator[str]:
    process = ""
    for part in client.log_parts(title, client.open_log(title, lines=_LAST_LINES)):
        for piece in part.pieces:
            if piece.process != process:
                process = piece.process
                yield f"==> {process} <=="
            yield from piece.text.splitlines()


def _take_former_off(client: Client, trial: Trial, instance: Instance) -> None:
    for supply in _supplied(client, trial):
        if MARK in supply.release and supply.release != instance.release:
            try:
                client.supply(supply.product, release=supply.release, nodes=[supply.node], wanted="removed")
            except Refused:
                # Another service of ours is tried with it.
                continue


def _supplied(client: Client, trial: Trial) -> list[Supply]:
    """Return where releases of the product that is tried are to be."""
    return [supply for supply in client.supplies() if supply.product == trial.product and supply.wanted == "available"]


def _marks(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what tells a content from another: of each file that a release has, its size and when it was written."""
    marks = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts):
            status = path.stat()
            marks[str(path)] = (status.st_size, status.st_mtime_ns)
    return marks
