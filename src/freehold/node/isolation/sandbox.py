"""The walls round a process of a partition: what it sees, and what the kernel lets it do. It enters them itself.

It is forked into the namespaces that the partition's init holds (`Entrance`). `enter_sandbox` (a mount namespace with
only what is named) comes before the change of user, `lock` (Landlock, and a filter of system calls) after.
Which of them this machine can give was tried before (`freehold.node.isolation.protections`), so that a wall that cannot
be raised here means that the process does not start. It is used by the supervisor: the standard library only, no
`typing`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class SandboxSpec(TypedDict):
        """What a partition may see and do; sent to the supervisor as JSON."""

        mounts: bool
        """A file system view of its own."""
        user_namespace: bool
        """Without root the kernel gives that only in a user namespace."""
        landlock: int
        """The version of Landlock to use; 0: none."""
        host_name: str
        """What it takes for the machine's name; empty: the machine's own."""
        links: dict[str, str]
        """Symbolic links at the top, such as `/bin` to `usr/bin`."""
        shows: list[str]
        """What it may read and run."""
        folder: str
        """Its own, where it may write."""
        files: dict[str, str]
        """Single files that it may read, and which file of the machine each is."""
        listen: list[int] | None
        """The TCP ports on which it may listen; None: any."""
        init: str
        """The control group of the init that holds its namespaces, as its file `cgroup.procs`; empty: none."""
        network: bool
        """It enters the network of its container; else it is on the machine's."""
        filter: str
        """The filter of system calls, in hexadecimal; empty: none."""
        alone: bool
        """Its processes may not signal others; when partitions share one user this is all that is between them."""


NONE: SandboxSpec = {
    "mounts": False,
    "user_namespace": False,
    "landlock": 0,
    "host_name": "",
    "links": {},
    "shows": [],
    "files": {},
    "folder": "/",
    "listen": None,
    "init": "",
    "network": False,
    "filter": "",
    "alone": False,
}
"""No walls but that nobody gains a privilege."""

CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWUSER = 0x20000, 0x4000000, 0x10000000
_CLONE3 = 435
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 1, 2, 4, 8, 0x4000, 0x80000
_MNT_DETACH = 2
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
_OLD = "/.old"
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 22, 24, 38
_SECCOMP_MODE_FILTER = 2
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}.get(os.uname().machine)
_KEYCTL_JOIN_SESSION_KEYRING = 1
_libc = ctypes.CDLL(None, use_errno=True)

_READ = 0b1101
"""Execute a file, read it, list a folder."""
_LIST = 0b1000
_OF_FILES = 0b1100000000000111
"""Execute, write, read, truncate, control of a device: the rights that a file can have, folders all."""
_PATH_BENEATH, _NET_PORT = 1, 2
_ALL = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
"""Every right on files that a version of Landlock handles."""
_BIND_TCP = 1
_SCOPE_ABSTRACT, _SCOPE_SIGNAL = 1, 2
_LOG_NEW_EXEC = 2


class Entrance:
    """The way into a partition's namespaces for the next child of this process; it has one thread."""

    def __init__(self, spec: SandboxSpec) -> None:
        """Open it; raise OSError when nobody holds the namespaces."""
        self._spec = spec
        self._init = -1
        if spec["init"]:
            pid = init_of(spec["init"])
            if not pid:
                raise OSError(errno.ESRCH, "the container of this partition is gone; the agent makes it anew")
            self._init = os.pidfd_open(pid)
            if init_of(spec["init"]) != pid:
                os.close(self._init)
                raise OSError(errno.ESRCH, "the container of this partition just ended")

    def fork(self) -> int:
        """Fork: the child is in the namespaces of processes, of IPC and, if so wanted, of the network."""
        if self._init < 0:
            return os.fork()
        ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # It changes where children are born, not where we are.
            _call(_libc.setns, self._init, CLONE_NEWPID, action="the container's processes")
            try:
                pid = os.fork()
            except OSError:
                _libc.setns(ours, CLONE_NEWPID)
                raise
            if pid:
                _call(_libc.setns, ours, CLONE_NEWPID, action="the way back from a container")
            return pid
        finally:
            os.close(ours)

    def join(self) -> None:
        """In the child: enter the other namespaces, and a session of keys of its own."""
        if self._init < 0:
            return
        which = CLONE_NEWIPC | (CLONE_NEWNET if self._spec["network"] else 0)
        _call(_libc.setns, self._init, which, action="the container's IPC and network")
        self.close()
        if _KEYCTL is not None:
            # Else it would have the session of whoever started us, until the filter of calls leaves it no way to it.
            _libc.syscall(ctypes.c_long(_KEYCTL), _KEYCTL_JOIN_SESSION_KEYRING, None)

    def close(self) -> None:
        if self._init >= 0:
            os.close(self._init)
            self._init = -1


