"""The processes of this machine: which are a user's or carry a mark, and how all of those end.

A look through `/proc` is no moment in time. A process that starts another and ends just before its turn is seen
neither as itself nor as the other one, and one that is becoming another program shows no environment. So that a look
found nothing proves something only when nothing was started meanwhile, wherever on this machine.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BECOMING_SECONDS = 1.0
"""How long a process is waited for that is becoming another program; the kernel needs moments, a slow disk longer."""
_UNCERTAIN_SECONDS = 0.5


def of_user(uid: int) -> list[int]:
    """Return the living processes of a user."""
    pids = []
    for pid in _all():
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid and not is_zombie(pid):
                pids.append(pid)
        except OSError:
            continue
    return pids


def with_variable(name: str) -> Iterator[tuple[int, str]]:
    """Yield the living processes that were started with this variable in their environment, and its value.

    Those of other users are left out unless root looks.
    """
    start = f"{name}=".encode()
    for pid in _all():
        try:
            value = next((variable for variable in _environment(pid).split(b"\0") if variable.startswith(start)), None)
            if value is not None and not is_zombie(pid):
                yield pid, value[len(start) :].decode(errors="replace")
        except OSError:
            continue


def fields(pid: int) -> list[bytes]:
    """Return what the kernel says of a process after its name: state, parent …; raise OSError when there is none."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and only waits to be noticed."""
    try:
        return fields(pid)[0] == b"Z"
    except OSError:
        return True


def end(look: Callable[[], list[int]], seconds: float) -> list[int]:
    """Kill what a look finds, until it is certain that there is nothing; return what is left after so many seconds.

    Where something is started all the time, or that is not told, looks go on for half a second and are believed then.
    """
    begun = time.monotonic()
    while True:
        started = _started()
        pids = look()
        passed = time.monotonic() - begun
        if not pids and (passed > _UNCERTAIN_SECONDS or (started is not None and started == _started())):
            return []
        if passed > seconds:
            return pids
        _kill(pids)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _all() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _started() -> int | None:
    """Return how many processes this machine has started since its boot; None where that is not told, as on a phone."""
    try:
        with open("/proc/stat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"processes ")), None)
    except OSError:
        return None


def _environment(pid: int) -> bytes:
    """Return a process's environment; while it becomes another program the kernel shows none: it is waited for."""
    deadline = time.monotonic() + _BECOMING_SECONDS
    while True:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
        if environment or time.monotonic() > deadline:
            return environment
        with open(f"/proc/{pid}/statm", "rb") as file:
            if file.read().startswith(b"0 "):
                # Of the kernel, or a zombie: it has no memory.
                return b""
        begin, after = fields(pid)[47:49]
        if begin == after != b"0":
            # The kernel knows where it is, and it has nothing.
            return b""
        time.sleep(0.002)
