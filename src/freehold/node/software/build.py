"""Building a release: its archive, unpacked, and buildout run on its `software.cfg` in a child process.

A build is done in its final folder, because buildout writes absolute paths; only the file `.complete`, written
last, makes it count. What a former build left (files, processes) is cleared away first. Before anything is built, it
is looked for in the cache (decision 0017).
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from freehold.failpoints import failpoint
from freehold.node.errors import BuildError
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings, write_durably
from freehold.node.software import store
from freehold.node.software.whole import MARK as COMPLETE
from freehold.protocol import archive

TIMEOUT = 3600.0
SPARED, LEAST_SPARED = 0.05, 512 * 1024 * 1024
"""What a build leaves of the disk to services and to the agent: a twentieth, or so many bytes if that is less."""
TAIL = 30
"""Lines of the log that a failure shows."""
MOST_TAIL = 64 * 1024
DEBS = "debian"
"""Debian packages among what was downloaded, each named by its SHA-256, as `freehold:debian` has them."""
MARK = "FREEHOLD_BUILD"
PASSED = (
    "FREEHOLD_FAILPOINTS",
    "PIP_",
    "UV_",
    "SSL_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
"""Variables of the agent that tell how this machine reaches package indexes."""


def is_built(paths: Paths, release: str) -> bool:
    """Return whether a release is there, whole."""
    return (paths.software / release / COMPLETE).exists()


def build(paths: Paths, settings: Settings, link: Link, release: str, timeout: float = TIMEOUT) -> None:
    """Build a release unless it is there; raise BuildError with the end of the log.

    The archive is kept, so that a release can be built again when the Master is away.
    """
    if is_built(paths, release):
        return
    folder = paths.software / release
    log = paths.software / f"{release}.log"
    kill_marked(str(folder))
    if folder.exists():
        _save_packages(folder / "downloads" / DEBS, _downloads(paths, release) / DEBS)
        shutil.rmtree(folder)
    _check_room(paths.software)
    failpoint("build-begins")
    try:
        if not _take(paths, folder, log, timeout):
            _make(paths, settings, link, folder, log, timeout)
    except (BuildError, OSError):
        if _is_full(paths.software):
            # Nobody can even note that it failed while what it wrote is there.
            kill_marked(str(folder))
            shutil.rmtree(folder, ignore_errors=True)
            raise BuildError(f"It filled the node's disk, and what it wrote is removed.\n{_tail(log)}") from None
        raise


def _make(paths: Paths, settings: Settings, link: Link, folder: Path, log: Path, timeout: float) -> None:
    release = folder.name
    packed = _archive(paths, link, release)
    try:
        archive.unpack(packed, folder / "release")
    except archive.ArchiveError as error:
        raise BuildError(f"The release's archive is not usable: {error}") from None
    # Read by every partition, written by none: the release's own files belong to us, not to the builder.
    for path in (folder, folder / "release"):
        path.chmod(0o755)
    if not (folder / "release" / "software.cfg").exists():
        raise BuildError("The release has no software.cfg.")
    failpoint("build-unpacked")
    home, downloads = folder / "home", folder / "downloads"
    kept = _downloads(paths, release)
    if kept.exists():
        kept.rename(downloads)
    _prepare_packages(paths, settings, folder, log, timeout)
    for path in (home, folder / "parts", *(downloads / name for name in ("", "dist", "extends"))):
        path.mkdir(exist_ok=True)
    (folder / "buildout.cfg").write_text(_profile(folder))
    if settings.builder_uid is not None and settings.builder_gid is not None:
        for path in (folder, home, folder / "parts", *_below(downloads)):
            os.lchown(path, settings.builder_uid, settings.builder_gid)
    _run(settings, folder, log, timeout)
    failpoint("build-ran")
    shutil.rmtree(home)
    _take_back(folder)
    failpoint("build-ours")
    downloads.rename(kept)
    failpoint("build-not-sealed")
    with log.open("ab") as file:
        status = _spawn(_program("whole", "seal", str(folder)), folder, file, timeout)
    if status != 0 and not is_built(paths, release):
        raise BuildError(f"The build cannot be sealed.\n{_tail(log)}")


def last_lines(paths: Paths, release: str) -> str:
    """Return the end of the log of a build, also while it runs; nothing before it has one."""
    log = paths.software / f"{release}.log"
    return _tail(log) if log.exists() else ""


def remove(paths: Paths, release: str) -> None:
    """Forget a release: its build, its log, its archive."""
    folder = paths.software / release
    kill_marked(str(folder))
    (folder / COMPLETE).unlink(missing_ok=True)
    failpoint("release-half-removed")
    for path in (folder, _downloads(paths, release)):
        if path.exists():
            shutil.rmtree(path)
    for path in (paths.software / f"{release}.log", paths.cache / f"{release}.tar.gz"):
        path.unlink(missing_ok=True)
    store.prune(paths.root)


def share(paths: Paths, releases: list[str], timeout: float = TIMEOUT) -> str:
    """Keep what builds took from elsewhere, and give the Master what it wants of them; return what went wrong."""
    return _ask("share", str(paths.root), *releases, timeout=timeout)[1] if releases else ""


def damaged(paths: Paths, release: str, timeout: float = TIMEOUT) -> list[str]:
    """Return what of a finished build is no longer as it was built; it takes as long as reading it."""
    return _ask("whole", "check", str(paths.software / release), timeout=timeout)[0].splitlines()


def discard(paths: Paths, release: str, wrong: list[str]) -> None:
    """Have a damaged build count no longer, nor anything that shares its damaged files."""
    folder = paths.software / release
    inodes = {found.st_ino for path in wrong if (found := _found(folder / path)) is not None}
    (folder / COMPLETE).unlink(missing_ok=True)
    store.forget(paths.root, inodes)


def interrupt(paths: Paths, release: str) -> None:
    """End the build of a release, if one runs: it then fails."""
    kill_marked(str(paths.software / release))


def kill_marked(mark: str) -> None:
    """Kill what is left of a build whose agent was killed."""
    needle = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if needle in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue


def _take(paths: Paths, folder: Path, log: Path, timeout: float) -> bool:
    """Return whether the build was taken from a cache, whole."""
    with log.open("wb") as file:
        if not paths.settings.exists():
            return False
        return _spawn(_program("take", str(paths.root), folder.name), paths.software, file, timeout) == 0


def _downloads(paths: Paths, release: str) -> Path:
    """Return where `take` puts what a build needs, and `share` finds what it took from elsewhere."""
    return paths.software / f"{release}.downloads"


def _save_packages(debs: Path, kept: Path) -> None:
    """Save the packages that a build downloaded which failed: they are looked at by their hash when they are used."""
    if not debs.is_dir() or debs.is_symlink():
        return
    kept.mkdir(parents=True, exist_ok=True)
    # Into a folder that is ours: in the other the builder could put links.
    for one in os.scandir(debs):
        if one.is_file(follow_symlinks=False):
            os.replace(one.path, kept / one.name)


def _program(name: str, *arguments: str) -> list[str]:
    # Isolated: no folder of the builder's is searched for modules.
    return [sys.executable, "-I", "-m", f"freehold.node.software.{name}", *arguments]


def _ask(name: str, *arguments: str, timeout: float) -> tuple[str, str]:
    """Run one of our programs when nothing else needs the machine; return what it prints and what went wrong."""
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *_program(name, *arguments)], capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return "", f"It did not end within {timeout:g} s."
    last = done.stderr.strip().rpartition("\n")[2] or f"It ended with status {done.returncode}."
    return done.stdout, "" if done.returncode == 0 else last


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _below(folder: Path) -> list[Path]:
    found = ((parent, [*folders, *files]) for parent, folders, files in os.walk(folder))
    return [folder, *(Path(parent, name) for parent, names in found for name in names)]


def _archive(paths: Paths, link: Link, release: str) -> bytes:
    kept = paths.cache / f"{release}.tar.gz"
    if kept.exists():
        content = kept.read_bytes()
        if archive.digest(content) == release:
            return content
    _, content, _ = link.call("GET", f"/node/v1/releases/{release}", timeout=300)
    if archive.digest(content) != release:
        raise BuildError("The Master sent an archive that is not this release (its hash differs).")
    write_durably(kept, content, 0o600)
    return content


def _profile(folder: Path) -> str:
    return (
        f"[buildout]\nextends = {folder}/release/software.cfg\ndirectory = {folder}\n"
        f"download-cache = {folder}/downloads\nextends-cache = {folder}/downloads/extends\n"
        f"eggs-directory = {folder}/eggs\ndevelop-eggs-directory = {folder}/develop-eggs\n"
        "allow-picked-versions = true\n"
    )


def _prepare_packages(paths: Paths, settings: Settings, folder: Path, log: Path, timeout: float) -> None:
    """Have what is locked put in its place, as far as it can be; what is missing the build does, or explains.

    The folder is still ours alone: what runs here may have root's rights, and nobody may lead it astray.
    """
    with log.open("ab") as file:
        if not any((folder / "release").glob("*.lock")):
            return
        builder = [] if settings.builder_uid is None else [str(settings.builder_uid)]
        _spawn(_program("packages", str(paths.root), str(folder), *builder), folder, file, timeout)


def _run(settings: Settings, folder: Path, log: Path, timeout: float) -> None:
    command = [sys.executable, "-P", "-m", "freehold.recipes.run", f"{folder}/buildout.cfg"]
    with log.open("ab") as file:
        status = _spawn(command, folder, file, timeout, uid=settings.builder_uid, gid=settings.builder_gid)
    kill_marked(str(folder))
    if status != 0:
        why = f"It did not end within {timeout:g} s." if status is None else f"buildout ended with status {status}."
        raise BuildError(f"{why}\n{_tail(log)}")


def _spawn(
    command: list[str],
    folder: Path,
    log: IO[bytes],
    timeout: float,
    *,
    uid: int | None = None,
    gid: int | None = None,
) -> int | None:
    """Run a program of a build with all that it starts; return its status, None when it took too long."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    environment |= {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        MARK: str(folder),
    }
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o022,
        user=uid,
        group=gid,
        extra_groups=[] if gid is not None else None,
    )
    try:
        return _wait(child, folder, timeout)
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def _wait(child: "subprocess.Popen[bytes]", folder: Path, timeout: float) -> int | None:
    """Return the status of a child, None when it took too long; raise BuildError when it fills the disk."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            return child.wait(min(0.2, max(0.0, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            _check_room(folder)
    return None


def _is_full(folder: Path) -> bool:
    disk = shutil.disk_usage(folder)
    return disk.free < min(SPARED * disk.total, LEAST_SPARED)


def _check_room(folder: Path) -> None:
    """Raise BuildError when the disk is so full that what is left is for services."""
    disk = shutil.disk_usage(folder)
    if _is_full(folder):
        spared = min(SPARED * disk.total, LEAST_SPARED)
        raise BuildError(
            f"The node's disk is almost full: {disk.free // 2**20} MB are free, and {spared / 2**20:.0f} MB are for"
            " services. Make room on it; the build is tried again."
        )


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_TAIL))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-TAIL:])


def _take_back(folder: Path) -> None:
    """Make a finished build ours, so that no later build can change it."""
    if os.geteuid() != 0:
        return
    os.chown(folder, 0, 0)
    for parent, directories, files in os.walk(folder):
        for name in [*directories, *files]:
            os.lchown(os.path.join(parent, name), 0, 0)
