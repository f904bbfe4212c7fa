"""A command says yes."""

import os
import signal
import subprocess
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class Command:
    """A command ends with exit status 0; the end of its output is the message."""

    argv: tuple[str, ...]
    period: float = 60.0
    timeout: float = 20.0
    folder: str | None = None
    """Where it runs; `/` unless said otherwise."""

    def check(self) -> Assessment:
        try:
            process = subprocess.Popen(
                self.argv,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Assessment(False, f"{self.argv[0]} cannot be run: {error.strerror}")
        with process:
            try:
                output, _ = process.communicate(timeout=self.timeout)
            except subprocess.TimeoutExpired:
                # With all that it started, which would otherwise hold the output open and outlive us.
                os.killpg(process.pid, signal.SIGKILL)
                return Assessment(False, f"{self.argv[0]} did not end within {self.timeout:g} s")
        message = output.decode(errors="replace").strip()[-1000:]
        return Assessment(process.returncode == 0, message or f"{self.argv[0]} ended with status {process.returncode}")
