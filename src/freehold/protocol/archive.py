"""A release as bytes: the same folder gives the same archive, and the archive's SHA-256 is its identity."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

MOST_FILES = 10_000
LARGEST = 128 * 1024 * 1024
"""Bytes that an archive may unpack to."""

_SKIPPED = frozenset({"__pycache__", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


class ArchiveError(ValueError):
    """A folder cannot be packed, or an archive is not a release; the message says why."""


def pack(folder: Path) -> bytes:
    """Return the archive of a release's folder: sorted, without owners, times or caches."""
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
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            members = _checked(tar)
            folder.mkdir(parents=True, exist_ok=True)
            for member in members:
                target = folder / member.name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"Not a readable tar.gz archive: {error}") from None


def top_files(archive: bytes, suffix: str, largest: int) -> dict[str, bytes]:
    """Return the files at the top of an archive with this suffix and at most so many bytes, by name.

    Raise ArchiveError as `unpack` does; nothing is written.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            files = {}
            for member in _checked(tar):
                name = member.name.removeprefix("./")
                if member.isfile() and "/" not in name and name.endswith(suffix) and member.size <= largest:
                    content = tar.extractfile(member)
                    assert content is not None
                    files[name] = content.read()
            return files
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"Not a readable tar.gz archive: {error}") from None


def _checked(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        total += member.size
        if len(members) >= MOST_FILES or total > LARGEST:
            raise ArchiveError(f"It unpacks to more than {MOST_FILES} files or {LARGEST} bytes.")
        parts = member.name.split("/")
        if member.name.startswith("/") or ".." in parts or not (member.isfile() or member.isdir()):
            raise ArchiveError(f"{member.name!r} is no plain file or folder below the archive.")
        members.append(member)
    return members


def _members(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        if _SKIPPED.intersection(path.relative_to(folder).parts) or path.suffix == ".pyc":
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(f"{path} is neither a plain file nor a folder; a release holds only those.")
        found.append(path)
    return found
