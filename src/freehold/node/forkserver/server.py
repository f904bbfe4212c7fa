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
import time
import traceback
from contextlib import suppress
from typing import Any

from freehold.node.errors import NodeError
from freehold.node.forkserver import MOST_ORDER, SIZE, _exactly
from freehold.node.isolation import group, sandbox

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
        order, descriptors, flags, _ = socket.recv_fds(control, MOST_ORDER, 1)
        if not order:
            # The agent is gone: so is everything that it was doing.
            os._exit(0)
        try:
            _serve(control, order, descriptors, flags)
        except Exception as error:
            # Of this one order: the children of others live on.
            traceback.print_exception(error)
            if descriptors:
                with socket.socket(fileno=os.dup(descriptors[0])) as sock:
                    _refuse(sock, error)
        for descriptor in descriptors:
            os.close(descriptor)


def _serve(control: socket.socket, order: bytes, descriptors: list[int], flags: int) -> None:
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) != 1:
        raise NodeError(f"An order of more than {MOST_ORDER} bytes, or without a stream, is not served.")
    job = json.loads(order)
    _warm(job["warm"])
    entrance = sandbox.Entrance(job["enclosure"].get("sandbox", sandbox.NONE))
    try:
        pid = entrance.fork()
        if pid == 0:
            try:
                _be_quiet()
                control.close()
                _child(job, socket.socket(fileno=descriptors[0]), entrance)
            finally:
                # Whatever fails here, there is one helper.
                os._exit(1)
    finally:
        entrance.close()


def _refuse(sock: socket.socket, error: Exception) -> None:
    """Answer in the place of a child that does not exist: it has the number 0, which nobody kills."""
    with suppress(OSError):
        sock.settimeout(1)
        sock.sendall(SIZE.pack(0))
        _tell(sock, error, persistent=False)


def _be_quiet() -> None:
    """Let go of the helper's log, before the first instruction that is not ours: what a child prints is its own."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _warm(module: str) -> None:
    """Import a module for all children to come; one that cannot be imported is theirs to complain of."""
    if not module or module in sys.modules:
        return
    try:
        importlib.import_module(module)
    except BaseException:
        traceback.print_exc()
    gc.collect()
    gc.freeze()


def _child(order: dict[str, Any], sock: socket.socket, entrance: sandbox.Entrance) -> None:
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
            # After its answer it is killed.
            sys.stdout.flush()
            sys.stderr.flush()
            sock.sendall(b"\0" + SIZE.pack(len(answer)) + answer)
        status = 0
    except BaseException as error:
        _tell(sock, error, order["persistent"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _become(order: dict[str, Any], entrance: sandbox.Entrance) -> None:
    enclosure = order["enclosure"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in enclosure.get("groups", ()):
        group.enter(path)
    entrance.join()
    for name, value in enclosure.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.umask(0o022)
    if "sandbox" in enclosure:
        sandbox.enter_sandbox(enclosure["sandbox"])
    os.umask(0o077)
    if order["uid"] is not None:
        os.setgroups([])
        os.setgid(order["gid"])
        os.setuid(order["uid"])
    # After the change of user, which clears it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    sandbox.lock(enclosure.get("sandbox", sandbox.NONE))
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME=order["cwd"], LANG="C.UTF-8", TZ="UTC")
    time.tzset()
    if order["log"]:
        _print_into(order["log"])
    elif order["prints"]:
        with suppress(OSError):
            os.makedirs(os.path.dirname(order["prints"]), 0o700, exist_ok=True)
            _print_into(order["prints"])


def _print_into(path: str) -> None:
    # Its user may have put anything there: a pipe that nobody reads must not hold it up.
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
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
    answer = text[-4000:].encode("utf-8", "backslashreplace")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        sock.sendall(b"\1" + SIZE.pack(len(answer)) + answer)
    except OSError:
        pass


if __name__ == "__main__":
    main()
