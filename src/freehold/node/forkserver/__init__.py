"""A warm helper: a process that has imported what instances need, and forks children that use it.

Starting Python and importing a release author's library costs 100 ms and more; a fork of a process that has
done so costs 2 ms. Children drop to the partition's user before they touch anything of it. What a child answers and
prints is a stranger's: its answer is bounded before it is read, what it prints never reaches a log of ours. The agent
has one fork server for strangers' work and another for its own.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.node.errors import NodeError

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec

SIZE = struct.Struct("!I")
MOST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer; a longer one is refused when its length arrives."""
MOST_WORDS = 64 * 1024
"""Bytes of the words of a child that failed."""
MOST_ORDER = 128 * 1024
"""Bytes of what the helper is told of a child; its work is sent to the child itself."""


@dataclass(frozen=True)
class Enclosure:
    """What encloses a child besides its user."""

    sandbox: "SandboxSpec"
    groups: tuple[str, ...] = ()
    """Files of the control groups into which it moves."""
    limits: tuple[tuple[str, int], ...] = ()
    """Resource limits, by the names of the module `resource`."""
    own_group: str = ""
    """The folder of the control group in which there is only this; empty where there are none."""

    def as_order(self) -> dict[str, Any]:
        return {"sandbox": self.sandbox, "groups": self.groups, "limits": dict(self.limits)}


class ForkServerError(NodeError):
    """A child failed, ended, took too long or was interrupted; the message says how, in a stranger's words perhaps."""


class Interrupt:
    """Ends a call from another thread; one that was ended before its call begins ends that at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.is_set = False

    def end(self) -> None:
        """End the call: it raises WorkshopError, and its child is killed."""
        with self._lock:
            self.is_set = True
            if self._sock is not None:
                self._shut(self._sock)

    def guard(self, sock: socket.socket | None) -> None:
        """Remember the connection that `end` shuts; None when the call is over."""
        with self._lock:
            self._sock = sock
            if self.is_set and sock is not None:
                self._shut(sock)

    @staticmethod
    def _shut(sock: socket.socket) -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class ForkServer:
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
        prints: str = "",
        warm: str = "",
        enclosure: Enclosure | None = None,
        timeout: float = 60.0,
        interrupt: Interrupt | None = None,
    ) -> bytes:
        """Run `module:function(payload) -> bytes` in a child as another user and return what it returns.

        Raise WorkshopError with the child's words when it raised, when it died, when it answers more than is read, or
        `timeout` seconds after this call began, however slowly it answers. Then, as at its end, it is killed with
        everything it started in its session. The module `warm` is imported by the helper before, which keeps it: for
        what is slow to import and not needed on every node.
        """
        deadline = time.monotonic() + timeout
        interrupt = interrupt or Interrupt()
        with self.open(
            target, uid=uid, gid=gid, cwd=cwd, log=log, prints=prints, warm=warm, enclosure=enclosure
        ) as sock:
            pid = 0
            interrupt.guard(sock)
            try:
                (pid,) = SIZE.unpack(_exactly(sock, SIZE.size, deadline))
                _send(sock, SIZE.pack(len(payload)) + payload, deadline)
                failed = _exactly(sock, 1, deadline) != b"\0"
                (size,) = SIZE.unpack(_exactly(sock, SIZE.size, deadline))
                most = MOST_WORDS if failed else MOST_ANSWER
                if size > most:
                    raise ForkServerError(f"Its process answered with {size} bytes; at most {most} are read.")
                answer = _exactly(sock, size, deadline)
            except TimeoutError:
                raise ForkServerError(f"It did not end within {timeout:g} s.") from None
            except (EOFError, OSError) as error:
                if interrupt.is_set:
                    raise ForkServerError("It was interrupted.") from None
                raise ForkServerError(f"Its process ended suddenly ({error}).") from None
            finally:
                interrupt.guard(None)
                if pid:
                    _kill(pid)
        if failed:
            raise ForkServerError(answer.decode(errors="backslashreplace"))
        return answer

    def open(
        self,
        target: str,
        *,
        uid: int | None = None,
        gid: int | None = None,
        cwd: str = "/",
        log: str = "",
        prints: str = "",
        warm: str = "",
        enclosure: Enclosure | None = None,
        persistent: bool = False,
    ) -> socket.socket:
        """Start a child and return our end of a stream to it.

        What it prints is appended to the file `log`, without which it does not begin, or to the file `prints` if its
        user can write there; otherwise it is thrown away.

        With `persistent` the child runs `module:function(socket)` until it returns; it ends when we close.
        """
        ours, theirs = socket.socketpair()
        job: dict[str, Any] = {"target": target, "uid": uid, "gid": gid, "cwd": cwd, "log": log, "warm": warm}
        job |= {"prints": prints, "persistent": persistent, "enclosure": enclosure.as_order() if enclosure else {}}
        with theirs:
            try:
                self._send(json.dumps(job).encode(), theirs.fileno())
            except OSError as error:
                ours.close()
                raise ForkServerError(f"The fork server does not take orders: {error}") from None
            except ForkServerError:
                ours.close()
                raise
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
        if len(order) > MOST_ORDER:
            # Refused by the kernel it would look as if the helper had died, which would then be replaced.
            raise ForkServerError(f"The order of a child has {len(order)} bytes; at most {MOST_ORDER} are possible.")
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
                [sys.executable, "-m", "freehold.node.forkserver.server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )


def _exactly(sock: socket.socket, size: int, deadline: float | None = None) -> bytes:
    parts = []
    while size:
        if deadline is not None:
            sock.settimeout(_left(deadline))
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError("the stream ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _send(sock: socket.socket, content: bytes, deadline: float) -> None:
    view = memoryview(content)
    try:
        while view:
            sock.settimeout(_left(deadline))
            view = view[sock.send(view[: 1 << 20]) :]
    except (BrokenPipeError, ConnectionResetError):
        # It failed before it looked at its work; why is in its answer.
        pass


def _left(deadline: float) -> float:
    """Return the seconds until a moment; raise TimeoutError after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
