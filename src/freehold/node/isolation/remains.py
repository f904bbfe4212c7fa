"""The proof that nothing of a user is left on this machine, before its partition is given to the next."""

import os
from collections.abc import Iterator
from pathlib import Path

from freehold.node.isolation import processes

SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/var/lock", "/var/crash")
"""Folders of the machine in which every user may write, unless it is kept from seeing them."""
MOST_LOOKED_AT = 200_000
"""Entries of those folders that are looked at; of a machine with more, it is said that it cannot be proved."""
_IPC = {"shm": "shared memory", "sem": "semaphores", "msg": "message queues"}
_SOCKETS = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")


def of_user(uid: int, folder: Path | None, host_end: str = "") -> list[str]:
    """Return what is left of a partition's user, in words; empty when nothing is.

    `folder` is the partition's, which is to be empty, if it has one; `host_end` its link, which is to be gone.
    """
    remains = [f"process {pid}" for pid in processes.of_user(uid)]
    remains += [words for kind, words in _IPC.items() if _owns(f"/proc/sysvipc/{kind}", uid)]
    remains += [f"{name} socket" for name in _SOCKETS if _has_socket(f"/proc/net/{name}", uid)]
    remains += [f"{count} keys" for count in _keys(uid)]
    remains += [f"mount {where}" for where in _mounts(folder)] if folder else []
    if host_end and os.path.exists(f"/sys/class/net/{host_end}"):
        remains.append(f"interface {host_end}")
    if folder and folder.is_dir() and (entries := os.listdir(folder)):
        remains.append(f"{len(entries)} entries in {folder}")
    return remains + _files(uid)


def _owns(table: str, uid: int) -> bool:
    """Return whether a user made, or was given, an object of System V's."""
    try:
        with open(table) as file:
            names = file.readline().split()
            columns = [names.index("uid"), names.index("cuid")]
            return any(str(uid) in [line.split()[column] for column in columns] for line in file)
    except (OSError, ValueError):
        return False


def _has_socket(table: str, uid: int) -> bool:
    try:
        with open(table) as file:
            next(file)
            rows = (line.split() for line in file)
            # A connection that only waits for its time to be over (state 06) is nobody's.
            return any(len(row) > 7 and row[7] == str(uid) and row[3] != "06" for row in rows)
    except (OSError, StopIteration):
        return False


def _keys(uid: int) -> Iterator[int]:
    try:
        with open("/proc/key-users") as file:
            for line in file:
                words = line.replace(":", " ").split()
                if words[0] == str(uid) and words[2].partition("/")[0] != "0":
                    yield int(words[2].partition("/")[0])
    except OSError:
        return


def _mounts(folder: Path) -> list[str]:
    try:
        with open("/proc/self/mountinfo") as file:
            points = [line.split()[4] for line in file]
    except OSError:
        return []
    return [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]


def _files(uid: int) -> list[str]:
    paths: list[str] = []
    waiting, looked = [*SHARED], 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    looked += 1
                    if looked > MOST_LOOKED_AT:
                        return [*paths, f"more than {MOST_LOOKED_AT} entries in {', '.join(SHARED)}, not all looked at"]
                    status = entry.stat(follow_symlinks=False)
                    if status.st_uid == uid:
                        paths.append(entry.path)
                    # Only where others may write can there be something of others.
                    if entry.is_dir(follow_symlinks=False) and status.st_mode & 0o002:
                        waiting.append(entry.path)
        except OSError:
            continue
    return paths[:10]
