"""The schema of a new database on SQLite, as one text: its migrations make the same, in ten seconds of processor."""

import contextlib
import re
import sqlite3
from pathlib import Path

from django.core.management import call_command
from django.db import connection

FILE = Path(__file__).parent / "schema.sqlite.dump"
"""What the migrations make of an empty database; `tests/unit/master/test_first_schema.py` writes it, and compares."""
_MADE = re.compile(r'^INSERT INTO "django_migrations" VALUES\([0-9]+,\'(\w+)\',\'(\w+)\'', re.MULTILINE)


def migrate(known: frozenset[tuple[str, str]]) -> None:
    """Make the database what code that knows these migrations needs: a new one at once, another one step by step."""
    if connection.vendor == "sqlite" and not connection.introspection.table_names():
        text = FILE.read_text()
        # With the migrations of a release that adds some, the text is no more than a beginning.
        if known >= set(_MADE.findall(text)):
            # Not over the connection of Django, which looks at references: the text is in the order of names.
            with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"])) as database:
                database.executescript(text)
    call_command("migrate", verbosity=0)
