"""Building a release: its archive, unpacked, and buildout run on its `software.cfg` in a child process.

A build is done in its final folder, because buildout writes absolute paths; only the file `.complete`, written
last, makes it count. What a former build left (files, processes) is cleared away first. Before anything is built, it
is looked for in the cache (decision 0017).
"""

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from freehold import durable
from freehold.failpoints import failpoint
from freehold.node.errors import BuildError
from freehold.node.host import trees
from freehold.node.isolation import processes
from freehold.node.settings import Paths, Settings
from freehold.node.software import confined, integrity, store
from freehold.node.software.integrity import MARK as COMPLETE
from freehold.node.upstream import Upstream
from freehold.protocol import archive

TIMEOUT = 3600.0
_END_SECONDS = 10.0
SPARED, LEAST_SPARED = 0.05, 512 * 1024 * 1024
"""What a build leaves of the disk to services and to the agent: a twentieth, or so many bytes if that is less."""
TAIL = 30
"""Lines of the log that a failure shows."""
MOST_TAIL = 64 * 1024
MOST_LOG = 16 * 1024 * 1024
"""Bytes of what a program of a build prints that are kept."""
READ_OUT = 2.0
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


def build(paths: Paths, settings: Settings, link: Upstream, release: str, timeout: float = TIMEOUT) -> None:
    """Build a release unless it is there; raise BuildError with the end of the log.

    The archive is kept, so that a release can be built again when the Master is away.
    """
    if is_built(paths, release):
        return
    folder = paths.software / release
    log = paths.software / f"{release}.log"
    _end(settings, folder)
    if folder.exists():
        _save_packages(folder / "downloads" / DEBS, _downloads(paths, release) / DEBS)
        trees.remove(folder)
    _check_room(paths.software)
    failpoint("build-begins")
    try:
        if not _take(paths, folder, log, timeout):
            _make(paths, settings, link, folder, log, timeout)
    except (BuildError, OSError):
        if _is_full(paths.software):
            # Nobody can even note that it failed while what it wrote is there.
            _end(settings, folder)
            trees.remove(folder)
            raise BuildError(f"It filled the node's disk, and what it wrote is removed.\n{_tail(log)}") from None
        raise


def _make(paths: Paths, settings: Settings, link: Upstream, folder: Path, log: Path, timeout: float) -> None:
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
    saved_downloads = _downloads(paths, release)
    if saved_downloads.exists():
        saved_downloads.rename(downloads)
    _prepare_packages(paths, folder, log, timeout)
    own = (home, folder / "tmp", folder / "parts", *(downloads / name for name in ("", "dist", "extends")))
    for path in own:
        path.mkdir(exist_ok=True)
    (folder / "buildout.cfg").write_text(_profile(folder))
    if (uid := confined.user(folder)) is not None:
        for path in (folder, *own[:3], *_below(downloads)):
            os.lchown(path, uid, uid)
    _run(paths, settings, folder, log, timeout)
    failpoint("build-ran")
    # Whatever the build started has ended, and nothing of its user is left: from here on nobody changes what we read.
    _take_back(folder)
    for path in own[:2]:
        trees.remove(path)
    _compare(packed, folder)
    _keep_plain(downloads)
    failpoint("build-ours")
    downloads.rename(saved_downloads)
    failpoint("build-not-sealed")
    with log.open("ab") as file:
        status = _spawn(_program("integrity", "seal", str(folder)), folder, file, timeout)
    if status != 0 and not is_built(paths, release):
        raise BuildError(f"The build cannot be sealed.\n{_tail(log)}")


def last_lines(paths: Paths, release: str) -> str:
    """Return the end of the log of a build, also while it runs; nothing before it has one."""
    log = paths.software / f"{release}.log"
    return _tail(log) if log.exists() else ""


def remove(paths: Paths, settings: Settings, release: str) -> None:
    """Forget a release: its build, its log, its archive."""
    folder = paths.software / release
    _end(settings, folder)
    (folder / COMPLETE).unlink(missing_ok=True)
    failpoint("release-half-removed")
    for path in (folder, _downloads(paths, release)):
        trees.remove(path)
    for path in (paths.software / f"{release}.log", paths.cache / f"{release}.tar.gz"):
        path.unlink(missing_ok=True)
    store.prune(paths.root)


