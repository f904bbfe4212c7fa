"""The agent as one file: what `freehold-node.pyz` does when it is run, by the standard library alone.

It unpacks itself, once for each version, into a folder of its own with an environment for Python, in which what it
needs besides (msgspec, buildout, cryptography …) is taken from the Python that runs it, or else from an index by pip.
Then it becomes `freehold node …`. Partitions see that folder and read from it; a zip file they could not.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from freehold import durable

NEEDED = ("msgspec", "zc.buildout", "cryptography", "jinja2", "http_message_signatures")
"""The modules that must be there; `freehold/node/needed.txt` in the file names their packages."""
STAMP = ".complete"


def home() -> Path:
    """Return where versions of the agent live on this machine."""
    if named := os.environ.get("FREEHOLD_AGENTS"):
        return Path(named)
    return (
        Path("/opt/freehold/agents") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "freehold" / "agents"
    )


def unpack(file: Path) -> Path:
    """Return the folder of the version in a file, made unless it is there, with its environment."""
    name = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    folder = home() / name
    if (folder / STAMP).exists():
        return folder
    home().mkdir(parents=True, exist_ok=True)
    lock = os.open(home(), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (folder / STAMP).exists():
        shutil.rmtree(folder, ignore_errors=True)
        old = os.umask(0o022)
        with zipfile.ZipFile(file) as packed:
            packed.extractall(folder / "code")
        # A copy to go on with, when the file that was downloaded is gone.
        shutil.copyfile(file, folder / "freehold-node.pyz")
        _make_environment(folder)
        # A power cut may not leave a version that counts and lacks what was not written yet.
        durable.sync_all(folder)
        durable.replace(folder / STAMP, b"", 0o644)
        os.umask(old)
    os.close(lock)
    return folder


def _make_environment(folder: Path) -> None:
    present = all(_is_there(module) for module in NEEDED)
    venv.create(folder / "python", with_pip=not present, symlinks=True)
    python = folder / "python" / "bin" / "python"
    (site,) = (folder / "python" / "lib").glob("python3*/site-packages")
    paths = [str(folder / "code")]
    if present:
        paths += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    else:
        needed = (folder / "code" / "freehold" / "node" / "needed.txt").read_text().split()
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed]
        if subprocess.run(command, check=False).returncode:
            sys.exit("freehold-node: what the agent needs besides itself cannot be had; see pip's words above.")
    (site / "freehold.pth").write_text("\n".join(paths) + "\n")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def main() -> None:
    """Become `freehold node …` of the version in the file that runs."""
    folder = unpack(Path(sys.argv[0]).resolve())
    python = str(folder / "python" / "bin" / "python")
    os.execv(python, [python, "-m", "freehold.cli", "node", *sys.argv[1:]])


if __name__ == "__main__":
    main()
