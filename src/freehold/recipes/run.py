"""Running buildout: `python -m freehold.recipes.run` takes what `buildout` takes.

Buildout hashes the folders of a recipe's distributions to know whether the recipe is still the same, and ours stands
in a folder with a thousand other modules: most of a second. What is installed there says as much.
"""

import hashlib
import sys
from importlib.metadata import distributions
from pathlib import Path

from zc.buildout import buildout


def main(arguments: list[str]) -> None:
    """Run buildout; it ends with SystemExit when something is wrong, having printed what."""
    for own in {dist.location for dist in buildout.pkg_resources.working_set if dist.key == "freehold"}:
        buildout._dir_hashes.setdefault(own, _installed(own))
    buildout.main(arguments)


def _installed(folder: str) -> str:
    """Return a hash of what is installed in a folder; of Freehold itself, when it is edited there, every file's."""
    found = sorted(f"{one.name} {one.version}" for one in distributions(path=[folder]))
    recipes = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256("\n".join(found).encode() + b"".join(recipes)).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1:])
