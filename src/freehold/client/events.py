"""The command that tells the life of a service."""

import argparse
from typing import Any

from freehold.client.terminal import Subparsers, command, open_client, say, table


def add_commands(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `events`."""
    command(commands, "events", _events, "what happened to a service, the newest first").add_argument("title")


def _events(options: argparse.Namespace) -> int:
    query = {"title": options.title}
    answer = open_client().ask("GET", "/projects/{project}/events", query=query, project=options.project)
    rows = [(event["at"], event["kind"], event["actor"], _words(event)) for event in answer["events"]]
    text = table(("AT", "WHAT", "WHO", "OF IT"), rows) if rows else "Nothing happened yet."
    if answer["left_out"]:
        text += "\nThere is more, which is older and is not told here."
    say(options, answer, text)
    return 0


def _words(event: dict[str, Any]) -> str:
    parts = [event["about"], " ".join(event["message"].split())]
    parts += [f"{each['name']}: {_value(each['before'])} → {_value(each['after'])}" for each in event["differences"]]
    return "; ".join(part for part in parts if part)


def _value(text: str | None) -> str:
    return "-" if text is None else text
