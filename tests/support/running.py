"""A real Master in a child process, for tests: made, served, killed and started again.

`DATABASE_URL` in the environment says where databases are made: a PostgreSQL URL has each Master use a freshly
created database of that server; without it each uses a SQLite file of its own.
"""

import atexit
import contextlib
import functools
import http.client
import json
import os
import secrets
import shutil
import sqlite3
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from argon2 import PasswordHasher

from freehold import kit
from freehold.kit import until
from freehold.kit.master import OWNER, PASSWORD, MadeOnce
from freehold.protocol import archive
from support.protocol_node import Pocket

SERVER_URL = os.environ.pop("DATABASE_URL", "")
"""The PostgreSQL server to make databases on; empty: SQLite. Taken out, so that nothing uses it by accident."""

_FRESH: set[str] = set()
"""The databases that were made here, and that a Master may be copied into."""
ALL_SCOPES = ("read", "order", "operate", "sell", "account", "audit")
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "greeting": {"type": "string", "maxLength": 40, "default": "hello"},
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
    },
    "additionalProperties": False,
}


def tiny_release(
    name: str = "tiny",
    version: str = "1.0",
    *,
    schema: object = SCHEMA,
    weight: int = 1,
    types: tuple[str, ...] = ("default",),
    more: dict[str, object] | None = None,
    said: Mapping[str, object] = MappingProxyType({}),
    files: dict[str, bytes] | None = None,
) -> bytes:
    """Return the archive of a release with this parameter schema.

    `more` is said of each of its types, `said` of itself; `files` adds files or replaces its own.
    """
    content = {
        "software.cfg": b"[buildout]\nparts =\n",
        "in.json": json.dumps(schema).encode(),
        "out.json": b"{}",
        "software.cfg.json": json.dumps(
            {
                "name": name,
                "version": version,
                "description": "For tests.",
                **said,
                "software-type": {
                    one: {"title": one, "request": "in.json", "response": "out.json", "weight": weight, **(more or {})}
                    for one in types
                },
            }
        ).encode(),
        **(files or {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for path, data in content.items():
            (Path(folder) / path).write_bytes(data)
        return archive.pack(Path(folder))


@contextlib.contextmanager
def fresh_database(root: Path) -> Iterator[str]:
    """Yield the URL of a database that nobody else uses, and drop it afterwards."""
    if not SERVER_URL:
        url = f"sqlite:///{root / 'master.sqlite'}"
        _FRESH.add(url)
        yield url
        return
    import psycopg

    name = f"freehold_test_{secrets.token_hex(6)}"
    with psycopg.connect(SERVER_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        url = urlunsplit(urlsplit(SERVER_URL)._replace(path=f"/{name}"))
        _FRESH.add(url)
        try:
            yield url
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _run_statement(database_url: str, text: str, *values: object) -> list[tuple[Any, ...]]:
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as lite, lite:
            return lite.execute(text, values).fetchall()
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as postgres:
        cursor = postgres.execute(text.replace("?", "%s"), values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def _hash_lightly(database_url: str, email: str) -> None:
    """Have the usual password of somebody be checked in a thousandth of the time that a real one takes."""
    light = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    _run_statement(database_url, "UPDATE people_person SET password = ? WHERE email = ?", f"argon2{light}", email)


class Original(MadeOnce):
    """The Master that those of our tests are copies of, on either database."""

    def __init__(self, root: Path, database_url: str) -> None:
        super().__init__(root, database_url)
        _hash_lightly(database_url, OWNER)

    def copy(self, root: Path, database_url: str) -> None:
        """Have an empty folder and an empty database be as those of the one that was made."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        if not SERVER_URL:
            return
        import psycopg

        ours, theirs = (urlsplit(url).path.removeprefix("/") for url in (self.database_url, database_url))
        with psycopg.connect(SERVER_URL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {theirs}")
            server.execute(f"CREATE DATABASE {theirs} TEMPLATE {ours}")


@functools.cache
def made_once() -> Original:
    """Return the Master that those of this run of the tests are copies of."""
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="master-made-once-")))
    return Original(folder, kept.enter_context(fresh_database(folder)))


@dataclass(frozen=True)
class Answer:
    """What a Master answered."""

    status: int
    body: Any
    kind: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.status, self.body))


class Master(kit.Master):
    """The kit's Master, seen from nearer: its API call by call, its database, nodes that are only talked as."""

    until = staticmethod(until)
    release = staticmethod(tiny_release)
    password = PASSWORD

    def __init__(self, root: Path, database_url: str) -> None:
        super().__init__(root, database_url)
        self._nodes = 0
        self._tls: ssl.SSLContext | None = None
        self._connections = threading.local()
        self.owner = self.log_in(OWNER)
        """A token that opens everything."""

    def make(self) -> None:
        if self.database_url in _FRESH:
            made_once().copy(self.root, self.database_url)
        else:
            self.initialise()

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "FREEHOLD_NEXT_CONTACT": "30", "FREEHOLD_LEASE_MARGIN": "1"}

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        certificate: Path | None = None,
    ) -> Answer:
        """Call over TLS, as a stranger unless a token or a client certificate is given."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        response, content = self._exchange(method, path, data, sent, certificate)
        kind = response.headers.get_content_type()
        is_json = content and kind in ("application/json", "application/problem+json")
        decoded = json.loads(content) if is_json else content
        return Answer(response.status, decoded, kind)

    def _exchange(
        self, method: str, path: str, data: bytes | None, sent: dict[str, str], certificate: Path | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return an answer and its content, over the connection of this thread and certificate while it lasts."""
        kept: dict[str, http.client.HTTPSConnection] = self._connections.__dict__
        name = "" if certificate is None else f"{certificate} {certificate.stat().st_mtime_ns}"
        connection = kept.pop(name, None)
        is_old = connection is not None
        if connection is None:
            context = self._context(certificate)
            connection = http.client.HTTPSConnection(self.host, self.port, context=context, timeout=60)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            content = response.read()
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
            connection.close()
            if not is_old:
                raise
            # It ended while nobody spoke, with the server that it led to.
            return self._exchange(method, path, data, sent, certificate)
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            kept[name] = connection
        return response, content

    def api(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Any:
        """Call the public API, as the owner unless a token is given; it must answer yes. Return the answer."""
        answer = self.call(method, f"/api/v1{path}", body, token=token or self.owner)
        assert 200 <= answer.status < 300, answer.body
        return answer.body

    def log_in(self, email: str, *, scopes: tuple[str, ...] = ALL_SCOPES, **more: Any) -> str:
        """Return an API token of a person."""
        desired = {"email": email, "password": PASSWORD, "scopes": list(scopes), **more}
        answer = self.call("POST", "/api/v1/login", desired)
        assert answer.status == 200, answer.body
        return str(answer.body["token"])

    def person(self, email: str, project: str, role: str = "customer") -> str:
        """Make a person with a role in a project and return a token of theirs."""
        self.cli("person", email, "--project", project, "--role", role, "--password-file", "-", secret=PASSWORD)
        _hash_lightly(self.database_url, email)
        return self.log_in(email)

    def project(self, name: str) -> str:
        """Make a project with one customer and return the customer's token."""
        self.cli("project", name)
        return self.person(f"customer@{name}.example", name)

    def publish(self, name: str = "tiny", version: str = "1.0", **content: Any) -> str:
        """Publish a tiny release as the owner and return its identity."""
        packed = tiny_release(name, version, **content)
        answer = self.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=self.owner)
        assert answer.status == 201, answer.body
        return str(answer.body["release"])

    def site(self, name: str, region: str = "") -> None:
        self.api("POST", "/projects/provider/sites", {"name": name, "region": region})

    def enrol_token(self, site: str) -> str:
        return str(self.api("POST", "/projects/provider/enrol-tokens", {"site": site})["token"])

    def pocket(self) -> Pocket:
        """Return a machine that is not a node yet."""
        self._nodes += 1
        folder = self.root / "pockets" / str(self._nodes)
        folder.mkdir(parents=True)
        return Pocket(folder, self.host, self.port, self.authority)

    def node(self, title: str, *, site: str = "here", partitions: int = 4) -> Pocket:
        """Enrol a machine on a site (made when needed) and have its partitions known to the Master."""
        if not any(one["name"] == site for one in self.api("GET", "/projects/provider/sites")):
            self.site(site)
        pocket = self.pocket()
        pocket.enrol(self.enrol_token(site), title)
        assert pocket.offer(partitions)[0] == 200
        until(lambda: self.node_row(title)["partitions"] == partitions, what="the node's partitions")
        return pocket

    def node_row(self, title: str) -> dict[str, Any]:
        rows = self.api("GET", "/projects/provider/nodes")
        return next(row for row in rows if row["title"] == title)

    def supply(self, product: str, *nodes: str, **more: Any) -> None:
        self.api("PUT", "/projects/provider/supplies", {"product": product, "nodes": list(nodes), **more})

    def request(
        self, title: str, product: str | None = "tiny", *, project: str = "provider", token: str | None = None,
        partial: bool = False, **desired: Any,
    ) -> Any:  # fmt: skip
        """Request an instance, which must be granted; return the answer.

        `partial`: also where not all can be had that its release declares to request.
        """
        path = f"/projects/{project}/instances/{quote(title)}{'?partial=true' if partial else ''}"
        return self.api("PUT", path, {"product": product, **desired}, token=token)

    def show(self, title: str, *, project: str = "provider", token: str | None = None) -> Any:
        return self.api("GET", f"/projects/{project}/instances/{quote(title)}", token=token)

    def reveal(self, title: str) -> Any:
        """Return an instance with its secrets."""
        return self.api("POST", "/projects/provider/revealed", {"title": title})

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement (`?` parameters) on the Master's database behind its back; return its rows."""
        return _run_statement(self.database_url, text, *values)

    def back_up(self) -> Path:
        """Return a copy of the database as it is now."""
        copy = self.root / f"backup-{secrets.token_hex(4)}"
        if self.database_url.startswith("sqlite"):
            self.sql(f"VACUUM INTO '{copy}'")
        else:
            subprocess.run(["pg_dump", "-Fc", "-f", copy, self.database_url], check=True)
        return copy

    def restore(self, copy: Path) -> None:
        """Have the Master serve an older copy of its database."""
        self.kill()
        if self.database_url.startswith("sqlite"):
            path = Path(self.database_url.removeprefix("sqlite:///"))
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            shutil.copy(copy, path)
        else:
            command = ["pg_restore", "--clean", "--if-exists", "-d", self.database_url, copy]
            subprocess.run(command, check=True)
        self.start()

    def chain(self, title: str) -> tuple[int, int, str]:
        """Return a node's epoch, and number and hash of the last of its reports that was applied."""
        (found,) = self.sql(
            "SELECT c.epoch, c.sequence, c.hash FROM fleet_chain c JOIN fleet_node n ON n.id = c.node_id"
            " WHERE n.title = ?",
            title,
        )
        return found  # type: ignore[return-value]

    def certificate(self, node: Pocket, instance: str) -> Path:
        """Return a file with the client certificate of an instance, as its node gets it."""
        status, answer = node.call(
            "POST", f"/node/v1/instances/{instance}/certificate", {"signing_request": node.signing_request()}
        )
        assert status == 200, answer
        key = (node.folder / "pocket.pem").read_text().partition("-----BEGIN CERTIFICATE")[0]
        path = node.folder / f"{instance}.pem"
        path.write_text(key + answer["certificate"])
        return path

    def _context(self, certificate: Path | None) -> ssl.SSLContext:
        if certificate is None and self._tls is not None:
            return self._tls
        context = ssl.create_default_context(cafile=str(self.authority))
        if certificate is not None:
            context.load_cert_chain(certificate)
            return context
        self._tls = context
        return context
