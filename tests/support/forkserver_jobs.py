"""What tests have the fork server do: each function gets bytes and returns bytes, or does not."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from freehold.node.errors import ConfigureError
from freehold.node.forkserver import SIZE


def shell(script: bytes) -> bytes:
    """Run a shell script and return what it printed."""
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout


def whoami(_: bytes) -> bytes:
    marks = Path("/proc/self/status").read_text()
    no_new_privileges = marks.partition("NoNewPrivs:")[2].split()[0]
    return f"{os.getuid()} {os.getgid()} {os.getgroups()} {os.getcwd()} {no_new_privileges}".encode()


def environment(_: bytes) -> bytes:
    return "\n".join(sorted(os.environ)).encode()


def refuse(words: bytes) -> bytes:
    raise ConfigureError(words.decode())


def stumble(words: bytes) -> bytes:
    raise RuntimeError(words.decode())


def vanish(_: bytes) -> bytes:
    os._exit(3)


def say(words: bytes) -> bytes:
    print(words.decode())
    return b""


def sleep(pids: bytes) -> bytes:
    """Write our pid and that of a child into a file, and sleep, both."""
    child = subprocess.Popen(["sleep", "1000"])
    path = Path(pids.decode())
    path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    path.with_suffix(".new").rename(path)
    time.sleep(1000)
    return b""


def announce(size: bytes) -> bytes:
    """Say that an answer of so many bytes comes, and send them as far as they are taken."""
    sock = _stream()
    sock.sendall(b"\0" + SIZE.pack(int(size)))
    while True:
        sock.sendall(b"x" * (1 << 20))


def lament(size: bytes) -> bytes:
    """Fail with so many bytes of words."""
    sock = _stream()
    sock.sendall(b"\1" + SIZE.pack(int(size)) + b"x" * int(size))
    return b""


def drip(_: bytes) -> bytes:
    """Answer a byte now and then."""
    sock = _stream()
    sock.sendall(b"\0" + SIZE.pack(1000))
    while True:
        sock.sendall(b"x")
        time.sleep(0.05)


def scribble(_: bytes) -> bytes:
    """Write into whatever our output is, and make it shorter and longer."""
    for descriptor in (0, 1, 2):
        for attempt in (
            lambda fd: os.write(fd, b"written by a stranger"),
            lambda fd: os.ftruncate(fd, 0),
            lambda fd: os.ftruncate(fd, 10**9),
        ):
            with suppress(OSError):
                attempt(descriptor)
    subprocess.run(["/bin/sh", "-c", "echo by its child; echo by its child >&2"], check=True)
    return b""


def leave(pids: bytes) -> bytes:
    """Answer, and leave a process behind in our session."""
    child = subprocess.Popen(["sleep", "1000"])
    Path(pids.decode()).write_text(str(child.pid))
    return b"done"


def _stream() -> socket.socket:
    """Return the connection on which the child answers, as a stranger's code would find it."""
    frame = sys._getframe()
    while "sock" not in frame.f_locals or "order" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    found: socket.socket = frame.f_locals["sock"]
    return found
