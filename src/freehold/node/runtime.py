"""Time, threads and chance, as the agent's process has them; the simulator passes in others (decision 0039)."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol


class Event(Protocol):
    """What of `threading.Event` is used."""

    def is_set(self) -> bool: ...

    def set(self) -> None: ...

    def clear(self) -> None: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Pool(Protocol):
    """What of `concurrent.futures.Executor` is used."""

    def submit(self, work: Callable[..., object], /, *arguments: Any) -> object: ...

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...


class NamedThread(threading.Thread):
    """A thread that the kernel knows by its name, for who asks `top -H` which of them works."""

    def start(self) -> None:
        super().start()
        with suppress(OSError):
            Path(f"/proc/self/task/{self.native_id}/comm").write_text(self.name)


class Runtime:
    """The time, the threads and the chance of this process."""

    def __init__(self) -> None:
        self.random = Random()

    def monotonic(self) -> float:
        """Return seconds since some moment of this boot, by a clock that nobody sets."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Event:
        return threading.Event()

    def start(self, thread: threading.Thread) -> None:
        """Have a thread's `run` go on beside what calls."""
        thread.start()

    def pool(self, workers: int, name: str) -> Pool:
        """Return what does up to `workers` jobs at once, each in a thread whose name begins with `name`."""
        return ThreadPoolExecutor(workers, name)
