"""What tests say of builds."""

import msgspec

from freehold.protocol.cache import BuildStatement, CacheEntry, CacheKind, File


def statement(release: str, pieces: list[str], **other: object) -> BuildStatement:
    """Return what a builder might say of a release."""
    words: dict[str, object] = {"builder": "node_1", "platform": "x86_64-debian-12-py3.11", "kind": CacheKind.BUILD}
    path = other.pop("path", "build.tar.gz")
    words |= {"at": 1.0, "release": release, "files": [File(str(path), 1, pieces)], **other}
    return BuildStatement(**words)  # type: ignore[arg-type]


def entry(release: str, pieces: list[str], **other: object) -> CacheEntry:
    """Return it, signed by nobody."""
    return CacheEntry(msgspec.json.encode(statement(release, pieces, **other)), "", b"")
