"""A partition's container: a tiny init that holds PID, IPC and network namespaces of its own, and a way into them.

The init (`catatonit`) reaps what services leave behind and outlives the agent and the supervisor. It is found again by
its control group, in which there is nothing else; no file could name it as surely. `make` runs as root in a child of
the fork server, where there is one thread.
"""

import ctypes
import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec

from freehold.node.errors import HostError
from freehold.node.isolation import group
from freehold.node.isolation.sandbox import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, init_of
from freehold.node.supervisor.children import spare

GATEWAY_4, GATEWAY_6 = "169.254.1.1", "fe80::1"
"""The host's end of every partition's link, by the partition's name for it."""
INSIDE = "eth0"
PROGRAM = "catatonit"
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
LINK_SECONDS = 5.0
"""In so much time the kernel has taken off a link whose namespace ended, also of a busy machine."""
_NAMESPACES = CLONE_NEWPID | CLONE_NEWIPC
_libc = ctypes.CDLL(None, use_errno=True)


class ContainerOrder(msgspec.Struct, frozen=True):
    """What container to make."""

    init: str
    """The file `cgroup.procs` of the control group in which its init is alone."""
    address: str
    """The partition's address; empty: it shares the host's network."""
    host_end: str = ""
    """The name of its link on the host."""
    uplinks: list[str] = []
    """Interfaces of the host through which it reaches others, and they reach it."""
    announced_on: str = ""
    """The interface on which the host answers for its address; empty: none, it is routed here or private."""


def make(payload: bytes) -> bytes:
    """Make a container, unless it is there whole; raise HostError, naming the step, when the kernel refuses one."""
    order = msgspec.json.decode(payload, type=ContainerOrder)
    if is_whole(order.init, order.host_end):
        return b""
    folder = os.path.dirname(order.init)
    if not group.end(folder, 10):
        raise HostError("The former container of this partition does not end.")
    remove_link(order.host_end)
    os.makedirs(folder)
    program = shutil.which(PROGRAM)
    if program is None:
        raise HostError(f"There is no `{PROGRAM}` here. Install the package {PROGRAM}.")
    pid = _start_init(program, order)
    if order.host_end:
        _link(order, pid)
    return b""


def is_whole(init: str, host_end: str) -> bool:
    """Return whether a container's init lives and its link, if it has one, is there."""
    return bool(init_of(init)) and (not host_end or os.path.exists(f"/sys/class/net/{host_end}"))


def remove_link(host_end: str, seconds: float = LINK_SECONDS) -> bool:
    """Take a partition's link off the host, if it is there; return whether it is gone after so many seconds at most.

    The kernel takes it off by itself when its namespace ends, some time after that: meanwhile it is there, and cannot
    be deleted.
    """
    deadline = time.monotonic() + seconds
    while host_end and os.path.exists(f"/sys/class/net/{host_end}"):
        subprocess.run(["ip", "link", "delete", host_end], capture_output=True, check=False)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def default_interfaces() -> set[str]:
    """Return the interfaces by which this machine reaches what it has no other route to."""
    interfaces = set()
    for line in _read("/proc/net/route").splitlines()[1:]:
        words = line.split()
        if words[1] == "00000000":
            interfaces.add(words[0])
    for line in _read("/proc/net/ipv6_route").splitlines():
        words = line.split()
        if words[:2] == ["0" * 32, "00"] and words[9] != "lo":
            interfaces.add(words[9])
    return interfaces


def _start_init(program: str, order: ContainerOrder) -> int:
    """Start an init in new namespaces and return its pid."""
    read_end, tell = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            namespaces = _NAMESPACES | (CLONE_NEWNET if order.host_end else 0)
            if _libc.unshare(namespaces) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            # This one is process 1 of its namespace; what we are told of it is its pid in ours.
            pid = os.fork()
            if pid == 0:
                _become_init(program, order.init)
            os.write(tell, f"{pid}".encode())
            os._exit(0)
        except BaseException as error:
            os.write(tell, f"namespaces: {error}".encode())
            os._exit(1)
    os.close(tell)
    with os.fdopen(read_end, "rb") as answers:
        words = answers.read()
    os.waitpid(between, 0)
    if not words.isdigit():
        raise HostError(f"The kernel gives no namespaces: {words.decode(errors='replace')}")
    return int(words)


