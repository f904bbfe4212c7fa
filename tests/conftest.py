"""Fixtures for the tests of the two components: a real Master in a child process, its rooms in this process, and (in
`support/machines.py`) real nodes. The tests of releases, in `software/`, have what every author has: `freehold.kit`.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support import examples
from support.machines import REPOSITORY, cloud
from support.running import OWNER, PASSWORD, Master, fresh_database

__all__ = ["cloud", "examples"]

# A shell has what it starts in the background ignore an interrupt, and all that this starts, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What tests destroy ends at once, unless they are about the time of grace.
os.environ["FREEHOLD_DESTROY_GRACE"] = "0"


@pytest.fixture(scope="module")
def usual_grace() -> Iterator[None]:
    """The Master of a module that uses this leaves what is destroyed the usual time."""
    before = os.environ.pop("FREEHOLD_DESTROY_GRACE")
    yield
    os.environ["FREEHOLD_DESTROY_GRACE"] = before


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    """A Master of this module's own, served by a process of its own."""
    root = tmp_path_factory.mktemp("master")
    with fresh_database(root) as url:
        running = Master(root, url)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def hello_by_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release: hello with `instance.cfg` in the place of `instance.py`."""
    folder = tmp_path_factory.mktemp("release") / "hello-profile"
    shutil.copytree(REPOSITORY / "software" / "hello", folder)
    (folder / "instance.py").unlink()
    shutil.copytree(REPOSITORY / "tests" / "releases" / "hello-profile", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def django_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Django in this process, once, on a fresh database; the database's URL."""
    root = tmp_path_factory.mktemp("rooms")
    with fresh_database(root) as url:
        os.environ["DATABASE_URL"] = url
        from freehold.master.commands import initialise

        initialise(root, ["localhost"], "provider", OWNER, PASSWORD)
        yield url
        from django.db import connections

        connections.close_all()


@pytest.fixture
def database(django_once: str) -> str:
    """The rooms' database in this process, with empty tables; its URL."""
    empty_tables()
    return django_once


def empty_tables() -> None:
    """Make the database of this process what it was before anything was written."""
    from django.apps import apps
    from django.db import connection, transaction

    from freehold.master.fleet.models import RevisionClock
    from freehold.master.foundation.counters import NAMES
    from freehold.master.foundation.models import Counter
    from freehold.master.generation.models import Generation

    # Foreign keys are checked at the commit; on PostgreSQL this is ten times faster than TRUNCATE.
    with transaction.atomic(), connection.cursor() as cursor, without_triggers(cursor):
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
        RevisionClock.objects.create(id=1, value=0)
        Generation.objects.create(id=1, value=1)
        Counter.objects.bulk_create(Counter(name=name) for name in NAMES)


@contextmanager
def without_triggers(cursor: Any) -> Iterator[None]:
    """Let what is written once be emptied, by whoever owns the database."""
    if cursor.db.vendor == "postgresql":
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")
        return
    cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = cursor.fetchall()
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name}")
    yield
    for _, text in triggers:
        cursor.execute(text)
