"""The command that tells how a service kept its promises and what it used."""

import argparse
from typing import Any

from freehold.client.terminal import Subparsers, command, open_client, say, table

_USED = ("processors", "memory_mb", "disk_mb", "received", "sent")


def add_commands(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `history`."""
    parser = command(commands, "history", _history, "how a service kept its promises and what it used, over time")
    parser.add_argument("title")
    parser.add_argument("--period", choices=("day", "month", "quarter"), default="day", help="day: hour by hour")


def _history(options: argparse.Namespace) -> int:
    query = {"title": options.title, "period": options.period}
    answer = open_client().ask("GET", "/projects/{project}/history", query=query, project=options.project)
    rows = [
        (step["at"], _kept(step["promises"]), *(_number((step["use"] or {}).get(name)) for name in _USED))
        for step in answer["steps"]
    ]
    heads = ("FROM", "KEPT", "PROCESSORS", "MEMORY MB", "DISK MB", "IN B/S", "OUT B/S")
    say(options, answer, table(heads, rows))
    return 0


def _kept(promises: dict[str, Any] | None) -> str:
    """Return which part of what counts was kept, never rounded up; a dash where nothing counts or is known."""
    if promises is None or not (known := promises["counted"] - promises["unknown"]):
        return "-"
    return f"{promises['kept'] * 10_000 // known / 100:.2f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
