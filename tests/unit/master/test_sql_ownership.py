"""A table belongs to the room of its prefix: only that room writes it, and what a room reads is below it in the house.

Every `.sql` file, and every write through a model, is read and taken apart; nothing of it is run.
"""

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from freehold.master.foundation import sql

REPOSITORY = Path(__file__).parents[3]
MASTER = REPOSITORY / "src" / "freehold" / "master"
FOREIGN_WRITES = {
    # One statement for each kind of row of a million documents, from the run's own tables.
    ("billing", "accounting_entry", "add_entries"),
    ("billing", "accounting_posting", "add_receivables"),
    ("billing", "accounting_posting", "add_revenue"),
    ("billing", "accounting_posting", "add_tax_postings"),
}
"""The writes of one room into another's tables that are left: (room, table, query). This list only gets shorter."""
TEMPORARY = re.compile(r"CREATE TEMP(?:ORARY)? TABLE (?:IF NOT EXISTS )?(\w+)")
WRITES_BY_MODEL = {
    "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "save",
}  # fmt: skip
Use = tuple[str, str, str]
"""A room, a table, and the query that uses it."""


def floors() -> dict[str, int]:
    """Return how deep each room stands, by the contract of imports: a larger number is lower."""
    contract = configparser.ConfigParser()
    contract.read(REPOSITORY / ".importlinter")
    lines = contract["importlinter:contract:rooms"]["layers"].split("\n")
    return {room.strip(): depth for depth, line in enumerate(lines) for room in re.split("[|:]", line) if room.strip()}


def queries() -> Iterator[tuple[str, str, str]]:
    """Yield room, name and text of every query; what the gateway composes is its owners'."""
    for path in sorted(MASTER.glob("*/sql/*.sql")):
        for query in sql.load(path).values():
            yield path.parts[-3], query.name, query.named


def uses(room: str, name: str, text: str) -> tuple[set[Use], set[Use]]:
    """Return what a query writes and what it reads."""
    written, read = set[Use](), set[Use]()
    for statement in sqlglot.parse(text, read="postgres"):
        assert statement is not None, name
        own = {one.alias for one in statement.find_all(exp.CTE)}
        targets = set()
        for write in statement.find_all(exp.Insert, exp.Update, exp.Delete):
            target = write.this.this if isinstance(write.this, exp.Schema) else write.this
            targets.add(target.name)
        written |= {(room, table, name) for table in targets}
        tables = {one.name for one in statement.find_all(exp.Table)}
        read |= {(room, table, name) for table in tables - own - targets if table}
    return written, read


@pytest.fixture(scope="module")
def used() -> tuple[set[Use], set[Use]]:
    found = [uses(*query) for query in queries()]
    assert len(found) > 200
    return {one for written, _ in found for one in written}, {one for _, read in found for one in read}


@pytest.fixture(scope="module")
def temporary() -> set[str]:
    """The tables that a transaction makes for itself."""
    return {name for _, _, text in queries() for name in TEMPORARY.findall(text)}


def test_a_room_writes_its_own_tables_only(used: tuple[set[Use], set[Use]], temporary: set[str]) -> None:
    written, _ = used
    foreign = {one for one in written if one[1] not in temporary and one[1].partition("_")[0] != one[0]}
    assert foreign == FOREIGN_WRITES, "a write moves to the room of its table; what is mended leaves the list"


def test_a_room_reads_downward_only(used: tuple[set[Use], set[Use]], temporary: set[str]) -> None:
    depth, (_, read) = floors(), used
    upward = {
        one
        for one in read
        if one[1] not in temporary and one[1].partition("_")[0] in depth
        if depth[one[1].partition("_")[0]] < depth[one[0]]
    }
    assert not upward


def test_every_table_that_is_named_is_one(used: tuple[set[Use], set[Use]], temporary: set[str], database: str) -> None:
    from django.apps import apps

    there = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | temporary
    named = {table for uses_of in used for _, table, _ in uses_of}
    # Functions that return rows look like tables.
    assert {one for one in named - there if "_" in one} == set()


def model_writes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the room and the name of each model that a file writes through its manager."""
    tree = ast.parse(path.read_text())
    models = {
        alias.asname or alias.name: node.module.split(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and re.fullmatch(r"freehold\.master\.\w+\.models", node.module)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES_BY_MODEL
        ):
            continue
        root: ast.expr = node.func.value
        while isinstance(root, ast.Call | ast.Attribute):
            root = root.func if isinstance(root, ast.Call) else root.value
        if isinstance(root, ast.Name) and root.id in models:
            yield models[root.id], root.id


def rooms() -> Iterator[tuple[str, Path]]:
    for path in sorted(MASTER.rglob("*.py")):
        if "migrations" not in path.parts:
            yield path.relative_to(MASTER).parts[0], path


def test_a_room_writes_through_its_own_models_only() -> None:
    foreign = {
        (room, model, path.name) for room, path in rooms() for owner, model in model_writes(path) if owner != room
    }
    assert not foreign


def test_queries_only_read(used: tuple[set[Use], set[Use]]) -> None:
    """Of a room, `queries.py` reads; whatever writes is an action or a task."""
    writing = {(room, name) for room, _, name in used[0]}
    for room, path in rooms():
        if path.name != "queries.py":
            continue
        text = path.read_text()
        assert not list(model_writes(path)), path
        assert "writing(" not in text, path
        named = set(re.findall(r"""(?:SQL|QUERIES|ORDERS|LISTING)\["(\w+)"\]""", text))
        assert not {(room, name) for name in named} & writing, path


@pytest.mark.parametrize(
    ("text", "written", "read"),
    [
        ("INSERT INTO a_one (x) SELECT y FROM b_two", {"a_one"}, {"b_two"}),
        ("WITH c AS (SELECT 1) UPDATE a_one SET x = 1 FROM b_two, c", {"a_one"}, {"b_two"}),
        ("DELETE FROM a_one WHERE id IN (SELECT id FROM b_two JOIN c_three ON true)", {"a_one"}, {"b_two", "c_three"}),
    ],
)
def test_what_a_statement_uses_is_seen(text: str, written: set[str], read: set[str]) -> None:
    found = uses("a", "name", text)
    assert ({table for _, table, _ in found[0]}, {table for _, table, _ in found[1]}) == (written, read)
