"""The node's memory: what is wanted is taken over whole, what happened is told once, whatever stops the node."""

import fcntl
import itertools
import math
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from freehold.node.assembly import take_lock
from freehold.node.clock import Hardware
from freehold.node.errors import SettingsError
from freehold.node.partition.layout import Executable, Layout, Outcome, Served
from freehold.node.settings import Paths
from freehold.node.state.database import Database, put_damaged_aside
from freehold.node.state.outbox import MOST_BODY
from freehold.node.state.results import HEARTBEAT, Change, PromiseResult
from freehold.node.state.store import Store
from freehold.protocol import MAX_BODY, MAX_MESSAGE, MAX_PROMISES, MAX_PUBLICATION
from freehold.protocol.feed import Feed, Installation, SharedInstance, WantedInstance
from freehold.protocol.report import (
    GENESIS,
    AsideReport,
    AssessmentReport,
    HostFacts,
    InstanceReport,
    PublicationReport,
    Report,
    ReportBody,
    SoftwareReport,
    UsageReport,
    link,
)
from freehold.protocol.states import Observed, SoftwareObserved, SoftwareWanted, Wanted

EVERYTHING = (1_000_000, 1 << 40)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(Database(tmp_path / "node.sqlite"))
    yield opened
    opened.close()


def test_nobody_else_can_read_what_customers_ordered(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    path.touch(0o644)
    store = Store(Database(path))
    store.begin_epoch("e")
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert {one.stat().st_mode & 0o077 for one in files} == {0}
    store.close()


def installation(release: str = "red", revision: int = 1, wanted: str = "available") -> Installation:
    return Installation(release, revision, SoftwareWanted(wanted), f"{release} 1.0")


def wanted(instance: str = "shop", revision: int = 1, state: str = "started", **more: Any) -> WantedInstance:
    desired = {"partition": "p0", "release": "red", "type": "default", "title": instance, **more}
    return WantedInstance(instance, revision, wanted=Wanted(state), **desired)


def feed(revision: int, *rows: Installation | WantedInstance, snapshot: bool = False) -> Feed:
    return Feed(
        revision,
        0.0,
        60.0,
        snapshot,
        [one for one in rows if isinstance(one, Installation)],
        [one for one in rows if isinstance(one, WantedInstance)],
    )


def states(store: Store) -> dict[str, str]:
    """Return what is wanted of each release and instance."""
    return {
        **{one.release: one.wanted.value for one in store.software.planned()},
        **{one.instance: one.wanted.value for one in store.instances.planned()},
    }


def told(store: Store) -> list[Any]:
    """Return every item that waits to be sent, in order."""
    return [item for report in store.outbox.hand_out(*EVERYTHING) for item in body(report).items]


def body(report: Report) -> ReportBody:
    return msgspec.json.decode(bytes(report.body), type=ReportBody)


class Reader:
    """A Master as the protocol describes it: applies the next report of the chain and no other."""

    def __init__(self) -> None:
        self.epoch, self.sequence, self.hash = 0, 0, GENESIS
        self.heard: list[Any] = []

    def read(self, epoch: int, reports: list[Report]) -> int:
        if epoch != self.epoch:
            self.epoch, self.sequence, self.hash = epoch, 0, GENESIS
        for report in reports:
            if report.sequence <= self.sequence:
                continue
            assert report.sequence == self.sequence + 1, "a gap"
            assert report.hash == link(self.hash, bytes(report.body)), "a fork"
            self.sequence, self.hash = report.sequence, report.hash
            self.heard += body(report).items
        return self.sequence


# What enters the outbox, and what is taken out of it


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (PublicationReport("shop", 1, {"a": "x" * MAX_PUBLICATION}), "publication"),
        (InstanceReport("shop", 1, Observed.STARTED, "", ["p"] * (MAX_PROMISES + 1)), "instance"),
        (InstanceReport("shop", -1, Observed.STARTED), "instance"),
        (AssessmentReport("shop", 1, "x" * 1000, True, 1.0), "assessment"),
        (AssessmentReport("shop", 1, "page", True, 9e10), "assessment"),
        (UsageReport("shop", 9e10), "usage"),
        (UsageReport("shop", 1.0, series="x" * 1000), "usage"),
    ],
)
def test_what_the_master_would_refuse_for_its_form_is_told_as_set_aside(store: Store, item: Any, kind: str) -> None:
    beside = SoftwareReport("red", SoftwareObserved.AVAILABLE)
    store.outbox.add(item, beside)
    aside, other = told(store)
    assert (aside.item, aside.instance, other) == (kind, "shop", beside)
    assert aside.reason


