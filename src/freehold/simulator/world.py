"""Virtual time: tasks that take turns, one at a time, in an order that the seed alone decides."""

import heapq
import itertools
from collections.abc import Callable
from random import Random

import greenlet

BEGINNING = 1_750_000_000.0
"""When every world begins, seconds since 1970 UTC."""


class Killed(BaseException):
    """A task ends here and now, as everything does when a machine loses its power. Nothing may catch it."""


class World:
    """Time, chance, and what happens when."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now = BEGINNING
        self.happened: list[str] = []
        """What went wrong and what was wanted, in words, for who looks for the cause."""
        self._hub = greenlet.getcurrent()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def note(self, words: str) -> None:
        self.happened.append(f"{self.now - BEGINNING:10.1f} s  {words}")

    def at(self, moment: float, action: Callable[[], object]) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self._due, (max(moment, self.now), next(self._order), action))

    def spawn(self, work: Callable[[], object]) -> "SimulatedTask":
        """Begin a task, now, after what is already to happen now."""
        return SimulatedTask(self, work)

    def sleep(self, seconds: float) -> None:
        """Let the present task wait while time passes for the others."""
        task = current()
        self.at(self.now + max(0.0, seconds), task.wake(task.turn))
        task.rest()

    def run(self, until: float) -> None:
        """Let time pass until a moment."""
        while self._due and self._due[0][0] <= until:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = max(self.now, until)


class SimulatedTask:
    """Something that goes on in virtual time, until it ends or is killed."""

    def __init__(self, world: World, work: Callable[[], object]) -> None:
        self.turn = 0
        """Grows with every rest: a wake-up of an earlier one is nobody's."""
        self._world = world
        self._work = work
        self._dead = False
        self._greenlet = greenlet.greenlet(self._run, world._hub)
        self._greenlet.task = self  # type: ignore[attr-defined]
        world.at(world.now, self.wake(0))

    @property
    def lives(self) -> bool:
        return not self._dead and not self._greenlet.dead

    def wake(self, turn: int) -> Callable[[], None]:
        """Return what ends this task's rest, unless that ended before."""

        def go_on() -> None:
            if not self._dead and self.turn == turn:
                self.turn += 1
                self._greenlet.switch()

        return go_on

    def rest(self) -> None:
        """Give the turn back; it comes again by `wake`."""
        self._world._hub.switch()
        if self._dead:
            raise Killed

    def kill(self) -> None:
        """End this task where it rests; the present one has to raise Killed itself."""
        self._dead = True
        if greenlet.getcurrent() is not self._greenlet:
            # By the hub: whom a dying task gives the turn to.
            self._world.at(self._world.now, self._forget)

    def _forget(self) -> None:
        if self._greenlet:
            self._greenlet.throw(Killed)

    def _run(self) -> None:
        try:
            self._work()
        except Killed:
            pass


def current() -> SimulatedTask:
    """Return the task that has the turn."""
    task: SimulatedTask = greenlet.getcurrent().task  # type: ignore[attr-defined]
    return task


class SimulatedEvent:
    """`threading.Event`, in virtual time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._set = False
        self._waiting: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            self._world.at(self._world.now, wake)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        task = current()
        wake = task.wake(task.turn)
        self._waiting.append(wake)
        if timeout is not None:
            self._world.at(self._world.now + max(0.0, timeout), wake)
        task.rest()
        if wake in self._waiting:
            self._waiting.remove(wake)
        return self._set
