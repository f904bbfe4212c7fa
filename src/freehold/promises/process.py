"""A process lives."""

import os
from dataclasses import dataclass
from pathlib import Path

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class ProcessLives:
    """The process whose number stands in a file lives and, when that is said, its command line holds a text."""

    pid_file: str
    contains: str = ""
    period: float = 60.0
    timeout: float = 5.0

    def check(self) -> Assessment:
        try:
            pid = int(Path(self.pid_file).read_text().split()[0])
        except (OSError, ValueError, IndexError) as error:
            return Assessment(False, f"{self.pid_file} holds no number of a process: {error}")
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return Assessment(False, f"process {pid} of {os.path.basename(self.pid_file)} does not live")
        if state == b"Z":
            return Assessment(False, f"process {pid} has ended and nobody took notice")
        if self.contains not in command:
            return Assessment(False, f"process {pid} is another one: {command[:200]}")
        return Assessment(True, f"process {pid} lives")