def test_texts_are_told_as_they_can_be_kept(store: Store) -> None:
    store.outbox.add(SoftwareReport("red", SoftwareObserved.FAILED, "x" * 9000 + "caf\udce9\0"))
    (item,) = told(store)
    assert item.message.endswith("caf\\udce9�")
    assert len(item.message) == 4000


def test_where_the_nodes_folder_is_stays_on_the_node(store: Store) -> None:
    folder = store.database.folder
    software = folder / "software" / ("0" * 64)
    store.outbox.add(
        SoftwareReport("red", SoftwareObserved.FAILED, f"{software}/release/instance.cfg, line 12: see {software}.log"),
        InstanceReport("shop", 1, Observed.FAILED, f"no file {folder}/partitions/p7/srv/page, nor {folder}/run"),
        SoftwareReport("blue", SoftwareObserved.FAILED, f"no file {folder}er/page"),
    )
    assert [item.message for item in told(store)] == [
        f"instance.cfg, line 12: see software/{'0' * 64}.log",
        "no file srv/page, nor run",
        f"no file {folder}er/page",
    ]


def test_many_items_make_several_reports_in_their_order(store: Store) -> None:
    items = [PublicationReport(f"guest-{n}", 1, {"a": "x" * 200_000}) for n in range(12)]
    store.outbox.add(*items)
    assert told(store) == items
    sizes = [len(report.body) for report in store.outbox.hand_out(*EVERYTHING)]
    assert max(sizes) <= MOST_BODY + 1000
    assert sum(len(report.body) for report in store.outbox.hand_out(100, 1_000_000)) < MAX_BODY - 100_000


