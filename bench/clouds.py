"""What the measurements share: a Master in a temporary folder, ways to know what a process used."""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from freehold.client import Client
from freehold.kit.machine import Machine, has_users
from freehold.kit.master import Master

TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def master(kind: str = "sqlite") -> Iterator[Master]:
    """Yield a served Master on SQLite, or on the PostgreSQL server that DATABASE_URL names."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as folder, database(kind, folder) as url:
        served = Master(Path(folder), url)
        served.cli("quota", "provider", "instances", "1000000")
        try:
            yield served
        finally:
            served.stop()


@contextlib.contextmanager
def database(kind: str, folder: str) -> Iterator[str]:
    """Yield the URL of a fresh database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/master.sqlite"
        return
    import psycopg

    server = os.environ["DATABASE_URL"]
    name = f"freehold_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def kinds() -> list[str]:
    """Return the databases to measure on: PostgreSQL too when DATABASE_URL names a server."""
    return ["sqlite", "postgresql"] if os.environ.get("DATABASE_URL", "").startswith("postgres") else ["sqlite"]


REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass
class Node:
    """This machine as a node; `agent` is the process id of its agent."""

    root: Path
    agent: int

    def order(self, client: Client, title: str) -> None:
        """Publish hello, supply it, and have one of it ready: the release is then built."""
        from freehold.protocol import archive

        release = client.publish(archive.pack(REPOSITORY / "software" / "hello"))
        client.supply(release.product)
        client.request(title, product="hello")
        client.wait(title, seconds=300)


@contextlib.contextmanager
def node(served: Master, partitions: int) -> Iterator[Node]:
    """Yield this machine as a node of a Master: with users of its own when root."""
    machine = Machine(unprivileged=not has_users(), partitions=partitions)
    client = served.client()
    client.add_site("bench")
    machine.enrol(served.url, "bench", client.enrol_token("bench"))
    machine.start()
    try:
        while not any(one.partitions == partitions for one in client.nodes()):
            time.sleep(0.05)
        yield Node(machine.root, machine.agent_pid)
    finally:
        machine.remove()
