"""A command says yes."""

import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass

from freehold.promises.base import Assessment

_KEPT = 4096
"""Bytes of the end of the output that are kept while it runs; of them the last thousand letters are the message."""


@dataclass(frozen=True)
class Command:
    """A command ends with exit status 0; the end of its output is the message.

    It has ended when it has, whatever it leaves behind: that is ended with it.
    """

    argv: tuple[str, ...]
    period: float = 60.0
    timeout: float = 20.0
    folder: str | None = None
    """Where it runs; `/` unless said otherwise."""
    environment: tuple[str, ...] = ()
    """`NAME=VALUE`, each beside what every check has: what is secret is on no command line."""

    def check(self) -> Assessment:
        own = dict(variable.split("=", 1) for variable in self.environment if "=" in variable[1:])
        if len(own) != len(self.environment):
            return Assessment(False, "environment: each is NAME=VALUE, and no NAME is there twice")
        try:
            process = subprocess.Popen(
                self.argv,
                cwd=self.folder,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            return Assessment(False, f"{self.argv[0]} cannot be run: {words}")
        with process:
            try:
                ended, output = _follow(process, time.monotonic() + self.timeout)
            finally:
                _end_all(process.pid)
        if not ended:
            return Assessment(False, f"{self.argv[0]} did not end within {self.timeout:g} s")
        message = output.decode(errors="replace").strip()[-1000:]
        return Assessment(process.returncode == 0, message or f"{self.argv[0]} ended with status {process.returncode}")


def _follow(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bool, bytes]:
    """Return whether a process ended in time, and the end of what it printed; the rest is read and forgotten."""
    assert process.stdout is not None
    output, ended = b"", os.pidfd_open(process.pid)
    os.set_blocking(process.stdout.fileno(), False)
    try:
        with selectors.DefaultSelector() as waiting:
            waiting.register(ended, selectors.EVENT_READ)
            waiting.register(process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in waiting.select(left)}
                if process.stdout.fileno() in ready:
                    chunk = process.stdout.read(65536)
                    output = (output + (chunk or b""))[-_KEPT:]
                    if chunk == b"":
                        waiting.unregister(process.stdout)
                if ended in ready:
                    # What it said last may still be in the pipe.
                    while ended in ready and (chunk := process.stdout.read(65536)) and time.monotonic() < deadline:
                        output = (output + chunk)[-_KEPT:]
                    process.wait()
                    return True, output
        return False, output
    finally:
        os.close(ended)


def _end_all(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
