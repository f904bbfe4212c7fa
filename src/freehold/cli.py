"""The one command, `freehold`: parses, calls a room, prints.

Exit status: 0 done; 1 refused or failed, the message says why; 2 wrong usage; 3 not ready within `--wait`;
4 the Master cannot be reached.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout

import msgspec

from freehold import __version__
from freehold.client.commands import add_commands as add_client_commands
from freehold.client.errors import ClientError, Refused
from freehold.client.terminal import Subparsers
from freehold.command_parser import GroupedParser, UsageError
from freehold.escaping import Escaping
from freehold.protocol.problem import Problem

_EPILOG = """\
examples:
  freehold login https://master.example:8443 --email me@example.org --authority authority.pem
  freehold request shop hello --parameters '{"greeting": "bonjour"}' --wait 60
  freehold list
  freehold destroy shop

exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 not ready within --wait; 4 the Master cannot be reached
"""

_GROUPS = {
    "your login and account": (
        "login", "whoami", "logout", "open", "account", "reset-password", "notifications",
        "completion",
    ),
    "services, for customers": (
        "request", "show", "list", "logs", "events", "history", "start", "stop", "restart", "run", "move", "destroy",
        "hand-over", "ask", "tickets", "ticket",
    ),
    "what they cost, for customers": ("prices", "quote", "costs", "budget", "invoices", "invoice"),
    "people of a project, for its owner": ("people", "webhook", "audit"),
    "nodes and their Master, for providers": (
        "desk", "node", "site", "supply", "quota", "project", "sign-ups", "terms", "cache", "master",
    ),
    "products, for authors": ("software", "release", "simulate"),
    "the books, for sales and accountants": ("billing",),
}  # fmt: skip
_EXTRAS = {"cache": "node", "software": "kit", "simulate": "simulator", "master": "master"}
"""Commands of components, and the extra with which each is installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    # Whatever any command prints of others, no terminal obeys it.
    with redirect_stdout(Escaping(sys.stdout)), redirect_stderr(Escaping(sys.stderr)):
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        options = _parser(arguments).parse(arguments)
    except UsageError as error:
        if "--json" in arguments:
            _print_error(Problem("wrong-usage", "", 0, str(error)))
        else:
            print(f"{error.usage}freehold: {error}", file=sys.stderr)
        return 2
    except ClientError as error:
        (_print_error if "--json" in arguments else _explain)(Problem(error.kind, "", 0, str(error)))
        return error.exit_status
    # With --field it is people who read what is wrong, unless --json is said, too.
    explain = _print_error if "--json" in arguments and getattr(options, "json", False) else _explain
    try:
        return int(options.run(options))
    except Refused as error:
        explain(error.problem)
        return 1
    except ClientError as error:
        explain(Problem(error.kind, "", 0, str(error)))
        return error.exit_status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # The rooms of the other components say in their own words what is wrong, as those of the client do.
        problem = getattr(error, "problem", None)
        if callable(problem):
            explain(problem())
            return 1
        if type(error).__module__.startswith("freehold."):
            explain(Problem("failed", "", 0, str(error)))
            return int(getattr(error, "exit_status", 1))
        raise


def _parser(arguments: Sequence[str]) -> GroupedParser:
    parser = GroupedParser(
        "freehold",
        groups=_GROUPS,
        description="Order services, and run the machines that keep them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"freehold {__version__}")
    commands = parser.add_subparsers(dest="room", required=True, metavar="COMMAND")
    node = commands.add_parser("node", help="run this machine as a node, or look after nodes").add_subparsers(
        dest="node_command", required=True, metavar="COMMAND"
    )
    add_client_commands(commands, node)
    wanted = arguments[0] if arguments else ""
    if wanted != "node":
        _add_rooms_of_people(commands)
    # What a command does not need is not imported: a customer's machine has neither Master nor Node.
    if wanted in ("node", "-h", "--help"):
        from freehold.node.commands import add_commands as add_node_commands

        add_node_commands(node)
    for name in _EXTRAS:
        if wanted in (name, "-h", "--help"):
            _add_component(commands, name, is_wanted=wanted == name)
    return parser


def _add_rooms_of_people(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add what nobody does on a node's own machine: the one file of a node leaves these modules out."""
    from freehold import completion
    from freehold.client import (
        accounts,
        audit,
        billing,
        desk,
        events,
        history,
        logs,
        notifications,
        sign_ups,
        support,
        suspensions,
    )

    for room in (logs, events, history, accounts, notifications, billing, support, desk, audit, suspensions, sign_ups):
        room.add_commands(commands)
    completion.add_commands(commands, lambda: _parser(["--help"]))


def _add_component(commands: "Subparsers[argparse.ArgumentParser]", name: str, *, is_wanted: bool) -> None:
    """Add a component's commands where it is installed; raise ClientError where it is not, and is wanted."""
    try:
        add_component_commands = _component(name)
    except ModuleNotFoundError as error:
        if is_wanted:
            raise ClientError(
                f"`freehold {name}` is not installed here: {error.name} is missing. "
                f"Install Freehold with its extra '{_EXTRAS[name]}': freehold[{_EXTRAS[name]}]."
            ) from None
        return
    add_component_commands(commands)


def _component(name: str) -> "Callable[[Subparsers[argparse.ArgumentParser]], None]":
    """Import what adds the commands of a component; raise ModuleNotFoundError where that is not installed."""
    if name == "cache":
        from freehold.cache.commands import add_commands
    elif name == "software":
        from freehold.kit.commands import add_commands
    elif name == "simulate":
        from freehold.simulator.commands import add_commands
    else:
        from freehold.master.commands import add_commands
    return add_commands


def _print_error(problem: Problem) -> None:
    """Print a problem document; one that no Master made has no status of HTTP, and its type for a title."""
    document = msgspec.to_builtins(problem)
    document["title"] = problem.title or problem.type.replace("-", " ").capitalize()
    if not problem.status:
        del document["status"]
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode(), file=sys.stderr)


def _explain(problem: Problem) -> None:
    title = f"{problem.title}: " if problem.title else ""
    print(f"freehold: {title}{problem.detail}", file=sys.stderr)
    for error in problem.errors:
        value = "" if error.value is None else f" (value: {error.value!r})"
        print(f"  {error.field}: {error.rule}{value}", file=sys.stderr)
    for reason in problem.reasons:
        print(f"  {f'{reason.nodes} nodes: ' if reason.nodes else ''}{reason.reason}", file=sys.stderr)
    if problem.remedy:
        print(f"  {problem.remedy}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
