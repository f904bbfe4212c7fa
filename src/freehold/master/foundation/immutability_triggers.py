"""Tables whose rows never change: triggers of the database refuse it to everybody, our own code included.

Used by migrations. The test of each such table tries by plain SQL.
"""

from typing import Any

_REFUSAL = "is written once: correct it by another one"


def keep(editor: Any, *tables: str) -> None:
    """Refuse every change and every removal of a row of these tables."""
    for table in tables:
        if editor.connection.vendor == "sqlite":
            for verb in ("UPDATE", "DELETE"):
                _run(editor, f"""
                    CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table}
                    BEGIN SELECT RAISE(ABORT, '{table} {_REFUSAL}'); END
                """)  # fmt: skip
            continue
        _run(editor, f"""
            CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{table} {_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """)  # fmt: skip
        _run(editor, f"""
            CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_kept()
        """)  # fmt: skip


def allow(editor: Any, table: str, condition: str) -> None:
    """Let a row of a kept table change after all, where a condition on `NEW` and `OLD` holds."""
    if editor.connection.vendor == "sqlite":
        _run(editor, f"DROP TRIGGER {table}_update")
    else:
        _run(editor, f"DROP TRIGGER {table}_kept ON {table}")
        _run(editor, f"""
            CREATE TRIGGER {table}_kept BEFORE DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_kept()
        """)  # fmt: skip
    refuse(editor, table, "UPDATE", "changed", f"NOT ({condition})", f"{table} {_REFUSAL}")


def after(editor: Any, table: str, column: str, counter: str) -> None:
    """Refuse new rows of a table whose column names something that a counter says is sealed."""
    message = f"{table}: what it belongs to is sealed"
    if editor.connection.vendor == "sqlite":
        _run(editor, f"DROP TRIGGER IF EXISTS {table}_after")
        # After the row, which costs less than before it; the statement is undone all the same.
        _run(editor, f"""
            CREATE TRIGGER {table}_after AFTER INSERT ON {table}
            WHEN NEW.{column} <= (SELECT sealed FROM foundation_counter WHERE name = '{counter}')
            BEGIN SELECT RAISE(ABORT, '{message}'); END
        """)  # fmt: skip
        return
    _run(editor, f"""
        CREATE OR REPLACE FUNCTION {table}_after() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT 1 FROM fresh WHERE {column} <=
                     (SELECT sealed FROM foundation_counter WHERE name = '{counter}')) THEN
            RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';
          END IF;
          RETURN NULL;
        END $$
    """)  # fmt: skip
    _run(editor, f"""
        CREATE OR REPLACE TRIGGER {table}_after AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_after()
    """)  # fmt: skip


def refuse(editor: Any, table: str, verb: str, name: str, condition: str, message: str) -> None:
    """Refuse a row, after a verb on a table, for which a condition on `NEW` and `OLD` holds."""
    if editor.connection.vendor == "sqlite":
        _run(editor, f"""
            CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table}
            BEGIN SELECT RAISE(ABORT, '{message}') WHERE {condition}; END
        """)  # fmt: skip
        return
    _run(editor, f"""
        CREATE FUNCTION {table}_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF {condition} THEN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF;
          RETURN NEW;
        END $$
    """)  # fmt: skip
    _run(editor, f"""
        CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_{name}()
    """)  # fmt: skip


def compact(editor: Any, *tables: str) -> None:
    """Keep rows of tables in the order of their primary key and nowhere else: they are written by the million.

    On SQLite only, where a row is otherwise in its table and its key in another tree (`WITHOUT ROWID`); a fifth of what
    writing costs (`bench/billing.py`).
    """
    if editor.connection.vendor != "sqlite":
        return
    # Triggers of other tables name these: a table may go and come while they do.
    _run(editor, "PRAGMA legacy_alter_table = ON")
    for table in tables:
        with editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT type, sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL ORDER BY type <> 'table'",
                [table],
            )
            (_, table_statement), *triggers = cursor.fetchall()
        _run(editor, f"{table_statement.replace(table, f'new_{table}', 1)} WITHOUT ROWID")
        _run(editor, f"INSERT INTO new_{table} SELECT * FROM {table}")
        _run(editor, f"DROP TABLE {table}")
        _run(editor, f"ALTER TABLE new_{table} RENAME TO {table}")
        for _, trigger in triggers:
            _run(editor, trigger)
    _run(editor, "PRAGMA legacy_alter_table = OFF")


def _run(editor: Any, statement: str) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(statement)
