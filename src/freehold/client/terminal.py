"""What every command of the client does with the terminal: parse, ask, read, print."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from freehold import json_output
from freehold.client.api import Client
from freehold.client.credentials import load_credentials
from freehold.client.errors import ClientError
from freehold.protocol import numbers

Subparsers = argparse._SubParsersAction


def command(
    subparsers: "Subparsers[argparse.ArgumentParser]", name: str, run: Any, help: str
) -> argparse.ArgumentParser:
    """Add a command with the options that all of them have; return its parser."""
    parser = subparsers.add_parser(name, help=help, description=help)
    json_output.add_options(parser)
    parser.add_argument("--project", help="another project than the one of the login, if that opens it")
    parser.set_defaults(run=run)
    return parser


def open_client() -> Client:
    """Return a client with the credentials that `freehold login` kept."""
    return Client(load_credentials())


def confirmed(question: str) -> bool:
    """Ask before something is destroyed; raise ClientError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ClientError("This destroys something: say --yes to confirm.")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def say(options: argparse.Namespace, value: object, text: str) -> None:
    """Print a text for people, or with `--json` or `--field` the value that it is of."""
    if options.json:
        json_output.print_answer(options, value)
    else:
        print(text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows below their heads, in columns."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def json_object(option: str, text: str | None) -> dict[str, Any] | None:
    """Return the JSON object that an option holds: itself, `@FILE` or `-`; raise ClientError when it is none."""
    if text is None:
        return None
    if text.startswith("@"):
        text = read(Path(text[1:]))
    value = _parsed(option, sys.stdin.read() if text == "-" else text)
    if not isinstance(value, dict):
        raise ClientError(f'{option} must be a JSON object, such as {{"name": "value"}}.')
    return value


def json_or_text(option: str, text: str) -> Any:
    """Return the value that an option holds: JSON, a text that is none, or the text in `@FILE`, less a last newline.

    Raise ClientError for a file that cannot be read, and for JSON that no order can hold.
    """
    if text.startswith("@"):
        return read(Path(text[1:])).removesuffix("\n")
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=number)
    except ValueError:
        return text
    except RecursionError:
        pass
    return _parsed(option, text)


def _parsed(option: str, text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=number, parse_float=_as_written)
        # What cannot travel, such as half of a character, is told here.
        msgspec.json.encode(value)
    except (ValueError, OverflowError) as error:
        raise ClientError(f"{option} is not JSON: {error}") from None
    except RecursionError:
        raise ClientError(f"{option} is JSON that is nested too deeply.") from None
    return value


def read(path: Path) -> str:
    """Return the text of a file; raise ClientError when it cannot be read."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError:
        raise ClientError(f"{path} cannot be read: it is not text in UTF-8.") from None


def read_bytes(path: Path) -> bytes:
    """Return what is in a file; raise ClientError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror}.") from None


def seconds(text: str) -> float:
    """Return a time that an option gives; raise what argparse tells its user."""
    try:
        seconds = number(text)
    except ValueError:
        seconds = -1
    if seconds < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return seconds


def _as_written(text: str) -> float | msgspec.Raw:
    # A number with more digits than are kept here travels as it stands: its Master compares it so.
    number = numbers.read(text)
    return msgspec.Raw(text.encode()) if isinstance(number, numbers.Written) else number


def number(text: str) -> float:
    """Return a number of JSON; raise ValueError for one that JSON does not know."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON knows")
    return number
