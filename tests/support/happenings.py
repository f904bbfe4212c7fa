"""What happens to services and nodes, and a Master that looks and tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.rooms import Rooms

OPERATOR, CUSTOMER = "owner@example.org", "customer@shop.example"
MINUTE = 60_000


class Clock:
    """The Master's time, turned by a test; the rest of it goes on from there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from freehold.master.foundation import clock

        self.now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.now)

    def minutes(self, number: float) -> None:
        self.now += round(number * MINUTE)


def pass_by(time: Clock | None = None, minutes: float = 0) -> None:
    """Have the Master look and send, after some minutes."""
    from freehold.master.notifications import reconcile

    if time is not None:
        time.minutes(minutes)
    reconcile.gather()
    reconcile.deliver()
    reconcile.post()


def shop(rooms: "Rooms", *titles: str) -> list[str]:
    """Return services of the project `shop` that run on the node `rack`."""
    from support.running import tiny_release

    rooms.supply(rooms.publish(tiny_release()), rooms.node("rack", partitions=200))
    return [start(rooms, title) for title in titles]


def start(rooms: "Rooms", title: str) -> str:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import InstanceRow

    instance: str = rooms.request(title).instance
    InstanceRow.objects.create(
        instance_id=instance, revision=10**9, state="started", message="", promises='["port"]', at=clock.now()
    )
    return instance


def assess(instance: str, kept: bool, time: Clock, promise: str = "port", message: str = "refused") -> None:
    from freehold.master.monitoring.models import Assessment

    Assessment.objects.create(
        instance_id=instance, revision=10**9, promise=promise, kept=kept, message=message, at=time.now
    )


def silence(title: str, since: int | None, stopped: str = "") -> None:
    """Have a node be silent since a moment, or heard again."""
    from freehold.master.fleet.models import Node

    Node.objects.filter(title=title).update(silent_since=since, stopped=stopped)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def die_at(number: int) -> Iterator[list[str]]:
    """Have the process die at the point with a number of those that it comes by; yield the names of these."""
    from freehold.master.foundation import transactions
    from freehold.master.notifications import outbox

    passed = list[str]()

    def point(name: str) -> None:
        passed.append(name)
        if len(passed) == number + 1:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        for place in (transactions, outbox):
            patch.setattr(place, "failpoint", point)
        yield passed
