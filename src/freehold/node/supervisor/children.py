"""Starting a process as it should be, and finding again what a former supervisor started.

Each process carries a mark in its environment: which supervisor started it, as what, with which digest. A
supervisor that comes after a `kill -9` finds its processes by that mark, however suddenly the former one
ended; a table of process ids could always miss the last one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import time

from freehold.node import walls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

MARK = "FREEHOLD_PROCESS"
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


_DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)


class Found:
    """A living process with our mark."""

    def __init__(self, pid: int, uid: int, group: str, name: str, digest: str, leads: bool, born: int) -> None:
        self.pid, self.uid, self.group, self.name, self.digest = pid, uid, group, name, digest
        self.leads = leads
        """It is the process that was started, or one that it started in a session of its own."""
        self.born = born
        """When it was started, in ticks since the boot."""


def become_subreaper() -> None:
    """Orphans of our processes become our children, so that they do not stay as zombies."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def raise_descriptor_limit() -> None:
    """Each process that we follow takes a descriptor; what we start gets the former limit."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS[1], _DESCRIPTORS[1]))


def spare(points: int) -> None:
    """Say how gladly the kernel kills this process, and those that it starts, when memory is short; it takes root."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(points))
    except OSError:
        pass


def start(spec: dict[str, Any], supervisor: str, group: str) -> int:
    """Start a process in its own session and return its pid.

    What fails before the program runs (no such program, log not writable) ends the child with status 126 or
    127, with the reason in its log or ours.
    """
    environment = dict(spec["environment"])
    environment[MARK] = "\n".join((supervisor, group, spec["name"], spec["digest"]))
    pid = os.fork()
    if pid:
        return pid
    try:
        _enter(spec)
        os.execve(spec["argv"][0], spec["argv"], environment)
    except BaseException as error:
        os.write(2, f"{group}/{spec['name']}: {spec['argv'][0]}: {error}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _enter(spec: dict[str, Any]) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    spare(0)
    for path in spec.get("groups", ()):
        enter_group(path)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    for name, value in spec.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.umask(0o022)
    walls.raise_walls(spec["walls"])
    os.umask(0o077)
    if spec.get("uid") is not None:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    walls.lock(spec["walls"])
    os.chdir(spec["cwd"])
    # Opened as the partition's user: a link in its folder cannot make us write elsewhere.
    null = os.open(os.devnull, os.O_RDWR)
    try:
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        # A service without its log is better than none.
        log = null
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 1024)


def enter_group(path: str) -> None:
    """Move into a control group, whose file is named."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, b"0")
    os.close(descriptor)


def find(supervisor: str) -> Iterator[Found]:
    """Yield the living processes that carry the mark of this supervisor."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        pid = int(entry)
        try:
            environment = _environment(pid)
            if MARK.encode() not in environment or is_zombie(pid):
                continue
            session, uid = os.getsid(pid), os.stat(f"/proc/{pid}").st_uid
            born = int(_fields(pid)[19])
        except OSError:
            continue
        for variable in environment.split(b"\0"):
            name, _, value = variable.decode(errors="replace").partition("=")
            parts = value.split("\n")
            if name == MARK and len(parts) == 4 and parts[0] == supervisor:
                yield Found(pid, uid, parts[1], parts[2], parts[3], session == pid, born)


def _environment(pid: int) -> bytes:
    """Return a process's environment. In the middle of `exec` the kernel shows none: look again then."""
    for _ in range(10):
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
        if environment:
            break
        with open(f"/proc/{pid}/statm", "rb") as file:
            if file.read().startswith(b"0 "):
                # Of the kernel, or a zombie: it has no memory.
                break
        time.sleep(0.002)
    return environment


def _fields(pid: int) -> list[bytes]:
    """Return what the kernel says of a process after its name: state, parent …"""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and only waits to be noticed."""
    try:
        return _fields(pid)[0] == b"Z"
    except OSError:
        return True


def reap_orphans(ours: set[int]) -> None:
    """Reap what our processes left behind, but leave those that are followed to whoever follows them."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return
        os.waitpid(found.si_pid, 0)


def kill_session(pid: int, number: int) -> None:
    """Signal the process group that a process leads."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def ask_to_end(pid: int, descriptor: int, name: str) -> None:
    """Tell a process and the group that it leads to end, by the signal of this name; `descriptor` is its pidfd."""
    number = getattr(signal, f"SIG{name}")
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # Just forked: it leads no group yet.
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
    except PermissionError:
        pass


def kill_rest(supervisor: str, group: str, uid: int | None, control: Iterable[str]) -> None:
    """Kill whatever still lives with the mark of a group, as its user or in its control groups, until nothing does."""
    for path in control:
        _kill_group(os.path.dirname(os.path.dirname(path)))
    for _ in range(50):
        rest = [one.pid for one in find(supervisor) if one.group == group]
        if uid:
            rest += user_processes(uid)
        if not rest:
            return
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass


def _kill_group(folder: str) -> None:
    """Kill a control group: at once where the kernel can; else what is in it, which can start nothing meanwhile."""
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
    for parent, _, _ in os.walk(folder):
        try:
            with open(f"{parent}/cgroup.procs") as file:
                pids = [int(line) for line in file]
        except OSError:
            # Gone: nothing was in it any more.
            continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def user_processes(uid: int) -> list[int]:
    """Return the living processes of a user."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.stat(f"/proc/{entry}").st_uid == uid and not is_zombie(int(entry)):
                    found.append(int(entry))
            except OSError:
                continue
    return found
