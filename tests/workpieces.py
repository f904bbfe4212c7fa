"""What tests have the workshop do: each function gets bytes and returns bytes, or does not."""

import os
import subprocess
import time
from pathlib import Path

from freehold.node.errors import ConfigureError


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
