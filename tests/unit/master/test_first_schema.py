"""A new database on SQLite is made from one text, which is what the migrations make.

After a change of a migration, `python tests/unit/master/test_first_schema.py` writes that text anew.
"""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

FILE = Path(__file__).parents[3] / "src" / "freehold" / "master" / "schema.sqlite.dump"
APPLIED = re.compile(r"^(INSERT INTO \"django_migrations\" VALUES\(.*),'[^']*'\);$", re.MULTILINE)


def made_by_migrations(root: Path) -> str:
    """Return what the migrations make of an empty database, as SQL; without the times at which they did."""
    environment = {
        **os.environ,
        "FREEHOLD_MASTER_ROOT": str(root),
        "DATABASE_URL": f"sqlite:///{root / 'master.sqlite'}",
        "DJANGO_SETTINGS_MODULE": "freehold.master.settings",
    }
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v", "0"], env=environment, check=True)
    with contextlib.closing(sqlite3.connect(root / "master.sqlite")) as database:
        dump = "\n".join(database.iterdump())
    return APPLIED.sub(r"\1,'2026-01-01 00:00:00');", dump) + "\n"


def test_the_text_is_what_the_migrations_make(tmp_path: Path) -> None:
    assert FILE.read_text() == made_by_migrations(tmp_path), f"run: python {Path(__file__).name}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        FILE.write_text(made_by_migrations(Path(place)))
