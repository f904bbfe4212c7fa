"""Keeping what a build took from elsewhere, and giving finished builds to others. Run as a program by `build`:

    python -m freehold.node.software.publish NODE-FOLDER RELEASE…

Every node keeps what its builds downloaded, within its quota: with it they are built again though their sources are
gone. A node whose builds its Master wants sends it both; one that is told to share keeps its builds for others too.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from freehold.cache import signing
from freehold.cache.folder import CacheError, Folder, read
from freehold.cache.packing import pack, split, this_platform
from freehold.failpoints import failpoint
from freehold.node.errors import LinkError
from freehold.node.settings import Paths, Settings, load
from freehold.node.software.cache_server import ARCHIVE, downloads_of, link
from freehold.node.software.integrity import MARK
from freehold.node.software.packages import DEBS
from freehold.node.upstream import Upstream
from freehold.protocol.cache import (
    PREFIX,
    BuildStatement,
    CacheEntry,
    CacheKind,
    File,
    Missing,
    blob_path,
    entries_path,
)
from freehold.recipes import apt, locked


def main(root: Path, releases: Sequence[str]) -> None:
    """Do it, as far as it is not done; one release's trouble stops no other, and is raised at the end."""
    paths, settings = Paths(root), load(root)
    local, master = Folder(paths.kept), _master(paths, settings)
    trouble: Exception | None = None
    for release in releases:
        try:
            _share(paths, settings, local, master, release)
        except (CacheError, LinkError, OSError) as error:
            trouble = error
    local.prune(settings.cache_mb * 1024 * 1024)
    if trouble is not None:
        raise trouble


def _share(paths: Paths, settings: Settings, local: Folder, master: Upstream | None, release: str) -> None:
    _keep_downloads(paths, settings, local, release)
    is_built = (paths.software / release / MARK).exists()
    if is_built and (settings.shares or master is not None):
        _keep_build(paths, settings, local, release)
    if is_built and master is not None:
        for kind in CacheKind:
            if (entry := _own(local, settings, kind, release)) is not None and not entry.voucher:
                vouched = _send(master, local, entry)
                failpoint("build-sent")
                local.keep(vouched)


def _master(paths: Paths, settings: Settings) -> Upstream | None:
    """Return a connection to a Master that wants this node's builds; None when it does not, or is away."""
    if not settings.node:
        return None
    master = link(paths, settings)
    try:
        master.call("GET", f"{PREFIX}builder")
    except LinkError:
        return None
    return master


def _keep_build(paths: Paths, settings: Settings, local: Folder, release: str) -> None:
    if _own(local, settings, CacheKind.BUILD, release) is not None:
        return
    folder = paths.software / release
    packed = pack(folder, local.put)
    failpoint("build-packed")
    statement = BuildStatement(
        CacheKind.BUILD,
        release,
        this_platform(),
        settings.node,
        time.time(),
        [packed.file],
        str(folder),
        packed.mentions,
        packed.fixed,
        packed.needs,
    )
    local.keep(_signed(paths, statement))


def _keep_downloads(paths: Paths, settings: Settings, local: Folder, release: str) -> None:
    folder = downloads_of(paths, release)
    if not folder.exists():
        return
    archive = paths.cache / f"{release}.tar.gz"
    files = [split(path, path.relative_to(folder).as_posix(), local.put) for path in _files(folder)]
    files += [split(archive, ARCHIVE, local.put)] if archive.exists() else []
    known = {file.path for file in files}
    missing = [name for name in _debs(paths.software / release) if name not in known]
    elsewhere = _known_debs(local) if missing else {}
    if all(name in elsewhere for name in missing):
        files += [elsewhere[name] for name in missing]
        statement = BuildStatement(CacheKind.DOWNLOADS, release, this_platform(), settings.node, time.time(), files)
        local.keep(_signed(paths, statement))
    else:
        print(f"What {release} was made of is not kept: a package of it was here before.", flush=True)
    failpoint("downloads-kept")
    shutil.rmtree(folder)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(folder):
        yield from (path for name in sorted(files) if (path := Path(parent, name)).is_file() and not path.is_symlink())


def _debs(release: Path) -> Iterator[str]:
    """Yield the packages that a release's locks name, as downloads call them."""
    here = apt.architecture()
    for path in sorted((release / "release").glob("*.lock")):
        try:
            parts = locked.read(path)
        except (locked.LockError, OSError):
            continue
        for closures in parts.values():
            if here in closures:
                yield from (f"{DEBS}/{package.sha256}" for package in closures[here].locked)


def _known_debs(local: Folder) -> dict[str, File]:
    """Return the packages that builds of other releases downloaded."""
    statements = (read(entry) for _, entries in local.all() for entry in entries)
    return {file.path: file for statement in statements for file in statement.files if file.path.startswith(f"{DEBS}/")}


def _own(local: Folder, settings: Settings, kind: CacheKind, release: str) -> CacheEntry | None:
    entries = local.entries(kind, release, this_platform())
    return next((entry for entry in entries if read(entry).builder == settings.node), None)


def _signed(paths: Paths, statement: BuildStatement) -> CacheEntry:
    return signing.sign(statement, paths.key.read_bytes(), paths.certificate.read_text())


def _send(master: Upstream, local: Folder, entry: CacheEntry) -> CacheEntry:
    """Send an entry with all its pieces; return it vouched for. Raise LinkError, or CacheError for a missing piece."""
    statement = read(entry)
    path = PREFIX + entries_path(statement.kind, statement.release, statement.platform)
    while True:
        _, content, _ = master.call("PUT", path, msgspec.json.encode(entry), timeout=60)
        answer = msgspec.json.decode(content, type=dict[str, object])
        if "pieces" not in answer:
            return msgspec.json.decode(content, type=CacheEntry)
        for piece in msgspec.json.decode(content, type=Missing).pieces:
            if (blob := local.blob(piece)) is None:
                raise CacheError(f"Piece {piece} is not here any more.")
            master.call("PUT", PREFIX + blob_path(piece), blob, timeout=300)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except (CacheError, LinkError, OSError) as trouble:
        sys.exit(str(trouble))
