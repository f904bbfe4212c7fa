"""How the command line is parsed: commands in groups, and for wrong usage the nearest that there is."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

Groups = Mapping[str, Sequence[str]]
"""Names of commands, below what they are for."""


class UsageError(Exception):
    """The arguments are not a command; `usage` is how the nearest command is used."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.format_usage())


class GroupedParser(Parser):
    """The parser above all commands, whose help lists them in groups."""

    def __init__(self, *arguments: Any, groups: Groups, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.groups = groups

    def add_subparsers(self, **keywords: Any) -> Any:
        # What is below it has no groups of its own.
        return super().add_subparsers(parser_class=Parser, **keywords)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return what the arguments say; raise UsageError, which names what is near to a mistyped word."""
        try:
            return self.parse_args(arguments)
        except UsageError as error:
            raise self._with_nearest(error, arguments) from None

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        commands = _commands(self)
        assert commands is not None
        listed = {command.dest: command for command in commands._choices_actions}
        ungrouped = [name for name in listed if name not in self._grouped()]
        for title, names in {**self.groups, "other commands": ungrouped}.items():
            formatter.start_section(title)
            formatter.add_arguments([listed[name] for name in names if name in listed])
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments([action for action in self._actions if action.option_strings])
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def _with_nearest(self, error: UsageError, arguments: Sequence[str]) -> UsageError:
        parser: argparse.ArgumentParser = self
        for word in arguments:
            commands = _commands(parser)
            if word == "--":
                break
            if word.startswith("--"):
                option = word.partition("=")[0]
                # Options may be cut short.
                if not any(known.startswith(option) for known in parser._option_string_actions):
                    near = _nearest(option, parser._option_string_actions) or f"See: {parser.prog} --help"
                    return UsageError(f"{option} is not an option of {parser.prog}. {near}", parser.format_usage())
            elif commands is not None and not word.startswith("-"):
                if word not in commands.choices:
                    known = [*commands.choices, *(self._grouped() if parser is self else ())]
                    near = _nearest(word, known) or f"See: {parser.prog} --help"
                    return UsageError(f"'{word}' is not a command of {parser.prog}. {near}", parser.format_usage())
                parser = commands.choices[word]
        return error

    def _grouped(self) -> list[str]:
        return [name for names in self.groups.values() for name in names]


def _commands(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[argparse.ArgumentParser] | None":
    return next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return a question that names what a word may have been meant to be; empty: nothing is near."""
    import difflib

    # Two dashes alike make no two options alike.
    plain = {name.lstrip("-"): name for name in known}
    near = [plain[name] for name in difflib.get_close_matches(word.lstrip("-"), sorted(plain), n=3)]
    return f"Did you mean {' or '.join(near)}?" if near else ""
