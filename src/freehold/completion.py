"""`freehold completion`: scripts with which a shell completes commands, options and their values.

A script is written once and needs no Freehold when it completes: a key press must not wait for a Python to start.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

_SHELLS = ("bash", "zsh")
Subparsers = argparse._SubParsersAction


def add_commands(
    subparsers: "Subparsers[argparse.ArgumentParser]", parser_of_all: Callable[[], argparse.ArgumentParser]
) -> None:
    """Add `completion`; `parser_of_all` returns the parser with every command that is installed."""
    help_ = "print a script with which a shell completes commands and options"
    completion = subparsers.add_parser("completion", help=help_, description=help_)
    completion.add_argument("shell", choices=_SHELLS)
    completion.set_defaults(run=_print_script, parser_of_all=parser_of_all)


def _print_script(options: argparse.Namespace) -> int:
    # Only this command needs it, and every command would wait for it.
    import shtab

    parser = options.parser_of_all()
    _complete_files(parser)
    print(shtab.complete(parser, options.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Have arguments that are files completed by the names of files."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_files(below)
        elif action.type is Path or action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