def _become_init(program: str, procs: str) -> None:
    """Become the init: root of nothing, with nothing of ours open, spared when memory is short."""
    try:
        group.enter(procs)
        os.setsid()
        os.chdir("/")
        spare(-900)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        # The pipe on which our pid is told ends with this process's image at the latest.
        os.closerange(3, 1024)
        for capability in range(64):
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.execve(program, [PROGRAM, "-P"], {})
    except BaseException:
        os._exit(127)


def _link(order: ContainerOrder, pid: int) -> None:
    """Connect a container with the host: a pair of virtual interfaces, routed; there is no bridge."""
    is_6 = ipaddress.ip_address(order.address).version == 6
    gateway, length = (GATEWAY_6, 128) if is_6 else (GATEWAY_4, 32)
    where = f"{order.address}/{length}"
    if not is_6:
        _keep_gateway()
    _ip(
        f"link add {order.host_end} type veth peer name {INSIDE} netns {pid}",
        # An address that comes or goes with each partition has programs on the host drop what they are loading.
        f"address add {gateway}/64 dev {order.host_end} nodad"
        if is_6
        else f"link set {order.host_end} addrgenmode none",
        f"link set {order.host_end} up",
        f"route replace {where} dev {order.host_end}{'' if is_6 else f' src {gateway}'}",
        *([f"neigh replace proxy {order.address} dev {order.announced_on}"] if order.announced_on else []),
    )
    _allow_forwarding(order, is_6=is_6)
    _ip(
        "link set lo up",
        f"address add {where} dev {INSIDE}{' nodad' if is_6 else ''}",
        f"link set {INSIDE} up",
        *([] if is_6 else [f"route add {gateway} dev {INSIDE} scope link"]),
        f"route add default via {gateway} dev {INSIDE}",
        within=_joining(order.init),
    )


def _keep_gateway() -> None:
    """Have the host answer for the gateway on all its links, by one address that stays."""
    add = ["ip", "address", "add", f"{GATEWAY_4}/32", "dev", "lo", "scope", "link"]
    done = subprocess.run(add, capture_output=True, text=True, check=False)
    if done.returncode and "exists" not in done.stderr and "already" not in done.stderr:
        raise HostError(f"The host cannot be the gateway of its partitions: {done.stderr.strip()}")


def _joining(procs: str) -> Callable[[], None]:
    """Return what has a new process enter a container's network, where any port and an own `ping` are its users'."""

    def join() -> None:
        init = os.pidfd_open(init_of(procs))
        if _libc.setns(init, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        for name, value in (("ip_unprivileged_port_start", "0"), ("ping_group_range", "0 2147483647")):
            _set(f"/proc/sys/net/ipv4/{name}", value)

    return join


def _allow_forwarding(order: ContainerOrder, *, is_6: bool) -> None:
    """Have the host pass on what comes from a container and what comes for it; the rest is the firewall's."""
    if is_6:
        # The kernel knows only one switch for all; who learns its routes from a router goes on doing so.
        for uplink in order.uplinks:
            if _read(f"/proc/sys/net/ipv6/conf/{uplink}/accept_ra") == "1":
                _set(f"/proc/sys/net/ipv6/conf/{uplink}/accept_ra", "2")
        _set("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        if order.announced_on:
            _set(f"/proc/sys/net/ipv6/conf/{order.announced_on}/proxy_ndp", "1")
        return
    for interface in (order.host_end, *order.uplinks):
        _set(f"/proc/sys/net/ipv4/conf/{interface}/forwarding", "1")


def _set(path: str, value: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(value)
    except FileNotFoundError:
        # A kernel without it needs none.
        pass


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _ip(*lines: str, within: Callable[[], None] | None = None) -> None:
    """Run commands of `ip`, all made of our own names and of parsed addresses; raise HostError."""
    done = subprocess.run(
        ["ip", "-batch", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        # One thread, in a child of the fork server.
        preexec_fn=within,
    )
    if done.returncode:
        print(f"ip: {lines}: {done.stderr.strip()}", file=sys.stderr)
        raise HostError("The network of a partition cannot be made; why is in run/forkserver.log of the node.")
