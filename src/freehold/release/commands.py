"""`freehold software …`: commands for release authors."""

import argparse
import sys
from pathlib import Path

from freehold.release import folder as release_folder
from freehold.release import lock as release_lock


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
    help = "lock the packages of a release: versions and hashes, for this machine's architecture"
    parser = commands.add_parser("lock", help=help, description=help)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 when something would change")
    parser.set_defaults(run=_lock)


def _schema(options: argparse.Namespace) -> int:
    files = release_folder.generate(release_folder.load(options.folder))
    return _write({options.folder / name: text for name, text in files.items()}, options.check, "what instance.py says")


def _lock(options: argparse.Namespace) -> int:
    return _write(release_lock.lock(options.folder), options.check, "what the archives have today")


def _write(files: dict[Path, str], check: bool, source: str) -> int:
    stale = 0
    for path, text in files.items():
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if check:
            print(f"{path} is not {source}.", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{path} written.")
    return 1 if stale and check else 0
