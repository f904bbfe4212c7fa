"""Histories of a Freehold with a mistake: `python broken.py MISTAKE WORDS` tells what is wrong until WORDS are told.

In a process of its own: the simulator takes the clock and the database of the process it runs in.
"""

import logging
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from freehold.master.gateway.metering import CounterReading, Meters
from freehold.node import plan as planning
from freehold.node.errors import LinkError
from freehold.node.link.sync import GAP
from freehold.node.parts import AgentParts
from freehold.node.plan import Step, Verb
from freehold.node.upstream import MasterRefused
from freehold.protocol.meters import NAMES
from freehold.simulator import history
from freehold.simulator.network import Link
from freehold.simulator.node import Node, parts_of

MakeParts = Callable[[Node], AgentParts]


class StubbornLink(Link):
    def call(self, *request: Any, **more: Any) -> tuple[int, bytes, dict[str, str]]:
        try:
            return super().call(*request, **more)
        except MasterRefused as error:
            raise LinkError("It does not listen.") if error.problem.type == GAP else error from None


def forgetful() -> MakeParts:
    """Reports are forgotten when they are sent, and not when the Master has them; the gap that it names is not minded.

    Who minds it begins a new epoch and tells all anew, so that next to nothing is lost.
    """

    def parts(node: Node) -> AgentParts:
        made = parts_of(node)
        outbox = made.store.outbox
        hand_out = outbox.hand_out

        def hand_out_and_forget(most: int, most_bytes: int, **more: Any) -> Any:
            reports = hand_out(most, most_bytes, **more)
            if reports:
                outbox.acknowledge(reports[-1].sequence)
            return reports

        outbox.hand_out = hand_out_and_forget  # type: ignore[method-assign]
        link = partial(StubbornLink, node.world, node.weather, node.ask, made.store.clock, node.masters_now)
        return replace(made, connect=link)

    return parts


def lasting() -> MakeParts:
    """What a node was lent runs on there when the lease is over."""

    def parts(node: Node) -> AgentParts:
        made = parts_of(node)
        made.store.lease.left = lambda: math.inf  # type: ignore[method-assign]
        return made

    return parts


# Mistakes in what is no part of an agent: in the Master, and in the plan, which is pure.


def counting_twice() -> MakeParts:
    """The Master does not remember the last reading of a counter."""
    Meters._last = lambda *_: CounterReading(0, (None,) * len(NAMES))  # type: ignore[method-assign]
    return parts_of


def deaf() -> MakeParts:
    """An instance is configured once, and never again."""
    plan, asked = planning.plan, set()

    def once(*arguments: Any, **named: Any) -> list[Step]:
        steps = [one for one in plan(*arguments, **named) if one.verb is not Verb.CONFIGURE or one.subject not in asked]
        asked.update(one.subject for one in steps)
        return steps

    planning.plan = once
    return parts_of


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    mistake = {one.__name__: one for one in (forgetful, counting_twice, deaf, lasting)}[sys.argv[1]]
    parts = mistake()
    with history.rooms() as rooms:
        for seed in range(80):
            wrong = "\n".join(history.run(rooms, seed, parts=parts).wrong)
            print(wrong)
            if sys.argv[2] in wrong:
                break
