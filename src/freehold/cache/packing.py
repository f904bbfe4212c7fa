"""A finished build as pieces, and back: here, or at another place."""

import concurrent.futures
import gzip
import hashlib
import io
import os
import platform
import sys
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.cache.folder import CacheError
from freehold.escaping import is_text
from freehold.protocol.cache import PIECE, File

PACKED = "build.tar.gz"
Get = Callable[[str], bytes | None]
"""From the name of a piece to its content, verified; None when it cannot be had."""
Put = Callable[[bytes], str]
"""From a piece to its name."""
_LEVEL = 1
"""Of compression: at more, packing takes longer than many builds."""
_WRITERS, _WAITING = 4, 16
"""Making a file is mostly waiting. So many contents may be in memory."""
_AHEAD = 2
"""Pieces that are fetched before they are needed."""
_STEP = 64 * 1024
"""Bytes that are decompressed at a time: a thousand times as many can come of them."""
_MARK = ".complete"


@dataclass
class Packed:
    """A build in pieces, and what binds it to where it was made."""

    file: File
    mentions: list[str] = field(default_factory=list)
    fixed: bool = False
    needs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Unpacked:
    """What a build is made of, by path in it."""

    files: dict[str, str]
    """SHA-256 of what was written."""
    links: dict[str, str]
    """Where they lead."""


def this_platform() -> str:
    """Return what builds of this machine are for."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {"ID": platform.system().lower()}
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{platform.machine()}-{system['ID']}-{system.get('VERSION_ID', 'rolling')}-py{version}"


def pythons() -> list[str]:
    """Return the folders of the Python that builds here."""
    return list(dict.fromkeys([sys.prefix, sys.base_prefix]))


def pack(folder: Path, put: Put) -> Packed:
    """Return a finished build in pieces, each given to `put`."""
    pieces, bound = _Pieces(put), Packed(File(PACKED, 0, []))
    place = os.fsencode(folder)
    # What is in /usr names /usr anyway, and every machine of the same platform has it.
    pythons_here = [os.fsencode(prefix) for prefix in pythons() if prefix != "/usr"]
    needed = set[bytes]()
    with (
        gzip.GzipFile(fileobj=pieces, mode="wb", compresslevel=_LEVEL, mtime=0) as plain,
        tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _below(folder):
            name = path.relative_to(folder).as_posix()
            member, content = _member(path, name)
            text = os.fsencode(member.linkname) if member.issym() else content
            needed |= {prefix for prefix in pythons_here if prefix in text}
            # Compiled Python names the place too; whoever imports it puts that right.
            if member.isreg() and place in text and not name.endswith(".pyc"):
                # Nor is a name put right that no text can hold.
                if b"\0" in text or not is_text(name):
                    bound.fixed = True
                else:
                    bound.mentions.append(name)
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    bound.file = File(PACKED, pieces.size, pieces.finish())
    bound.needs = sorted(os.fsdecode(path) for path in needed)
    return bound


def unpack(file: File, get: Get, folder: Path, *, place: str, mentions: list[str]) -> Unpacked:
    """Make a build in a new folder and return what it is made of; `place` is where it was made.

    Raise CacheError when a piece cannot be had or it is not what a build looks like; what was made is then in the way.
    """
    old, new = os.fsencode(place), os.fsencode(folder)
    moved, changed = old != new, frozenset(mentions)
    folder.mkdir(mode=0o755)
    folders = {""}
    unpacked = Unpacked({}, {})
    try:
        with (
            concurrent.futures.ThreadPoolExecutor(1) as fetcher,
            tarfile.open(fileobj=_Plain(_ahead(file, get, fetcher)), mode="r|", bufsize=_STEP) as tar,
            concurrent.futures.ThreadPoolExecutor(_WRITERS) as pool,
        ):
            writing = deque[tuple[str, concurrent.futures.Future[str]]]()

            def written() -> None:
                name, hash = writing.popleft()
                unpacked.files[name] = hash.result()

            for member in tar:
                name = _sound(member, folders)
                path = folder / name
                if member.isdir():
                    folders.add(name)
                    path.mkdir(mode=0o755)
                elif member.issym():
                    target = os.fsencode(member.linkname)
                    if moved and (target == old or target.startswith(old + b"/")):
                        target = new + target[len(old) :]
                    os.symlink(target, os.fsencode(path))
                    unpacked.links[name] = os.fsdecode(target)
                else:
                    content = _content(tar, member)
                    if moved and name in changed:
                        content = content.replace(old, new)
                    writing.append((name, pool.submit(_write, path, content, member)))
                    if len(writing) > _WAITING:
                        written()
            while writing:
                written()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise CacheError(f"it cannot be unpacked: {error}") from None
    return unpacked


def split(path: Path, name: str, put: Put) -> File:
    """Return a file in pieces, each given to `put`."""
    pieces, size = [], 0
    with path.open("rb") as file:
        while content := file.read(PIECE):
            pieces.append(put(content))
            size += len(content)
    return File(name, size, pieces)


def join(file: File, get: Get, path: Path) -> None:
    """Write a file from its pieces; raise CacheError when one cannot be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as output:
        for piece in file.pieces:
            output.write(_had(get, piece))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        yield from (Path(parent, name) for name in folders)
        for name in links:
            folders.remove(name)
        yield from (Path(parent, name) for name in sorted(files) if name != _MARK)


