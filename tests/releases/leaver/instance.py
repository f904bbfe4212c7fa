"""A release that leaves something behind by every way in which code of its runs, for tests."""

import subprocess
import sys

import msgspec

from freehold.release import Context, File, Plan, Process, Release, Type


class Parameters(msgspec.Struct):
    ways: list[str] = []


class Publication(msgspec.Struct):
    url: str


def plan(parameters: Parameters, context: Context) -> Plan:
    program = (sys.executable, "-I", "-S", str(context.release / "leave.py"), str(context.partition))
    if "configuration" in parameters.ways:
        subprocess.run([*program, "configuration"], check=True)
    promise = (
        "import subprocess\nfrom freehold.promises import Assessment\n"
        "class Leave:\n    period, timeout = 2.0, 10.0\n"
        "    def check(self):\n"
        f"        subprocess.run({[*program, 'promise']!r}, check=True)\n"
        "        return Assessment(True, 'left')\n"
        "promise = Leave()\n"
    )
    hook = f"#!/bin/sh\nexec {' '.join(program)} hook\n"
    files = [File("etc/plugin/leave.py", promise)] if "promise" in parameters.ways else []
    files += [File("etc/prerm/leave", hook, mode=0o700)] if "hook" in parameters.ways else []
    return Plan(
        processes=(Process("service", (*program, "service" if "service" in parameters.ways else "honest")),),
        files=tuple(files),
        publication=Publication(f"http://{context.address}:8080/"),
    )


release = Release("leaver", "1.0", "For tests.", {"default": Type("Leaver", Parameters, Publication, plan)})
