"""This node's cache and its mirrors: where a child of the agent finds builds, and whose it believes."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from freehold.cache.folder import CacheError, Folder
from freehold.cache.mirrors import MASTER, Mirror, Mirrors, mirror
from freehold.cache.signing import Trust, fingerprint
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.upstream import MasterRefused, Upstream
from freehold.protocol.cache import PREFIX, CacheKind

ARCHIVE = "release.tar.gz"
"""The release's archive, among what was downloaded."""
MOST_TRIES = 4
"""Entries of one kind that are tried at most."""


class OurMaster:
    """The Master's cache, over the node's own connection."""

    name = MASTER

    def __init__(self, link: Upstream) -> None:
        self._link = link

    def fetch(self, path: str, most: int) -> bytes | None:
        try:
            return self._link.call("GET", PREFIX + path, timeout=60)[1]
        except MasterRefused as error:
            if error.problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def mirrors(paths: Paths, settings: Settings, tell: Callable[[str], object]) -> Mirrors:
    """Return where this node looks for builds and downloads: at home first."""
    mirrors: list[Mirror] = []
    for url in settings.mirrors:
        if url == MASTER:
            if settings.master:
                mirrors.append(OurMaster(link(paths, settings)))
            continue
        try:
            mirrors.append(mirror(url, paths.store_keys))
        except CacheError as error:
            tell(str(error))
    return Mirrors(Folder(paths.kept), mirrors, tell)


def link(paths: Paths, settings: Settings) -> Upstream:
    """Return a connection to the Master, as the agent's are."""
    clock = Store(Database(paths.store)).clock
    return Link(settings.master, paths.authority, (paths.certificate, paths.key), time=clock)


def trust(paths: Paths, settings: Settings) -> Trust:
    """Return whom this node believes: itself, whom its owner named, and for whom its Master vouches."""
    keys = set(settings.trusted)
    if paths.certificate.exists():
        keys.add(fingerprint(paths.certificate.read_text()))
    return Trust(frozenset(keys), paths.authority.read_text() if paths.authority.exists() else "")


def downloads_of(paths: Paths, release: str) -> Path:
    """Return the folder with what a build of a release needs, or took, from elsewhere."""
    return paths.software / f"{release}.{CacheKind.DOWNLOADS}"
