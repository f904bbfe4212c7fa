"""A network that loses, delays, doubles and cuts; and the link of an agent over it."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

import msgspec

from freehold.node.clock import TimeKeeper, date
from freehold.node.errors import LinkDown
from freehold.node.upstream import denied
from freehold.protocol.problem import Problem
from freehold.simulator.world import World

Answer = tuple[int, bytes]
Exchange = Callable[[str, str, bytes | None], Answer]
"""Method, path and body to status and body, as the Master answers a node."""


@dataclass
class Weather:
    """What the network does to each message."""

    loss: float = 0.0
    doubled: float = 0.0
    slowest: float = 0.05
    """Seconds that a message takes at most."""
    cut: bool = False


class Link:
    """An upstream over this network; stands for `freehold.node.link.client.Link`."""

    def __init__(
        self, world: World, weather: Weather, master: Exchange, time: TimeKeeper, now: Callable[[], float]
    ) -> None:
        """`now`: what the Master's clock shows."""
        self._world, self._weather, self._master, self._time, self._now = world, weather, master, time, now
        self.master = "https://master"

    def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = 30.0
    ) -> tuple[int, bytes, dict[str, str]]:
        random = self._world.random
        self._travel(timeout)
        if random.random() < self._weather.doubled:
            self._master(method, path, body)
        status, content = self._master(method, path, body)
        moment = formatdate(self._now(), usegmt=True)
        self._travel(timeout)
        if (moment_told := date(moment)) is not None:
            self._time.hear(moment_told)
        if status >= 400:
            raise denied(msgspec.json.decode(content, type=Problem))
        return status, content, {}

    def close(self) -> None:
        pass

    def _travel(self, timeout: float) -> None:
        random = self._world.random
        if self._weather.cut or random.random() < self._weather.loss:
            self._world.sleep(min(timeout, random.uniform(0.0, 30.0)))
            raise LinkDown("lost")
        self._world.sleep(random.uniform(0.001, self._weather.slowest))
