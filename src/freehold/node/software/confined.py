"""A build in walls of its own: a user, a control group, namespaces of processes and IPC, and a view of the machine.

Run as a program by `build`, with what it may see and the command: it enters the walls and runs the command in them. It
is process 1 there, so that all that a build started ends with it, whatever it made of itself.

    python -I -m freehold.node.software.confined ORDER COMMAND…
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freehold.node.isolation import cgroups, group, processes, protections, remains, sandbox
from freehold.node.partition import visible
from freehold.node.settings import Limits, PartitionSlot, Settings

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec

_USERS, _MOST_USERS = 2_000_100_000, 1 << 20
"""Users in no range that a distribution, systemd or a container gives to anyone: each build has one."""
_SEEN = ("/etc/apt", "/etc/dpkg", "/etc/gitconfig", "/etc/pip.conf", "/etc/xdg/pip", "/var/lib/apt", "/var/lib/dpkg")
"""What a build needs of the machine besides what programs do: where packages come from."""
_SECONDS = 10.0


class BuildOrder(msgspec.Struct, frozen=True):
    """Whose walls, and round what."""

    uid: int
    groups: list[str]
    """Files of control groups to enter."""
    folder: str
    """The release's, where it may write."""
    made: str
    """A folder of root's, for the few files of /etc that are made for it."""


def user(folder: Path) -> int | None:
    """Return the user of the build of a release in a folder; None where there is no root to become another."""
    if os.geteuid() != 0:
        return None
    return _USERS + int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:4]) % _MOST_USERS


def command(settings: Settings, folder: Path, etc: Path, program: list[str]) -> list[str]:
    """Return the command that runs a program of a build in walls; without root, the program itself."""
    uid = user(folder)
    if uid is None:
        return program
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    groups = cgroups.create(_tag(settings, folder), Limits().for_machine(memory_mb))
    own = groups.call()
    entered = [*([f"{own}/cgroup.procs"] if own else []), *groups.checks]
    order = BuildOrder(uid, entered, str(folder), str(etc))
    ours = [sys.executable, "-I", "-m", "freehold.node.software.confined", msgspec.json.encode(order).decode()]
    return [*ours, *program]


def end(settings: Settings, folder: Path) -> list[str]:
    """End all that a build started; return what is left of its user on this machine, in words."""
    uid = user(folder)
    if uid is None:
        return []
    cgroups.end(_tag(settings, folder), _SECONDS)
    processes.end(lambda: processes.of_user(uid), _SECONDS)
    return remains.of_user(uid, None)


def main(arguments: list[str]) -> int:
    """Enter the walls and run the command; return its status."""
    order = msgspec.json.decode(arguments[0], type=BuildOrder)
    around = _sandbox(order)
    for path in order.groups:
        group.enter(path)
    sandbox.unshare_processes()
    first = os.fork()
    if first:
        return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os.umask(0o022)
    sandbox.enter_sandbox(around)
    os.setgroups([])
    os.setgid(order.uid)
    os.setuid(order.uid)
    sandbox.lock(around)
    os.chdir(order.folder)
    child = os.fork()
    if child == 0:
        os.execve(arguments[1], arguments[1:], os.environ)
    while True:
        pid, status = os.wait()
        if pid == child:
            # With process 1 the kernel ends all others here.
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _sandbox(order: BuildOrder) -> "SandboxSpec":
    # Tried here, where there is one thread, and nothing of the agent's.
    mounts, landlock, program = protections.find_sandbox(privileged=True)
    slot = PartitionSlot("builder", "127.0.0.1", order.uid, order.uid)
    return {
        **sandbox.NONE,
        "mounts": mounts,
        "landlock": landlock,
        "links": {path: os.readlink(path) for path in visible.TOP if os.path.islink(path)},
        "shows": visible.folders(),
        "files": {
            **visible.files(Path(order.made), slot, "/tmp", None),
            **{path: os.path.realpath(path) for path in _SEEN if os.path.exists(path)},
        },
        "folder": order.folder,
        # It fetches, and nobody fetches from it: no port of the machine is taken by a build.
        "listen": [],
        "filter": program,
    }


def _tag(settings: Settings, folder: Path) -> str:
    return f"{settings.tag}/build-{folder.name[:16]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
