"""Going through folders that others wrote: following no link, however deep they are, by one name at a time."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Seen = Callable[[int, "os.DirEntry[str]"], bool]
"""Called with an open folder and an entry of it; answers whether to go on into it, if it is a folder."""


def visit(folder: str | Path, see: Seen) -> None:
    """Show each entry below a folder; what goes away meanwhile is passed over. One folder is open at a time."""
    try:
        descriptor = os.open(folder, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return
    above: list[tuple[tuple[int, int], list[str]]] = []
    identity, inner = _look(descriptor, see)
    try:
        while inner or above:
            if inner:
                try:
                    deeper = os.open(inner.pop(), _FLAGS, dir_fd=descriptor)
                except OSError:
                    continue
                above.append((identity, inner))
                os.close(descriptor)
                descriptor = deeper
                identity, inner = _look(descriptor, see)
                continue
            upper = os.open("..", _FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = upper
            identity, inner = above.pop()
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != identity:
                # It was moved since: what is above it now is somebody else's.
                return
    finally:
        os.close(descriptor)


def _look(descriptor: int, see: Seen) -> tuple[tuple[int, int], list[str]]:
    status, inner = os.fstat(descriptor), []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if see(descriptor, entry) and entry.is_dir(follow_symlinks=False):
                    inner.append(entry.name)
    return (status.st_dev, status.st_ino), inner


def remove(folder: str | Path) -> None:
    """Remove a folder with all that is in it, if it is there. Raise OSError when something cannot be removed."""
    empty(folder)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(folder)


def empty(folder: str | Path) -> None:
    """Remove everything in a folder, following no links; the folder stays.

    What is below a folder is moved up beside it, by descriptors, until no folder holds another. Raise OSError when
    something cannot be removed.
    """
    try:
        top = os.open(folder, _FLAGS)
    except FileNotFoundError:
        return
    try:
        if os.geteuid() != 0:
            os.chmod(top, 0o700)
        names = (f".removed-{number}" for number in itertools.count())
        while entries := _entries(top):
            for name, is_folder in entries:
                if is_folder:
                    _remove(top, name, names)
                else:
                    os.unlink(name, dir_fd=top)
    finally:
        os.close(top)


def _remove(top: int, name: str, names: Iterator[str]) -> None:
    """Remove a folder in `top`; the folders in it that hold something become its neighbours."""
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=top)
        return
    if os.geteuid() != 0:
        # It may have taken the right to look into it from itself; without root we are its user.
        os.chmod(name, 0o700, dir_fd=top)
    descriptor = os.open(name, _FLAGS, dir_fd=top)
    try:
        for inner, is_folder in _entries(descriptor):
            if not is_folder:
                os.unlink(inner, dir_fd=descriptor)
                continue
            try:
                os.rmdir(inner, dir_fd=descriptor)
            except OSError:
                if os.geteuid() != 0:
                    os.chmod(inner, 0o700, dir_fd=descriptor)
                _move(descriptor, inner, top, names)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=top)


def _move(descriptor: int, inner: str, top: int, names: Iterator[str]) -> None:
    for name in names:
        # Whoever wrote it may have used our names for something of its own.
        try:
            os.lstat(name, dir_fd=top)
        except FileNotFoundError:
            os.rename(inner, name, src_dir_fd=descriptor, dst_dir_fd=top)
            return


def _entries(descriptor: int) -> list[tuple[str, bool]]:
    with os.scandir(descriptor) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
