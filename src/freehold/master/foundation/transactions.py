"""Transactions of the rooms that use Django, hand-written queries in them, and the audit row of each act."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from freehold.failpoints import failpoint
from freehold.master.foundation import clock, sql


@contextmanager
def writing() -> Iterator[None]:
    """One write transaction: everything in it happens, durably, or nothing does.

    Never do network or slow work inside: others wait.
    """
    if connection.vendor == "sqlite":
        with sql.sqlite_turn, transaction.atomic():
            yield
            failpoint("act-not-committed")
    else:
        with transaction.atomic():
            yield
            failpoint("act-not-committed")
    failpoint("act-committed")


def locking(query: sql.Query, table: str) -> sql.Query:
    """Return a query that keeps what it reads of a table from changing until the transaction ends.

    On SQLite it is unchanged: there a write transaction is alone.
    """
    if connection.vendor == "sqlite":
        return query
    suffix = f"\nFOR UPDATE OF {table}"
    return sql.Query(query.name, query.description, query.named + suffix, query.format + suffix)


def run(query: sql.Query, **values: Any) -> list[dict[str, Any]]:
    """Run a hand-written query and return its rows by column name; none for a statement without rows."""
    with connection.cursor() as cursor:
        cursor.execute(query.format, values)
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_AUDIT = """
INSERT INTO foundation_auditrow (at, actor, verb, subject, project, detail)
VALUES (%s, %s, %s, %s, %s, %s)
"""


def audit(actor: str, verb: str, subject: str, *, project: str = "", **detail: object) -> None:
    """Write the audit row of an act; call it in the act's transaction. Details never hold secrets."""
    text = json.dumps(detail, separators=(",", ":"), default=str)
    with connection.cursor() as cursor:
        cursor.execute(_AUDIT, [clock.now(), actor, verb, subject, project, text])
