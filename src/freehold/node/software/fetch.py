"""Taking a finished build instead of building, or at least what a build needs. Run as a program by `build`:

    python -m freehold.node.software.fetch NODE-FOLDER RELEASE

Exit status 0: the build is there, sealed. 3: it must be built; what could be had for that is beside it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from freehold import durable
from freehold.cache.folder import CacheError
from freehold.cache.mirrors import Mirrors
from freehold.cache.packing import join, pythons, this_platform, unpack
from freehold.cache.signing import Trust, believed
from freehold.failpoints import failpoint
from freehold.node.settings import Paths, load
from freehold.node.software.cache_server import ARCHIVE, MOST_TRIES, downloads_of, mirrors, trust
from freehold.node.software.integrity import LINK, seal
from freehold.protocol.archive import digest
from freehold.protocol.cache import BuildStatement, CacheKind

MUST_BE_BUILT = 3


def main(root: Path, release: str) -> int:
    """Do it; say what was tried."""
    paths = Paths(root)
    settings = load(root)
    sources, believes = mirrors(paths, settings, _say), trust(paths, settings)
    if _take_build(paths, sources, believes, release):
        return 0
    _take_downloads(paths, sources, believes, release)
    sources.local.prune(settings.cache_mb * 1024 * 1024)
    return MUST_BE_BUILT


def _take_build(paths: Paths, sources: Mirrors, believes: Trust, release: str) -> bool:
    folder = paths.software / release
    for statement in _said(sources, believes, CacheKind.BUILD, release):
        try:
            _check_fits(statement, folder)
            unpacked = unpack(
                statement.files[0], sources.blob, folder, place=statement.place, mentions=statement.mentions
            )
        except CacheError as error:
            _say(f"The build of {statement.builder} is of no use here: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            continue
        failpoint("build-taken")
        _say(f"This release was built by {statement.builder} and is taken from there.")
        seal(folder, unpacked.files | {path: LINK + target for path, target in unpacked.links.items()})
        return True
    return False


def _check_fits(statement: BuildStatement, folder: Path) -> None:
    if len(statement.files) != 1:
        raise CacheError("it is not one file")
    if statement.fixed and statement.place != str(folder):
        raise CacheError(f"its programs must be in {statement.place}")
    if elsewhere := [prefix for prefix in statement.needs if prefix not in pythons()]:
        raise CacheError(f"it needs a Python in {elsewhere[0]}")


def _take_downloads(paths: Paths, sources: Mirrors, believes: Trust, release: str) -> None:
    folder = downloads_of(paths, release)
    for statement in _said(sources, believes, CacheKind.DOWNLOADS, release):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for file in statement.files:
                join(file, sources.blob, folder / file.path)
        except (CacheError, OSError) as error:
            _say(f"What {statement.builder} downloaded is of no use here: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            continue
        failpoint("downloads-taken")
        _keep_archive(paths, folder / ARCHIVE, release)
        _say(f"What this release needs from elsewhere was downloaded by {statement.builder} and is taken from there.")
        return


def _keep_archive(paths: Paths, path: Path, release: str) -> None:
    try:
        content = path.read_bytes()
        path.unlink()
    except OSError:
        return
    if digest(content) == release:
        durable.replace(paths.cache / f"{release}.tar.gz", content, 0o600)


def _said(sources: Mirrors, believes: Trust, kind: CacheKind, release: str) -> Iterator[BuildStatement]:
    """Yield what is said of a release by whom we believe."""
    here, tries = this_platform(), 0
    for statement in believed(sources.entries(kind, release, here), believes):
        if tries == MOST_TRIES:
            return
        if isinstance(statement, CacheError):
            _say(f"An entry is not believed: {statement}.")
        elif (statement.kind, statement.release, statement.platform) != (kind, release, here):
            _say("An entry is not believed: it speaks of something else.")
        else:
            tries += 1
            yield statement


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
