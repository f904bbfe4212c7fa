"""A release as bytes: the same folder gives the same archive, and the archive's SHA-256 is its identity."""

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from pathlib import Path

MOST_FILES = 10_000
LARGEST = 128 * 1024 * 1024
"""Bytes that an archive may unpack to."""
LARGEST_PACKED = 32 * 1024 * 1024
"""Bytes that an archive may have."""

_LARGEST_PLAIN = LARGEST + MOST_FILES * 2048
"""With the headers of so many files."""
_LONGEST_PATH = 1024
_TOO_MUCH = f"It unpacks to more than {MOST_FILES} files or {LARGEST} bytes."
_SKIPPED = frozenset({"__pycache__", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


class ArchiveError(ValueError):
    """A folder cannot be packed, or an archive is not a release; the message says why."""


def pack(folder: Path) -> bytes:
    """Return the archive of a release's folder: sorted, without owners, times, caches, or its tests."""
    if not folder.is_dir():
        raise ArchiveError(f"{folder} is not a folder.")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(_members(folder)):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            content = b""
            if path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            else:
                content = path.read_bytes()
                member.size = len(content)
                member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(member, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        file.write(plain.getvalue())
    return packed.getvalue()


def digest(archive: bytes) -> str:
    """Return the identity of a release: SHA-256 of its archive, hexadecimal."""
    return hashlib.sha256(archive).hexdigest()


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack an archive into an empty folder.

    Raise ArchiveError, having written nothing, when it holds anything but plain files and folders below it,
    or too much of them.
    """
    tar, members = _open(archive)
    folder.mkdir(parents=True, exist_ok=True)
    for name, member in members.items():
        target = folder / name
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_content(tar, member))
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def top_files(archive: bytes, suffix: str, largest: int) -> dict[str, bytes]:
    """Return the files at the top of an archive with this suffix and at most so many bytes, by name.

    Raise ArchiveError as `unpack` does; nothing is written.
    """
    tar, members = _open(archive)
    return {
        name: _content(tar, member)
        for name, member in members.items()
        if member.isfile() and "/" not in name and name.endswith(suffix) and member.size <= largest
    }


def _open(archive: bytes) -> tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]:
    """Return an archive of which everything was checked, and its members by path."""
    plain = io.BytesIO(_plain(archive))
    try:
        tar = tarfile.TarFile(fileobj=plain)
        members = _checked(tar)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"Not a readable tar.gz archive: {error}") from None
    if any(member.offset_data + member.size > plain.getbuffer().nbytes for member in members.values()):
        raise ArchiveError("Not a readable tar.gz archive: it ends in the middle of a file.")
    return tar, members


def _plain(archive: bytes) -> bytes:
    """Return an archive without its compression: all of it, so that a wrong byte at its end is found first."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(archive)) as file:
            plain = file.read(_LARGEST_PLAIN + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ArchiveError(f"Not a readable tar.gz archive: {error}") from None
    if len(plain) > _LARGEST_PLAIN:
        raise ArchiveError(_TOO_MUCH)
    return plain


def _checked(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    folders: set[str] = set()
    total = 0
    for count, member in enumerate(tar):
        total += member.size
        if count >= MOST_FILES or total > LARGEST:
            raise ArchiveError(_TOO_MUCH)
        parts = member.name.split("/")
        plain = member.isdir() or (member.isreg() and not member.issparse())
        if member.name.startswith("/") or ".." in parts or not plain or member.size < 0:
            raise ArchiveError(f"{member.name!r} is no plain file or folder below the archive.")
        parts = [part for part in parts if part not in ("", ".")]
        name = "/".join(parts)
        if member.isdir():
            if name:
                folders.add(name)
        elif not name or name in members:
            raise ArchiveError(f"{member.name!r} is not the name of one file.")
        encoded = [os.fsencode(part) for part in parts]
        if len(os.fsencode(name)) > _LONGEST_PATH or any(len(part) > 255 or b"\0" in part for part in encoded):
            raise ArchiveError(f"{member.name[:80]!r} is not a name that every system can write.")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        if name:
            members[name] = member
    for name in folders:
        if name in members and not members[name].isdir():
            raise ArchiveError(f"{name!r} is a file and a folder.")
    return members


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content is not None
    return content.read()


def _members(folder: Path) -> list[Path]:
    members = []
    for path in folder.rglob("*"):
        if _SKIPPED.intersection(path.relative_to(folder).parts) or path.suffix == ".pyc":
            continue
        if path.parent == folder and path.name.startswith("test_"):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(f"{path} is neither a plain file nor a folder; a release holds only those.")
        members.append(path)
    return members
