"""Waiting for what should come true, instead of sleeping."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Return what `condition` returns as soon as it is true; fail when it is not within so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not true within {seconds} seconds"
        time.sleep(0.005)
    return found


def lives(pid: int) -> bool:
    """Return whether a process runs, and does not only wait to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
