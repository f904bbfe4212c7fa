"""Where else pieces and entries are: folders and URLs, asked in order, none of them believed."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from freehold.bodies import whole
from freehold.cache import bucket
from freehold.cache.folder import CacheError, Folder
from freehold.protocol import UNREADABLE
from freehold.protocol.cache import LARGEST_ENTRIES, PIECE, CacheEntry, CacheKind, Entries, blob_path, entries_path

TIMEOUT = 20.0
"""Seconds for which a mirror may say nothing."""
MASTER = "master"
"""Names the node's own Master among mirrors."""
_LONGEST_SILENCE = 2
"""Failures after which a mirror is not asked any more."""
Fetch = Callable[[str, int], bytes | None]
"""From a path in a cache, and the most bytes it may have, to what is there; None: nothing. Raises OSError or
CacheError when it cannot be asked."""


class Mirror(Protocol):
    """Whatever has pieces and entries."""

    name: str

    def fetch(self, path: str, most: int) -> bytes | None: ...


class Web:
    """A cache behind a plain web server, or a bucket that may be read."""

    def __init__(self, url: str) -> None:
        self.name, self._url = url, url.rstrip("/")

    def fetch(self, path: str, most: int) -> bytes | None:
        try:
            with urllib.request.urlopen(f"{self._url}/{path}", timeout=TIMEOUT) as answer:
                return _bounded(whole(answer, most), most)
        except urllib.error.HTTPError as error:
            # Buckets whose list may not be read say 403 of what they do not have.
            if error.code in (403, 404, 410):
                return None
            raise


class Disk:
    """A cache in a folder of this machine: a disk that somebody brought."""

    def __init__(self, root: Path) -> None:
        self.name, self._root = str(root), root

    def fetch(self, path: str, most: int) -> bytes | None:
        if not self._root.is_dir():
            raise CacheError("the folder is not there")
        try:
            with (self._root / path).open("rb") as file:
                return _bounded(file.read(most + 1), most)
        except FileNotFoundError:
            return None


class Mirrors:
    """Mirrors in the order in which they are asked; what they give is looked at before it is used."""

    def __init__(self, local: Folder, mirrors: Sequence[Mirror], tell: Callable[[str], object]) -> None:
        """`tell` is told, in words, what is wrong with a mirror."""
        self.local, self._tell = local, tell
        self._left = {mirror.name: (mirror, 0) for mirror in mirrors}

    def entries(self, kind: CacheKind, release: str, platform: str) -> Iterator[CacheEntry]:
        """Yield what is said of a release, here and then by each mirror."""
        yield from self.local.entries(kind, release, platform)
        for mirror in self._living():
            content = self._ask(mirror, entries_path(kind, release, platform), LARGEST_ENTRIES)
            if content is None:
                continue
            try:
                yield from msgspec.json.decode(content, type=Entries).entries
            except UNREADABLE as error:
                self._failed(mirror, f"its entries cannot be read: {error}")

    def blob(self, piece: str) -> bytes | None:
        """Return a piece, from here or from the first mirror that truly has it; it is then here too."""
        if (content := self.local.blob(piece)) is not None:
            return content
        for mirror in self._living():
            content = self._ask(mirror, blob_path(piece), PIECE)
            if content is None:
                continue
            if hashlib.sha256(content).hexdigest() != piece:
                self._failed(mirror, f"what it has as {piece[:16]}… is something else")
                continue
            try:
                self.local.put(content)
            except OSError:
                # Here is no room for it; it is of use all the same.
                pass
            return content
        return None

    def _living(self) -> list[Mirror]:
        return [mirror for mirror, failures in self._left.values() if failures < _LONGEST_SILENCE]

    def _ask(self, mirror: Mirror, path: str, most: int) -> bytes | None:
        try:
            return mirror.fetch(path, most)
        except Exception as error:  # whatever a mirror does, the next one is asked
            self._failed(mirror, str(error) or type(error).__name__)
            return None

    def _failed(self, mirror: Mirror, why: str) -> None:
        self._tell(f"{mirror.name}: {why}")
        self._left[mirror.name] = (mirror, self._left[mirror.name][1] + 1)


def mirror(url: str, keys: Path | None = None) -> Mirror:
    """Return the mirror that a URL or the path of a folder names; raise CacheError when it can be none.

    `keys`: a file with keys of private buckets.
    """
    parts = urlsplit(url)
    if bucket.is_bucket(url):
        return bucket.Bucket(url, bucket.keys_for(url, keys))
    if parts.scheme in ("http", "https") and parts.hostname:
        return Web(url)
    if parts.scheme in ("", "file") and parts.path.startswith("/"):
        return Disk(Path(parts.path))
    raise CacheError(
        f"'{url}' is no mirror; it looks like https://HOST/PATH, s3+https://HOST/BUCKET, /FOLDER or {MASTER}."
    )


def _bounded(content: bytes, most: int) -> bytes:
    if len(content) > most:
        raise CacheError(f"it sends more than {most} bytes")
    return content
