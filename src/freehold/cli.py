"""The one command, `freehold`: parses, calls a room, prints.

Exit status: 0 done; 1 refused or failed, the message says why; 2 wrong usage; 3 not ready within `--wait`;
4 the Master cannot be reached.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from freehold import __version__
from freehold.client.accounts import add_commands as add_account_commands
from freehold.client.audit import add_commands as add_audit_commands
from freehold.client.billing import add_commands as add_billing_commands
from freehold.client.commands import add_commands as add_client_commands
from freehold.client.desk import add_commands as add_desk_commands
from freehold.client.errors import ClientError, Refused
from freehold.client.logs import add_commands as add_log_commands
from freehold.client.notifications import add_commands as add_notification_commands
from freehold.client.sign_ups import add_commands as add_sign_up_commands
from freehold.client.support import add_commands as add_support_commands
from freehold.client.suspensions import add_commands as add_project_commands
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
    ),
    "services, for customers": (
        "request", "show", "list", "logs", "start", "stop", "restart", "move", "destroy", "hand-over",
        "ask", "tickets", "ticket",
    ),
    "what they cost, for customers": ("prices", "quote", "costs", "budget", "invoices", "invoice"),
    "people of a project, for its owner": ("people", "webhook", "audit"),
    "nodes and their Master, for providers": (
        "desk", "node", "site", "supply", "quota", "project", "cache", "master",
    ),
    "products, for authors": ("software", "release", "simulate"),
    "the books, for sales and accountants": ("billing",),
}  # fmt: skip
_OF_COMPONENTS = {
    "cache": "freehold.cache.commands",
    "software": "freehold.kit.commands",
    "simulate": "freehold.simulator.commands",
    "master": "freehold.master.commands",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    # Whatever any command prints of others, no terminal obeys it.
    with redirect_stdout(Escaping(sys.stdout)), redirect_stderr(Escaping(sys.stderr)):
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        options = _parser(arguments).parse(arguments)
        return int(options.run(options))
    except UsageError as error:
        print(f"{error.usage}freehold: {error}", file=sys.stderr)
        return 2
    except Refused as error:
        _explain(error.problem)
        return 1
    except ClientError as error:
        print(f"freehold: {error}", file=sys.stderr)
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
            _explain(problem())
            return 1
        if type(error).__module__.startswith("freehold."):
            print(f"freehold: {error}", file=sys.stderr)
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
    add_log_commands(commands)
    add_account_commands(commands)
    add_notification_commands(commands)
    add_billing_commands(commands)
    add_support_commands(commands)
    add_desk_commands(commands)
    add_audit_commands(commands)
    add_project_commands(commands)
    add_sign_up_commands(commands)
    # What a command does not need is not imported: a customer's machine has neither Master nor Node.
    wanted = arguments[0] if arguments else ""
    if wanted in ("node", "-h", "--help"):
        from freehold.node.commands import add_commands as add_node_commands

        add_node_commands(node)
    for name, module in _OF_COMPONENTS.items():
        if wanted in (name, "-h", "--help"):
            importlib.import_module(module).add_commands(commands)
    return parser


def _explain(problem: Problem) -> None:
    print(f"freehold: {problem.title}: {problem.detail}", file=sys.stderr)
    for error in problem.errors:
        value = "" if error.value is None else f" (value: {error.value!r})"
        print(f"  {error.field}: {error.rule}{value}", file=sys.stderr)
    for reason in problem.reasons:
        print(f"  {f'{reason.nodes} nodes: ' if reason.nodes else ''}{reason.reason}", file=sys.stderr)
    if problem.remedy:
        print(f"  {problem.remedy}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
