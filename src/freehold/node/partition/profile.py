"""Configuring in SlapOS's way: buildout processes the release's `instance.cfg` in the partition, without network."""

import json
import re
import subprocess
import sys
from pathlib import Path

from freehold.node.partition import layout
from freehold.node.partition.files import write
from freehold.node.partition.order import Order
from freehold.release import ReleaseError

BUILDOUT_TIMEOUT = 300
_OPTION = re.compile(r"[A-Za-z0-9_.-]+")


def run(order: Order, folder: Path, release: Path) -> None:
    """Process the profile; raise ReleaseError with buildout's last words."""
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
