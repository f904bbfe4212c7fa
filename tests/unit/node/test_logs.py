"""Logs of a partition are shortened, safely."""

import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from freehold.node.forkserver import ForkServer
from freehold.node.instances.enclosure import Enclosures
from freehold.node.instances.lifecycle import InstanceLifecycle
from freehold.node.partition import layout, logs
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.feed import Feed, WantedInstance
from freehold.protocol.states import Wanted

USER = 64900 if os.geteuid() == 0 else None


@pytest.fixture
def root() -> Iterator[Path]:
    """A node's folder that every user can pass through, with one partition."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def shorten(root: Path) -> None:
    """What the agent does now and then."""
    settings = Settings(tag="test", unprivileged=USER is None, slots=[PartitionSlot("p0", "127.0.0.1", USER, USER)])
    store = Store(Database(root / "node.sqlite"))
    wanted = [WantedInstance(f"i-{slot}", 1, slot, "red", "default", Wanted.STARTED, "") for slot in ("p0", "gone")]
    store.apply_feed(Feed(1, 0.0, 60.0, instances=wanted))
    fork_server = ForkServer(root / "forkserver.log")
    try:
        enclosures = Enclosures(Paths(root), settings, fork_server.call, store.instances)
        InstanceLifecycle(
            Paths(root), settings, store, cast(Any, None), fork_server, cast(Any, None), enclosures
        ).shorten_logs()
    finally:
        fork_server.close()
        store.close()


def test_a_long_log_begins_anew_and_nobody_elses_file_is_touched(
    root: Path,
) -> None:
    folder = root / "partitions" / "p0"
    layout.prepare(folder)
    var_log = folder / layout.LOG
    precious = root / "precious"
    precious.write_bytes(b"x" * 5000)
    (var_log / "short.log").write_text("short")
    (var_log / "link.log").symlink_to(precious)
    os.mkfifo(var_log / "pipe.log")
    (var_log / "web.log").write_bytes(b"old " * 500_000 + b"new!" * 2_700_000)
    for path in (folder, *folder.rglob("*")):
        if USER is not None:
            os.lchown(path, USER, USER)
    folder.parent.chmod(0o711)
    with (var_log / "web.log").open("ab", buffering=0) as writer:
        shorten(root)
        writer.write(b"later")
    assert (var_log / "web.log").read_bytes() == b"later"
    assert gzip.decompress((var_log / "web.log.1.gz").read_bytes()) == b"old " * 500_000 + b"new!" * 2_700_000
    assert (var_log / "web.log.1.gz").stat().st_mode & 0o777 == 0o600
    assert (var_log / "short.log").read_text() == "short"
    assert precious.read_bytes() == b"x" * 5000


def test_the_kept_end_is_never_written_through_a_link(root: Path) -> None:
    folder = root / "partitions" / "p0"
    layout.prepare(folder)
    (root / "precious").write_text("precious")
    (folder / layout.LOG / "web.log").write_bytes(b"x" * (logs.LIMIT + 1))
    (folder / layout.LOG / "web.log.1.gz").symlink_to(root / "precious")
    (folder / layout.LOG / "other.log").write_bytes(b"x" * (logs.LIMIT + 1))
    logs.rotate(msgspec.json.encode(logs.RotationOrder(str(folder), [])))
    assert (folder / layout.LOG / "other.log").stat().st_size == 0
    assert (root / "precious").read_text() == "precious"
    assert not logs.too_long(root / "never was", [])


def test_a_plan_says_how_long_a_log_may_be_and_how_many_former_ones_are_kept(root: Path) -> None:
    folder = root / "partitions" / "p0"
    layout.prepare(folder)
    (folder / "srv" / "access").mkdir()
    log = folder / "srv" / "access" / "today"
    rotations = [layout.Rotation("srv/access/today", 100, 2)]
    for day in ("monday", "tuesday", "wednesday"):
        log.write_bytes(day.encode() * 100)
        assert logs.too_long(folder, rotations)
        logs.rotate(msgspec.json.encode(logs.RotationOrder(str(folder), rotations)))
        assert not logs.too_long(folder, rotations)
    kept = {path.name: gzip.decompress(path.read_bytes())[:9] for path in log.parent.glob("*.gz")}
    assert kept == {"today.1.gz": b"wednesday", "today.2.gz": b"tuesdaytu"}


def test_of_a_log_that_floods_a_bounded_part_is_kept_and_the_rest_counted(root: Path) -> None:
    folder = root / "partitions" / "p0"
    layout.prepare(folder)
    log = folder / layout.LOG / "web.log"
    former = log.with_name("web.log.1.gz")
    order = msgspec.json.encode(logs.RotationOrder(str(folder), []))
    with log.open("ab", buffering=0) as writer:
        for flood in (b"first", b"second", b"third!"):
            writer.write(flood * 2_500_000)
            logs.rotate(order)
            writer.write(b"on it goes\n")
        assert gzip.decompress(former.read_bytes())[:5] == b"first", "the first is kept, what followed at once is not"
        said = b"freehold: %d bytes were not kept: more than %d a second were written here\n"
        lost = len(b"second" * 2_500_000 + b"third!" * 2_500_000 + b"on it goes\n" * 2) + len(
            said % (15_000_011, logs.RATE)
        )
        assert log.read_bytes() == said % (lost, logs.RATE) + b"on it goes\n"
        # After a calm hour as much is kept as any log may hold.
        os.utime(former, (former.stat().st_mtime - 3600,) * 2)
        writer.write(b"calm" * 3_000_000)
        logs.rotate(order)
    assert log.read_bytes() == b""
    assert gzip.decompress(former.read_bytes()).startswith(said % (lost, logs.RATE) + b"on it goes\ncalm")


def test_who_does_not_append_keeps_its_former_log_and_no_hole_is_kept(root: Path) -> None:
    var_log = a_log_folder(root)
    path = var_log / "app"
    path.write_bytes(b"precious line\n" * 900_000)
    own(root)
    shorten(root)
    with path.open("r+b") as writer:
        # As a shell does that opened its log by `>`: it goes on where it was.
        writer.seek(12_600_000)
        writer.write(b"a few new lines\n" * 10)
    for _ in range(3):
        shorten(root)
    with gzip.open(f"{path}.1.gz") as kept:
        assert kept.read().count(b"precious line") == 900_000
    an_hour_ago = time.time() - 3600
    os.utime(f"{path}.1.gz", (an_hour_ago, an_hour_ago))
    with path.open("r+b") as writer:
        writer.seek(13_000_000)
        writer.write(b"another line\n" * 900_000)
    shorten(root)
    with gzip.open(f"{path}.1.gz") as kept:
        text = kept.read()
    assert text.count(b"another line") + text.count(b"a few new lines") == 900_010
    assert not text.startswith(b"\0")


def test_a_former_log_of_a_time_to_come_loses_nothing(root: Path) -> None:
    var_log = a_log_folder(root)
    path = var_log / "web.log"
    path.write_bytes(b"first line\n" * 1_200_000)
    own(root)
    shorten(root)
    ahead = time.time() + 10 * 365 * 86400
    os.utime(f"{path}.1.gz", (ahead, ahead))
    path.write_bytes(b"second line\n" * 1_200_000)
    own(root)
    shorten(root)
    with gzip.open(f"{path}.1.gz") as kept:
        assert kept.read().count(b"second line") == 1_200_000


def a_log_folder(root: Path) -> Path:
    folder = root / "partitions" / "p0"
    layout.prepare(folder)
    folder.parent.chmod(0o711)
    return folder / layout.LOG


def own(root: Path) -> None:
    for path in (root / "partitions" / "p0", *(root / "partitions" / "p0").rglob("*")):
        if USER is not None:
            os.lchown(path, USER, USER)
