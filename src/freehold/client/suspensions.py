"""`freehold project …`: projects that are suspended. For the Master's staff. Parse, call the client, print."""

import argparse

from freehold.client.terminal import Subparsers, command, confirmed, open_client, say, table


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `project`."""
    projects = subparsers.add_parser("project", help="suspend projects (staff)").add_subparsers(
        dest="project_command", required=True, metavar="COMMAND"
    )
    suspend = command(projects, "suspend", _suspend, "stop all that a project has, with its data, and take no orders")
    suspend.add_argument("name")
    suspend.add_argument("reason", help="a line that its people read")
    suspend.add_argument("--yes", action="store_true", help="do not ask")
    command(projects, "resume", _resume, "have a suspended project go on as it was").add_argument("name")
    command(projects, "suspended", _list, "which projects are suspended, and why")


def _suspend(options: argparse.Namespace) -> int:
    if not (options.yes or confirmed(f"Stop all services of '{options.name}'?")):
        return 1
    open_client().ask("PUT", "/suspensions/{name}", {"name": options.name}, body={"reason": options.reason})
    say(options, {}, f"'{options.name}' is suspended: its services stop, and it orders nothing.")
    return 0


def _resume(options: argparse.Namespace) -> int:
    open_client().ask("DELETE", "/suspensions/{name}", {"name": options.name})
    say(options, {}, f"'{options.name}' goes on as it was.")
    return 0


def _list(options: argparse.Namespace) -> int:
    suspensions = open_client().ask_all("/suspensions", "project")
    rows = [
        (suspension["project"], suspension["at"], suspension["by"], suspension["reason"]) for suspension in suspensions
    ]
    say(options, suspensions, table(("PROJECT", "SINCE", "BY", "WHY"), rows) if rows else "No project is suspended.")
    return 0
