"""A Master whose clock is wrong notices it by the clocks of its nodes, and does nothing that cannot be undone."""

import os
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation import clock
from freehold.master.foundation.errors import WrongClock
from freehold.master.gateway.clocks import LIVING_S, MOST_KEPT, NodeClocks
from support.panels import Visitor

if TYPE_CHECKING:
    from support.market import Market
    from support.protocol_node import Pocket
    from support.rooms import Rooms
    from support.running import Master

DAY = 86400.0


class Times:
    """The Master's clock, and the time that really passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.passed = 1_800_000_000.0, 1000.0
        monkeypatch.setattr(clock, "now", lambda: round(self.wall * 1000))
        monkeypatch.setattr(clock, "passed", lambda: self.passed)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


def said(*off: float, times: Times) -> NodeClocks:
    """Return the clocks of nodes that show so many seconds more than the Master's."""
    clocks = NodeClocks()
    for number, one in enumerate(off):
        clocks.note(f"node-{number}", formatdate(times.wall + one, usegmt=True))
    return clocks


@pytest.mark.parametrize(
    ("off", "days_ahead", "is_agreed"),
    [
        ((), 0, False),
        ((0,), 0, True),
        ((-3 * DAY,), 0, False),
        ((-3 * DAY, -3 * DAY), 3, False),
        ((3 * DAY, 3 * DAY, 0), -3, False),
        ((-3 * DAY, -5 * DAY, -400 * DAY), 5, False),
        ((-3 * DAY, -3 * DAY, 0, 0), 0, False),
        ((-3 * DAY, -3 * DAY, 0, 0, 0), 0, True),
        ((-3 * DAY, 3 * DAY, 0), 0, False),
        ((-3500, 3500, -2), 0, True),
    ],
    ids=str,
)
def test_most_of_several_nodes_contradict_and_no_node_alone(
    times: Times, off: tuple[float, ...], days_ahead: float, is_agreed: bool
) -> None:
    found = said(*off, times=times).compare()
    assert (round(found.ahead / 1000 / DAY), found.is_agreed, found.nodes) == (days_ahead, is_agreed, len(off))


def test_a_clock_that_jumps_is_contradicted_at_once_and_one_set_right_is_not(times: Times) -> None:
    clocks = said(0, 0, 1, times=times)
    times.pass_(100)
    assert not clocks.compare().ahead
    times.wall += 10 * 365 * DAY
    assert clocks.compare().ahead > 9 * 365 * DAY * 1000
    times.wall -= 10 * 365 * DAY
    assert clocks.compare().is_agreed


def test_what_was_said_long_ago_or_is_no_time_counts_nothing(times: Times) -> None:
    clocks = said(-3 * DAY, -3 * DAY, times=times)
    times.pass_(LIVING_S + 1)
    assert clocks.compare().nodes == 0
    for nonsense in (
        "",
        "yesterday",
        "Thu, 99 Foo 2026 99:99:99 GMT",
        "Thu, 01 Jan 999999999 00:00:00 GMT",
        "\x00" * 9,
    ):
        clocks.note("node", nonsense)
    assert clocks.compare().nodes == 0
    for number in range(MOST_KEPT + 10):
        clocks.note(f"node-{number}", formatdate(times.wall, usegmt=True))
    assert clocks.compare().nodes == MOST_KEPT


def contradict(ahead: float) -> None:
    """Note what the gateway would note: most nodes say that the Master is so many seconds ahead."""
    from freehold.master.generation.models import ClockComparison

    row = {"nodes": 3, "is_agreed": not ahead, "ahead": round(ahead * 1000), "at": clock.now()}
    ClockComparison.objects.update_or_create(id=1, defaults=row)


def test_nothing_is_booked_by_a_clock_that_is_wrong(market: "Market") -> None:
    market.offer()
    market.prices(market.price(1000))
    customer = market.customer()
    contradict(40 * DAY)
    with pytest.raises(WrongClock, match=r"40\.0 days ahead of the clocks of most of the 3 nodes"):
        market.pay(customer, 5000, "deposit")
    contradict(-2.5 * 3600)
    with pytest.raises(WrongClock, match=r"2\.5 hours behind the clocks"):
        market.pay(customer, 5000, "deposit")
    contradict(0)
    market.pay(customer, 5000, "deposit")


def test_nothing_is_issued_or_forgotten_by_a_clock_that_is_wrong(market: "Market") -> None:
    """The Master starts a year ahead: documents of months to come are not issued, and what is kept so long stays."""
    from freehold.master.billing.models import Document
    from freehold.master.fleet.models import EnrolToken, RefusedItem
    from freehold.master.people.models import Person
    from freehold.master.tasks import lanes

    market.offer()
    market.prices(market.price(1000))
    market.pay(market.customer(), 100_000, "deposit")
    market.ready(market.order(offer="small"))
    market.bill("2026-03-01")
    EnrolToken.objects.create(
        id="e-1", digest="1", project_id=market.rooms.provider, site=market.node.site, expires_at=market.now,
        created_by=Person.objects.all()[0],
    )  # fmt: skip
    RefusedItem.objects.create(node=market.node, sequence=1, reason="", item="{}", received_at=market.now)
    issued = Document.objects.count()
    market.turn("2027-03-01")
    contradict(365 * DAY)
    lanes.run_once(bulk=True)
    assert (Document.objects.count(), EnrolToken.objects.count(), RefusedItem.objects.count()) == (issued, 1, 1)
    contradict(0)
    lanes.run_once(bulk=True)
    assert Document.objects.count() > issued, "what was held back was due, had the clock been right"
    assert (EnrolToken.objects.count(), RefusedItem.objects.count()) == (0, 0)


