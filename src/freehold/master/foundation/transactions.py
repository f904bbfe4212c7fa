"""Transactions of the rooms that use Django, hand-written queries in them, and the audit row of each act."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from freehold.failpoints import failpoint
from freehold.master.foundation import clock, sql

_SQL = sql.load(Path(__file__).parent / "sql" / "audit.sql", prepared=True)


@contextmanager
def writing(*, dry_run: bool = False) -> Iterator[None]:
    """One write transaction: everything in it happens, durably, or nothing does; nothing of a rehearsal does.

    Never do network or slow work inside: others wait.
    """
    with sql.sqlite_turn if connection.vendor == "sqlite" else nullcontext(), transaction.atomic():
        yield
        if dry_run:
            transaction.set_rollback(True)
        failpoint("act-not-committed")
    failpoint("act-committed")


def locking(query: sql.Query, table: str) -> sql.Query:
    """Return a query that keeps what it reads of a table from changing until the transaction ends.

    On SQLite it is unchanged: there a write transaction is alone.
    """
    if connection.vendor == "sqlite":
        return query
    suffix = f"\nFOR UPDATE OF {table}"
    return replace(query, named=query.named + suffix, format=query.format + suffix)


def run(query: sql.Query, **values: Any) -> list[dict[str, Any]]:
    """Run a hand-written query and return its rows by column name; none for a statement without rows."""
    if query.prepared and connection.vendor == "postgresql":
        return _run_prepared(query, values)
    with connection.cursor() as cursor:
        cursor.execute(query.format, values)
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def change(query: sql.Query, **values: Any) -> int:
    """Run a hand-written statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(query.format, values)
        return int(cursor.rowcount)


def _run_prepared(query: sql.Query, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a query by the driver's own cursor, whose statements PostgreSQL plans once; Django's plan each time."""
    from psycopg import Cursor
    from psycopg.rows import dict_row
    from psycopg.types.numeric import Int8Dumper

    connection.ensure_connection()
    cursor: Any = Cursor(connection.connection, row_factory=dict_row)
    # One type for all numbers: else a statement would have a plan for each size of them.
    cursor.adapters.register_dumper(int, Int8Dumper)
    with (connection.make_debug_cursor if connection.queries_logged else connection.make_cursor)(cursor) as wrapped:
        wrapped.execute(query.format, values)
        return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def audit(actor: str, verb: str, subject: str, *, project: str = "", **detail: object) -> None:
    """Write the audit row of an act; call it in the act's transaction. Details never hold secrets."""
    text = json.dumps(detail, separators=(",", ":"), default=str)
    run(_SQL["audit"], now=clock.now(), actor=actor, verb=verb, subject=subject, project=project, detail=text)