def unshare_processes() -> None:
    """Have the next child be process 1 of a new namespace of processes, with IPC of its own: with it all there end."""
    _call(_libc.unshare, CLONE_NEWPID | CLONE_NEWIPC, action="unshare")


def init_of(procs: str) -> int:
    """Return the pid of the init whose control group's file is named; 0 when it does not live."""
    try:
        with open(procs) as file:
            words = file.read().split()
    except OSError:
        return 0
    return int(words[0]) if words else 0


def enter_sandbox(spec: SandboxSpec) -> None:
    """Leave the machine's view of files for one with only what is named; as root, or in a user namespace of our own.

    Raise OSError, naming the step, when the kernel refuses one.
    """
    if not spec["mounts"]:
        return
    _unshare(spec["user_namespace"])
    name = spec["host_name"].encode()
    if name:
        _call(_libc.sethostname, name, ctypes.c_size_t(len(name)), action="sethostname")
    _mount("", "/", "", _MS_REC | _MS_SLAVE)
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID, "mode=755,size=1m")
    os.mkdir("/tmp" + _OLD)
    _call(_libc.pivot_root, b"/tmp", b"/tmp" + _OLD.encode(), action="pivot_root")
    os.chdir("/")
    for link, target in spec["links"].items():
        os.symlink(target, link)
    os.mkdir("/tmp")
    folder = spec["folder"]
    # Whoever tries Freehold keeps it there: what is to be seen of it must not be hidden below the partition's own.
    holds_ours = any(path.startswith("/tmp/") for path in [folder, *spec["shows"]])
    if holds_ours:
        _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")
    for path in spec["shows"]:
        _show(_OLD + path, path, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    for path, source in spec["files"].items():
        _show(_OLD + source, path, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _show(_OLD + folder, folder, _MS_NOSUID | _MS_NODEV)
    if not holds_ours:
        try:
            # Looked for in the new view: a link in the folder leads to nothing that is not its own.
            _show(folder + "/tmp", "/tmp", _MS_NOSUID | _MS_NODEV)
        except FileNotFoundError:
            _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")
    os.makedirs("/var", exist_ok=True)
    for link in ("/run", "/var/run", "/var/tmp"):
        # What is shown of Freehold may be below.
        if not os.path.lexists(link):
            os.symlink("/tmp", link)
    _make_devices(spec["user_namespace"])
    _make_proc(spec["user_namespace"])
    _call(_libc.umount2, _OLD.encode(), _MNT_DETACH, action="umount of the old view")
    os.rmdir(_OLD)
    _set_flags(_AT_FDCWD, b"/", 0, _MS_RDONLY | _MS_NOSUID)


def lock(spec: SandboxSpec) -> None:
    """Give up, for good, every right that is not named; after the change of user. Raise OSError when that fails."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if spec["alone"] and os.geteuid() == 0:
        # Root of nothing: what runs as root on a machine that gives no other user has no capability.
        for capability in range(64):
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _lock_files(spec)
    _filter_calls(spec["filter"])


def _lock_files(spec: SandboxSpec) -> None:
    version = spec["landlock"]
    if not version:
        return
    everything = _ALL[min(version, 5)]
    listen = spec["listen"] if version >= 4 else None
    scoped = 0 if version < 6 else _SCOPE_ABSTRACT | (_SCOPE_SIGNAL if spec["alone"] else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", everything, 0 if listen is None else _BIND_TCP, scoped)
    rules = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0, action="Landlock")
    writable = [spec["folder"], "/tmp", "/dev", "/proc"] if spec["mounts"] else [spec["folder"], "/dev", "/proc"]
    if spec["mounts"]:
        # What it may see is all that there is; the top itself may be listed.
        _allow(rules, "/", _LIST)
    for path in [*spec["shows"], *spec["links"], *spec["files"]]:
        _allow(rules, path, _READ)
    for path in writable:
        _allow(rules, path, everything)
    # Port 0 is any that is free, as those who connect have it: no one else is kept from a port of his.
    for port in [] if listen is None else [0, *listen]:
        _syscall(_ADD_RULE, rules, _NET_PORT, struct.pack("QQ", _BIND_TCP, port), 0, action="Landlock: ports")
    # What is refused later on is written to the audit log, where there is one.
    _syscall(_RESTRICT_SELF, rules, _LOG_NEW_EXEC if version >= 7 else 0, action="Landlock")
    os.close(rules)


def _filter_calls(program: str) -> None:
    """Have the kernel refuse system calls, for good; it takes that nobody here gains a privilege."""
    if not program:
        return
    instructions = bytes.fromhex(program)
    program_buffer = ctypes.create_string_buffer(instructions, len(instructions))
    header = struct.pack("HP", len(instructions) // 8, ctypes.addressof(program_buffer))
    _call(_libc.prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0, action="seccomp")


def is_filtered() -> bool:
    """Return whether this process can make no namespace, by trying: the filter must be loaded."""
    outcome = _libc.unshare(_CLONE_NEWUSER), ctypes.get_errno()
    joined = _libc.syscall(ctypes.c_long(_CLONE3), None, ctypes.c_size_t(0)), ctypes.get_errno()
    return outcome == (-1, errno.EPERM) and joined == (-1, errno.ENOSYS)


def landlock_version() -> int:
    """Return the version of Landlock that this kernel has; 0 when it has none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def _unshare(in_user_namespace: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call(_libc.unshare, _CLONE_NEWNS | _CLONE_NEWUTS | (_CLONE_NEWUSER if in_user_namespace else 0), action="unshare")
    if not in_user_namespace:
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _show(source: str, target: str, flags: int) -> None:
    """Have a file or folder of the old view, with all that is mounted in it, appear in the new one."""
    flag = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    tree = _syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flag, action=source)
    try:
        _set_flags(tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, flags)
        if not os.path.lexists(target):
            _make_target(target, is_folder=os.path.isdir(source))
        _syscall(
            _MOVE_MOUNT,
            tree,
            b"",
            _AT_FDCWD,
            os.fsencode(target),
            _MOVE_MOUNT_F_EMPTY_PATH,
            action=f"mount of {target}",
        )
    finally:
        os.close(tree)


def _make_target(path: str, *, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, 0o755)
        return
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _make_devices(in_user_namespace: bool) -> None:
    os.mkdir("/dev")
    for name, (major, minor) in _DEVICES.items():
        if in_user_namespace:
            _show(f"{_OLD}/dev/{name}", f"/dev/{name}", _MS_NOSUID)
        else:
            os.mknod(f"/dev/{name}", 0o020666, os.makedev(major, minor))
            os.chmod(f"/dev/{name}", 0o666)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"/dev/{name}")
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.mkdir("/dev/pts")
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.mkdir("/dev/shm")
    _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")


def _make_proc(in_user_namespace: bool) -> None:
    os.mkdir("/proc")
    if in_user_namespace:
        _show(_OLD + "/proc", "/proc", _MS_NOSUID)
    else:
        # Processes of other users are not there.
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "hidepid=2")


def _set_flags(tree: int, path: bytes, how: int, flags: int) -> None:
    # The attributes of mount_setattr have the numbers of mount's flags, as far as we use them.
    attributes = struct.pack("QQQQ", flags, 0, 0, 0)
    _syscall(_MOUNT_SETATTR, tree, path, how, attributes, ctypes.c_size_t(32), action="mount_setattr")


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0, action=f"Landlock: {path}")
    finally:
        os.close(descriptor)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = [text.encode() for text in (source, target, kind)]
    _call(_libc.mount, *words, ctypes.c_ulong(flags), options.encode(), action=f"mount of {target}")


def _syscall(number: int, *arguments: object, action: str) -> int:
    return _call(_libc.syscall, ctypes.c_long(number), *arguments, action=action)


def _call(function: object, *arguments: object, action: str) -> int:
    answer: int = function(*arguments)  # type: ignore[operator]
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}")
    return answer
