"""Databases as released versions left them, with rows in every room that a month of business fills.

`keep(url)` writes the one of today's version to `tests/versions`, once, when that version is released: a file that is
there is never written again.
"""

import gzip
import os
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from freehold import __version__
from support.market import Market
from support.rooms import Rooms
from support.running import OWNER, PASSWORD

FOLDER = Path(__file__).parent.parent / "versions"


def kept(kind: str) -> list[Path]:
    """Return the dumps of a kind of database (`sqlite` or `postgresql`), the oldest version first."""
    return sorted(FOLDER.glob(f"*.{kind}.sql.gz"), key=lambda path: [int(one) for one in path.name.split(".")[:3]])


def load(dump: Path, url: str) -> None:
    """Write what a dump holds into an empty database."""
    script = gzip.decompress(dump.read_bytes()).decode()
    if url.startswith("sqlite"):
        with sqlite3.connect(urlsplit(url).path.removeprefix("/")) as connection:
            connection.executescript(script)
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def keep(url: str) -> Path:
    """Keep the database in which this process's rooms are, after a month of business; return the new file."""
    with pytest.MonkeyPatch.context() as patch:
        _do_business(Market(Rooms(url), patch, "2026-03-01"))
    path = FOLDER / f"{__version__}.{urlsplit(url).scheme}.sql.gz"
    with path.open("xb") as file:
        file.write(gzip.compress(_dumped(url).encode(), mtime=0))
    return path


def _do_business(market: Market) -> None:
    """A customer orders two services, pays, is billed for a month, and asks a question."""
    from freehold.master.people.models import Person
    from freehold.master.support import actions

    for person in Person.objects.all():
        person.set_password(PASSWORD)
        person.is_staff = person.email == OWNER
        person.save()
    market.offer()
    market.prices(market.price(1000))
    ada = market.customer()
    market.pay(ada, 5000, "deposit")
    market.ready(market.order("web", offer="small", parameters={"greeting": "hello"}))
    market.ready(market.order("free"))
    market.bill("2026-04-01")
    market.pay(ada, 1200)
    actions.ask("shop", "web", "Is it fast?", "I wonder.", acting=market.rooms.customer)


def _dumped(url: str) -> str:
    if url.startswith("sqlite"):
        with sqlite3.connect(urlsplit(url).path.removeprefix("/")) as connection:
            return "\n".join(connection.iterdump())
    at = urlsplit(url)
    environment = {**os.environ, "PGPASSWORD": unquote(at.password or "")}
    command = ["pg_dump", "--inserts", "--no-owner", "--host", str(at.hostname), "--port", str(at.port or 5432)]
    command += ["--username", unquote(at.username or ""), at.path.removeprefix("/")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # Commands of psql that newer pg_dump write are no SQL.
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))