def _member(path: Path, name: str) -> tuple[tarfile.TarInfo, bytes]:
    member, status, content = tarfile.TarInfo(name), path.lstat(), b""
    # Compiled Python compares times.
    member.mtime = int(status.st_mtime)
    if path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif path.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif path.is_file():
        content = path.read_bytes()
        member.size = len(content)
        member.mode = status.st_mode & 0o755
    else:
        raise CacheError(f"{name} is neither a file nor a folder nor a link: such a build cannot be kept.")
    return member, content


def _sound(member: tarfile.TarInfo, folders: set[str]) -> str:
    """Return the path of a member; raise CacheError when it would be written anywhere but below its folder."""
    name = member.name
    parent, _, last = name.rpartition("/")
    if parent not in folders or last in ("", ".", "..") or "\0" in name or name in folders:
        raise CacheError(f"it holds {name!r}, which is nowhere in it")
    if not (member.isdir() or member.issym() or member.isreg()):
        raise CacheError(f"it holds {name!r}, which is neither a file nor a folder nor a link")
    return name


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()


def _write(path: Path, content: bytes, member: tarfile.TarInfo) -> str:
    # Exclusively: no link that came before leads it elsewhere.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode & 0o755)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.utime(descriptor, (member.mtime, member.mtime))
    return hashlib.sha256(content).hexdigest()


def _ahead(file: File, get: Get, fetcher: concurrent.futures.Executor) -> Iterator[bytes]:
    """Yield the pieces of a file; the next ones are fetched meanwhile."""
    coming = deque[concurrent.futures.Future[bytes]]()
    try:
        for piece in file.pieces:
            coming.append(fetcher.submit(_had, get, piece))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for member in coming:
            member.cancel()


def _had(get: Get, piece: str) -> bytes:
    content = get(piece)
    if content is None:
        raise CacheError(f"its piece {piece[:16]}… cannot be had")
    return content


class _Pieces(io.RawIOBase):
    """Cuts what is written into pieces."""

    def __init__(self, put: Put) -> None:
        self._put, self._waiting, self._names, self.size = put, bytearray(), list[str](), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        self.size += len(data)
        while len(self._waiting) >= PIECE:
            self._names.append(self._put(bytes(self._waiting[:PIECE])))
            del self._waiting[:PIECE]
        return len(data)

    def finish(self) -> list[str]:
        if self._waiting:
            self._names.append(self._put(bytes(self._waiting)))
            self._waiting.clear()
        return self._names


class _Plain(io.RawIOBase):
    """Reads what a file holds, from its pieces one after the other, decompressed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._packed, self._plain = memoryview(b""), memoryview(b"")
        self._unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._plain:
            if not self._packed:
                piece = next(self._pieces, None)
                if piece is None:
                    if not self._unpacking.eof:
                        raise EOFError("it ends in the middle")
                    return b""
                self._packed = memoryview(piece)
            self._plain = memoryview(self._unpacking.decompress(self._packed[:_STEP]))
            self._packed = self._packed[_STEP:]
        end = len(self._plain) if size < 0 else size
        head, self._plain = bytes(self._plain[:end]), self._plain[end:]
        return head
