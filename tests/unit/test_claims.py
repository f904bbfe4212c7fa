"""What pages name is there: commands with options, variables, files, addresses, modules, headings, numbers."""

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from freehold import cli

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = sorted(
    path.relative_to(REPOSITORY)
    for pattern in ("*.md", "docs/**/*.md", "decisions/*.md", "bench/*.md")
    for path in REPOSITORY.glob(pattern)
)
CODE = ("src", "tests", "tools", "bench", "software")
NO_COMMANDS = {"docs/protocol.md"}
"""What begins with `freehold` there is signed or sealed."""


def text_of(page: Path) -> str:
    return (REPOSITORY / page).read_text()


def spans(page: Path) -> list[str]:
    """Return what a page has in backquotes within a line or paragraph, without its blocks of code."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose)]


# Commands


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each `freehold …` that a page shows, in a line of code or in a sentence."""
    if str(page) in NO_COMMANDS:
        return
    for span in spans(page):
        if span.startswith("freehold "):
            yield words(span)
    text = re.sub(r"\\\n\s*", " ", text_of(page))
    for line in re.findall(r"^(?: {4}|\s*)(?:\./dev )?(freehold [a-z].*)$", text, flags=re.MULTILINE):
        yield words(line)


def words(line: str) -> list[str]:
    """Return the words of a command as far as it is one: not what is piped, redirected or said of it."""
    lexer = shlex.shlex(line.split("\n")[0], posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("|&;<>"):
                break
            found.append(word)
    except ValueError:
        # A JSON text that goes on in the next line: what comes before it counts.
        pass
    return found


@cache
def parser() -> argparse.ArgumentParser:
    return cli._parser(["--help"])


def unknown(command: list[str]) -> str:
    """Return the first word of a command that the command line does not know; empty: it knows all."""
    here = parser()
    for word in command[1:]:
        below = next((one.choices for one in here._actions if isinstance(one, argparse._SubParsersAction)), None)
        if word.startswith("--"):
            if word.partition("=")[0] not in here._option_string_actions:
                return word
        elif below is not None and re.fullmatch(r"[a-z-]+", word):
            if word not in below:
                return word
            here = below[word]
    return ""


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_command_and_option_that_a_page_shows_is_one(page: Path) -> None:
    wrong = {" ".join(command): unknown(command) for command in commands(page)}
    assert {command: word for command, word in wrong.items() if word} == {}


def test_many_commands_are_shown_and_a_wrong_one_is_seen() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) > 150
    assert unknown(words("freehold node upgrad x.pyz")) == "upgrad"
    assert unknown(words("freehold node drain NAME --dry-runn | cat")) == "--dry-runn"
    assert unknown(words('freehold request shop hello --parameters \'{"a":')) == ""


def test_each_command_of_the_table_is_one() -> None:
    """The table says `node list`, `token`: what follows belongs to the same group."""
    rows = re.findall(r"^\| (`[^|]+) \|", text_of(Path("docs/command-line.md")), flags=re.MULTILINE)
    assert len(rows) > 25
    for row in rows:
        group: list[str] = []
        whole = ["freehold"]
        for span in re.findall(r"`([^`]+)`", row):
            command = words(span)
            if span.startswith("-"):
                assert unknown([*whole, *command]) == "", span
                continue
            if command[0] not in _below(group):
                group = next((command[:n] for n in (2, 1) if _below(command[:n])), [])
                whole = ["freehold", *command]
            else:
                whole = ["freehold", *group, *command]
            assert unknown(whole) == "", span


def _below(group: list[str]) -> set[str]:
    """Return the commands of a group: of none for what is no group, or is not there."""
    here = parser()
    for word in group:
        below = next((one.choices for one in here._actions if isinstance(one, argparse._SubParsersAction)), {})
        if word not in below:
            return set()
        here = below[word]
    found = next((one.choices for one in here._actions if isinstance(one, argparse._SubParsersAction)), {})
    return set(found) if group else set()


def test_each_command_that_our_own_words_name_is_one() -> None:
    """In errors, remedies and help: what somebody reads who needs it now."""
    wrong, seen = {}, 0
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        for text in said(ast.parse(path.read_text())):
            for line in re.findall(r"(?:^|[`:(] ?|[.;] )(freehold [a-z][^`\n,;]*)", text):
                command = words(line.rstrip(".)"))
                if command[1:] and command[1] in _rooms():
                    seen += 1
                    if word := unknown(command):
                        wrong[f"{path.relative_to(REPOSITORY)}: {line}"] = word
    assert wrong == {}
    assert seen > 60


