"""What buildout reads of a release's `software.cfg`, without building anything."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from freehold.release.errors import ReleaseError

_READ = """
import json, sys
from importlib.metadata import entry_points
from zc.buildout import UserError
from zc.buildout.buildout import Buildout
profile, elsewhere = sys.argv[1:]
recipes = {f"freehold:{one.name}" for one in entry_points(group="zc.buildout") if one.value.startswith("freehold.")}
try:
    buildout = Buildout(profile, [("buildout", "eggs-directory", elsewhere)], use_user_defaults=False)
    raw = buildout._raw
    # Looked at through buildout, a section has its substitutions done, and its recipe loaded: ours are here.
    ours = [name for name in raw if raw[name].get("recipe") in recipes]
    sections = {name: dict(buildout[name] if name in ours else raw[name]) for name in raw}
    print("PROFILE", json.dumps({"parts": raw["buildout"].get("parts", "").split(), "sections": sections}))
except UserError as error:
    sys.exit(f"{error}")
except UnicodeDecodeError as error:
    from freehold.recipes.run import undecodable
    sys.exit(f"{undecodable(error) or error}")
"""


class Profile(msgspec.Struct, frozen=True):
    """A `software.cfg` with all that it extends."""

    parts: list[str]
    sections: dict[str, dict[str, str]]
    """Options by section; those of our recipes with their substitutions done."""


def read(folder: Path) -> Profile:
    """Return the profile of a release's folder; raise ReleaseError with buildout's words when it cannot be read."""
    path = folder / "software.cfg"
    if not path.exists():
        raise ReleaseError(f"{folder} has no software.cfg; it says how the release is built.")
    # Buildout makes its folder of eggs at once, and a release's folder is no place for it.
    with tempfile.TemporaryDirectory() as elsewhere:
        command = [sys.executable, "-c", _READ, str(path.resolve()), elsewhere]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="backslashreplace", check=False
        )
    for line in done.stdout.splitlines():
        if line.startswith("PROFILE "):
            return msgspec.json.decode(line.removeprefix("PROFILE "), type=Profile)
    output = done.stderr.strip()
    if output.startswith(f"{folder.resolve()}/"):
        raise ReleaseError(output)
    section = re.match(r"\[[^\]]+\]", output)
    raise ReleaseError(f"{place(path, section[0]) if section else path}: {output}")


def place(path: Path, beginning: str) -> str:
    """Return a file with the line that begins so, as far as it stands in this very file: `FILE, line N`."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line.lstrip().startswith(beginning):
            return f"{path}, line {number}"
    return str(path)
