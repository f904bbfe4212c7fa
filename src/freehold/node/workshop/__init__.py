"""A warm helper: a process that has imported what instances need, and forks children that use it.

Starting Python and importing a release author's library costs 100 ms and more; a fork of a process that has
done so costs 2 ms. Children drop to the partition's user before they touch anything of it.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.node.errors import NodeError

if TYPE_CHECKING:
    from freehold.node.walls import Walls

SIZE = struct.Struct("!I")


@dataclass(frozen=True)
class Enclosure:
    """What encloses a child besides its user."""

    walls: "Walls"
    groups: tuple[str, ...] = ()
    """Files of the control groups into which it moves."""
    limits: tuple[tuple[str, int], ...] = ()
    """Resource limits, by the names of the module `resource`."""
    own_group: str = ""
    """The folder of the control group in which there is only this; empty where there are none."""

    def as_order(self) -> dict[str, Any]:
        return {"walls": self.walls, "groups": self.groups, "limits": dict(self.limits)}


class WorkshopError(NodeError):
    """A child failed, ended or took too long; the message says how."""


class Workshop:
    """The helper, started at first use and again when it died. Safe from any thread."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def call(
        self,
        target: str,
        payload: bytes,
        *,
        uid: int | None = None,
        gid: int | None = None,
        cwd: str = "/",
        log: str = "",
        warm: str = "",
        enclosure: Enclosure | None = None,
        timeout: float = 60.0,
    ) -> bytes:
        """Run `module:function(payload) -> bytes` in a child as another user and return what it returns.

        Raise WorkshopError with the child's words when it raised, when it died, or after `timeout` seconds
        (it is then killed with everything it started). The module `warm` is imported by the helper before, which
        keeps it: for what is slow to import and not needed on every node.
        """
        with self.open(target, uid=uid, gid=gid, cwd=cwd, log=log, warm=warm, enclosure=enclosure) as sock:
            sock.settimeout(timeout)
            pid = 0
            try:
                (pid,) = SIZE.unpack(_exactly(sock, SIZE.size))
                try:
                    sock.sendall(SIZE.pack(len(payload)) + payload)
                except (BrokenPipeError, ConnectionResetError):
                    # It failed before it looked at its work; why is in its answer.
                    pass
                failed = _exactly(sock, 1) != b"\0"
                (size,) = SIZE.unpack(_exactly(sock, SIZE.size))
                answer = _exactly(sock, size)
            except TimeoutError:
                if pid:
                    _kill(pid)
                raise WorkshopError(f"It did not end within {timeout:g} s.") from None
            except (EOFError, OSError) as error:
                raise WorkshopError(f"Its process ended suddenly ({error}).") from None
        if failed:
            raise WorkshopError(answer.decode(errors="replace"))
        return answer

    def open(
        self,
        target: str,
        *,
        uid: int | None = None,
        gid: int | None = None,
        cwd: str = "/",
        log: str = "",
        warm: str = "",
        enclosure: Enclosure | None = None,
        persistent: bool = False,
    ) -> socket.socket:
        """Start a child and return our end of a stream to it.

        With `persistent` the child runs `module:function(socket)` until it returns; it ends when we close.
        """
        ours, theirs = socket.socketpair()
        job: dict[str, Any] = {"target": target, "uid": uid, "gid": gid, "cwd": cwd, "log": log, "warm": warm}
        job |= {"persistent": persistent, "enclosure": enclosure.as_order() if enclosure else {}}
        with theirs:
            try:
                self._send(json.dumps(job).encode(), theirs.fileno())
            except OSError as error:
                ours.close()
                raise WorkshopError(f"The workshop does not take orders: {error}") from None
        return ours

    def close(self) -> None:
        """End the helper and its children."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                self._process.wait()
                self._process = None

    def _send(self, order: bytes, descriptor: int) -> None:
        with self._lock:
            for attempt in (1, 2):
                if self._process is None or self._process.poll() is not None:
                    self._start()
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [order], [descriptor])
                    return
                except OSError:
                    if attempt == 2:
                        raise
                    self._start()

    def _start(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "freehold.node.workshop.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError("the stream ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