def test_no_node_is_lost_by_a_clock_that_is_wrong(rooms: "Rooms", times: Times) -> None:
    from freehold.master.fleet.models import Chain, Node
    from freehold.master.ordering import moves

    node = rooms.node("home")
    Node.objects.update(lease=60)
    Chain.objects.update_or_create(
        node=node, defaults={"epoch": 1, "sequence": 1, "hash": "00", "received_at": clock.now()}
    )
    rooms.tell(node, lease=60.0)
    contradict(3 * DAY)

    def is_lost(seconds: float) -> bool:
        for _ in range(round(seconds / 4)):
            times.pass_(4)
            moves.find_lost()
        return Node.objects.get().lost_at is not None

    assert not is_lost(400)
    contradict(0)
    assert is_lost(400)


@pytest.mark.parametrize(("language", "said"), [("en", "contradict this Master’s"), ("fr", "contredisent")])
def test_who_runs_nodes_reads_it_on_each_page_and_nobody_else(rooms: "Rooms", language: str, said: str) -> None:
    operator, customer = Visitor(rooms.owner, language), Visitor(rooms.customer, language)
    contradict(3 * DAY)
    assert said in operator.reads("/")
    assert said not in customer.reads("/")
    contradict(0)
    assert said not in operator.reads("/")


def test_while_it_is_contradicted_what_does_not_follow_the_date_goes_on_and_the_rest_is_looked_at_later(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.tasks import lanes
    from freehold.master.tasks.registry import TASKS

    contradict(3 * DAY)
    ran: list[str] = []
    monkeypatch.setattr(lanes.Runner, "_run", lambda _, task, __: ran.append(task.name))
    lanes.run_once(bulk=True)
    assert {"fleet.reports", "ordering.partitions", "support.notices"} <= set(ran)
    assert not {"billing.subscriptions", "billing.invoicing", "billing.suspension", "people.cleanup"} & set(ran)
    dated = lanes.Runner([task for task in TASKS if task.is_dated])
    dated.run_due()
    assert dated.seconds_left() > 5, "a lane whose tasks rest does not spin"


def test_a_master_that_starts_does_what_may_be_late_when_nodes_agree_or_after_a_while(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.tasks import lanes
    from freehold.master.tasks.registry import Lane, MasterTask

    ran: list[str] = []
    looked: list[bool] = []
    tasks = [MasterTask("a.late", lambda: len(ran.append("a") or ran), Lane.BULK, 0.01)]
    monkeypatch.setattr(lanes, "FIRST_BULK", 0.0)
    monkeypatch.setattr(lanes, "SOON", 0.06)

    def runs(agreed: bool, patience: float) -> bool:
        monkeypatch.setattr(lanes, "AGREEMENT", patience)
        monkeypatch.setattr(lanes.clocks, "is_agreed", lambda: len(looked.append(agreed) or looked) > 0 and agreed)
        ran.clear()
        looked.clear()
        thread = lanes.LaneThread(Lane.BULK, tasks)
        thread.start()
        deadline = time.monotonic() + 20
        while not ran and len(looked) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        thread.stop()
        assert ran or len(looked) >= 5
        return bool(ran)

    assert runs(agreed=True, patience=900)
    assert not runs(agreed=False, patience=900)
    assert runs(agreed=False, patience=0)


@pytest.fixture(scope="module")
def nodes(master: "Master") -> list["Pocket"]:
    """Three machines of which something else than the Master keeps the clocks."""
    found = [master.node(title, partitions=1) for title in ("one", "two", "three")]
    for node in found:
        node.is_kept = True
    return found


def show(nodes: list["Pocket"], *off: float) -> None:
    for node, one in zip(nodes, off, strict=True):
        node.shows = one
        node.feed()


def checked(master: "Master") -> str:
    return master.run("check").stderr


def tickets(master: "Master") -> list[Any]:
    found = master.api("GET", "/projects/provider/tickets")
    return [one["closed_at"] is None for one in found if one["title"] == "This Master's clock is wrong"]


def test_what_nodes_say_of_the_clock_is_told_by_check_and_ticket_and_settled(
    master: "Master", nodes: list["Pocket"]
) -> None:
    show(nodes, -3 * DAY, 0, 0)
    time.sleep(3)
    assert "clock of this Master" not in checked(master)
    assert tickets(master) == []
    show(nodes, -3 * DAY, -3 * DAY, 0)
    master.until(lambda: "3.0 days ahead of the clocks of most of the 3 nodes" in checked(master))
    master.until(lambda: tickets(master) == [True])
    assert master.run("check").returncode == 1
    show(nodes, -3 * DAY, 0, 0)
    master.until(lambda: "clock of this Master" not in checked(master))
    master.until(lambda: tickets(master) == [False])


AHEAD = f"""
import sys
if "serve" in sys.orig_argv:
    import time
    wall, exact = time.time, time.time_ns
    time.time = lambda: wall() + {400 * DAY}
    time.time_ns = lambda: exact() + {round(400 * DAY)} * 10**9
"""


@pytest.fixture
def ahead(master: "Master", nodes: list["Pocket"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the Master start with a clock that is 400 days ahead; in the end it is right again."""
    (tmp_path / "sitecustomize.py").write_text(AHEAD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    master.stop()
    master.start()
    yield
    monkeypatch.undo()
    master.stop()
    master.start()


def test_a_master_that_starts_ahead_says_so_at_once_and_notices_by_its_nodes(
    master: "Master", nodes: list["Pocket"], ahead: None
) -> None:
    assert "If it was not away for so long, its clock is ahead" in master.log()
    for node in nodes:
        node.close()
    show(nodes, 0, 0, 0)
    assert nodes[0].feed()[0] == 401, "by that clock their certificates are over, and still their clocks count"
    master.until(lambda: "400.0 days ahead of the clocks of most of the 3 nodes" in checked(master))
