"""The one command, `freehold`: parses, calls a room, prints.

Exit status: 0 done; 1 refused or failed, the message says why; 2 wrong usage; 3 not ready within `--wait`;
4 the Master cannot be reached.
"""

import argparse
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    # Whatever any command prints of others, no terminal obeys it.
    with redirect_stdout(Escaping(sys.stdout)), redirect_stderr(Escaping(sys.stderr)):
        return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> int:
    options = _parser(arguments).parse_args(arguments)
    try:
        return int(options.run(options))
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


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "freehold",
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
    if wanted in ("cache", "-h", "--help"):
        from freehold.cache.commands import add_commands as add_cache_commands

        add_cache_commands(commands)
    if wanted in ("software", "-h", "--help"):
        from freehold.kit.commands import add_commands as add_kit_commands

        add_kit_commands(commands)
    if wanted in ("simulate", "-h", "--help"):
        from freehold.simulator.commands import add_commands as add_simulator_commands

        add_simulator_commands(commands)
    if wanted in ("master", "-h", "--help"):
        from freehold.master.commands import add_commands as add_master_commands

        add_master_commands(commands)
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
