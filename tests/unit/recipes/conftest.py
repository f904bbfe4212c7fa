"""A release's folder, its lock, and a node's folder to build it in, by the user that a node builds as."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.software import build
from freehold.protocol import archive
from freehold.recipes import apt, lock, locked

NOBODY = 65534
BUILDER = NOBODY if os.geteuid() == 0 else None
AS_BUILDER = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"] if BUILDER else []

PROFILE = """\
[buildout]
parts = tools

[tools]
recipe = freehold:debian
packages = jq hello
programs = usr/bin/jq usr/bin/hello
"""
DATABASE = """\
[database]
recipe = freehold:debian
packages = postgresql-15
programs = usr/lib/postgresql/15/bin/initdb usr/lib/postgresql/15/bin/pg_ctl usr/lib/postgresql/15/bin/psql
"""
PYTHON = """\
[python]
recipe = freehold:wheel
packages = tabulate
programs = tabulate
interpreter = python
"""


SETTINGS = Settings(f"bench{os.getpid()}", os.geteuid() != 0)


@dataclass
class Bench:
    """Where releases are written and built."""

    root: Path
    locks: Path
    environment: dict[str, str] = field(default_factory=dict)

    def release(self, name: str, profile: str) -> Path:
        """Write a release with what the session locked for its parts beside it."""
        folder = self.root / name
        folder.mkdir()
        (folder / "software.cfg").write_text(profile)
        shutil.copy(self.locks / "requirements.txt", folder)
        known = locked.read(self.locks / "debian.lock")
        parts = {part: closures for part, closures in known.items() if f"[{part}]" in profile}
        (folder / "debian.lock").write_text(locked.text(parts))
        return folder

    def node(self, folder: Path) -> Path:
        """Build a release as a node does; return its folder of software."""
        paths = Paths(self.root / "node")
        for each in (paths.root, paths.software, paths.cache):
            each.mkdir(exist_ok=True)
            each.chmod(0o711)
        packed = archive.pack(folder)
        name = archive.digest(packed)
        (paths.cache / f"{name}.tar.gz").write_bytes(packed)
        build.build(paths, SETTINGS, Link("https://127.0.0.1:1", folder / "none.pem"), name)
        return paths.software / name

    @property
    def shared(self) -> list[Path]:
        """What the node's releases share: a folder for each package."""
        return sorted((self.root / "node" / "packages").glob("*"))

    def forget(self, software: Path) -> None:
        """Remove a release from the node."""
        build.remove(Paths(self.root / "node"), SETTINGS, software.name)

    @contextmanager
    def private_folder(self) -> Iterator[Path]:
        """A folder that the builder's user can write; its name is short enough for a socket."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix="d") as name:
            if BUILDER is not None:
                os.chown(name, BUILDER, BUILDER)
            yield Path(name)

    def start(self, folder: Path) -> "subprocess.Popen[str]":
        """Start buildout in a release's own folder, as its author does, with a download cache."""
        settings = "[buildout]\nextends = software.cfg\ndownload-cache = ../cache\n"
        (folder / "buildout.cfg").write_text(settings)
        (self.root / "cache").mkdir(exist_ok=True)
        if BUILDER is not None:
            for each in (folder, self.root / "cache"):
                os.chown(each, BUILDER, BUILDER)
        return subprocess.Popen(
            [*AS_BUILDER, sys.executable, "-m", "freehold.recipes.run", "buildout.cfg"],
            cwd=folder,
            env=dict(os.environ) | {"HOME": str(folder)} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def author(self, folder: Path) -> str:
        """Run buildout to its end; return what it said, which must not be a traceback."""
        said, _ = self.start(folder).communicate(timeout=120)
        assert "Traceback" not in said, said
        return said

    def warm(self) -> list[Path]:
        """Fill the download cache with the tools' packages, without waiting for them again; return the files."""
        shutil.copytree(self.locks / "cache", self.root / "cache")
        if BUILDER is not None:
            for path in [self.root / "cache", *(self.root / "cache").rglob("*")]:
                os.chown(path, BUILDER, BUILDER)
        return sorted((self.root / "cache" / "debian").iterdir())

    def unplug(self) -> None:
        """Make downloads impossible from now on."""
        self.environment |= {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
        self.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}


@pytest.fixture(scope="session")
def locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose locks were written today."""
    folder = tmp_path_factory.mktemp("locked")
    profile = PROFILE.replace("parts = tools", "parts = tools database python") + "\n" + DATABASE + "\n" + PYTHON
    (folder / "software.cfg").write_text(profile)
    for path, text in lock.lock(folder).items():
        path.write_text(text)
    (folder / "cache" / "debian").mkdir(parents=True)
    (tools,) = locked.read(folder / "debian.lock")["tools"].values()
    assert apt.fetch(tools.locked, folder / "cache" / "debian") == {}
    return folder


@pytest.fixture
def bench(locks: Path) -> Iterator[Bench]:
    """A bench that others than its owner can pass through, as the builder must."""
    with tempfile.TemporaryDirectory(prefix="freehold-test-") as name:
        Path(name).chmod(0o755)
        yield Bench(Path(name), locks)
