"""Makes `dist/freehold-node.pyz`: the agent as one file, for every machine with Python 3.11 and no compiler.

It holds our own Python, and the names of what it needs besides (`freehold.node.software.zipapp` says how that is had).
"""

import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = REPOSITORY / "src"
PACKAGES = ("node", "protocol", "cache", "release", "promises", "recipes", "client")
LEFT_OUT = {
    "completion.py",
    "protocol/patterns.py",
    "recipes/lock.py",
    *(
        f"client/{name}.py"
        for name in (
            "accounts", "audit", "billing", "desk", "events", "history", "logs", "notifications", "sign_ups", "support",
            "suspensions",
        )
    ),
}  # fmt: skip
"""What `freehold node` never imports."""
MOST = 400_000
"""Bytes."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def main(target: Path = REPOSITORY / "dist" / "freehold-node.pyz") -> int:
    """Write the file, the same bytes for the same sources; return 1 when it is too large."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for name, content in sorted(contents().items()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, content)
    target.chmod(0o755)
    size = target.stat().st_size
    print(f"{target}: {size} bytes (at most {MOST})")
    return 1 if size > MOST else 0


def contents() -> dict[str, bytes]:
    """Return what the file holds, by name."""
    package = SOURCES / "freehold"
    paths = list(package.glob("*.py"))
    for name in PACKAGES:
        paths += [path for path in (package / name).rglob("*") if path.is_file() and path.suffix in (".py", ".sql")]
    found = {
        str(path.relative_to(SOURCES)): path.read_bytes()
        for path in paths
        if path.relative_to(package).as_posix() not in LEFT_OUT
    }
    found["__main__.py"] = (package / "node" / "software" / "zipapp.py").read_bytes()
    found["freehold/node/needed.txt"] = "\n".join(needed()).encode()
    ours = importlib.metadata.distribution("freehold")
    folder = f"freehold-{ours.version}.dist-info"
    found[f"{folder}/METADATA"] = f"Metadata-Version: 2.1\nName: freehold\nVersion: {ours.version}\n".encode()
    found[f"{folder}/entry_points.txt"] = (ours.read_text("entry_points.txt") or "").encode()
    return found


def needed() -> list[str]:
    """Return the requirements of the node, as `pyproject.toml` says them."""
    wanted = importlib.metadata.requires("freehold") or []
    plain = [one for one in wanted if "extra ==" not in one]
    of_node = [one.partition(";")[0].strip() for one in wanted if re.search(r"extra == ['\"]node['\"]", one)]
    # Only `freehold completion` needs it, which is left out.
    of_client = [one for one in plain if not one.startswith("shtab")]
    return sorted({one.replace(" ", "") for one in (*of_client, *of_node)})


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