@given(some.integers(0, 4), some.integers(1, 4), some.booleans())
def test_the_chain_goes_on_after_what_is_set_aside(acknowledged: int, refused: int, is_opened_anew: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, reader = Store(Database(Path(folder) / "node.sqlite")), Reader()
        store.begin_epoch(1)
        for number in range(acknowledged + 4):
            items = [SoftwareReport(f"{number}-{half}", SoftwareObserved.AVAILABLE) for half in ("a", "b")]
            store.outbox.add(*items)
        store.outbox.acknowledge(reader.read(1, store.outbox.hand_out(acknowledged, 1 << 30))) if acknowledged else None
        heard = len(reader.heard)
        handed_out = store.outbox.hand_out(*EVERYTHING)
        if is_opened_anew:
            store.close()
            store = Store(Database(Path(folder) / "node.sqlite"))
        store.outbox.set_aside(acknowledged + refused, "the Master says so")
        single = [item for report in store.outbox.hand_out(*EVERYTHING) for item in body(report).items]
        assert single == [item for report in handed_out for item in body(report).items], "each item alone at first"
        store.outbox.set_aside(acknowledged + refused, "the Master says so again")
        store.outbox.add(SoftwareReport("later", SoftwareObserved.AVAILABLE))
        store.outbox.acknowledge(reader.read(1, store.outbox.hand_out(*EVERYTHING)))
        assert store.outbox.count() == 0
        asides = [item for item in reader.heard[heard:] if isinstance(item, AsideReport)]
        assert [(one.item, one.reason) for one in asides] == [("software", "the Master says so again")]
        assert len(reader.heard) == (acknowledged + 4) * 2 + 1
        store.close()


def test_what_an_earlier_version_let_in_and_no_request_holds_is_set_aside(store: Store) -> None:
    reader = Reader()
    store.outbox.add()
    for number in range(2):
        large = ReportBody(1.0, [PublicationReport(f"large-{number}", 1, {"a": "x" * MAX_BODY})])
        with store.database.transaction():
            store.outbox._append(msgspec.json.encode(large))
        store.outbox.add(SoftwareReport(f"after-{number}", SoftwareObserved.AVAILABLE))
    store.outbox.acknowledge(reader.read(store.outbox.epoch, store.outbox.hand_out(*EVERYTHING)))
    kinds = [getattr(item, "instance", None) or item.release for item in reader.heard]
    assert kinds == ["large-0", "after-0", "large-1", "after-1"]
    assert all(isinstance(item, AsideReport | SoftwareReport) for item in reader.heard)


def test_a_failed_configuration_keeps_nobody_from_destroying_it(store: Store) -> None:
    store.apply_feed(feed(1, wanted()))
    store.instances.configuration_failed("shop", 1, "no", attempts=5, next_try=store.clock.now() + 300)
    assert store.instances.planned()[0].next_try > store.clock.now()
    store.apply_feed(feed(2, wanted(revision=2, state="destroyed")))
    store.instances.configuration_failed("shop", 1, "no, still", attempts=6, next_try=store.clock.now() + 300)
    assert store.instances.planned()[0].next_try == 0


def test_a_layout_beyond_todays_bounds_counts_as_empty(store: Store) -> None:
    store.apply_feed(feed(1, wanted()))
    store.database.execute("""UPDATE instance SET layout = '{"services": [{"name": "../x", "digest": ""}]}'""")
    assert store.instances.all()[0].layout == Layout()


# What is wanted


def test_a_feed_is_remembered_by_who_opens_the_store_next(store: Store, tmp_path: Path) -> None:
    row = wanted(parameters=msgspec.Raw(b'{"greeting": "bonjour"}'))
    store.apply_feed(feed(7, installation(), row))
    store.close()
    again = Store(Database(tmp_path / "node.sqlite"))
    assert again.revision == 7
    assert states(again) == {"red": "available", "shop": "started"}
    desired = again.instances.desired("shop")
    assert desired is not None
    assert (desired.partition, desired.release, desired.parameters) == ("p0", "red", '{"greeting": "bonjour"}')
    assert (desired.state, desired.layout) == (None, Layout())
    again.close()


def test_a_feed_that_cannot_be_kept_whole_is_not_kept_at_all(store: Store, tmp_path: Path) -> None:
    store.apply_feed(feed(1, installation()))
    with sqlite3.connect(tmp_path / "node.sqlite") as behind:
        behind.execute(
            "CREATE TRIGGER full BEFORE INSERT ON instance WHEN NEW.instance = 'second' "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    both = feed(2, installation("green"), wanted("first"), wanted("second", partition="p1"))
    with pytest.raises(sqlite3.IntegrityError):
        store.apply_feed(both)
    assert store.revision == 1
    assert states(store) == {"red": "available"}
    with sqlite3.connect(tmp_path / "node.sqlite") as behind:
        behind.execute("DROP TRIGGER full")
    store.apply_feed(both)
    assert states(store) == {"red": "available", "green": "available", "first": "started", "second": "started"}


def test_a_change_says_nothing_of_those_it_does_not_name(store: Store) -> None:
    store.apply_feed(feed(1, installation(), wanted("shop"), wanted("blog", partition="p1")))
    store.apply_feed(feed(2, wanted("shop", 2, "stopped")))
    assert states(store) == {"red": "available", "shop": "stopped", "blog": "started"}


def test_what_a_snapshot_does_not_name_is_kept_until_an_operator_agrees(store: Store) -> None:
    store.apply_feed(feed(9, installation(), installation("green"), wanted("shop"), wanted("blog", partition="p1")))
    store.instances.record_state("blog", 1, Observed.STARTED)
    for revision in (5, 6):
        store.apply_feed(feed(revision, installation(), wanted("shop"), snapshot=True))
    assert states(store) == {"red": "available", "green": "removed", "shop": "started", "blog": "started"}
    assert [one.instance for one in store.orphans.all()] == ["blog"]
    assert not store.orphans.destroy("shop"), "the Master names it"
    assert store.orphans.destroy("blog")
    assert states(store)["blog"] == "destroyed"
    assert store.orphans.all() == []


def test_what_the_master_names_again_is_no_orphan(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))
    store.apply_feed(feed(1, snapshot=True))
    store.apply_feed(feed(2, wanted("shop", 2, "stopped")))
    assert (store.orphans.all(), states(store)) == ([], {"shop": "stopped"})


def test_an_answer_that_was_asked_for_in_the_former_epoch_is_not_gone_on_from(store: Store) -> None:
    store.begin_epoch(1)
    store.apply_feed(feed(5, wanted("shop"), wanted("gone", partition="p1")), asked_at=0)
    assert store.begin_epoch(2), "while the next feed is waited for"
    store.apply_feed(feed(6, wanted("shop", 6, "stopped")), asked_at=5)
    assert (store.revision, states(store)["shop"]) == (0, "started"), "all of it is asked for again"
    store.apply_feed(feed(6, wanted("shop", 6, "stopped"), snapshot=True), asked_at=0)
    assert (store.revision, states(store)["shop"], [one.instance for one in store.orphans.all()]) == (
        6,
        "stopped",
        ["gone"],
    )


def test_in_a_new_epoch_everything_is_asked_for_and_found_again(store: Store) -> None:
    store.begin_epoch(1)
    store.apply_feed(feed(3, wanted("shop", 3)))
    store.instances.record_state("shop", 3, Observed.STARTED)
    assert store.begin_epoch(2)
    assert not store.begin_epoch(2)
    (shop,) = store.instances.planned()
    assert (store.revision, shop.state, shop.state_revision) == (0, Observed.STARTED, 0)
    assert [one.sequence for one in store.outbox.hand_out(*EVERYTHING)] == [1], "what waits is told in the new chain"


@pytest.mark.parametrize("table", ["instance", "shared", "promise"])
def test_an_epoch_begins_with_all_that_is_told_anew_or_not_at_all(store: Store, tmp_path: Path, table: str) -> None:
    """A machine that stops half-way begins it when it starts again: else the Master never hears what it lost."""
    guest = SharedInstance("guest", 2, "shop", "default", Wanted.STARTED)
    store.apply_feed(Feed(2, 0.0, 60.0, True, [], [wanted("shop")], [guest]))
    store.instances.record_state("shop", 2, Observed.STARTED, layout=serving("guest"))
    store.results.record("shop", 2, "page", True, "", 1e6)
    waiting = store.outbox.hand_out(*EVERYTHING)
    with sqlite3.connect(tmp_path / "node.sqlite") as behind:
        behind.execute(f"CREATE TRIGGER stop BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'power is gone'); END")
    with pytest.raises(sqlite3.IntegrityError):
        store.begin_epoch(5)
    assert (store.outbox.epoch, store.revision, store.outbox.hand_out(*EVERYTHING)) == (0, 2, waiting)
    with sqlite3.connect(tmp_path / "node.sqlite") as behind:
        behind.execute("DROP TRIGGER stop")
    assert store.begin_epoch(5)
    before = store.outbox.count()
    store.results.record("shop", 2, "page", True, "", 1e6 + 1)
    assert store.outbox.count() == before + 1, "told though it is no news"
    store.outbox.acknowledge(before + 1)
    store.instances.record_state("shop", 2, Observed.STARTED, layout=serving("guest"))
    assert {item.instance for item in told(store)} == {"shop", "guest"}


def serving(guest: str) -> Layout:
    return Layout(outcome=Outcome(served={guest: Served({"url": "http://…/"})}))


def test_what_several_parts_change_is_kept_together_or_not_at_all(store: Store) -> None:
    calls: list[int] = []
    store.apply_feed(feed(1, installation(), wanted("shop")))
    store.database.when_changed(lambda: calls.append(store.outbox.count()))

    def build(fails: bool) -> None:
        with store.database.transaction():
            store.software.record_state("red", SoftwareObserved.AVAILABLE)
            store.results.record("shop", 1, "page", True, "", 0.0)
            if fails:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        build(fails=True)
    assert (store.outbox.count(), store.results.all(), store.software.planned()[0].state) == (0, [], None)
    assert calls == [], "nothing happened"
    build(fails=False)
    assert (store.outbox.count(), calls) == (2, [2]), "who sends is woken once, when all of it is there"


def test_words_that_look_like_other_values_stay_words(store: Store) -> None:
    """Rows are read by their types: a customer may call an instance what a number or nothing is called."""
    for number, word in enumerate(["null", "true", "0", "1e3", "NaN"]):
        row = wanted(word, title=word, type=word, partition=word, seed=word, movable=bool(number % 2))
        store.apply_feed(feed(number + 1, installation(word), row))
        store.instances.record_state(word, 1, Observed.FAILED, message=word)
        desired = store.instances.desired(word)
        assert desired is not None
        words = {desired.instance, desired.title, desired.type, desired.partition, desired.seed, desired.message}
        assert (words, desired.movable) == ({word}, bool(number % 2))
        store.results.record(word, 1, word, False, word, 1.0)
        assert store.results.history(word) == [Change(word, 1.0, False, word)]
    assert [one.release for one in store.software.planned()] == ["null", "true", "0", "1e3", "NaN"]


FIRST_TABLES = """
CREATE TABLE instance (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, partition TEXT NOT NULL, release TEXT NOT NULL,
  type TEXT NOT NULL, wanted TEXT NOT NULL, title TEXT NOT NULL, parameters TEXT NOT NULL,
  state TEXT, state_revision INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
  layout TEXT NOT NULL DEFAULT '{}', counters TEXT NOT NULL DEFAULT '{}');
CREATE TABLE shared (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, host TEXT NOT NULL, type TEXT NOT NULL, wanted TEXT NOT NULL,
  parameters TEXT NOT NULL, seed TEXT NOT NULL, told_revision INTEGER NOT NULL DEFAULT 0,
  told TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO instance (instance, revision, partition, release, type, wanted, title, parameters, state)
  VALUES ('shop', 3, 'p0', 'red', 'default', 'started', 'shop', '{}', 'started');
"""


def test_a_file_of_the_first_version_is_opened_with_all_that_is_in_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "node.sqlite") as first:
        first.executescript(FIRST_TABLES)
    for _ in range(2):
        store = Store(Database(tmp_path / "node.sqlite"))
        (shop,) = store.instances.planned()
        assert (shop.instance, shop.revision, shop.state, shop.unasked) == ("shop", 3, Observed.STARTED, False)
        assert store.orphans.all() == []
        store.close()


