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


def test_what_asks_a_master_and_what_shows_things_takes_json() -> None:
    shown = {"node status", "node promises", "node doctor", "cache show", "master check", "master status"}
    page = " ".join(text_of(Path("docs/command-line.md")).split("\n\n")[1].split())
    assert {name for name in shown if f"`{name}`" in page} == shown
    for path, options in leaves(parser()):
        asks = "--project" in options and path not in ("login", "master init", "master person")
        assert (asks or path in shown) == ("--json" in options) == ("--field" in options), path


def leaves(here: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, set[str]]]:
    below = next((one.choices for one in here._actions if isinstance(one, argparse._SubParsersAction)), None)
    if below is None:
        yield path, set(here._option_string_actions)
    for name, parser_below in (below or {}).items():
        yield from leaves(parser_below, f"{path} {name}".strip())


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
    tables = [
        {names[name]: int(most) for name, most in re.findall(r"^    Quota\.([A-Z_]+): ([\d_]+),$", part, re.MULTILINE)}
        for part in source.partition("NEWCOMER: ")[::2]
    ]
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (\d+) \|", text_of(Path("docs/operators.md")), re.MULTILINE)
    told = [{row[0]: int(row[column]) for row in rows} for column in (1, 2)]
    assert told == tables
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
            status = re.search(r"^Status: (.+)$", path.read_text(), flags=re.MULTILINE)
            assert status is not None, f"{path.name} does not say that {page.name} supersedes it"
            assert page.name[:4] in status[1], path.name


# Bounds

MIB = 1024 * 1024
OPERATORS, PROMISES = "docs/operators.md", "docs/authors/promises.md"
BOUNDS = [
    (OPERATORS, "A log that grew beyond 10 MiB", "node/partition/logs.py", "LIMIT", 10 * MIB),
    (OPERATORS, "its last 64 MiB at most", "node/partition/logs.py", "MOST_KEPT", 64 * MIB),
    (OPERATORS, "256 KiB a second", "node/partition/logs.py", "RATE", 256 * 1024),
    (OPERATORS, "looked at every 5 minutes", "node/agent.py", "LOG_PERIOD", 300.0),
    (OPERATORS, "when the disk filled by 32 MB", "node/maintenance/limits.py", "GROWTH_MB", 32),
    (OPERATORS, "after 5, 10, 20 … 600 seconds", "node/plan.py", "LONGEST_BUILD_PAUSE", 600.0),
    (OPERATORS, "after 1, 2, 4 … 300", "node/plan.py", "LONGEST_CONFIGURE_PAUSE", 300.0),
    (OPERATORS, "body of a request | 4 MiB", "protocol/__init__.py", "MAX_BODY", 4 * MIB),
    (OPERATORS, "the archive of a release 32 MiB", "protocol/archive.py", "LARGEST_PACKED", 32 * MIB),
    (OPERATORS, "log-ins | 2 at once, 14 more wait", "master/server.py", "PASSWORD_QUEUE", 2 + 14),
    (OPERATORS, "parameters of an instance | 64 KiB", "master/ordering/resolving.py", "LARGEST_PARAMETERS", 64 * 1024),
    (OPERATORS, "256 KiB of JSON, 64 deep, 500 patterns", "master/catalog/schemas.py", "MOST_PATTERNS", 500),
    (OPERATORS, "500 patterns of 2,000 characters", "protocol/patterns.py", "LONGEST_PATTERN", 2000),
    (OPERATORS, "100,000 steps of the schema", "master/catalog/evaluation.py", "MOST_STEPS", 100_000),
    (OPERATORS, "64 MB at once and 0.5 MB a second", "master/gateway/reports.py", "SHARE_A_SECOND", 512 * 1024),
    (OPERATORS, "1,000 of 4 MB together", "master/gateway/reports.py", "MOST_REFUSED", 1000),
    (OPERATORS, "100 an hour of an account", "master/people/throttle.py", "MOST_FAILURES", 100),
    (OPERATORS, "| an answer of a configuration | 8 MiB", "node/partition/gate.py", "MOST_ANSWER", 8 * MIB),
    (OPERATORS, "| a publication | 256 KiB of JSON, 32 deep", "protocol/__init__.py", "MAX_PUBLICATION", 256 * 1024),
    (OPERATORS, "| services; what runs once | 256 each", "node/partition/layout.py", "MOST_PROGRAMS", 256),
    (OPERATORS, "| promises | 299;", "protocol/__init__.py", "MAX_PROMISES", 300),
    (OPERATORS, "| requests of other instances | 200", "node/partition/layout.py", "MOST_REQUESTS", 200),
    (OPERATORS, "| shared instances that a host answers | 20,000", "node/partition/layout.py", "MOST_SERVED", 20_000),
    (OPERATORS, "at most 5 minutes ahead of the Master's clock", "protocol/__init__.py", "FUTURE", 300.0),
    (OPERATORS, "within three minutes when it is stopped", "node/instances/lifecycle.py", "STOP_SECONDS", 180.0),
    ("docs/protocol.md", "at most 4000 characters", "protocol/__init__.py", "MAX_MESSAGE", 4000),
    (PROMISES, "at most every five minutes", "node/state/instances.py", "RECONFIGURE_PAUSE", 300.0),
    (PROMISES, "shows the last 50 changes of each", "node/state/results.py", "HISTORY", 50),
    (PROMISES, "has lived for a second since its start", "node/services.py", "SETTLED_UNATTESTED", 1.0),
    (PROMISES, "a tenth of a second where the release has", "node/services.py", "SETTLED", 0.1),
    (PROMISES, "from the second death in a row on", "node/supervisor/server.py", "TOO_OFTEN", 2),
    (PROMISES, "within a minute of its start) for five", "node/supervisor/server.py", "WELL", 5.0),
    (PROMISES, "started again after 0.1 s", "node/supervisor/server.py", "FIRST_PAUSE", 0.1),
    ("docs/panel.md", "the first 200 by name", "master/panel/services.py", "MOST_PARTS", 200),
]  # fmt: skip


@pytest.mark.parametrize(("page", "said_of_it", "module", "name", "value"), BOUNDS)
def test_bounds_are_as_pages_say(page: str, said_of_it: str, module: str, name: str, value: float) -> None:
    assert said_of_it in " ".join(text_of(Path(page)).split())
    assert constant(REPOSITORY / "src" / "freehold" / module, name) == value


def constant(path: Path, name: str) -> object:
    """Return a constant of a module that is written as numbers, without importing it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            target, names, values = node.targets[0], node.targets[:1], [node.value]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                names, values = target.elts, node.value.elts
            for one, written in zip(names, values, strict=True):
                if isinstance(one, ast.Name) and one.id == name:
                    return eval(compile(ast.Expression(written), str(path), "eval"), {"__builtins__": {}})
    raise AssertionError(f"{path} has no constant {name}")
