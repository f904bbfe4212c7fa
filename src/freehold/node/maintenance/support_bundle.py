"""What a node's owner sends to somebody who is to help: facts, states and logs, without any secret.

Nothing is left out by searching for secrets: only what cannot hold one is put in. Parameters, publications, seeds,
files of partitions and the logs of their services stay where they are.
"""

import io
import json
import platform
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freehold import __version__
from freehold.node import settings as node_settings
from freehold.node.isolation import protections
from freehold.node.maintenance import health
from freehold.node.settings import Paths
from freehold.node.state.database import Database
from freehold.node.state.store import Store

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \S+ [A-Z]+ \S+ )(.*)")
_TOLD = ("promise ", "cannot be", "is configured again", "is stopped")
"""Lines with words of releases and services after a colon: those are cut off."""
TAIL = 256 * 1024
"""Bytes of the end of each log."""


def write(root: Path, file: Path) -> list[str]:
    """Write the bundle (tar.gz, readable by its owner only); return the names of what is in it."""
    files = {name: text.encode() for name, text in contents(root).items()}
    with file.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as packed:
        file.chmod(0o600)
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{file.name.partition('.')[0]}/{name}")
            entry.size, entry.mtime = len(data), int(time.time())
            packed.addfile(entry, io.BytesIO(data))
    return sorted(files)


def contents(root: Path) -> dict[str, str]:
    """Return the texts of a bundle, by name."""
    paths, settings = Paths(root), node_settings.load(root)
    store = Store(Database(paths.store, only_look=True))
    files = {
        "about.json": _json(
            agent=__version__,
            system=platform.platform(),
            python=platform.python_version(),
            node=settings.node,
            title=settings.title,
            master=settings.master,
            unprivileged=settings.unprivileged,
            partitions=len(settings.slots),
            limits=msgspec.to_builtins(settings.limits),
            reports_waiting=store.outbox.count(),
        ),
        "doctor.json": msgspec.json.format(msgspec.json.encode(health.findings(root))).decode(),
        "protections.json": _json(**protections.find(settings).holding()),
        "software.json": _json(releases=[msgspec.to_builtins(software) for software in store.software.planned()]),
        "instances.json": _json(
            instances=[
                {
                    "instance": desired.instance,
                    "partition": desired.partition,
                    "release": desired.release,
                    "wanted": desired.wanted,
                    "state": desired.state,
                    "revision": desired.revision,
                    "attempts": desired.attempts,
                    "services": [service.name for service in desired.layout.services],
                    "promises": desired.layout.promises,
                }
                for desired in store.instances.all()
            ]
        ),
        # Messages of promises are the services' own words: only whether they are kept.
        "promises.json": _json(
            promises=[
                {"instance": result.instance, "promise": result.name, "kept": result.kept}
                for result in store.results.all()
            ]
        ),
    }
    for log in (*sorted(paths.run.glob("*.log")), paths.root / "agent.log"):
        if log.is_file() and not log.is_symlink():
            files[f"logs/{log.name}"] = _tail(log)
    return files


def _json(**values: object) -> str:
    return json.dumps(values, indent=2, default=str)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        return "\n".join(_harmless(file.read().decode(errors="replace"))) + "\n"


def _harmless(text: str) -> Iterator[str]:
    """Yield the lines of a log that are ours, without what others said in them."""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            # What follows a line of ours may be anybody's words; of a traceback, places in the code are not.
            if line.startswith("  File "):
                yield line
        elif any(words in match[2] for words in _TOLD):
            yield match[1] + match[2].partition(":")[0]
        else:
            yield line
