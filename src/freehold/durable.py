"""What was written is on the disk: after a loss of power it is there, whole and by its name.

Every file that must outlive a power cut is written here: written beside its place, flushed, moved there, and the folder
flushed. Without the last a file may lack its name; without the first it may be there and empty.
"""

import contextlib
import ctypes
import os
import threading
from pathlib import Path

from freehold.failpoints import failpoint

_libc = ctypes.CDLL(None, use_errno=True)


def replace(path: Path, content: bytes, mode: int, *, folder_mode: int = 0o777, apart: bool = False) -> None:
    """Write a file, in the place of what was there; its folder is made if need be. Raise OSError, and nothing changed.

    `apart`: others may write the same file at the same moment, and each writes beside the others.
    """
    make_folder(path.parent, folder_mode)
    temporary = _written_beside(path, content, mode, apart)
    failpoint("file-written")
    try:
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    failpoint("file-replaced")
    sync_names(path.parent)


def create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet; raise FileExistsError when it is, and leave it as it is."""
    make_folder(path.parent)
    if path.exists():
        # Whoever made it may have been killed just before its name was on the disk.
        sync_names(path.parent)
        raise FileExistsError(str(path))
    temporary = _written_beside(path, content, mode, apart=True)
    try:
        # Unlike a move, a link fails when somebody else was quicker.
        os.link(temporary, path)
    finally:
        temporary.unlink()
        sync_names(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, unless they are there, so that their names are on the disk, too."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode, exist_ok=True)
    sync_names(folder.parent)


def sync_names(folder: Path) -> None:
    """Have what a folder lists on the disk: a file that was synced may still lack its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Have all of a folder's file system on the disk: of thousands of files, quicker than one after the other.

    Raise OSError when the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _written_beside(path: Path, content: bytes, mode: int, apart: bool) -> Path:
    """Return a flushed file with this content in the folder of a path; there is none when that fails."""
    writer = f".{os.getpid()}.{threading.get_ident()}" if apart else ""
    temporary = path.with_name(f".{path.name}{writer}.new")
    # What another user may have put there is not written through.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary
