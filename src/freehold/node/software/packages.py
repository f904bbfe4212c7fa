"""The Debian packages of a release, before buildout begins: each unpacked once on a node, and shared by its releases.

Run as a program by `build`; no code of a release takes part. With root, a user that nobody else is downloads,
verifies and unpacks them; then they belong to root, and releases get hard links to files that no builder and no
partition can write. What this cannot do, the release's own build does, and says why not (`freehold:debian`).
See decision 0013.
"""

import concurrent.futures
import ctypes
import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from freehold.failpoints import failpoint
from freehold.node.software import store
from freehold.recipes import apt, locked, root

DEBS = "debian"
"""Where downloads have them, as `freehold:debian` does."""

_NEW = ".new"
_UNPACKER = 2_000_000_000
"""A user in no range that a distribution, systemd or a container gives to anyone."""
_PR_SET_NO_NEW_PRIVS = 38


def main(node: Path, software: Path, builder: int | None) -> None:
    """Put the packages of a release's locks where its build looks for them, as far as that can be done."""
    closures = dict(_closures(software / "release"))
    wanted = dict.fromkeys(package for closure in closures.values() for package in closure.locked)
    with store.opened(node) as folder:
        absent = [package for package in wanted if not _place(folder, package).exists()]
        if absent:
            print(f"{len(absent)} Debian packages are downloaded and unpacked.", flush=True)
            _add(folder, absent, software / "downloads" / DEBS)
        for part, closure in closures.items():
            if all(_place(folder, package).exists() for package in closure.locked):
                _assemble(folder, closure, software / "parts" / part, builder)


def _closures(release: Path) -> Iterator[tuple[str, locked.Closure]]:
    """Yield the packages of each part, by its name; a lock that cannot be used is left to the build to explain."""
    here = apt.architecture()
    for path in sorted(release.glob("*.lock")):
        try:
            parts = locked.read(path)
        except (locked.LockError, OSError):
            continue
        for part, closures in parts.items():
            if _is_name(part) and here in closures and all(map(_is_plain, closures[here].locked)):
                yield part, closures[here]


def _is_name(part: str) -> bool:
    return "/" not in part and "\0" not in part and part not in ("", ".", "..")


def _is_plain(package: locked.Package) -> bool:
    """Return whether a package's hash can name a folder, and its path stays below a repository's address."""
    is_hash = len(package.sha256) == 64 and set(package.sha256) <= set("0123456789abcdef")
    return is_hash and ".." not in package.path.split("/")


def _place(folder: Path, package: locked.Package) -> Path:
    return folder / f"{package.sha256}.{locked.UNPACKED}"


def _add(folder: Path, packages: Iterable[locked.Package], debs: Path) -> None:
    """Have packages downloaded, verified and unpacked; keep those with which this succeeded, and their files.

    `debs`: files that are here already, and where those that were downloaded go, named by their hash.
    """
    new = folder / _NEW
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    try:
        (new / "debs").mkdir()
        for package in packages:
            if (debs / package.sha256).is_file() and not (debs / package.sha256).is_symlink():
                shutil.copyfile(debs / package.sha256, new / "debs" / package.sha256)
        if os.geteuid() == 0:
            for path in (new, new / "debs"):
                os.chown(path, _UNPACKER, _UNPACKER)
        child = os.fork()
        if child == 0:
            _unpack_and_exit(new, list(packages))
        os.waitpid(child, 0)
        failpoint("packages-unpacked")
        whole = [package for package in packages if (new / f"{package.sha256}.whole").exists()]
        for package in whole:
            _keep(new / "debs" / package.sha256, debs / package.sha256)
            _take(new / package.sha256)
        # A package that a power cut left half written would be given to every later release.
        os.sync()
        failpoint("packages-synced")
        for package in whole:
            (new / package.sha256).rename(_place(folder, package))
    finally:
        shutil.rmtree(new)


def _unpack_and_exit(new: Path, packages: list[locked.Package]) -> None:
    """Do the work, in a child that has no rights on anything but the folder."""
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(_UNPACKER)
            os.setuid(_UNPACKER)
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.umask(0o022)
        apt.fetch([package for package in packages if not (new / "debs" / package.sha256).exists()], new / "debs")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            # The largest first: the last one to end should be a small one.
            list(pool.map(lambda package: _unpack(new, package), sorted(packages, key=lambda package: -package.size)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _unpack(new: Path, package: locked.Package) -> None:
    deb = new / "debs" / package.sha256
    try:
        if root.sha256(deb) == package.sha256:
            root.unpack([deb], new / package.sha256)
            (new / f"{package.sha256}.whole").touch()
    except (root.RootError, OSError):
        # The build meets the same, and says so with the part's name.
        pass


def _keep(deb: Path, cached: Path) -> None:
    """Copy a package's file, if it still is what its name says: who unpacked it is not believed."""
    if cached.exists() or deb.is_symlink():
        return
    cached.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(deb, cached)
    if root.sha256(cached) != cached.name:
        cached.unlink()


def _take(unpacked: Path) -> None:
    """Make a package the agent's own; its files are read-only already."""
    if os.geteuid() != 0:
        return
    os.lchown(unpacked, 0, 0)
    for parent, folders, files in os.walk(unpacked):
        for name in (*folders, *files):
            os.lchown(os.path.join(parent, name), 0, 0)


def _assemble(folder: Path, closure: locked.Closure, part: Path, builder: int | None) -> None:
    """Make the part of a release by links into the store; all of it, or nothing."""
    part.parent.mkdir(exist_ok=True)
    try:
        for package in closure.locked:
            root.merge(_place(folder, package), part)
        (part / locked.STAMP).write_text(closure.digest())
    except (root.RootError, OSError):
        shutil.rmtree(part, ignore_errors=True)
        return
    if builder is None:
        return
    # The folders are the release's own, as if its build had made them; of the files it has only links.
    # From below: whatever a folder's owner does in it, we have been there.
    for parent, _, _ in os.walk(part, topdown=False):
        os.lchown(parent, builder, -1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
