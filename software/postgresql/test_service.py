"""Databases as their customers use them: on a real server, at a real Master, with a real node."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from freehold.kit import Cloud, Instance, until

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(cloud: Cloud) -> Instance:
    """A server, ready."""
    cloud.publish(Path(__file__).parent)
    return cloud.order("server", "postgresql")


def database(cloud: Cloud, title: str, **parameters: Any) -> Any:
    """Order a database and return what it publishes when its server made it."""
    cloud.order(title, "postgresql", type="database", parameters=parameters)
    until(lambda: _works(cloud.show(title).publication))
    return cloud.show(title).publication


def connect(publication: Any, folder: Path, **other: Any) -> "psycopg.Connection[Any]":
    """Connect as told, trusting the published certificate alone."""
    authority = folder / "server.pem"
    authority.write_text(publication["certificate"])
    return psycopg.connect(publication["url"], sslrootcert=str(authority), autocommit=True, **other)


def test_two_customers_share_a_server_and_nothing_else(cloud: Cloud, server: Instance, tmp_path: Path) -> None:
    mine = database(cloud, "mine")
    other = database(cloud, "other")
    assert mine["host"] == other["host"] == server.publication["host"]
    with connect(mine, tmp_path) as connection:
        assert connection.pgconn.ssl_in_use
        connection.execute("CREATE TABLE secret (text text)")
    with connect(other, tmp_path) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM secret")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE thief")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT rolpassword FROM pg_authid")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(other, tmp_path, dbname=mine["database"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect({**mine, "url": mine["url"].replace(mine["password"], other["password"])}, tmp_path)
    assert mine["password"] not in str(cloud.show(server.title)), "a server's customer sees no guest's password"


def test_a_backup_is_made_and_restored_by_its_label(cloud: Cloud, server: Instance, tmp_path: Path) -> None:
    title = "kept"
    given = database(cloud, title)
    with connect(given, tmp_path) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS value")
    database(cloud, title, backup="before")
    backup = cloud.partition(server.title) / "srv" / "backup" / given["database"] / "before.dump"
    until(backup.exists)
    with connect(given, tmp_path) as connection:
        connection.execute("DROP TABLE precious")
    database(cloud, title, backup="before", restore="before")

    def back() -> Any:
        try:
            with connect(given, tmp_path) as connection:
                return connection.execute("SELECT value FROM precious").fetchone()
        except psycopg.Error:
            return None

    assert until(back) == (42,)
    # Asked again, nothing is restored over what came since.
    with connect(given, tmp_path) as connection:
        connection.execute("UPDATE precious SET value = 43")
    database(cloud, title, backup="before", restore="before")
    assert back() == (43,)


def test_a_stopped_database_lets_nobody_in_and_a_destroyed_one_is_gone(
    cloud: Cloud, server: Instance, tmp_path: Path
) -> None:
    title = "short"
    given = database(cloud, title)
    cloud.client.request(title, state="stopped")
    until(lambda: not _works(given))
    cloud.client.request(title, state="started")
    until(lambda: _works(given))
    cloud.client.request(title, state="destroyed", now=True)
    until(lambda: cloud.show(title).state == "destroyed")
    until(lambda: not _works(given))
    root = {**server.publication, "url": _superuser(server.publication)}
    with connect(root, tmp_path) as connection:
        names = [name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()]
    assert given["database"] not in names


def test_a_server_ends_at_once_though_a_client_is_there(cloud: Cloud, server: Instance, tmp_path: Path) -> None:
    given = database(cloud, "staying")
    with connect(given, tmp_path) as connection:
        cloud.stop(server.title)
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    log = (cloud.partition(server.title) / "var" / "log" / "postgresql.log").read_text()
    assert log.rstrip().endswith("database system is shut down"), "it was not killed"
    cloud.start(server.title)
    until(lambda: _works(given))


def test_a_killed_server_is_back_with_all_that_was_written(cloud: Cloud, server: Instance, tmp_path: Path) -> None:
    given = database(cloud, "lasting")
    with connect(given, tmp_path) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    cloud.kill(server.title)
    until(lambda: _works(given), 30)
    with connect(given, tmp_path) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def _superuser(publication: Any) -> str:
    host, port, password = publication["host"], publication["port"], publication["password"]
    return f"postgresql://postgres:{password}@{host}:{port}/postgres?sslmode=verify-full"


def _works(publication: Any) -> bool:
    if not publication:
        return False
    try:
        psycopg.connect(publication["url"].replace("verify-full", "require")).close()
    except psycopg.OperationalError:
        return False
    return True


def test_an_upgrade_keeps_the_data_and_the_next_backup_is_made(cloud: Cloud, former: Path, tmp_path: Path) -> None:
    cloud.publish(former)
    server = cloud.order("old", "postgresql", release=cloud.newest("postgresql"))
    cloud.order("held", "postgresql", type="database", constraints={"instance": "old"})
    until(lambda: _works(cloud.show("held").publication))
    given = cloud.show("held").publication
    with connect(given, tmp_path) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS value")
    cloud.publish(HERE)
    assert cloud.upgrade("old").release != server.release
    with connect(given, tmp_path) as connection:
        assert connection.execute("SELECT value FROM precious").fetchone() == (42,)
    cloud.run_job("old", "backup")
    made = list((cloud.partition("old") / "srv" / "backup" / given["database"]).iterdir())
    assert made, "a backup of the database, by the version of today"