@pytest.mark.parametrize("damage", ["header", "half", "noise"])
def test_a_damaged_store_is_put_aside_and_whoever_only_looks_goes_on(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "node.sqlite"
    store = Store(Database(path))
    for number in range(500):
        store.outbox.add(SoftwareReport(f"red {number}", SoftwareObserved.AVAILABLE, "x" * 200))
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    assert put_damaged_aside(path) is None, "it is whole"
    content = path.read_bytes()
    half = len(content) // 2
    noise = content[:half] + b"?" * half
    path.write_bytes({"header": b"x" * 100 + content[100:], "half": content[:half], "noise": noise}[damage])
    assert Store(Database(path, only_look=True)).outbox.count() == 0
    aside = put_damaged_aside(path)
    assert aside is not None
    assert (aside.exists(), path.exists()) == (True, False)
    Store(Database(path)).close()


def test_an_older_revision_of_an_instance_is_ignored(store: Store) -> None:
    store.apply_feed(feed(5, wanted("shop", 5, "stopped")))
    store.apply_feed(feed(6, wanted("shop", 4, "started", title="old")))
    desired = store.instances.desired("shop")
    assert desired is not None
    assert (desired.wanted, desired.revision, desired.title) == (Wanted.STOPPED, 5, "shop")


def test_the_same_wish_again_does_not_hurry_a_failure_but_a_new_one_does(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))
    store.instances.record_state("shop", 1, Observed.FAILED, next_try=9e9, attempts=3)
    store.apply_feed(feed(1, wanted("shop")))
    assert [(one.attempts, one.next_try) for one in store.instances.planned()] == [(3, 9e9)]
    store.apply_feed(feed(2, wanted("shop", 2)))
    assert [(one.attempts, one.next_try) for one in store.instances.planned()] == [(0, 0)]


