"""What stands between the partitions of this machine: tried, not assumed."""

import errno
import os
import tempfile

import msgspec

from freehold.node import walls
from freehold.node.host import cgroups, firewall
from freehold.node.settings import Settings

NAMES = ("users", "files", "memory", "processes", "cpu", "disk", "listening", "connecting")
"""Every protection there is, by the word used for it everywhere."""
_WHY = {
    "users": "partitions share one user: prepare the node as root, without --unprivileged",
    "files": "the kernel gives no view of files of one's own (Linux 5.12, and user namespaces where there is no root)",
    "memory": "no control group can limit memory here: it takes root, and the controller `memory`",
    "processes": "no control group can limit processes here: it takes root, and the controller `pids`",
    "cpu": "no control group can share out the processor here: it takes root, and the controller `cpu`",
    "disk": "",
    "listening": "there is neither nftables as root nor Landlock 4 (Linux 6.7): install the package nftables",
    "connecting": "there is no nftables as root: install the package nftables",
}


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

    def holding(self) -> dict[str, bool]:
        """Return for each protection whether it holds."""
        return {
            "users": self.users,
            "files": self.mounts or self.landlock > 0,
            "memory": "memory" in self.limited,
            # A user of one's own is enough to count its processes.
            "processes": "pids" in self.limited or self.users,
            "cpu": "cpu" in self.limited,
            # Watched by the agent.
            "disk": True,
            "listening": self.firewall or self.landlock >= 4,
            "connecting": self.firewall,
        }

    def missing(self) -> dict[str, str]:
        """Return for each protection that does not hold why, and what would mend it."""
        return {name: _WHY[name] for name, holds in self.holding().items() if not holds}


def find(settings: Settings) -> Protections:
    """Try what this machine gives, without leaving a trace of it."""
    privileged = not settings.unprivileged and os.geteuid() == 0
    version = walls.landlock_version()
    return Protections(
        users=privileged,
        mounts=_holds(user_namespace=not privileged, landlock=0),
        user_namespace=not privileged,
        landlock=version if _holds(user_namespace=not privileged, landlock=version, mounts=False) else 0,
        groups=cgroups.version() if privileged else 0,
        limited=sorted(cgroups.limited()) if privileged else [],
        firewall=privileged and firewall.works(),
    )


def _holds(*, user_namespace: bool, landlock: int, mounts: bool = True) -> bool:
    """Return whether such walls can be raised, by raising them round a child."""
    with tempfile.TemporaryDirectory(prefix="freehold-walls-") as folder:
        tried: walls.Walls = {
            "mounts": mounts,
            "user_namespace": user_namespace,
            "landlock": landlock,
            "links": {},
            "shows": ["/etc"],
            "folder": folder,
            "listen": None,
            "alone": user_namespace,
        }
        child = os.fork()
        if child == 0:
            _try_and_exit(tried)
        return os.waitpid(child, 0)[1] == 0


def _try_and_exit(tried: "walls.Walls") -> None:
    try:
        walls.raise_walls(tried)
        walls.lock(tried)
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
