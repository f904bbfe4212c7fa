"""Starting a process as it should be, and finding again what a former supervisor started.

Each process has a control group of its own, whose name says as what it runs and with which digest. A supervisor that
comes after a `kill -9` finds its processes there, however suddenly the former one ended, whatever they made of
themselves; a table of process ids could always miss the last one. Without root there are no groups: then each
process carries a mark in its environment, which it can lose.
"""

from __future__ import annotations

import binascii
import ctypes
import errno
import os
import resource
import signal

from freehold.node.isolation import group, processes, sandbox
from freehold.node.supervisor import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

MARK = "FREEHOLD_PROCESS"
_REST_SECONDS = 0.5
"""A supervisor has others to look after: what does not end in this time is killed again a second later."""
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


def start(spec: dict[str, Any], supervisor: str, name: str) -> int:
    """Start a process in its own session and return its pid; raise OSError when the kernel does not let us.

    What fails before the program runs (no such program, log not writable) ends the child with status 126 or
    127, with the reason in its log or ours.
    """
    environment = dict(spec["environment"])
    own = own_group(spec)
    if own:
        os.makedirs(own, exist_ok=True)
    else:
        environment[MARK] = "\n".join((supervisor, name, spec["name"], spec["digest"]))
    entrance = sandbox.Entrance(spec["sandbox"])
    try:
        pid = entrance.fork()
    except OSError:
        entrance.close()
        raise
    if pid:
        entrance.close()
        return pid
    try:
        _enter(spec, own, entrance)
        os.execve(spec["argv"][0], spec["argv"], environment)
    except BaseException as error:
        os.write(2, f"{name}/{spec['name']}: {spec['argv'][0]}: {error}\n".encode(errors="backslashreplace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _enter(spec: dict[str, Any], own: str, entrance: sandbox.Entrance) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    spare(0)
    for path in [*([f"{own}/cgroup.procs"] if own else []), *spec.get("groups", ())]:
        group.enter(path)
    entrance.join()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    for name, value in spec.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.umask(0o022)
    sandbox.enter_sandbox(spec["sandbox"])
    os.umask(0o077)
    if spec.get("uid") is not None:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    sandbox.lock(spec["sandbox"])
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


def own_group(spec: dict[str, Any]) -> str:
    """Return the folder of the control group in which a process of this name and digest is alone with its children."""
    return f"{spec['track']}/{_told(spec['name'])}@{spec['digest']}" if spec.get("track") else ""


def former_groups(spec: dict[str, Any]) -> dict[str, str]:
    """Return the groups that there are of a process of this name: by digest, the folder."""
    prefix = f"{_told(spec['name'])}@"
    try:
        entries = os.listdir(spec["track"]) if spec.get("track") else []
    except OSError:
        entries = []
    return {entry[len(prefix) :]: f"{spec['track']}/{entry}" for entry in entries if entry.startswith(prefix)}


def _told(name: str) -> str:
    # A group's name has no slash and no line break; what others called a process may have anything.
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "." for letter in name)
    return f"{plain[:100]}.{binascii.crc32(name.encode(errors='surrogateescape')):08x}"


def leader(folder: str, init: int) -> int:
    """Return which process of a group is the one that was started; 0 when it does not live any more.

    It leads a session, and its parent was a supervisor. What it started has a parent in the group; what was orphaned
    has the partition's init.
    """
    pids, children = group.members(folder), []
    for pid in pids:
        try:
            fields = processes.fields(pid)
        except OSError:
            continue
        parent, session = int(fields[1]), int(fields[3])
        if session == pid and parent != init and parent not in pids and fields[0] != b"Z":
            children.append((int(fields[19]), pid))
    # Where no init takes them, orphans look the same, but are younger.
    return min(children)[1] if children else 0


def find(supervisor: str) -> Iterator[Found]:
    """Yield the living processes that carry the mark of this supervisor."""
    for pid, mark in processes.with_variable(MARK):
        parts = mark.split("\n")
        if len(parts) != 4 or parts[0] != supervisor:
            continue
        try:
            session, uid = os.getsid(pid), os.stat(f"/proc/{pid}").st_uid
            born = int(processes.fields(pid)[19])
        except OSError:
            continue
        yield Found(pid, uid, parts[1], parts[2], parts[3], session == pid, born)


def running(supervisor: str) -> set[str]:
    """Return the groups of a supervisor, whose folder is named, of which something runs."""
    tracks = {
        (name, spec["track"])
        for name, saved in table.read(supervisor).items()
        for spec in saved["processes"]
        if spec.get("track")
    }
    return {child.group for child in find(supervisor)} | {name for name, track in tracks if group.members(track)}


def reap_orphans(ours: set[int]) -> None:
    """Reap what our processes left behind, but leave those that are followed to whoever follows them."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            return
        os.waitpid(ended.si_pid, 0)


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


def kill_rest(supervisor: str, name: str, uid: int | None, folders: Iterable[str]) -> None:
    """Kill whatever still lives of a group: in its control groups, as its user, or with its mark."""
    for folder in folders:
        group.kill(folder)

    def remaining() -> list[int]:
        return processes.of_user(uid) if uid else [child.pid for child in find(supervisor) if child.group == name]

    processes.end(remaining, _REST_SECONDS)


def folders(spec: dict[str, Any]) -> list[str]:
    """Return the folders of the control groups of a process's partition, the one that knows all of them first."""
    slots = [spec["track"]] if spec.get("track") else []
    slots += [os.path.dirname(path) for path in spec.get("groups", ())]
    return [os.path.dirname(slot) for slot in slots]


def living(spec: dict[str, Any], marked: Found | None) -> tuple[int, str]:
    """Return the pid and digest with which a process runs that a former supervisor started; 0 when it does not."""
    if spec.get("track"):
        init = sandbox.init_of(spec["sandbox"]["init"]) if spec["sandbox"]["init"] else 0
        for digest, folder in former_groups(spec).items():
            if pid := leader(folder, init):
                return pid, digest
        return 0, ""
    if marked is not None and marked.uid == (os.geteuid() if spec.get("uid") is None else spec["uid"]):
        return marked.pid, marked.digest
    return 0, ""
