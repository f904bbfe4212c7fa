"""A full disk, a read-only one, a database that is away or locked: every door of the Master says which, and goes on."""

import contextlib
import errno
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.kit import until
from freehold.master.foundation.causes import failure
from freehold.node.link.letter_crypto import SealOrder, seal
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master

SIZE_MB = 48
POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a disk or a database of its own takes root")


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk."""
    place = Path("/var/tmp") / f"freehold-master-disk-{os.getpid()}"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0700", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
    place.rmdir()


@pytest.fixture(scope="module")
def small(disk: Path) -> Iterator["Master"]:
    """A Master on a small disk."""
    from support.running import Master

    running = Master(disk, f"sqlite:///{disk / 'master.sqlite'}")
    yield running
    running.stop()


@contextlib.contextmanager
def _full(master: "Master") -> Iterator[None]:
    """Have not one more page fit on the disk of a Master."""
    hogs = []
    # What its log could still hold is taken from it, too.
    for number in range(2):
        hogs.append(master.root / f"hog-{number}")
        with hogs[-1].open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        master.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        yield
    finally:
        for hog in hogs:
            hog.unlink()


def _letter(master: "Master", node: Pocket) -> dict[str, Any]:
    content = b'{"epoch":%d,"reports":[],"version":1}' % node.epoch
    path, key = node.folder / "pocket.pem", node.folder / "key.pem"
    pem, _, certificate = path.read_text().partition("-----BEGIN CERTIFICATE")
    key.write_text(pem)
    (node.folder / "certificate.pem").write_text(f"-----BEGIN CERTIFICATE{certificate}")
    authority = master.authority.read_text()
    order = SealOrder(node.node, str(key), str(node.folder / "certificate.pem"), authority, node.date, [content])
    (sealed,) = seal(order)
    return {"raw": sealed.content, "headers": {**sealed.headers, "Content-Type": "application/octet-stream"}}


class Doors:
    """Each of a Master's doors, by what comes through it."""

    def __init__(self, master: "Master") -> None:
        self._master = master
        self._node = master.node("node", partitions=1)
        master.publish()
        master.supply("tiny", "node")
        self._token = master.enrol_token("here").split(".")[1]
        self._letter = _letter(master, self._node)
        self._told = self._node.write({"kind": "host", "partitions": []})
        self._sites = 0

    def orders(self) -> Any:
        self._sites += 1
        return self._master.call(
            "POST", "/api/v1/projects/provider/sites", {"name": f"s{self._sites}"}, token=self._master.owner
        )

    def asks(self) -> Any:
        return self._master.call("GET", "/api/v1/me", token=self._master.owner)

    def publishes(self) -> Any:
        packed = self._master.release("large", "1.0", files={"noise": os.urandom(2**20)})
        return self._master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=self._master.owner)

    def opens_a_page(self) -> Any:
        return self._master.call("GET", "/", headers={"Cookie": "__Host-session=" + "a" * 32})

    def opens_prices(self) -> Any:
        return self._master.call("GET", "/prices")

    def enrols(self) -> Any:
        spec = {"token": self._token, "title": "second", "signing_request": self._node.signing_request()}
        return self._master.call("POST", "/node/v1/enrol", spec)

    def renews(self) -> Any:
        return self._node.call("POST", "/node/v1/certificate", {"signing_request": self._node.signing_request()})

    def reports(self) -> Any:
        return self._node.send(self._told)

    def asks_for_news(self) -> Any:
        return self._node.feed()

    def carries_a_letter(self) -> Any:
        return self._master.call("POST", "/node/v1/letters", **self._letter)

    def fetches_a_release(self) -> Any:
        return self._node.call("GET", f"/node/v1/cache/entries/build/{'a' * 64}/x86_64-debian-12-py3.11.json")


def _is_said(answer: Any, status: int, kind: str) -> None:
    found, body = answer
    assert found == status, body
    if isinstance(body, bytes):
        assert b"<h1>" in body
        assert b"Traceback" not in body
    else:
        assert (body["type"], bool(body["detail"]), bool(body["remedy"])) == (kind, True, True)


@needs_root
def test_a_full_disk_is_said_at_every_door_and_nothing_is_lost(small: "Master") -> None:
    doors = Doors(small)
    before = small.api("GET", "/projects/provider/sites")
    said = len(small.log())
    with _full(small):
        for door in (doors.orders, doors.publishes, doors.enrols, doors.renews, doors.reports):
            _is_said(door(), 507, "out-of-storage")
        # What only reads goes on.
        assert doors.asks().status == doors.opens_prices().status == 200
        assert small.api("GET", "/projects/provider/sites") == before
    assert "Traceback" not in small.log()[said:], "a known cause is noted in a line"
    assert doors.reports()[0] == 200, "the node comes again"
    assert doors.orders().status == 201
    assert doors.publishes().status == 201
    assert doors.enrols().status == 200


