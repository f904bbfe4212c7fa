"""What a node remembers of shared instances and of what instances request of others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.node.partition.layout import ChildRequest, Layout, Outcome, Served
from freehold.node.plan import PlannedInstance
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.feed import Feed, SharedInstance, WantedInstance
from freehold.protocol.report import InstanceReport, PublicationReport, ReportBody
from freehold.protocol.states import Observed, Wanted

HOST = WantedInstance("host", 1, "p0", "red", "default", Wanted.STARTED, "store", seed="aa" * 32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(Database(tmp_path / "node.sqlite"))
    feed(opened, 1, HOST)
    configured(opened)
    opened.outbox.acknowledge(10**6)
    yield opened
    opened.close()


def guest(name: str, revision: int, wanted: Wanted = Wanted.STARTED, size: int = 1) -> SharedInstance:
    parameters = msgspec.Raw(b'{"size":%d}' % size)
    return SharedInstance(name, revision, "host", "shelf", wanted, parameters, "bb" * 32)


def feed(store: Store, revision: int, *rows: WantedInstance | SharedInstance, snapshot: bool = False) -> None:
    instances = [row for row in rows if isinstance(row, WantedInstance)]
    shared = [row for row in rows if isinstance(row, SharedInstance)]
    store.apply_feed(Feed(revision, 0.0, 60.0, snapshot, [], instances, shared))


def configured(store: Store, state: Observed = Observed.STARTED, **outcome: Any) -> None:
    """Have the host configured as now wanted, with this outcome."""
    desired = store.instances.desired("host")
    assert desired is not None
    store.instances.record_state("host", desired.revision, state, layout=Layout(outcome=Outcome(**outcome)))


def served(store: Store, **answers: Served) -> None:
    configured(store, served=answers)


def told(store: Store, *about: str) -> list[Any]:
    """Return what waits to be told of these instances, and forget it."""
    reports = store.outbox.hand_out(1000, 1 << 30)
    items = [item for report in reports for item in msgspec.json.decode(report.body, type=ReportBody).items]
    store.outbox.acknowledge(10**6)
    return [item for item in items if isinstance(item, InstanceReport | PublicationReport) and item.instance in about]


def host(store: Store) -> PlannedInstance:
    (one,) = store.instances.planned()
    return one


def test_a_new_guest_has_its_host_configured_again(store: Store) -> None:
    assert host(store).state_revision == host(store).revision
    feed(store, 5, guest("a", 5))
    assert host(store).state_revision < host(store).revision == 5
    (one,) = store.shared.guests("host")
    assert (one.instance, one.type, one.wanted, one.parameters) == ("a", "shelf", "started", '{"size":1}')


def test_each_guest_is_told_of_once_and_again_when_its_answer_changes(store: Store) -> None:
    feed(store, 5, guest("a", 4), guest("b", 5))
    served(store, a=Served({"url": "a"}), b=Served(error="too big"))
    assert told(store, "a", "b") == [
        InstanceReport("a", 4, Observed.STARTED),
        PublicationReport("a", 4, {"url": "a"}),
        InstanceReport("b", 5, Observed.FAILED, "too big"),
    ]
    served(store, a=Served({"url": "a"}), b=Served(error="too big"))
    assert told(store, "a", "b") == []
    served(store, a=Served({"url": "other"}), b=Served({"url": "b"}))
    assert {item.instance for item in told(store, "a", "b")} == {"a", "b"}


def test_a_guest_that_changed_while_its_host_was_configured_is_told_of_after_the_next_time(store: Store) -> None:
    feed(store, 5, guest("a", 5))
    desired = store.instances.desired("host")
    assert desired is not None
    feed(store, 6, guest("a", 6, size=2))
    answer = Layout(outcome=Outcome(served={"a": Served({"size": 1})}))
    store.instances.record_state("host", desired.revision, Observed.STARTED, layout=answer)
    assert told(store, "a") == []
    assert host(store).state_revision < host(store).revision
    served(store, a=Served({"size": 2}))
    assert told(store, "a")[-1] == PublicationReport("a", 6, {"size": 2})


def test_a_destroyed_guest_is_told_gone_when_its_host_serves_it_no_more(store: Store) -> None:
    feed(store, 5, guest("a", 4), guest("b", 5))
    served(store, a=Served({"url": "a"}), b=Served({"url": "b"}))
    told(store)
    feed(store, 7, guest("a", 7, Wanted.DESTROYED))
    assert [one.instance for one in store.shared.guests("host")] == ["b"]
    assert told(store, "a") == []
    served(store, b=Served({"url": "b"}))
    assert told(store, "a", "b") == [InstanceReport("a", 7, Observed.DESTROYED)]


def tried(store: Store, *, kept: bool, task: str = "users") -> None:
    """Have a task of the host end well, or not, as it is configured now."""
    desired = store.instances.desired("host")
    assert desired is not None
    store.results.record("host", desired.state_revision, f"task-{task}", kept, "", 0.0)


def with_tasks(store: Store, *tasks: str, **answers: Served) -> None:
    desired = store.instances.desired("host")
    assert desired is not None
    layout = Layout(promises=[f"etc/plugin/task-{task}.py" for task in tasks], outcome=Outcome(served=answers))
    store.instances.record_state("host", desired.revision, Observed.STARTED, layout=layout)


def test_a_guest_is_there_or_gone_when_the_tasks_of_its_host_ended_well(store: Store) -> None:
    feed(store, 6, guest("a", 5), guest("b", 6))
    with_tasks(store, "users", "rights", a=Served({"url": "a"}), b=Served(error="too big"))
    assert told(store, "a", "b") == [InstanceReport("b", 6, Observed.FAILED, "too big")]
    tried(store, kept=False)
    tried(store, kept=True, task="rights")
    assert told(store, "a", "b") == []
    tried(store, kept=True)
    assert [item.instance for item in told(store, "a", "b")] == ["a", "a"]
    feed(store, 7, guest("a", 7, Wanted.DESTROYED))
    with_tasks(store, "users", "rights", b=Served(error="too big"))
    tried(store, kept=True, task="rights")
    assert told(store, "a") == []
    tried(store, kept=True)
    assert told(store, "a") == [InstanceReport("a", 7, Observed.DESTROYED)]


def test_what_was_said_of_a_guest_that_changed_meanwhile_is_not_told(store: Store) -> None:
    feed(store, 5, guest("a", 5))
    with_tasks(store, "users", a=Served({"size": 1}))
    feed(store, 6, guest("a", 6, size=2))
    tried(store, kept=True)
    assert told(store, "a") == []
    with_tasks(store, "users", a=Served({"size": 2}))
    tried(store, kept=True)
    assert told(store, "a")[1] == PublicationReport("a", 6, {"size": 2})


def test_while_a_host_keeps_what_it_is_nothing_is_told_of_its_guests(store: Store) -> None:
    feed(store, 6, guest("a", 5), guest("b", 6))
    served(store, a=Served({"url": "a"}), b=Served({"url": "b"}))
    told(store, "a", "b")
    feed(store, 9, guest("a", 8, Wanted.DESTROYED), guest("b", 9, size=2))
    waits = ChildRequest("part", {"product": "store"})
    configured(store, Observed.CONFIGURING, requests=[waits], missing=["part"], keeps=True)
    assert told(store, "a", "b") == []
    served(store, b=Served({"url": "b2"}))
    assert {item.instance: item.revision for item in told(store, "a", "b")} == {"a": 8, "b": 9}


def test_what_the_master_does_not_grant_is_told_with_the_promises_of_what_runs(store: Store) -> None:
    layout = Layout(promises=["etc/plugin/page.py"], outcome=Outcome(requests=[ChildRequest("part", {})]))
    desired = store.instances.desired("host")
    assert desired is not None
    store.instances.record_state("host", desired.revision, Observed.CONFIGURING, layout=layout)
    told(store, "host")
    asked = store.instances.desired("host")
    assert asked is not None
    store.instances.record_requests("host", asked.asking, refused="'part' was not granted: no room.", next_try=9.0)
    assert told(store, "host") == [
        InstanceReport("host", desired.revision, Observed.CONFIGURING, "'part' was not granted: no room.", ["page"])
    ]


def test_guests_end_with_their_host(store: Store) -> None:
    feed(store, 5, guest("a", 5))
    store.instances.record_state("host", 5, Observed.DESTROYED)
    assert told(store, "a") == [InstanceReport("a", 5, Observed.DESTROYED)]
    assert store.shared.guests("host") == []


def test_a_guest_that_a_snapshot_does_not_name_is_served_until_an_operator_agrees_to_its_end(store: Store) -> None:
    feed(store, 5, guest("a", 4), guest("b", 5))
    served(store, a=Served({"url": "a"}), b=Served({"url": "b"}))
    feed(store, 9, HOST, guest("b", 5), snapshot=True)
    assert [one.instance for one in store.shared.guests("host")] == ["a", "b"], "a Master that was restored forgot it"
    assert [(one.instance, one.partition) for one in store.orphans.all()] == [("a", "host")]
    feed(store, 10, HOST, guest("a", 4), guest("b", 5), snapshot=True)
    assert store.orphans.all() == [], "it knows of it again"
    feed(store, 11, HOST, guest("b", 5), snapshot=True)
    assert store.orphans.destroy("a")
    assert [one.instance for one in store.shared.guests("host")] == ["b"]
    assert host(store).state_revision < host(store).revision, "its host is configured without it"
    assert store.orphans.all() == []
    assert not store.orphans.destroy("b")


def test_what_an_instance_requests_is_due_until_all_is_granted(store: Store) -> None:
    assert not host(store).unasked
    configured(store, Observed.CONFIGURING, requests=[ChildRequest("page", {"product": "hello"})], missing=["page"])
    assert host(store).unasked
    desired = store.instances.desired("host")
    assert desired is not None
    store.instances.record_requests(
        "host", desired.asking, refused="'page' was not granted: no place", next_try=99.0, attempts=1
    )
    assert (host(store).unasked, host(store).ask_next_try) == (True, 99.0)
    assert told(store, "host")[-1].message == "'page' was not granted: no place"
    store.instances.record_requests("host", desired.asking)
    assert not host(store).unasked
    configured(store, requests=[ChildRequest("page", {"product": "hello"})])
    assert not host(store).unasked, "the same again"
    configured(store)
    assert host(store).unasked, "that nothing is requested any more is told too"


def test_an_answer_to_what_was_requested_before_does_not_count(store: Store) -> None:
    configured(store, requests=[ChildRequest("page", {"product": "hello"})])
    desired = store.instances.desired("host")
    assert desired is not None
    configured(store, requests=[ChildRequest("page", {"product": "other"})])
    store.instances.record_requests("host", desired.asking)
    assert host(store).unasked
