"""Quotas: the file system itself holds a user to what it may keep, where it was made and mounted for that.

Elsewhere `freehold.node.maintenance.limits` watches; what is said here then changes nothing.
"""

import ctypes
import os
import struct
from pathlib import Path

_QUOTACTL_FD = 443
_GET, _SET = 0x800007 << 8, 0x800008 << 8
"""Of users."""
_LIMITS = 1 | 4
"""Which fields of it are to be set: the limits of blocks and of inodes."""
_QUOTA = struct.Struct("8QI4x")
"""Hard and soft limit of kilobytes, bytes held, the same three of inodes, two moments, which of all are to be set."""
_NEARLY = 64
"""Kilobytes: a file system refuses what does not fit as a whole."""
_libc = ctypes.CDLL(None, use_errno=True)


def hold(folder: Path, uid: int, megabytes: int, files: int) -> bool:
    """Have a user keep at most so much on the file system of a folder, 0 for any; return whether it has quotas."""
    quota = _QUOTA.pack(megabytes << 10, 0, 0, files, 0, 0, 0, 0, _LIMITS)
    return _ask(folder, _SET, uid, quota) is not None


def is_full(folder: Path, uid: int) -> bool:
    """Return whether a user holds all that it may on the file system of a folder."""
    answer = _ask(folder, _GET, uid, bytes(_QUOTA.size))
    if answer is None:
        return False
    kilobytes, _, held, inodes, _, held_inodes, *_ = _QUOTA.unpack(answer)
    return bool((kilobytes and held >> 10 >= kilobytes - _NEARLY) or (inodes and held_inodes >= inodes))


def _ask(folder: Path, order: int, uid: int, quota: bytes) -> bytes | None:
    """Return the kernel's answer; None when it refuses, as it does where there are no quotas."""
    buffer = ctypes.create_string_buffer(quota, len(quota))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = _libc.syscall(ctypes.c_long(_QUOTACTL_FD), descriptor, order, uid, buffer)
    finally:
        os.close(descriptor)
    return None if answer < 0 else buffer.raw