@needs_root
def test_a_locked_database_is_said_after_a_while(small: "Master") -> None:
    with contextlib.closing(sqlite3.connect(small.root / "master.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = small.call("POST", "/api/v1/projects/provider/sites", {"name": "late"}, token=small.owner)
        other.execute("ROLLBACK")
    _is_said(answer, 503, "busy")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A PostgreSQL of one's own: its URL, and what starts and stops it."""
    if not POSTGRESQL or os.geteuid() != 0:
        pytest.skip("a PostgreSQL of its own takes root, and the package postgresql")
    folder = Path("/var/tmp") / f"freehold-postgresql-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, "postgres")
    user = pwd.getpwnam("postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: object) -> None:
        subprocess.run(
            [str(one) for one in command],
            check=True, user=user.pw_uid, group=user.pw_gid, cwd=folder, stdout=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

    def control(verb: str) -> None:
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        more = ("-o", options, "-l", folder / "log") if verb == "start" else ("-m", "immediate")
        run(POSTGRESQL[0] / "pg_ctl", "-w", "-D", folder / "data", *more, verb)

    run(POSTGRESQL[0] / "initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", folder / "data")
    control("start")
    yield f"postgresql://postgres@127.0.0.1:{port}/postgres", control
    with contextlib.suppress(subprocess.CalledProcessError):
        control("stop")
    shutil.rmtree(folder)


def test_a_database_that_is_away_is_said_at_every_door(
    server: tuple[str, Callable[[str], None]], tmp_path: Path
) -> None:
    from support.running import Master

    url, control = server
    running = Master(tmp_path, url)
    try:
        doors = Doors(running)
        all_doors = [
            doors.asks, doors.orders, doors.opens_a_page, doors.opens_prices, doors.enrols, doors.renews, doors.reports,
            doors.asks_for_news, doors.carries_a_letter, doors.fetches_a_release, doors.publishes,
        ]  # fmt: skip
        control("stop")
        for door in all_doors:
            _is_said(door(), 503, "unavailable")
        control("start")
        until(lambda: doors.asks().status == 200, what="the database's return")
        until(lambda: doors.reports()[0] == 200, what="the node's reports")
        assert doors.carries_a_letter().status == 200
        running.sql("ALTER DATABASE postgres SET default_transaction_read_only = on")
        control("stop")
        control("start")
        until(lambda: doors.asks().status == 200, what="the database's return")
        until(lambda: doors.orders().status == 507, what="an answer that says what it is")
        _is_said(doors.orders(), 507, "out-of-storage")
    finally:
        running.stop()


def _sqlite(path: Path, *statements: str, mode: str = "rwc") -> None:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=0)) as connection:
        for one in statements:
            connection.execute(one)


def _is_locked(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _sqlite(path, "INSERT INTO t VALUES (1)")


def _writes_without_end(path: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")


@pytest.mark.parametrize(
    ("happens", "status", "kind"),
    [
        (lambda path: _sqlite(path, "PRAGMA max_page_count = 2", "CREATE TABLE u (x)"), 507, "out-of-storage"),
        (lambda path: _sqlite(path, "INSERT INTO t VALUES (1)", mode="ro"), 507, "out-of-storage"),
        (_is_locked, 503, "busy"),
        (lambda path: _sqlite(path.parent / "gone" / "x", "SELECT 1"), 503, "unavailable"),
        (_writes_without_end, 507, "out-of-storage"),
        (lambda path: _sqlite(path, "SELECT nonsense"), 500, "internal"),
        (lambda path: path.joinpath("x").read_text(), 500, "internal"),
    ],
    ids=["full", "read-only", "locked", "away", "a full disk", "a mistake", "another mistake"],
)
def test_what_really_happened_is_what_is_said(
    happens: Callable[[Path], None], status: int, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "database"
    _sqlite(path, "CREATE TABLE t (x)")

    def meets() -> BaseException:
        try:
            try:
                happens(path)
            except Exception as error:
                raise RuntimeError("what a library makes of it") from error
        except RuntimeError as error:
            return error
        raise AssertionError("nothing happened")

    said = failure(meets(), "a test failed").problem()
    assert (said.status, said.type) == (status, kind)
    assert said.remedy


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EROFS, 507), (errno.EDQUOT, 507), (errno.EMFILE, 503), (errno.EACCES, 500)]
)
def test_what_the_system_says_is_understood(number: int, status: int) -> None:
    assert failure(OSError(number, os.strerror(number)), "a test failed").status == status


def test_what_is_answered_is_one_answer_for_one_request() -> None:
    found = [failure(OSError(errno.ENOSPC, ""), "a test failed") for _ in range(2)]
    assert found[0] is not found[1], "an exception that is raised twice would keep both tracebacks"
