"""`debian.lock`: which packages a release is made of, to the byte. Written by `freehold software lock`, read by
`freehold:debian`.

TOML, a table for each part and architecture, a line for each package, sorted: a new version is one changed line.
"""

import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

HEAD = "# Written by `freehold software lock`: do not edit it, keep it beside software.cfg.\n"
REQUIRED = "# For: "
"""Begins the line of a requirements file that says which packages it was written for."""
STAMP = ".locked"
"""Written last into the folder that packages become: their digest."""
UNPACKED = "1"
"""How packages are unpacked: another number when that changes, so that no older folder is taken for the same."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class LockError(Exception):
    """A lock cannot be read or made; the message says why."""


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the archive."""

    name: str
    version: str
    architecture: str
    size: int
    sha256: str
    path: str
    """Where it is below a repository's address, the same in every mirror."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Closure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for, and all that this takes."""

    packages: tuple[str, ...]
    locked: tuple[Package, ...]

    def digest(self) -> str:
        """Return the identity of the folder that these packages become."""
        lines = [UNPACKED, *sorted(each.sha256 for each in self.locked)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


Lock = Mapping[str, Mapping[str, Closure]]
"""Closures by part, then by architecture."""


def read(path: Path) -> Lock:
    """Return the content of a lock; raise LockError when it is none, FileNotFoundError when it is not there."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), dict[str, dict[str, Closure]])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise LockError(f"{path.name} is not a lock: {error}.") from None


def text(lock: Lock) -> str:
    """Return a lock as the text of its file."""
    tables = []
    for part, closures in sorted(lock.items()):
        for architecture, closure in sorted(closures.items()):
            tables.append(
                f"\n[{_key(part)}.{_key(architecture)}]\n{_array('packages', map(json.dumps, closure.packages))}"
            )
            tables[-1] += _array("locked", (_line(package) for package in closure.locked))
    return HEAD + "".join(tables)


def no_wheel(output: str) -> str:
    """Return words about the wheel that pip did not find, by what it printed; empty when that is not what is wrong."""
    match = re.search(r"No matching distribution found for (\S+)", output)
    if match is None:
        return ""
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"no index has a wheel of {match[1]} for {python} on {os.uname().machine}. Its name or version may be wrong, or"
        " it may only have sources."
    )


def _array(name: str, items: Iterable[str]) -> str:
    return f"{name} = [\n" + "".join(f"    {item},\n" for item in sorted(items)) + "]\n"


def _line(package: Package) -> str:
    # What JSON says of these plain texts and numbers, TOML says too.
    values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in msgspec.structs.asdict(package).items())
    return f"{{ {values} }}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)
