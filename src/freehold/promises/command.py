"""A command says yes."""

import subprocess
from dataclasses import dataclass

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class Command:
    """A command ends with exit status 0; the end of its output is the message."""

    argv: tuple[str, ...]
    period: float = 60.0
    timeout: float = 20.0

    def check(self) -> Assessment:
        try:
            done = subprocess.run(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Assessment(False, f"{self.argv[0]} did not end within {self.timeout:g} s")
        except OSError as error:
            return Assessment(False, f"{self.argv[0]} cannot be run: {error.strerror}")
        message = done.stdout.decode(errors="replace").strip()[-1000:]
        return Assessment(
            done.returncode == 0, message or f"{self.argv[0]} ended with status {done.returncode}"
        )