def share(paths: Paths, releases: list[str], timeout: float = TIMEOUT) -> str:
    """Keep what builds took from elsewhere, and give the Master what it wants of them; return what went wrong."""
    return _ask("publish", str(paths.root), *releases, timeout=timeout)[1] if releases else ""


def damaged(paths: Paths, release: str, timeout: float = TIMEOUT) -> list[str]:
    """Return what of a finished build is no longer as it was built; it takes as long as reading it."""
    return _ask("integrity", "check", str(paths.software / release), timeout=timeout)[0].splitlines()


def discard(paths: Paths, release: str, wrong: list[str]) -> None:
    """Have a damaged build count no longer, nor anything that shares its damaged files."""
    folder = paths.software / release
    inodes = {status.st_ino for path in wrong if (status := _found(integrity.path_of(folder, path))) is not None}
    (folder / COMPLETE).unlink(missing_ok=True)
    store.forget(paths.root, inodes)


def interrupt(paths: Paths, settings: Settings, release: str) -> None:
    """End the build of a release, if one runs: it then fails."""
    _end(settings, paths.software / release)


def _end(settings: Settings, folder: Path) -> None:
    """End all that the build of a release started; raise BuildError when something of it is left on this machine."""
    left = confined.end(settings, folder)
    if confined.user(folder) is None:
        _kill_marked(str(folder))
    if left:
        raise BuildError(f"What a build left on this machine is still there: {', '.join(left[:5])}.")


def _kill_marked(mark: str) -> None:
    """End what has the mark of a build, or raise BuildError: without root nothing else is known of its processes."""
    left = processes.end(
        lambda: [pid for pid, value in processes.with_variable(MARK) if value == mark and pid != os.getpid()],
        _END_SECONDS,
    )
    if left:
        raise BuildError(f"{len(left)} processes of a build do not end, for example {left[0]}.")


def _take(paths: Paths, folder: Path, log: Path, timeout: float) -> bool:
    """Return whether the build was taken from a cache, whole."""
    with log.open("wb") as file:
        if not paths.settings.exists():
            return False
        return _spawn(_program("fetch", str(paths.root), folder.name), paths.software, file, timeout) == 0


def _downloads(paths: Paths, release: str) -> Path:
    """Return where `take` puts what a build needs, and `share` finds what it took from elsewhere."""
    return paths.software / f"{release}.downloads"


def _save_packages(debs: Path, packages: Path) -> None:
    """Save the packages that a build downloaded which failed: they are looked at by their hash when they are used."""
    if not debs.is_dir() or debs.is_symlink():
        return
    packages.mkdir(parents=True, exist_ok=True)
    # Into a folder that is ours: in the other the builder could put links.
    for entry in os.scandir(debs):
        if entry.is_file(follow_symlinks=False):
            os.replace(entry.path, packages / entry.name)


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
    names = ((parent, [*folders, *files]) for parent, folders, files in os.walk(folder))
    return [folder, *(Path(parent, name) for parent, names in names for name in names)]


def _archive(paths: Paths, link: Upstream, release: str) -> bytes:
    packed = paths.cache / f"{release}.tar.gz"
    if packed.exists():
        content = packed.read_bytes()
        if archive.digest(content) == release:
            return content
    _, content, _ = link.call("GET", f"/node/v1/releases/{release}", timeout=300)
    if archive.digest(content) != release:
        raise BuildError("The Master sent an archive that is not this release (its hash differs).")
    durable.replace(packed, content, 0o600)
    return content


def _profile(folder: Path) -> str:
    return (
        f"[buildout]\nextends = {folder}/release/software.cfg\ndirectory = {folder}\n"
        f"download-cache = {folder}/downloads\nextends-cache = {folder}/downloads/extends\n"
        f"eggs-directory = {folder}/eggs\ndevelop-eggs-directory = {folder}/develop-eggs\n"
        "allow-picked-versions = true\n"
    )


