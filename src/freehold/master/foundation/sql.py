"""Hand-written SQL: named queries in `.sql` files, the same text on SQLite and PostgreSQL.

A file holds queries in this form; names are unique within the file and parameters are written `:name`:

    -- name: feed_instances
    -- What changed for a node after a revision.
    SELECT … WHERE node_id = :node

What is the same for each of a list is written once, between double braces, with what stands between two of them:

    SELECT {{each meter ", ": CAST(sum($name) AS bigint) AS $name}} FROM …

`meter` is of all meters, `priced` of those that have prices, `free_text` of the fields of an order that are free text.

No Django here: the gateway imports this module.
"""

import functools
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from freehold.protocol import meters, order

_LISTS = {"meter": meters.NAMES, "priced": meters.PRICED, "free_text": order.FREE_TEXT}
_EACH = re.compile(r'\{\{each (\w+) "([^"]*)": (.*?)\}\}', re.DOTALL)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z_0-9]*)")
_HEADER = re.compile(r"^-- name: ([a-z_]+)$")

sqlite_turn = threading.RLock()
"""Taken by every writer of this process before it opens a write transaction on SQLite.

SQLite admits one writer at a time and makes the others sleep up to 100 ms between tries; a lock hands over at
once. On PostgreSQL it is not used.
"""


@dataclass(frozen=True)
class Query:
    """One named query in the two parameter styles that our drivers want."""

    name: str
    description: str
    named: str
    """`:name` parameters, for sqlite3."""
    format: str
    """`%(name)s` parameters, for psycopg and for Django's cursors."""
    prepared: bool = False
    """Whether PostgreSQL may keep its plan: for what is run often and finds few rows whatever the values."""

    def where(self, condition: str) -> "Query":
        """Return this query followed by `WHERE` and the rest, which is our own text, never a user's."""
        return _query(self.name, self.description, f"{self.named}\nWHERE {condition}", self.prepared)


def load(path: Path, *, prepared: bool = False) -> dict[str, Query]:
    """Return the queries of a file by name, all of them `Query.prepared` or none.

    Raise ValueError when one has no name or no description, or two have the same name.
    """
    queries: dict[str, Query] = {}
    for block in re.split(r"^(?=-- name:)", path.read_text(), flags=re.MULTILINE):
        if not block.strip():
            continue
        lines = block.strip().splitlines()
        header = _HEADER.match(lines[0])
        comment = [line[2:].strip() for line in lines[1:] if line.startswith("--")]
        if header is None or not comment:
            raise ValueError(f"{path.name}: a query needs '-- name: …' and a line that describes it: {lines[0]}")
        if header[1] in queries:
            raise ValueError(f"{path.name}: the name {header[1]} is used twice")
        body = _EACH.sub(_each, "\n".join(line for line in lines[1:] if not line.startswith("--")).strip())
        queries[header[1]] = _query(header[1], " ".join(comment), body, prepared)
    return queries


def load_all(paths: Iterable[Path]) -> dict[str, Query]:
    """Return the queries of several files; raise ValueError also when two have the same name."""
    queries: dict[str, Query] = {}
    for path in paths:
        more = load(path)
        if both := queries.keys() & more.keys():
            raise ValueError(f"{path}: the name {min(both)} is used in another file")
        queries |= more
    return queries


def _each(match: re.Match[str]) -> str:
    return match[2].join(match[3].replace("$name", name) for name in _LISTS[match[1]])


@functools.lru_cache(maxsize=512)
def _query(name: str, description: str, body: str, prepared: bool) -> Query:
    return Query(name, description, body, _PARAMETER.sub(r"%(\1)s", body.replace("%", "%%")), prepared)
