"""`freehold software …`: commands for release authors."""

import argparse
import sys
from pathlib import Path

from freehold.release import folder as release_folder


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `software` and its sub-commands."""
    commands = subparsers.add_parser("software", help="for authors of releases").add_subparsers(
        dest="software_command", required=True, metavar="COMMAND"
    )
    help = "write the descriptor and schemas of a release from the types of its instance.py"
    parser = commands.add_parser("schema", help=help, description=help)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 when they differ")
    parser.set_defaults(run=_schema)


def _schema(options: argparse.Namespace) -> int:
    stale = 0
    for name, text in release_folder.generate(release_folder.load(options.folder)).items():
        path = options.folder / name
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if options.check:
            print(f"{path} is not what instance.py says.", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{path} written.")
    return 1 if stale and options.check else 0
