"""Building releases, by real runs of buildout: what fails says why, and nothing of it is left."""

import os
import signal
import time
from pathlib import Path

import pytest

from freehold.kit.waiting import lives, until
from freehold.node.errors import BuildError, LinkDown
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.software import build
from freehold.protocol import archive

SETTINGS = Settings("abcdefgh", True)


class Master:
    """Where archives come from."""

    def __init__(self, content: bytes | None) -> None:
        self.content, self.asked = content, 0

    def call(self, method: str, path: str, *more: object, **options: object) -> tuple[int, bytes, dict[str, str]]:
        self.asked += 1
        if self.content is None:
            raise LinkDown("The Master cannot be reached.")
        return 200, self.content, {}


class Away(Link):
    """A link to a Master that is away: nothing listens there."""

    def __init__(self, folder: Path) -> None:
        super().__init__("https://127.0.0.1:1", folder / "none.pem")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "node")
    for folder in (paths.root, paths.software, paths.cache):
        folder.mkdir()
    return paths


def release(tmp_path: Path, profile: str | None, **files: str) -> bytes:
    folder = tmp_path / "release"
    folder.mkdir(exist_ok=True)
    if profile is not None:
        (folder / "software.cfg").write_text(profile)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return archive.pack(folder)


def keep(paths: Paths, packed: bytes) -> str:
    """Put an archive where a former download left it; return the release."""
    name = archive.digest(packed)
    (paths.cache / f"{name}.tar.gz").write_bytes(packed)
    return name


def test_a_release_is_built_from_the_kept_archive_without_a_master(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, "[buildout]\nparts =\n", README_md="hello"))
    away = Away(tmp_path)
    build.build(paths, SETTINGS, away, name)
    folder = paths.software / name
    assert build.is_built(paths, name)
    assert (folder / "release" / "README.md").read_text() == "hello"
    assert not (folder / "home").exists()
    before = (folder / ".complete").stat().st_mtime_ns
    build.build(paths, SETTINGS, away, name)
    assert (folder / ".complete").stat().st_mtime_ns == before, "what is built is not built again"
    build.remove(paths, name)
    assert (list(paths.software.iterdir()), list(paths.cache.iterdir())) == ([], [])
    with pytest.raises(Exception, match=r"identity cannot be read|cannot be reached"):
        build.build(paths, SETTINGS, away, name)


def test_a_failure_ends_with_the_last_lines_of_the_log(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, "[buildout]\nextends = no-such-file.cfg\n"))
    with pytest.raises(BuildError) as error:
        build.build(paths, SETTINGS, Away(tmp_path), name)
    said = str(error.value)
    log = (paths.software / f"{name}.log").read_text().strip().splitlines()
    assert said.startswith("buildout ended with status 1.\n")
    assert said.splitlines()[-1] == log[-1]
    assert "no-such-file.cfg" in said
    assert len(said.splitlines()) <= build.TAIL + 1
    assert not build.is_built(paths, name)


def test_what_a_former_build_left_is_cleared_away(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, "[buildout]\nparts =\n"))
    (paths.software / name / "parts").mkdir(parents=True)
    (paths.software / name / "parts" / "half").write_text("half")
    build.build(paths, SETTINGS, Away(tmp_path), name)
    assert not (paths.software / name / "parts" / "half").exists()


SLEEPER = """
import os, subprocess, time
children = [subprocess.Popen(["sleep", "1000"]), subprocess.Popen(["sleep", "1000"], start_new_session=True)]
with open({pids!r} + ".new", "w") as file:
    file.write(" ".join(str(pid) for pid in [os.getpid(), *(child.pid for child in children)]))
os.rename({pids!r} + ".new", {pids!r})
time.sleep(1000)
"""


def test_a_build_that_takes_too_long_ends_with_everything_it_started(paths: Paths, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    profile = "[buildout]\nparts =\ndevelop = ${buildout:directory}/release\n"
    name = keep(paths, release(tmp_path, profile, setup_py=SLEEPER.format(pids=str(pids))))
    begun = time.monotonic()
    with pytest.raises(BuildError, match=r"It did not end within 4 s\."):
        build.build(paths, SETTINGS, Away(tmp_path), name, timeout=4)
    assert time.monotonic() - begun < 15
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 3
    try:
        until(lambda: not any(lives(pid) for pid in started), 5)
    finally:
        for pid in started:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


def test_an_archive_that_is_another_release_is_refused(paths: Paths, tmp_path: Path) -> None:
    name, other = archive.digest(b"wanted"), release(tmp_path, "[buildout]\nparts =\n")
    master = Master(other)
    with pytest.raises(BuildError, match="its hash differs"):
        build.build(paths, SETTINGS, master, name)  # type: ignore[arg-type]
    assert list(paths.cache.iterdir()) == [], "it is not kept"


def test_a_damaged_kept_archive_is_fetched_again(paths: Paths, tmp_path: Path) -> None:
    packed = release(tmp_path, "[buildout]\nparts =\n")
    name = keep(paths, packed)
    (paths.cache / f"{name}.tar.gz").write_bytes(packed[:-1])
    master = Master(packed)
    build.build(paths, SETTINGS, master, name)  # type: ignore[arg-type]
    assert build.is_built(paths, name)
    assert (paths.cache / f"{name}.tar.gz").read_bytes() == packed
    assert master.asked == 1


@pytest.mark.parametrize(("packed", "words"), [(b"no archive", "is not usable"), (None, r"has no software\.cfg")])
def test_what_is_no_release_is_refused(packed: bytes | None, words: str, paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, None, README_md="x") if packed is None else packed)
    with pytest.raises(BuildError, match=words):
        build.build(paths, SETTINGS, Away(tmp_path), name)
    assert not build.is_built(paths, name)
