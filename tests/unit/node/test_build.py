"""Building releases, by real runs of buildout: what fails says why, and nothing of it is left."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from freehold.node.errors import BuildError, LinkDown
from freehold.node.isolation import cgroups
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.software import build
from freehold.protocol import archive

SETTINGS = Settings(f"build{os.getpid()}", os.geteuid() != 0)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="it takes root")


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
def paths(tmp_path: Path) -> Iterator[Paths]:
    # Each build has a user of its own, who must be able to pass through the folders above.
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o711)
    paths = Paths(tmp_path / "node")
    for folder in (paths.root, paths.software, paths.cache):
        folder.mkdir()
    yield paths
    cgroups.remove_node(SETTINGS.tag)


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
    build.remove(paths, SETTINGS, name)
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


SECONDS = f"1000.{os.getpid()}"
"""How long what a build leaves sleeps: it is known by that, from outside of its namespaces too."""
SLEEPER = f"""
import subprocess, time
children = [subprocess.Popen(["sleep", "{SECONDS}"]), subprocess.Popen(["sleep", "{SECONDS}"], start_new_session=True)]
time.sleep(1000)
"""
LEAVER = f"""
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 100)
        os.execve("/bin/sleep", ["sleep", "{SECONDS}"], {{}})
    os._exit(0)
print("left", flush=True)
"""
DEVELOP = "[buildout]\nparts =\ndevelop = ${buildout:directory}/release\n"


def sleepers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes() == f"sleep\0{SECONDS}\0".encode():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_build_that_takes_too_long_ends_with_everything_it_started(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=SLEEPER))
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(build.build, paths, SETTINGS, Away(tmp_path), name, 6)
        until(lambda: len(sleepers()) == 2, 6, what="what the build starts")
        with pytest.raises(BuildError, match=r"It did not end within 6 s\."):
            built.result()
    until(lambda: not sleepers())


def test_what_a_build_leaves_ends_with_it_whatever_it_made_of_itself(paths: Paths, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root nothing but a mark that it can lose tells of a build's processes")
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=LEAVER))
    with pytest.raises(BuildError, match="buildout ended"):
        build.build(paths, SETTINGS, Away(tmp_path), name)
    assert "left" in (paths.software / f"{name}.log").read_text()
    assert not sleepers()


@as_root
def test_a_build_sees_no_other_build_and_nothing_of_the_node(paths: Paths, tmp_path: Path) -> None:
    other = keep(paths, release(tmp_path, "[buildout]\nparts =\n"))
    build.build(paths, SETTINGS, Away(tmp_path), other)
    looks = (
        "import os, socket\n"
        f"seen = [sorted(os.listdir({str(paths.software)!r})), os.path.exists({str(paths.cache)!r})]\n"
        "seen += [os.path.exists('/root'), os.path.exists('/etc/shadow')]\n"
        "processes = len([pid for pid in os.listdir('/proc') if pid.isdigit()])\n"
        "try: socket.create_server(('127.0.0.1', 17999)); said = 'LISTENS'\n"
        "except OSError as error: said = type(error).__name__\n"
        "raise SystemExit(f'SEEN {seen} {said} {processes}')\n"
    )
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=looks))
    with pytest.raises(BuildError, match="buildout ended"):
        build.build(paths, SETTINGS, Away(tmp_path), name)
    log = (paths.software / f"{name}.log").read_text()
    seen = next(line.strip() for line in log.splitlines() if "SEEN [" in line)
    assert f"SEEN [['{name}'], False, False, False] PermissionError " in seen
    assert int(seen.rsplit(" ", 1)[1]) < 20, "processes of nobody else"
    assert build.damaged(paths, other) == []


ELSEWHERE = "[egg_info]\negg_base = /tmp\n"
"""A release's own files cannot be written: what setuptools writes beside them goes elsewhere."""
TAMPERER = """
import os, shutil, sys
release = os.environ["FREEHOLD_BUILD"] + "/release"
if os.path.exists(release + ".was"):
    from setuptools import setup
    setup(name="x", version="1")
    sys.exit()
shutil.copytree(release, release + ".other")
with open(release + ".other/instance.py", "a") as file:
    file.write("TAMPERED = True")
os.rename(release, release + ".was")
os.rename(release + ".other", release)
from setuptools import setup
setup(name="x", version="1")
"""


@as_root
def test_what_a_build_made_of_the_authors_files_is_not_sealed(paths: Paths, tmp_path: Path) -> None:
    name = keep(
        paths, release(tmp_path, DEVELOP, setup_py=TAMPERER, setup_cfg=ELSEWHERE, instance_py="GENUINE = True\n")
    )
    with pytest.raises(BuildError, match=r"The build changed the release's own files: instance\.py"):
        build.build(paths, SETTINGS, Away(tmp_path), name)
    assert not build.is_built(paths, name)


LINKER = """
import os
folder = os.environ["FREEHOLD_BUILD"] + "/downloads/dist"
if not os.path.lexists(folder + "/secret"):
    os.symlink("/etc/shadow", folder + "/secret")
open(folder + "/own", "w").write("own")
from setuptools import setup
setup(name="x", version="1")
"""


def test_a_link_among_downloads_leads_nobody_elsewhere(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=LINKER, setup_cfg=ELSEWHERE))
    build.build(paths, SETTINGS, Away(tmp_path), name)
    kept = paths.software / f"{name}.downloads" / "dist"
    assert (kept / "own").read_text() == "own"
    assert not os.path.lexists(kept / "secret")


DEEP = """
import os
os.chdir(os.environ["FREEHOLD_BUILD"])
for _ in range(3000):
    os.mkdir("deeper")
    os.chdir("deeper")
raise SystemExit("deep enough")
"""


def test_a_build_that_dug_deep_is_removed(paths: Paths, tmp_path: Path) -> None:
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=DEEP))
    for _ in range(2):
        with pytest.raises(BuildError, match="deep enough"):
            build.build(paths, SETTINGS, Away(tmp_path), name)
    build.remove(paths, SETTINGS, name)
    assert not (paths.software / name).exists()


def test_a_log_is_bounded_and_stays_the_nodes_own(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_LOG", 100_000)
    floods = "import os\nfor _ in range(5000): os.write(1, b'x' * 99 + b'\\n')\nos.lseek(1, 0, 0)\n"
    name = keep(paths, release(tmp_path, DEVELOP, setup_py=floods))
    with pytest.raises(BuildError, match="the rest is not kept"):
        build.build(paths, SETTINGS, Away(tmp_path), name)
    assert 100_000 <= (paths.software / f"{name}.log").stat().st_size < 101_000


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
