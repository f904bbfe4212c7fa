"""The one command: it says what it can do, and loads only what the command needs."""

import re
import subprocess
import sys

import pytest

from freehold import __version__


def cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "freehold.cli", *arguments], capture_output=True, text=True, timeout=60
    )


def test_help_names_every_command_with_examples_and_statuses() -> None:
    said = cli("--help").stdout
    commands = re.search(r"\n  COMMAND\n(.*?)\n\n", said, re.DOTALL)
    assert commands is not None
    named = {line.split()[0] for line in commands[1].splitlines() if re.match(r"    \w", line)}
    assert named == {
        "login", "request", "show", "list", "start", "stop", "destroy", "supply", "release", "site", "node",
        "software", "simulate", "master", "cache", "prices", "quote", "costs", "budget", "invoices", "invoice",
        "billing", "hand-over", "tickets", "ticket", "ask", "move", "quota", "account", "people",
        "reset-password", "notifications", "webhook", "desk", "audit", "project", "logs", "restart",
        "sign-ups", "terms",
        "whoami", "logout", "open",
    }  # fmt: skip
    assert "examples:" in said
    for status in ("0 done", "1 refused", "2 wrong usage", "3 not ready", "4 the Master cannot be reached"):
        assert status in " ".join(said.split())
    assert cli("--version").stdout == f"freehold {__version__}\n"


@pytest.mark.parametrize("command", ["request", "show", "list", "destroy", "supply", "login"])
def test_every_command_has_help_of_its_own(command: str) -> None:
    done = cli(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: freehold {command}")


def test_a_customers_machine_needs_neither_master_nor_node() -> None:
    program = (
        "import sys; from freehold.cli import _parser; _parser(['list']).parse_args(['list'])\n"
        "loaded = {name for name in sys.modules if name.startswith(('freehold.master', 'freehold.node', 'django', "
        "'cryptography', 'zc.'))}\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
