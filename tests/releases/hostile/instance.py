"""A release that means harm, for tests: it does one thing that it must not, and notes how that went."""

import json
import runpy
import sys

import msgspec

from freehold.release import Context, File, Network, Plan, Process, Release, Type


class Parameters(msgspec.Struct):
    attempt: str = "nothing"
    answer: str = ""
    """What its configuration answers in place of a layout."""
    target: dict[str, str] = {}


class Publication(msgspec.Struct):
    attempt: str


def plan(parameters: Parameters, context: Context) -> Plan:
    runpy.run_path(str(context.release / "answers.py"))["give"](parameters.answer)
    order = File("etc/order.json", json.dumps([parameters.attempt, parameters.target]))
    argv = (sys.executable, "-I", "-S", context.release / "attempts.py", context.partition)
    return Plan(
        processes=(Process("attempt", argv, reads=(order,)),),
        files=(order,),
        network=Network(listen=(8080,), connect=()),
        publication=Publication(parameters.attempt),
    )


release = Release("hostile", "1.0", "For tests.", {"default": Type("Hostile", Parameters, Publication, plan)})
