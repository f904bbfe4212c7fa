"""A cache in a folder: pieces by their hash, entries by release. Nothing in it is believed because it is there."""

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from freehold import durable
from freehold.protocol import UNREADABLE
from freehold.protocol.cache import (
    BuildStatement,
    CacheEntry,
    CacheKind,
    Entries,
    File,
    blob_path,
    entries_path,
    is_hash,
    is_platform,
)

MOST_ENTRIES = 16
"""Builders whose word on one release is kept."""
YOUNG = 24 * 3600.0
"""Seconds for which a piece that no entry names is kept: its entry may be on its way."""


class CacheError(Exception):
    """A cache cannot do what it was asked; the message says why."""

    exit_status = 1


@dataclass
class Findings:
    """What came of looking at all."""

    entries: int = 0
    pieces: int = 0
    damaged: list[str] = field(default_factory=list)
    """Pieces that are not what their name says; they are removed."""
    incomplete: list[str] = field(default_factory=list)
    """Entries of which pieces are missing."""


class Folder:
    """A cache in a folder; safe for several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # Pieces

    def has(self, piece: str) -> bool:
        return (self.root / blob_path(piece)).exists()

    def blob(self, piece: str) -> bytes | None:
        """Return a piece, or None; one that is not what its name says is removed."""
        path = self.root / blob_path(piece)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != piece:
            path.unlink(missing_ok=True)
            return None
        return content

    def put(self, content: bytes) -> str:
        """Keep a piece and return its name.

        It is not synced: a piece that a loss of power damaged is found by its hash.
        """
        piece = hashlib.sha256(content).hexdigest()
        path = self.root / blob_path(piece)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{piece}.{os.getpid()}.{threading.get_ident()}")
            try:
                new.write_bytes(content)
                new.replace(path)
            except OSError:
                new.unlink(missing_ok=True)
                raise
        return piece

    # Entries

    def entries(self, kind: CacheKind, release: str, platform: str) -> list[CacheEntry]:
        """Return what is known of a release, the newest first; using it keeps it longest."""
        path = self.root / entries_path(kind, release, platform)
        try:
            index = msgspec.json.decode(path.read_bytes(), type=Entries)
            os.utime(path)
        except (OSError, *UNREADABLE):
            return []
        return index.entries

    def keep(self, entry: CacheEntry) -> None:
        """Add an entry in the place of what the same builder said before."""
        statement = read(entry)
        path = self.root / entries_path(statement.kind, statement.release, statement.platform)
        with self._locked():
            before = Entries(self.entries(statement.kind, statement.release, statement.platform))
            content = msgspec.json.encode(merged(before, entry))
            durable.replace(path, content, 0o644)

    def all(self) -> Iterator[tuple[Path, list[CacheEntry]]]:
        """Yield every file of entries, those that were used last first; damaged ones are removed."""
        paths = [path for path in self.root.glob("entries/*/*/*.json") if not path.name.startswith(".")]
        for path in sorted(paths, key=lambda candidate: -candidate.stat().st_mtime):
            try:
                entries = msgspec.json.decode(path.read_bytes(), type=Entries).entries
                for entry in entries:
                    read(entry)
            except (CacheError, *UNREADABLE):
                path.unlink(missing_ok=True)
                continue
            yield path, entries

    # Housekeeping

    def size(self) -> int:
        """Return the bytes of all pieces."""
        return sum(path.stat().st_size for path in self._blobs())

    def prune(self, most: int) -> int:
        """Forget what was not used for longest until at most so many bytes are left; return how many were given back.

        Pieces that nothing names go first, unless they are young.
        """
        with self._locked():
            left, keep, gone = most, set[str](), set[str]()
            for path, entries in self.all():
                pieces = {piece for entry in entries for piece in pieces_of(read(entry))} - keep
                size = sum(self._size(piece) for piece in pieces)
                if size > left:
                    path.unlink()
                    gone |= pieces
                    continue
                left -= size
                keep |= pieces
            return self._sweep(keep, gone, before=time.time() - YOUNG if most else time.time())

    def verify(self) -> Findings:
        """Look at every byte: remove damaged pieces, name entries that miss one."""
        findings = Findings()
        for path in self._blobs():
            findings.pieces += 1
            if self.blob(path.name) is None:
                findings.damaged.append(path.name)
        for path, entries in self.all():
            for entry in entries:
                findings.entries += 1
                if any(not self.has(piece) for file in read(entry).files for piece in file.pieces):
                    findings.incomplete.append(str(path.relative_to(self.root)))
        return findings

    def _sweep(self, keep: set[str], gone: set[str], before: float) -> int:
        given_back = 0
        for path in self._blobs():
            file_status = path.stat()
            if path.name not in keep and (path.name in gone or file_status.st_mtime < before):
                path.unlink(missing_ok=True)
                given_back += file_status.st_size
        return given_back

    def _blobs(self) -> Iterator[Path]:
        yield from (path for path in self.root.glob("blobs/*/*") if is_hash(path.name))

    def _size(self, piece: str) -> int:
        try:
            return (self.root / blob_path(piece)).stat().st_size
        except OSError:
            return 0

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def merged(before: Entries, entry: CacheEntry) -> Entries:
    """Return what is known of a release with one more entry, in the place of what the same builder said before."""
    builder = read(entry).builder
    of_others = [earlier for earlier in before.entries if read(earlier).builder != builder]
    return Entries([entry, *of_others][:MOST_ENTRIES])


def read(entry: CacheEntry) -> BuildStatement:
    """Return what an entry says; raise CacheError when it is nothing that could be used. It proves nothing yet."""
    try:
        statement = msgspec.json.decode(entry.statement, type=BuildStatement)
    except UNREADABLE as error:
        raise CacheError(f"An entry cannot be read: {error}") from None
    usable = is_hash(statement.release) and is_platform(statement.platform)
    if not usable or not all(map(_is_sound, statement.files)):
        raise CacheError("An entry names what cannot be in a cache.")
    return statement


def pieces_of(statement: BuildStatement) -> list[str]:
    """Return the pieces of all that a statement speaks of, each once."""
    return list(dict.fromkeys(piece for file in statement.files for piece in file.pieces))


def _is_sound(file: File) -> bool:
    parts = file.path.split("/")
    is_path = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return is_path and file.size >= 0 and all(map(is_hash, file.pieces))
