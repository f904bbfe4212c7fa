"""Histories of a Freehold with a mistake: `python broken.py MISTAKE WORDS` tells what is wrong until WORDS are told.

In a process of its own: the simulator takes the clock and the database of the process it runs in.
"""

import logging
import sys
from functools import partial
from typing import Any

from freehold.master.gateway.metering import CounterReading, Meters
from freehold.node import plan as planning
from freehold.node.link.sync import OutboxSender
from freehold.node.plan import Step, Verb
from freehold.node.state.desired import Store
from freehold.protocol.meters import NAMES
from freehold.simulator import history
from freehold.simulator.host import Machine


def forgetful() -> None:
    """Reports are forgotten when they are sent, and not when the Master has them; the gap that it names is not minded.

    Who minds it begins a new epoch and tells all anew, so that next to nothing is lost.
    """
    handed_out = Store.outbox

    def outbox(store: Store, most: int, most_bytes: int, **more: Any) -> Any:
        reports = handed_out(store, most, most_bytes, **more)
        if reports:
            store.acknowledged(reports[-1].sequence)
        return reports

    Store.outbox = outbox  # type: ignore[method-assign]
    OutboxSender._leave_fork = lambda _: None  # type: ignore[method-assign]


def counting_twice() -> None:
    """The Master does not remember the last reading of a counter."""
    Meters._last = lambda *_: CounterReading(0, (None,) * len(NAMES))  # type: ignore[method-assign]


def deaf() -> None:
    """An instance is configured once, and never again."""
    plan, asked = planning.plan, set()

    def once(*arguments: Any, **named: Any) -> list[Step]:
        steps = [one for one in plan(*arguments, **named) if one.verb is not Verb.CONFIGURE or one.subject not in asked]
        asked.update(one.subject for one in steps)
        return steps

    planning.plan = once


def lasting() -> None:
    """What a node was lent runs on there when the lease is over."""
    Machine._lend = lambda *_: None  # type: ignore[method-assign]
    planning.plan = partial(_without_lease, planning.plan)


def _without_lease(plan: Any, *arguments: Any, lease_is_over: bool = False) -> list[Step]:
    steps: list[Step] = plan(*arguments)
    return steps


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    {one.__name__: one for one in (forgetful, counting_twice, deaf, lasting)}[sys.argv[1]]()
    with history.rooms() as rooms:
        for seed in range(80):
            wrong = "\n".join(history.run(rooms, seed).wrong)
            print(wrong)
            if sys.argv[2] in wrong:
                break