def said(tree: ast.AST) -> Iterator[str]:
    """Yield each text of a module, but its docstrings' own; what is filled in is X."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def _rooms() -> set[str]:
    (rooms,) = (one.choices for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    return set(rooms)


# Names


@cache
def code() -> str:
    files = [path for folder in CODE for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    files += [REPOSITORY / "dev", REPOSITORY / "pyproject.toml", *(REPOSITORY / ".ci").glob("*")]
    kinds = {".py", ".sql", ".sh", ".toml", ".cfg", ".html", ""}
    return "\n".join(
        path.read_text(errors="replace") for path in files if path.suffix in kinds and path != Path(__file__).resolve()
    )


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_variable_that_a_page_names_is_read_somewhere(page: Path) -> None:
    named = set(re.findall(r"\bFREEHOLD_[A-Z_]+\b", text_of(page)))
    assert {name for name in named if name not in code()} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    named = {
        found
        for span in spans(page)
        for found in re.findall(r"(?<![\w./])(?:src|tests|tools|software|bench|decisions|docs)/[\w./-]*\w", span)
    }
    # `software/HASH` is of a node.
    named = {name for name in named if not re.search(r"/[A-Z]+\b(?!\.md)", name)}
    assert {name for name in named if not list(REPOSITORY.glob(f"{name}*"))} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_address_of_the_master_that_a_page_names_is_answered(page: Path) -> None:
    document = text_of(Path("docs/openapi.json"))
    known = {re.sub(r"\{\w+\}", "*", path) for path in re.findall(r'"(/api/v1/[^"]+)": \{', document)}
    for path in set(re.findall(r"/api/v1/[\w/-]+", text_of(page))) - {"/api/v1/docs"}:
        pattern = re.sub(r"(?<=/)[A-Z]+(?=/|$)", "*", path)
        assert pattern in known, path
    for path in set(re.findall(r"/node/v1(/[\w/-]*\w)", text_of(page))):
        begin = re.split(r"/[A-Z]", path)[0]
        assert begin in code(), path


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_module_of_ours_that_a_page_names_has_what_it_says(page: Path) -> None:
    for span in spans(page):
        match = re.fullmatch(r"(freehold(?:\.\w+)+)(?:\(.*\))?", span)
        if match is None or match[1].endswith(".pyz"):
            continue
        module, _, name = match[1].rpartition(".")
        try:
            importlib.import_module(match[1])
        except ImportError:
            assert hasattr(importlib.import_module(module), name), span


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_link_to_a_heading_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text_of(page)):
        there = REPOSITORY / page.parent / target if target else REPOSITORY / page
        headings = re.findall(r"^#+ (.+)$", there.read_text(), flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, (target, anchor)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_decision_that_a_page_refers_to_is_there(page: Path) -> None:
    for listed in re.findall(r"[Dd]ecisions? ((?:\d{4}(?:, | and )?)+)", text_of(page)):
        for number in re.findall(r"\d{4}", listed):
            assert list((REPOSITORY / "decisions").glob(f"{number}-*.md")), number


# Numbers


def test_quotas_are_as_the_table_says() -> None:
    source = (REPOSITORY / "src/freehold/master/people/quotas.py").read_text()
    names = dict(re.findall(r"^    ([A-Z_]+) = \"([a-z-]+)\"$", source, flags=re.MULTILINE))
    usual = dict(re.findall(r"^    Quota\.([A-Z_]+): ([\d_]+),$", source, flags=re.MULTILINE))
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text_of(Path("docs/operators.md")), flags=re.MULTILINE)
    assert {name: int(most) for name, most in rows} == {names[name]: int(most) for name, most in usual.items()}
    assert len(rows) > 15


def test_there_are_as_many_kinds_of_promises_as_is_said() -> None:
    from freehold.promises import KINDS

    numbers = {"twenty-six": 26, "twenty-seven": 27, "twenty-eight": 28, "twenty-nine": 29}
    (said,) = re.findall(r"([a-z-]+) kinds of promises", text_of(Path("CHANGELOG.md")))
    assert numbers[said] == len(KINDS)


# Decisions


def test_a_decision_says_which_later_one_supersedes_it() -> None:
    for page in (page for page in PAGES if page.parts[0] == "decisions"):
        for earlier in re.findall(r"[Ss]upersedes [^.]*?(?:decision |of )?(\d{4})", text_of(page)):
            (path,) = REPOSITORY.glob(f"decisions/{earlier}-*.md")
            status = re.search(r"^\*\*Status\.\*\* (.+)$", path.read_text(), flags=re.MULTILINE)
            assert status is not None, f"{path.name} does not say that {page.name} supersedes it"
            assert page.name[:4] in status[1], path.name
