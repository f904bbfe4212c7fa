"""The helper's own process: waits for orders, forks."""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from typing import Any

from freehold.node import walls
from freehold.node.errors import NodeError
from freehold.node.isolation import group
from freehold.node.workshop import SIZE, _exactly

PRELOADED = (
    "freehold.release.folder",
    "freehold.promises",
    "freehold.node.partition.configure",
    "freehold.node.link.requests",
    "freehold.node.promises.worker",
)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Serve orders from the descriptor given as argument until its other end closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not order:
            # The agent is gone: so is everything that it was doing.
            os._exit(0)
        job = json.loads(order)
        _warm(job["warm"])
        _start(job, control, socket.socket(fileno=descriptors[0]))


def _start(job: dict[str, Any], control: socket.socket, sock: socket.socket) -> None:
    """Fork a child for an order, in the namespaces of its partition."""
    with sock:
        try:
            entrance = walls.Entrance(job["enclosure"].get("walls", walls.NONE))
            try:
                pid = entrance.fork()
            except OSError:
                entrance.close()
                raise
        except OSError as error:
            if not job["persistent"]:
                sock.sendall(SIZE.pack(0))
            _tell(sock, NodeError(f"It cannot be started: {error}"), job["persistent"])
            return
        if pid == 0:
            control.close()
            _child(job, sock, entrance)
        entrance.close()


def _warm(module: str) -> None:
    """Import a module for all children to come; one that cannot be imported is theirs to complain of."""
    if not module or module in sys.modules:
        return
    try:
        importlib.import_module(module)
    except Exception:
        traceback.print_exc()
    gc.collect()
    gc.freeze()


def _child(order: dict[str, Any], sock: socket.socket, entrance: walls.Entrance) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        if not order["persistent"]:
            # The machine's number of us, which we do not know any more in a container.
            sock.sendall(SIZE.pack(int(os.readlink("/proc/self"))))
        _become(order, entrance)
        module, _, function = order["target"].partition(":")
        target = getattr(importlib.import_module(module), function)
        if order["persistent"]:
            target(sock)
        else:
            (size,) = SIZE.unpack(_exactly(sock, SIZE.size))
            answer = target(_exactly(sock, size))
            sock.sendall(b"\0" + SIZE.pack(len(answer)) + answer)
        status = 0
    except BaseException as error:
        _tell(sock, error, order["persistent"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _become(order: dict[str, Any], entrance: walls.Entrance) -> None:
    enclosure = order["enclosure"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in enclosure.get("groups", ()):
        group.enter(path)
    entrance.join()
    for name, value in enclosure.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.umask(0o022)
    if "walls" in enclosure:
        walls.raise_walls(enclosure["walls"])
    os.umask(0o077)
    if order["uid"] is not None:
        os.setgroups([])
        os.setgid(order["gid"])
        os.setuid(order["uid"])
    # After the change of user, which clears it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    walls.lock(enclosure.get("walls", walls.NONE))
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME=order["cwd"], LANG="C.UTF-8")
    if order["log"]:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _tell(sock: socket.socket, error: BaseException, persistent: bool) -> None:
    ours = type(error).__module__.startswith("freehold.")
    if not ours:
        traceback.print_exception(error)
    if persistent:
        return
    text = str(error) if ours else "".join(traceback.format_exception(error)[-3:])
    answer = text[-4000:].encode()
    try:
        sock.sendall(b"\1" + SIZE.pack(len(answer)) + answer)
    except OSError:
        pass


if __name__ == "__main__":
    main()
