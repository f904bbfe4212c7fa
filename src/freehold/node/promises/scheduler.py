"""The thread that has promises checked: a heap of what is due, one worker for each partition."""

import heapq
import itertools
import json
import logging
import math
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

from freehold.node.forkserver import Enclosure, ForkServer, ForkServerError
from freehold.node.partition import gate
from freehold.node.partition.gate import PromiseResult
from freehold.node.promises import schedule
from freehold.node.promises.schedule import PromiseState
from freehold.node.runtime import NamedThread

FIRST_TIMEOUT = 30.0
"""How long a first check may take, while the promise's own timeout is not known."""
GRACE = 1.0
TOLD_AGAIN = 5.0
"""Seconds after which a promise is checked again whose result could not be noted."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """The promises of one partition as now configured."""

    partition: str
    instance: str
    revision: int
    folder: str
    uid: int | None
    gid: int | None
    plugins: tuple[str, ...]
    """Paths relative to the folder: `etc/plugin/NAME.py`, `etc/promise/NAME`."""
    enclosure: Enclosure | None = None
    """Of the worker that checks."""


@dataclass(frozen=True)
class Result:
    """One check of one promise."""

    partition: str
    instance: str
    revision: int
    promise: str
    kept: bool
    message: str
    bang: bool = False
    """It asks for the instance to be configured again."""


@dataclass
class _Promise:
    watch: Watch
    path: str
    state: PromiseState
    period: float = 60.0
    timeout: float = FIRST_TIMEOUT
    entry: int = -1
    """The number of its one valid entry in the heap; -1 while it is being checked or no longer wanted."""
    was_kept: bool = False
    """It was kept since its configuration."""
    began: float = 0.0
    """When its last check was ordered (monotonic)."""
    measured: float = 0.0
    """When the check was ordered that its last result is of."""
    needed: float = 0.0
    """A check that was ordered before this moment says nothing of what runs now."""
    current: bool = True
    """False once another configuration took its place."""

    @property
    def name(self) -> str:
        return PurePath(self.path).name.removesuffix(".py")


@dataclass
class _Worker:
    socket: socket.socket
    enclosure: Enclosure | None
    buffer: bytes = b""
    checking: dict[int, tuple[_Promise, float]] = field(default_factory=dict)
    """By order: the promise and the moment at which it is late."""


class Scheduler(NamedThread):
    """Checks every watched promise in time; hands each result to `on_result`, on its own thread."""

    def __init__(self, fork_server: ForkServer, on_result: Callable[[Result], None]) -> None:
        super().__init__(name="promises", daemon=True)
        self._fork_server = fork_server
        self._on_result = on_result
        self._due: list[tuple[float, int, _Promise]] = []
        self._watched: dict[str, list[_Promise]] = {}
        self._workers: dict[str, _Worker] = {}
        """By partition."""
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._over = False

    def watch(self, watch: Watch) -> None:
        """Check these promises of a partition from now on, and no others of it; each at once."""
        now = time.monotonic()
        fresh = [_Promise(watch, path, PromiseState(now)) for path in watch.plugins]
        with self._lock:
            self._drop(watch.partition)
            self._watched[watch.partition] = fresh
            for promise in fresh:
                self._push(promise, now)
        self._wake()

    def forget(self, partition: str) -> None:
        """Check nothing of a partition any more."""
        with self._lock:
            self._drop(partition)
        self._wake()

    def look_again(self, partition: str, since: float = math.inf) -> None:
        """Check now each promise of a partition whose last check was ordered before `since` (monotonic).

        It is checked eagerly until it is kept, as after a configuration.
        """
        now = time.monotonic()
        with self._lock:
            for promise in self._watched.get(partition, []):
                if promise.measured < since:
                    promise.needed, promise.state = min(since, now), PromiseState(now)
                    # What is being checked is checked again after that, if it has to be.
                    if promise.entry >= 0:
                        self._push(promise, now)
        self._wake()

    def measured(self, partition: str) -> float:
        """Return when the oldest of the last checks of a partition's promises was ordered (monotonic).

        Infinity where there are no promises, 0 when one has no result yet.
        """
        with self._lock:
            return min((promise.measured for promise in self._watched.get(partition, [])), default=math.inf)

    def stop(self) -> None:
        """End the thread and the workers."""
        self._over = True
        self._wake()
        self.join()
        for worker in self._workers.values():
            worker.socket.close()

    def run(self) -> None:
        while not self._over:
            try:
                self._turn()
            except Exception:
                _log.exception("the promise scheduler failed; retrying")
                time.sleep(1)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._pause(time.monotonic())):
            if key.data is None:
                os.read(self._wake_in, 4096)
            else:
                self._read(key.data)
        now = time.monotonic()
        for partition, worker in list(self._workers.items()):
            if any(late <= now for _, late in worker.checking.values()):
                self._give_up(partition, worker, now)
        with self._lock:
            watched = {partition for partition, promises in self._watched.items() if promises}
            ready = []
            while self._due and self._due[0][0] <= now:
                _, number, promise = heapq.heappop(self._due)
                if promise.current and promise.entry == number:
                    promise.entry = -1
                    ready.append(promise)
        for promise in ready:
            self._order(promise, now)
        for partition in self._workers.keys() - watched:
            self._fire(partition)

    def _pause(self, now: float) -> float | None:
        with self._lock:
            moments = [self._due[0][0]] if self._due else []
        moments += [late for worker in self._workers.values() for _, late in worker.checking.values()]
        return max(0.0, min(moments) - now) if moments else None

    def _order(self, promise: _Promise, now: float) -> None:
        watch, promise.began = promise.watch, now
        try:
            worker = self._workers.get(watch.partition)
            if worker is not None and worker.enclosure != watch.enclosure:
                self._fire(watch.partition)
                worker = None
            worker = worker or self._hire(watch)
            number = next(self._numbers)
            path = f"{watch.folder}/{promise.path}"
            order = json.dumps({"id": number, "path": path, "was_kept": promise.was_kept}).encode() + b"\n"
            worker.socket.sendall(order)
        except (ForkServerError, OSError) as error:
            self._fire(watch.partition)
            self._record(promise, False, f"It could not be checked: {error}", now)
            return
        worker.checking[number] = (promise, now + promise.timeout + GRACE)

    def _hire(self, watch: Watch) -> _Worker:
        sock = self._fork_server.open(
            "freehold.node.promises.worker:serve",
            uid=watch.uid,
            gid=watch.gid,
            cwd=watch.folder,
            enclosure=watch.enclosure,
            persistent=True,
        )
        # A worker belongs to its partition: one that does not read must not stop the checks of others.
        sock.settimeout(1.0)
        worker = self._workers[watch.partition] = _Worker(sock, watch.enclosure)
        self._selector.register(sock, selectors.EVENT_READ, (watch.partition, worker))
        return worker

    def _fire(self, partition: str) -> None:
        worker = self._workers.pop(partition, None)
        if worker is not None:
            self._selector.unregister(worker.socket)
            worker.socket.close()

    def _read(self, data: tuple[str, _Worker]) -> None:
        partition, worker = data
        try:
            received = worker.socket.recv(65536)
        except OSError:
            received = b""
        now = time.monotonic()
        if not received:
            self._fire(partition)
            for promise, _ in worker.checking.values():
                self._record(promise, False, "Its check ended the process that ran it.", now)
            return
        *lines, worker.buffer = (worker.buffer + received).split(b"\n")
        try:
            for line in lines:
                self._hear(worker, gate.read_result(line), now)
            if len(worker.buffer) > gate.MOST_RESULT:
                raise ValueError("an answer without end")
        except (ValueError, KeyError) as error:
            self._fire(partition)
            for promise, _ in worker.checking.values():
                self._record(promise, False, f"Its worker answered nonsense: {error}"[:200], now)

    def _hear(self, worker: _Worker, result: PromiseResult, now: float) -> None:
        if result.id not in worker.checking:
            raise KeyError("nobody asked for it")
        promise, _ = worker.checking.pop(result.id)
        promise.period, promise.timeout = result.period, result.timeout
        self._record(promise, result.kept, result.message, now, bang=result.bang)

    def _give_up(self, partition: str, worker: _Worker, now: float) -> None:
        """End a worker in which a check hangs; what it was checking in time is checked again at once."""
        self._fire(partition)
        for promise, late in worker.checking.values():
            if late <= now:
                self._record(promise, False, f"It did not answer within {promise.timeout:g} s.", now)
            else:
                with self._lock:
                    self._push(promise, now)

    def _record(self, promise: _Promise, kept: bool, message: str, now: float, *, bang: bool = False) -> None:
        if not promise.current:
            return
        watch = promise.watch
        key = f"{watch.instance}/{promise.name}"
        with self._lock:
            promise.measured, promise.was_kept = promise.began, promise.was_kept or kept
            if promise.began < promise.needed:
                pause = 0.0
            else:
                promise.state = schedule.after(promise.state, kept)
                pause = schedule.pause(promise.state, now, promise.period, key)
            self._push(promise, now + pause)
        try:
            self._on_result(Result(watch.partition, watch.instance, watch.revision, promise.name, kept, message, bang))
        except Exception:
            # An error of the agent: neither of the worker, nor a reason to lose the result.
            _log.exception("the result of %s of %s cannot be noted; it is checked again", promise.name, watch.instance)
            with self._lock:
                self._push(promise, now + TOLD_AGAIN)

    def _push(self, promise: _Promise, moment: float) -> None:
        promise.entry = next(self._numbers)
        heapq.heappush(self._due, (moment, promise.entry, promise))

    def _drop(self, partition: str) -> None:
        for promise in self._watched.pop(partition, []):
            promise.current = False

    def _wake(self) -> None:
        os.write(self._wake_out, b"\0")
