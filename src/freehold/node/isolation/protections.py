"""What stands between the partitions of this machine: tried, not assumed."""

import errno
import os
import tempfile
import threading

import msgspec

from freehold.node.errors import HostError
from freehold.node.isolation import cgroups, container, firewall, sandbox, seccomp
from freehold.node.settings import Limits, Settings

NAMES = (
    "users", "files", "namespaces", "network", "calls", "memory", "processes", "cpu", "disk", "listening", "connecting",
)  # fmt: skip
"""Every protection there is, by the word used for it everywhere."""
_WHY = {
    "users": "partitions share one user: prepare the node as root, without --unprivileged",
    "files": "the kernel gives no view of files of one's own (Linux 5.12, and user namespaces where there is no root)",
    "namespaces": f"there is no `{container.PROGRAM}` as root to hold them: install the package {container.PROGRAM}",
    "network": "the kernel gives no pair of virtual interfaces as root: install the package iproute2",
    "calls": "there is no filter of system calls: install the package libseccomp2",
    "memory": "no control group can limit memory here: it takes root, and the controller `memory`",
    "processes": "no control group can limit processes here: it takes root, and the controller `pids`",
    "cpu": "no control group can share out the processor here: it takes root, and the controller `cpu`",
    "disk": "",
    "listening": "there is neither nftables as root nor Landlock 4 (Linux 6.7): install the package nftables",
    "connecting": "there is no nftables as root, or no network of their own: install the package nftables",
}

WEIGHTS = {
    "users": (5, "partitions read each other's files"),
    "files": (4, "partitions read what the machine shows everybody, other customers' builds too"),
    "namespaces": (3, "partitions see each other's processes, and share IPC"),
    "network": (3, "partitions take each other's addresses and ports"),
    "calls": (4, "partitions reach all of the kernel, its youngest faults too"),
    "memory": (3, "one partition takes all memory"),
    "processes": (3, "one partition takes all processes"),
    "cpu": (2, "one partition takes the processor"),
    "disk": (2, "one partition fills the disk"),
    "listening": (2, "partitions listen on ports that they did not declare"),
    "connecting": (3, "partitions reach the operator's networks"),
}
"""For each protection how much its absence exposes, from 1 to 5, and what."""


class Protections(msgspec.Struct, frozen=True):
    """What this machine gives."""

    users: bool
    mounts: bool
    user_namespace: bool
    landlock: int
    groups: int
    """The version of control groups in use; 0: none."""
    limited: list[str]
    """Which of cpu, memory, pids they limit."""
    firewall: bool
    namespaces: bool
    """Namespaces of processes and of IPC, held by an init."""
    network: bool
    """A network namespace besides, with a link to the host."""
    filter: str
    """The filter of system calls, in hexadecimal; empty: none."""

    def holding(self) -> dict[str, bool]:
        """Return for each protection whether it holds."""
        return {
            "users": self.users,
            "files": self.mounts or self.landlock > 0,
            "namespaces": self.namespaces,
            "network": self.network,
            "calls": bool(self.filter),
            "memory": "memory" in self.limited,
            # A user of one's own is enough to count its processes.
            "processes": "pids" in self.limited or self.users,
            "cpu": "cpu" in self.limited,
            # Watched by the agent.
            "disk": True,
            "listening": (self.firewall and self.network) or self.landlock >= 4,
            "connecting": self.firewall and self.network,
        }

    def missing(self) -> dict[str, str]:
        """Return for each protection that does not hold why, and what would mend it."""
        return {name: _WHY[name] for name, holds in self.holding().items() if not holds}


def find(settings: Settings) -> Protections:
    """Try what this machine gives, without leaving a trace of it."""
    privileged = not settings.unprivileged and os.geteuid() == 0
    mounts, landlock, program = find_sandbox(privileged=privileged)
    network = privileged and _contains(network=True)
    return Protections(
        users=privileged,
        mounts=mounts,
        user_namespace=not privileged,
        landlock=landlock,
        groups=cgroups.version() if privileged else 0,
        limited=sorted(cgroups.limited()) if privileged else [],
        firewall=privileged and firewall.works(),
        # Whoever can be in a network of its own is in those namespaces as well.
        namespaces=network or (privileged and _contains(network=False)),
        network=network,
        filter=program,
    )


def find_sandbox(*, privileged: bool) -> tuple[bool, int, str]:
    """Try which walls a process can raise: a view of its own, a version of Landlock, a filter of system calls."""
    version = sandbox.landlock_version()
    return (
        _holds(user_namespace=not privileged),
        version if _holds(user_namespace=not privileged, landlock=version, mounts=False) else 0,
        _filter(),
    )


def _contains(*, network: bool) -> bool:
    """Return whether a container can be made and entered, by making one."""
    tag = f"trial-{os.getpid()}-{threading.get_native_id()}/p0"
    groups = cgroups.create(tag, Limits())
    link = f"{firewall.LINKS}try{os.getpid() % 10**7}" if network else ""
    order = container.ContainerOrder(init=groups.init, address="169.254.255.254", host_end=link)
    try:
        if not groups.init:
            return False
        container.make(msgspec.json.encode(order))
        return _enters({**sandbox.NONE, "init": groups.init, "network": network})
    except (OSError, HostError):
        return False
    finally:
        cgroups.end(tag, 10)
        container.remove_link(link)
        cgroups.remove_node(tag.partition("/")[0])


def _enters(tried: "sandbox.SandboxSpec") -> bool:
    """Return whether a child can be born into a container, and sees nobody but its init there."""
    entrance = sandbox.Entrance(tried)
    child = entrance.fork()
    if child == 0:
        try:
            entrance.join()
            with open("/proc/self/net/dev") as file:
                has_link = f"{container.INSIDE}:" in file.read()
            os._exit(0 if os.getpid() == 2 and (has_link or not tried["network"]) else 1)
        except BaseException:
            os._exit(1)
    entrance.close()
    return os.waitpid(child, 0)[1] == 0


def _filter() -> str:
    """Return the filter of system calls, if it can be made, and holds."""
    try:
        program = seccomp.compile_filter().hex()
    except OSError:
        return ""
    child = os.fork()
    if child == 0:
        try:
            sandbox.lock({**sandbox.NONE, "filter": program})
            os._exit(0 if sandbox.is_filtered() else 1)
        except BaseException:
            os._exit(1)
    return program if os.waitpid(child, 0)[1] == 0 else ""


def _holds(*, user_namespace: bool, landlock: int = 0, mounts: bool = True) -> bool:
    """Return whether such walls can be raised, by raising them round a child."""
    with tempfile.TemporaryDirectory(prefix="freehold-sandbox-") as folder:
        tried: sandbox.SandboxSpec = {
            **sandbox.NONE,
            "mounts": mounts,
            "user_namespace": user_namespace,
            "landlock": landlock,
            "shows": ["/etc"],
            "folder": folder,
            "alone": user_namespace,
            "host_name": "partition",
        }
        child = os.fork()
        if child == 0:
            _try_and_exit(tried)
        return os.waitpid(child, 0)[1] == 0


def _try_and_exit(tried: "sandbox.SandboxSpec") -> None:
    try:
        sandbox.enter_sandbox(tried)
        sandbox.lock(tried)
        is_closed = not (tried["mounts"] or tried["landlock"]) or not _is_open("/usr/bin/env")
        os._exit(0 if is_closed else 1)
    except BaseException:
        os._exit(1)


def _is_open(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.ENOENT)
    return True
