"""What commands print for programs: with `--json` an answer whole, with `--field` one field of it."""

import argparse
import json
from typing import Any

import msgspec


class FieldNotFound(Exception):
    """No answer has the field that was asked for; the message names those that there are."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--json` and `--field`; either makes `options.json` true."""
    parser.set_defaults(field=None)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs; errors, too")
    parser.add_argument(
        "--field",
        action=_Field,
        metavar="NAME",
        help="print this field of the JSON alone, such as publication.url; of a list that of each row",
    )


def print_answer(options: argparse.Namespace, answer: object) -> None:
    """Print an answer as JSON, or the field of it that is asked for: texts as they are, other values as JSON.

    A list has a line for each row, empty where a row has no such field or null. Raise FieldNotFound.
    """
    encoded = msgspec.json.encode(answer)
    if options.field is None:
        print(msgspec.json.format(encoded, indent=2).decode())
        return
    for value in _values(json.loads(encoded), options.field):
        print(value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False))


def print_line(options: argparse.Namespace, answer: object) -> None:
    """Print one of many answers, for those that read them as they come: the JSON in a line. Raise FieldNotFound."""
    if options.field is None:
        print(msgspec.json.encode(answer).decode())
    else:
        print_answer(options, answer)


class _Field(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        namespace.field = values
        namespace.json = True


def _values(answer: Any, name: str) -> list[Any]:
    if not isinstance(answer, list) or name.partition(".")[0].isdecimal():
        return [_value(answer, name)]
    values, missing = [], None
    for row in answer:
        try:
            values.append(_value(row, name))
        except FieldNotFound as error:
            values.append(None)
            missing = missing or error
    # One service has a URL and another has none; a name that no row knows is a mistake.
    if missing is not None and not any(value is not None for value in values):
        raise missing
    return values


def _value(answer: Any, name: str) -> Any:
    """Return what a name leads to. A key may hold dots itself: the longest that is there counts."""
    keys: dict[str, Any] = {}
    if isinstance(answer, dict):
        keys = answer
    elif isinstance(answer, list):
        keys = {str(position): row for position, row in enumerate(answer)}
    if name in keys:
        return keys[name]
    for key in sorted(keys, key=len, reverse=True):
        if name.startswith(f"{key}."):
            return _value(keys[key], name.removeprefix(f"{key}."))
    known = ", ".join(keys) or "none"
    raise FieldNotFound(f"The command is done, but its answer has no field '{name}'. Fields there: {known}.")
