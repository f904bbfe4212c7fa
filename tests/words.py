"""What tests say of builds."""

import msgspec

from freehold.protocol.cache import Entry, File, Kind, Statement


def statement(release: str, pieces: list[str], **other: object) -> Statement:
    """Return what a builder might say of a release."""
    words: dict[str, object] = {"builder": "node_1", "platform": "x86_64-debian-12-py3.11", "kind": Kind.BUILD}
    path = other.pop("path", "build.tar.gz")
    words |= {"at": 1.0, "release": release, "files": [File(str(path), 1, pieces)], **other}
    return Statement(**words)  # type: ignore[arg-type]


def entry(release: str, pieces: list[str], **other: object) -> Entry:
    """Return it, signed by nobody."""
    return Entry(msgspec.json.encode(statement(release, pieces, **other)), "", b"")
