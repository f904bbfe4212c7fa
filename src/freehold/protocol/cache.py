"""What is said of finished builds and of downloads, so that they can be kept by anybody and believed from a few.

A cache is a tree of files, the same in a folder, at a Master, in a bucket or behind any web server:

    entries/KIND/RELEASE/PLATFORM.json   `Entries`: what builders say of this release
    blobs/HH/SHA256                      pieces, named by what they hold; HH are the first two letters
"""

from enum import StrEnum

import msgspec

from freehold.protocol import MAX_BODY, VERSION

PIECE = MAX_BODY
"""Bytes of a piece at most: what one request carries, and what a cut line costs."""
LARGEST_ENTRIES = MAX_BODY
"""Bytes of the file that describes builds."""
PREFIX = "/node/v1/cache/"
"""Below it a Master keeps its cache."""
BUILT = b"freehold built\n"
"""Begins what a builder signs."""
VOUCHED = b"freehold vouched\n"
"""Begins what a Master signs."""


class CacheKind(StrEnum):
    """What an entry leads to."""

    BUILD = "build"
    """A finished build: one file, a compressed tar of the release's folder."""
    DOWNLOADS = "downloads"
    """What a build took from elsewhere, file by file, and the release's archive."""


class File(msgspec.Struct, frozen=True):
    """A file, in pieces."""

    path: str
    size: int
    pieces: list[str]
    """SHA-256 of each, in order."""


class BuildStatement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a builder says: of this release came this, there."""

    kind: CacheKind
    release: str
    platform: str
    """Architecture, system and Python, such as `x86_64-debian-12-py3.11`."""
    builder: str
    """The node."""
    at: float
    """When, seconds since 1970 UTC, by the builder's clock."""
    files: list[File]
    place: str = ""
    """The folder in which it was built. Builds know where they are."""
    mentions: list[str] = []
    """Texts in the build that name the place: elsewhere they are changed."""
    fixed: bool = False
    """A program in it names the place: it is of use nowhere else."""
    needs: list[str] = []
    """Folders of Python that it names: it is of use only where Python is there too."""
    version: int = VERSION


class CacheEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement with what makes it believed."""

    statement: bytes
    """JSON of a `Statement`, as it was signed."""
    certificate: str
    """PEM of the builder's; only its key counts."""
    signature: bytes
    """ECDSA with SHA-256 (DER) by the builder's key, of `BUILT` and the statement."""
    voucher: bytes = b""
    """The same by the key of a Master's authority, of `VOUCHED`, the SHA-256 of the builder's key and the statement."""


class Entries(msgspec.Struct, frozen=True):
    """What is known of one release on one platform, the newest first."""

    entries: list[CacheEntry]


class Missing(msgspec.Struct, frozen=True):
    """A Master's answer to an entry: it is kept as soon as these pieces are there."""

    pieces: list[str]


def is_hash(text: str) -> bool:
    """Return whether a text is a SHA-256 in hexadecimal, and so can be part of a path."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def is_platform(text: str) -> bool:
    """Return whether a text can name a platform, and so be part of a path."""
    return (
        0 < len(text) <= 100
        and text[0] != "."
        and all(character.isalnum() or character in "-_.+" for character in text)
    )


def entries_path(kind: CacheKind, release: str, platform: str) -> str:
    """Return where a cache describes a release; the caller has looked at the parts."""
    return f"entries/{kind}/{release}/{platform}.json"


def blob_path(piece: str) -> str:
    """Return where a cache has a piece."""
    return f"blobs/{piece[:2]}/{piece}"