def test_a_removed_release_can_come_back(store: Store) -> None:
    store.apply_feed(feed(1, installation()))
    store.software.record_state("red", SoftwareObserved.AVAILABLE)
    store.apply_feed(feed(2, installation(revision=2, wanted="removed")))
    store.software.record_state("red", SoftwareObserved.REMOVED)
    assert store.software.planned() == []
    store.apply_feed(feed(3, installation(revision=3)))
    assert [(one.wanted, one.state) for one in store.software.planned()] == [(SoftwareWanted.AVAILABLE, None)]


def test_a_release_wanted_again_while_it_is_being_removed_is_built_again(store: Store) -> None:
    store.apply_feed(feed(1, installation(wanted="removed")))
    store.software.record_state("red", SoftwareObserved.AVAILABLE)
    store.apply_feed(feed(2, installation(revision=2)))
    store.software.record_state("red", SoftwareObserved.REMOVED)
    (red,) = store.software.planned()
    assert (red.wanted, red.state) == (SoftwareWanted.AVAILABLE, SoftwareObserved.REMOVED)


# What was found, and is told


def test_a_configured_instance_tells_its_state_its_promises_and_what_it_publishes(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))
    layout = Layout(
        services=[Executable("web", "abc")],
        promises=["etc/plugin/page.py"],
        published={"url": "http://…/", "password": "x"},
    )
    store.instances.record_state("shop", 1, Observed.STARTED, layout=layout)
    assert told(store) == [
        InstanceReport("shop", 1, Observed.STARTED, promises=["page", "services"], processes=["web"]),
        PublicationReport("shop", 1, {"url": "http://…/", "password": "x"}),
    ]
    desired = store.instances.desired("shop")
    assert desired is not None
    assert (desired.state, desired.state_revision, desired.layout) == (Observed.STARTED, 1, layout)


def test_what_is_destroyed_is_told_and_forgotten(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop", state="destroyed")))
    store.results.record("shop", 1, "page", True, "", 0.0)
    store.instances.record_state("shop", 1, Observed.DESTROYED)
    assert told(store)[-1] == InstanceReport("shop", 1, Observed.DESTROYED)
    assert (store.instances.planned(), store.results.all()) == ([], [])


def test_of_a_long_message_the_end_is_told(store: Store) -> None:
    store.apply_feed(feed(1, installation()))
    store.software.record_state("red", SoftwareObserved.FAILED, message="x" * 10_000 + "the cause")
    (item,) = told(store)
    assert isinstance(item, SoftwareReport)
    assert len(item.message) == MAX_MESSAGE
    assert item.message.endswith("the cause")


def test_a_promise_travels_when_it_changes_and_each_quarter_of_an_hour(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))

    def result(kept: bool, at: float, *, revision: int = 1, message: str = "") -> int:
        """Note a result; return how many reports it made."""
        before = store.outbox.count()
        store.results.record("shop", revision, "page", kept, message, at)
        return store.outbox.count() - before

    assert result(True, 1000) == 1, "the first is news"
    assert [result(True, 1000 + 60 * minute, message=str(minute)) for minute in range(1, 15)] == [0] * 14
    assert result(True, 1000 + HEARTBEAT) == 1
    assert result(True, 1001 + HEARTBEAT) == 0
    assert result(False, 1002 + HEARTBEAT) == 1
    assert result(False, 1003 + HEARTBEAT, message="other words") == 0
    assert result(True, 1004 + HEARTBEAT) == 1
    assert result(True, 1005 + HEARTBEAT, revision=2) == 1, "as configured now, it is news"
    assert result(True, 5, revision=2) == 1, "a clock that went back silences nobody"
    last = told(store)[-1]
    assert last == AssessmentReport("shop", 2, "page", True, 5)


