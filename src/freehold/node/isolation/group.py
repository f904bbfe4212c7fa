"""One control group as a folder: entering it, who is in it, ending all of them at once.

Used by the supervisor too: the standard library only, no `typing`.
"""

from __future__ import annotations

import os
import signal
import time

_STEP = 0.002


def enter(path: str) -> None:
    """Move into a control group, whose file is named."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)


def members(folder: str) -> list[int]:
    """Return the processes in a group and in those below it; none when there is no such group."""
    pids = []
    for parent, _, _ in os.walk(folder):
        try:
            with open(f"{parent}/cgroup.procs") as file:
                pids += [int(line) for line in file]
        except OSError:
            # Gone: nothing was in it any more.
            continue
    return pids


def kill(folder: str) -> None:
    """Kill all in a group: at once where the kernel can; else one by one, while nobody can start another."""
    try:
        with open(f"{folder}/cgroup.kill", "w") as file:
            file.write("1")
        return
    except OSError:
        pass
    try:
        with open(f"{folder}/pids.max", "w") as file:
            # Whoever starts something here again sets the limit anew.
            file.write("0")
    except OSError:
        return
    for pid in members(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end(folder: str, seconds: float) -> bool:
    """Kill all in a group and remove it and those below it; return whether nothing of it is left in time."""
    deadline = time.monotonic() + seconds
    while True:
        kill(folder)
        if _removed(folder):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_STEP)


def _removed(folder: str) -> bool:
    for parent, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(parent)
        except FileNotFoundError:
            pass
        except OSError:
            # Whoever is killed is in it until it is reaped.
            return False
    return True
