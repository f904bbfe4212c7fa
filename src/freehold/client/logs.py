"""The command that looks into a service from afar: the last lines of its logs, and what is written from then on."""

import argparse
import sys

from freehold import json_output
from freehold.client.errors import ClientError
from freehold.client.messages import LogPiece
from freehold.client.terminal import Subparsers, command, open_client

USUAL_LINES = 100


def add_commands(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `logs`."""
    logs = command(commands, "logs", _logs, "the last lines that a service's processes wrote")
    logs.add_argument("title")
    logs.add_argument("process", nargs="?", default="", help="only this process; `configure` is its configuration")
    logs.add_argument("--lines", type=int, default=USUAL_LINES, metavar="N", help="of each log; 100 otherwise")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is written, until Ctrl-C")


def _logs(options: argparse.Namespace) -> int:
    client = open_client()
    stream = client.open_log(
        options.title, process=options.process, lines=options.lines, follow=options.follow, project=options.project
    )
    writing, why = "", ""
    for part in client.log_parts(options.title, stream, project=options.project):
        why = part.why if part.over else ""
        for piece in part.pieces:
            if options.json:
                json_output.print_line(options, piece)
            else:
                _print(piece, heading="" if piece.process == writing or options.process else piece.process)
            writing = piece.process
        sys.stdout.flush()
    if why:
        raise ClientError(why)
    if not writing and not options.json:
        print("Nothing was written yet.", file=sys.stderr)
    return 0


def _print(piece: LogPiece, *, heading: str) -> None:
    if heading:
        print(f"==> {heading} <==")
    if piece.left_out:
        print(f"[{piece.left_out} bytes before this are not shown]")
    text = piece.text
    print(text, end="" if text.endswith("\n") or not text else "\n")