def test_new_words_of_a_broken_promise_are_told_at_a_bounded_pace(store: Store) -> None:
    """It said that it waits, and says now what it fell over: nobody finds that by waiting a quarter of an hour."""
    store.apply_feed(feed(1, wanted("shop")))
    store.results.record("shop", 1, "page", False, "It has not ended yet.", 1000.0)
    for second in range(1, 3600):
        store.results.record("shop", 1, "page", False, f"failed {second // 5} times", 1000.0 + second)
    at = [item.at - 1000.0 for item in told(store)]
    assert at[:7] == [0.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0], "the first words but seconds later, then ever rarer"
    assert {later - earlier for earlier, later in itertools.pairwise(at[6:])} == {60.0}
    store.results.record("shop", 1, "page", True, "It succeeded.", 5000.0)
    for second in range(1, 600):
        store.results.record("shop", 1, "page", True, f"took {second} ms", 5000.0 + second)
    assert [item.message for item in told(store)][len(at) :] == ["It succeeded."], "words of what is kept are no news"


def test_a_stopped_instance_has_no_promises(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))
    store.results.record("shop", 1, "page", True, "fine", 0.0)
    assert store.results.all() == [PromiseResult("shop", "page", True, "fine")]
    store.instances.record_state("shop", 1, Observed.STOPPED)
    assert store.results.all() == []


def test_counters_are_kept_and_told_together(store: Store) -> None:
    store.apply_feed(feed(1, wanted("shop")))
    store.counters.save({"shop": '{"cpu_ms": 5}'}, [UsageReport("shop", 1.0, cpu_ms=5)])
    assert store.counters.all() == {"shop": '{"cpu_ms": 5}'}
    store.counters.save({"shop": '{"cpu_ms": 5}'}, [])
    assert told(store) == [UsageReport("shop", 1.0, cpu_ms=5)]


# The outbox


def test_what_was_acknowledged_is_forgotten_and_numbers_go_on(store: Store) -> None:
    for _ in range(5):
        store.outbox.add()
    assert [one.sequence for one in store.outbox.hand_out(*EVERYTHING)] == [1, 2, 3, 4, 5]
    store.outbox.acknowledge(3)
    store.outbox.acknowledge(2)
    assert [one.sequence for one in store.outbox.hand_out(*EVERYTHING)] == [4, 5]
    store.outbox.acknowledge(5)
    store.outbox.add()
    assert [one.sequence for one in store.outbox.hand_out(*EVERYTHING)] == [6]


def test_a_batch_holds_so_many_reports_and_bytes_but_one_at_least(store: Store) -> None:
    store.apply_feed(feed(1, installation()))
    for _ in range(5):
        store.software.record_state("red", SoftwareObserved.FAILED, message="x" * 1000)
    assert len(store.outbox.hand_out(3, 1 << 20)) == 3
    assert len(store.outbox.hand_out(100, 2500)) == 2
    assert len(store.outbox.hand_out(100, 10)) == 1


def test_a_new_epoch_asks_for_everything_and_tells_what_was_not_told_as_new(store: Store) -> None:
    store.begin_epoch(1)
    store.apply_feed(feed(9, wanted("shop"), wanted("blog", partition="p1")))
    assert store.report_host(HostFacts([]))
    assert not store.report_host(HostFacts([])), "told once"
    store.instances.record_state("shop", 1, Observed.WAITING)
    store.instances.record_state("blog", 1, Observed.WAITING)
    store.outbox.acknowledge(2)
    store.begin_epoch(2)
    assert (store.outbox.epoch, store.revision) == (2, 0)
    reader = Reader()
    assert reader.read(store.outbox.epoch, store.outbox.hand_out(*EVERYTHING)) == 1
    assert reader.heard == [InstanceReport("blog", 1, Observed.WAITING)]
    store.begin_epoch(2)
    assert store.outbox.count() == 1, "the same epoch does not begin twice"
    assert store.report_host(HostFacts([])), "a new Master does not know the machine yet"