def _prepare_packages(paths: Paths, folder: Path, log: Path, timeout: float) -> None:
    """Have what is locked put in its place, as far as it can be; what is missing the build does, or explains.

    The folder is still ours alone: what runs here may have root's rights, and nobody may lead it astray.
    """
    with log.open("ab") as file:
        if not any((folder / "release").glob("*.lock")):
            return
        uid = confined.user(folder)
        builder = [] if uid is None else [str(uid)]
        _spawn(_program("packages", str(paths.root), str(folder), *builder), folder, file, timeout)


def _run(paths: Paths, settings: Settings, folder: Path, log: Path, timeout: float) -> None:
    program = [sys.executable, "-P", "-m", "freehold.recipes.run", f"{folder}/buildout.cfg"]
    etc = paths.run / "etc" / f"build-{folder.name[:16]}"
    try:
        with log.open("ab") as file:
            status = _spawn(confined.command(settings, folder, etc, program), folder, file, timeout)
    finally:
        _end(settings, folder)
        trees.remove(etc)
    if status != 0:
        why = f"It did not end within {timeout:g} s." if status is None else f"buildout ended with status {status}."
        raise BuildError(f"{why}\n{_tail(log)}")


def _spawn(command: list[str], folder: Path, log: IO[bytes], timeout: float) -> int | None:
    """Run a program of a build with all that it starts; return its status, None when it took too long.

    What it prints comes through a pipe: a file of ours it could empty, or make as large as it likes.
    """
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
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o022,
    )
    reader = threading.Thread(target=_copy, args=(child.stdout, log), name="build-log", daemon=True)
    reader.start()
    try:
        return _wait(child, folder, timeout)
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        # Whatever still holds the other end is ended right after this; what it says then is not waited for.
        reader.join(READ_OUT)


def _copy(source: IO[bytes], log: IO[bytes]) -> None:
    """Copy what a build prints into its log, up to a bound; the rest is read and forgotten."""
    left = MOST_LOG
    with source:
        while chunk := os.read(source.fileno(), 65536):
            try:
                if left > 0:
                    os.write(log.fileno(), chunk[:left])
                    left -= len(chunk)
                    if left <= 0:
                        os.write(log.fileno(), b"\n(The log is as long as it may be; the rest is not kept.)\n")
            except OSError:
                # The disk is full, or the log is closed: nobody waits for these words any more.
                left = 0


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
    os.chown(folder, 0, 0, follow_symlinks=False)

    def see(descriptor: int, entry: "os.DirEntry[str]") -> bool:
        os.chown(entry.name, 0, 0, dir_fd=descriptor, follow_symlinks=False)
        return True

    trees.visit(folder, see)


def _compare(packed: bytes, folder: Path) -> None:
    """Raise BuildError when what is about to be sealed as a release's own files is not what its author sent."""
    genuine = folder / ".genuine"
    archive.unpack(packed, genuine)
    try:
        theirs, ours = _contents(genuine), _contents(folder / "release")
    finally:
        trees.remove(genuine)
    changed = sorted(name for name in theirs if ours.get(name) != theirs[name])
    if os.geteuid() == 0:
        changed += sorted(set(ours) - set(theirs))
    if changed:
        raise BuildError(f"The build changed the release's own files: {', '.join(changed[:10])}.")


def _contents(folder: Path) -> dict[str, str]:
    """Return what a folder holds: by path, the hash of each file, and of everything else its kind."""
    digests = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            is_file = stat.S_ISREG(mode)
            with path.open("rb") if is_file else contextlib.nullcontext() as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest() if file else f"kind {stat.S_IFMT(mode):o}"
            digests[str(path.relative_to(folder))] = f"{digest} {bool(mode & 0o100)}" if is_file else digest
    return digests


def _keep_plain(downloads: Path) -> None:
    """Remove what is neither a file of its own nor a folder: a link would lead who shares downloads elsewhere."""

    def see(descriptor: int, entry: "os.DirEntry[str]") -> bool:
        status = entry.stat(follow_symlinks=False)
        if not (stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)):
            os.unlink(entry.name, dir_fd=descriptor)
        return True

    if downloads.is_symlink() or not downloads.is_dir():
        raise BuildError("The build replaced its folder of downloads by something else.")
    trees.visit(downloads, see)
