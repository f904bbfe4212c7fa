"""The smallest instance.py: nothing runs, nothing is promised."""

import msgspec

from freehold.release import Context, Plan, Release, Type


class Nothing(msgspec.Struct):
    pass


def plan(parameters: Nothing, context: Context) -> Plan:
    return Plan()


release = Release("broken", "1.0", "For tests.", {"default": Type("Nothing", Nothing, Nothing, plan)})