def test_who_sends_is_woken_by_what_changes_and_by_nothing_else(store: Store) -> None:
    calls: list[int] = []
    store.database.when_changed(lambda: calls.append(store.outbox.count()))
    store.apply_feed(feed(1, wanted("shop")))
    calls.clear()
    store.instances.record_state("shop", 1, Observed.WAITING)
    assert calls == [1], "when it is woken, the report is there"
    store.outbox.hand_out(*EVERYTHING)
    store.instances.planned()
    assert calls == [1]


def test_reports_of_many_threads_make_one_chain(store: Store) -> None:
    store.apply_feed(feed(1, *(wanted(f"i{number}", partition=f"p{number}") for number in range(6))))

    def work(number: int) -> None:
        for kept in itertools.islice(itertools.cycle([True, False]), 40):
            store.results.record(f"i{number}", 1, "page", kept, "", 0.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = Reader()
    assert reader.read(0, store.outbox.hand_out(*EVERYTHING)) == 240
    for number in range(6):
        own = [item.kept for item in reader.heard if item.instance == f"i{number}"]
        assert own == [True, False] * 20


actions = some.one_of(
    some.tuples(some.just("state"), some.sampled_from(["shop", "blog"])),
    some.tuples(some.just("promise"), some.booleans()),
    some.tuples(some.just("heartbeat"), some.none()),
    some.tuples(some.just("reopen"), some.none()),
    some.tuples(some.just("epoch"), some.none()),
    # How many reports reach the Master, and whether its answer reaches us.
    some.tuples(some.just("send"), some.tuples(some.integers(1, 5), some.booleans())),
)


@settings(max_examples=40)
@given(some.lists(actions, max_size=25))
def test_whatever_happens_the_master_hears_everything_once_and_in_order(history: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.sqlite"
        store = Store(Database(path))
        store.apply_feed(feed(1, wanted("shop"), wanted("blog", partition="p1")))
        said: list[Any] = []
        reader, epoch = Reader(), 0
        for moment, (action, value) in enumerate(history, 1):
            match action:
                case "state":
                    state = [Observed.WAITING, Observed.STARTED, Observed.STOPPED][moment % 3]
                    store.instances.record_state(value, moment, state)
                    said.append(InstanceReport(value, moment, state))
                case "promise":
                    store.results.record("shop", moment, "page", value, "", float(moment))
                    said.append(AssessmentReport("shop", moment, "page", value, float(moment)))
                case "heartbeat":
                    store.outbox.add()
                case "reopen":
                    store.close()
                    store = Store(Database(path))
                case "epoch":
                    # Another Master: it hears what the former one is not known to have heard.
                    epoch += 1
                    said = told(store)
                    store.begin_epoch(epoch)
                    reader = Reader()
                case "send":
                    most, answered = value
                    sequence = reader.read(store.outbox.epoch, store.outbox.hand_out(most, 1 << 20))
                    if answered:
                        store.outbox.acknowledge(sequence)
        store.outbox.acknowledge(reader.read(store.outbox.epoch, store.outbox.hand_out(*EVERYTHING)))
        assert reader.heard == said
        assert store.outbox.count() == 0
        store.close()


WRITER = """
import sys
from pathlib import Path
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.states import Observed

store = Store(Database(Path(sys.argv[1])))
number = store.instances.desired("shop").state_revision
while True:
    number += 1
    store.instances.record_state("shop", number, Observed.WAITING, message="x" * (number % 3000))
    if number % 7 == 0:
        store.outbox.acknowledge(store.outbox.hand_out(3, 1 << 20)[-1].sequence)
    print(number, flush=True)
"""


def test_what_was_numbered_is_there_after_a_kill_and_nothing_is_there_half(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    store = Store(Database(path))
    store.apply_feed(feed(1, wanted("shop")))
    store.close()
    for life in range(6):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        confirmed = 0
        for line in itertools.islice(child.stdout, 20 + 13 * life):
            confirmed = int(line)
        os.kill(child.pid, signal.SIGKILL)
        confirmed = max([confirmed, *(int(line) for line in child.stdout if line.endswith("\n"))])
        child.wait()
        child.stdout.close()
        store = Store(Database(path))
        desired = store.instances.desired("shop")
        reports = store.outbox.hand_out(*EVERYTHING)
        assert desired is not None
        assert desired.state_revision >= confirmed, "what was confirmed is lost"
        assert [item.revision for one in reports[-1:] for item in body(one).items] == [desired.state_revision]
        for before, after in itertools.pairwise(reports):
            assert after.sequence == before.sequence + 1
            assert after.hash == link(before.hash, bytes(after.body))
        # Number and revision grow together, from 1: what is acknowledged left nothing behind, nothing came twice.
        assert reports[-1].sequence == desired.state_revision
        store.close()


def test_a_node_that_is_away_for_months_keeps_its_use_in_the_room_it_has(tmp_path: Path) -> None:
    budget = 200_000
    store = Store(Database(tmp_path / "away.sqlite"), budget=budget)
    store.begin_epoch(1)
    store.apply_feed(feed(1, wanted("shop")))
    store.outbox.add()
    sent = store.outbox.hand_out(*EVERYTHING)
    assert len(sent) == 1
    for hour in range(90 * 24):
        at = hour * 3600.0
        items = [UsageReport("shop", at, cpu_ms=hour), AssessmentReport("shop", 1, "page", hour % 3 > 0, at, "x" * 200)]
        store.outbox.add(*items)
    reports = store.outbox.hand_out(*EVERYTHING)
    assert sum(len(report.body) for report in reports) <= budget * 1.3
    reader = Reader()
    reader.read(1, sent)
    reader.read(1, reports)
    usage = [item for item in reader.heard if isinstance(item, UsageReport)]
    assert usage[-1] == UsageReport("shop", (90 * 24 - 1) * 3600.0, cpu_ms=90 * 24 - 1)
    assert {int(item.at // 86400) for item in usage} == set(range(90)), "each day's use is known"
    store.close()


class Clockwork(Hardware):
    """Hardware whose time passes when the test says so."""

    def __init__(self) -> None:
        self.seconds, self.boots = 1000.0, 1

    def since_boot(self) -> float:
        return self.seconds

    def boot(self) -> str:
        return f"boot-{self.boots}"


def test_a_lease_that_was_over_takes_a_report_and_then_the_feed(tmp_path: Path) -> None:
    hardware = Clockwork()
    store = Store(Database(tmp_path / "node.sqlite"), hardware=hardware)
    assert store.lease.left() == math.inf
    store.apply_feed(Feed(1, 0.0, 0.0, True, lease=60.0))
    assert store.lease.left() == 60, "it begins when it is first heard of"
    hardware.seconds += 50
    store.lease.renew(hardware.seconds - 1)
    assert store.lease.left() == 59
    hardware.seconds += 100
    assert store.lease.left() == 0
    asked_before = hardware.seconds
    hardware.seconds += 1
    store.lease.renew(hardware.seconds)
    assert store.lease.left() == 0, "the Master took a report, but what it wants was not heard"
    assert not store.lease.feed_heard(asked_before), "an answer to an earlier question does not count"
    assert store.lease.left() == 0
    assert store.lease.feed_heard(hardware.seconds + 1)
    assert store.lease.left() == 60


def test_after_a_reboot_nothing_is_leased_before_the_master_was_heard(tmp_path: Path) -> None:
    hardware = Clockwork()
    store = Store(Database(tmp_path / "node.sqlite"), hardware=hardware)
    store.apply_feed(Feed(1, 0.0, 0.0, True, instances=[_started("page", movable=True), _started("base")], lease=60.0))
    assert {desired.instance for desired in store.instances.started()} == {"page", "base"}
    hardware.boots, hardware.seconds = 2, 5.0
    assert store.lease.left() == 0
    assert {desired.instance for desired in store.instances.started()} == {"base"}
    store.lease.renew(6.0)
    hardware.seconds = 8.0
    store.lease.feed_heard(7.0)
    assert {desired.instance for desired in store.instances.started()} == {"page", "base"}


def _started(instance: str, *, movable: bool = False) -> WantedInstance:
    return WantedInstance(instance, 1, f"p-{instance}", "0" * 64, "default", Wanted.STARTED, movable=movable)


def test_what_was_asked_of_instances_that_are_gone_is_forgotten(tmp_path: Path) -> None:
    """An instance that asks to be configured again is noted for the minutes in which it may not ask once more."""
    hardware = Clockwork()
    store = Store(Database(tmp_path / "node.sqlite"), hardware=hardware)
    assert store.instances.force_reconfigure("inst-1")
    assert not store.instances.force_reconfigure("inst-1"), "minutes later at the earliest"
    hardware.seconds += 3600
    assert store.instances.force_reconfigure("inst-2")
    with sqlite3.connect(tmp_path / "node.sqlite") as memory:
        names = [name for (name,) in memory.execute("SELECT name FROM memory WHERE name LIKE 'bang %'")]
    assert names == ["bang inst-2"]


def test_an_agent_starts_while_somebody_asks_whether_one_runs_and_not_while_one_does(tmp_path: Path) -> None:
    """`freehold node status` has the agent's lock for a moment: an agent that starts right then waits for it."""
    paths = Paths(tmp_path)
    paths.run.mkdir()
    asked = os.open(paths.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(asked, fcntl.LOCK_SH)
    asking = threading.Timer(0.2, os.close, [asked])
    asking.start()
    lock = take_lock(paths)
    asking.join()
    with pytest.raises(SettingsError, match="runs already"):
        take_lock(paths)
    os.close(lock)
