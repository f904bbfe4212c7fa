"""What is said of a node that is not heard, of what lives there, and to whom."""

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from support.panels import Visitor
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from support.rooms import Rooms
    from support.running import Master

MINUTE = 60_000


@pytest.fixture
def fleet(rooms: "Rooms") -> "list[Node]":
    """Two nodes that were just heard and offer a release; the second is preferred."""
    nodes = [rooms.node("away", partitions=2), rooms.node("here", partitions=2, site="home")]
    rooms.supply(rooms.publish(tiny_release()), *nodes)
    for node in nodes:
        heard(node)
    return nodes


def heard(node: "Node", ago: int = 0, sequence: int = 1) -> None:
    """Have a node be heard, so many milliseconds ago, by its report of this number."""
    from freehold.master.fleet.models import Chain
    from freehold.master.foundation import clock

    told = {"epoch": 1, "sequence": sequence, "hash": "00", "received_at": clock.now() - ago}
    Chain.objects.update_or_create(node_id=node.id, defaults=told)


def look(monkeypatch: pytest.MonkeyPatch, *, steady_for: float = 10_000.0) -> int:
    from freehold.master.fleet import contact
    from freehold.master.foundation import clock

    monkeypatch.setattr(clock, "steadiness", Mock(look=lambda: steady_for))
    return contact.find_silent()


def shown(title: str) -> Any:
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering.models import Instance
    from freehold.master.ordering.queries import by_id

    (picture,) = monitoring.pictures([by_id(Instance.objects.get(title=title).id)])
    return picture.status


def tickets(about: "Node") -> list[bool]:
    """Return of each ticket about a node whether it is open."""
    from freehold.master.support import reconcile
    from freehold.master.support.models import Ticket

    reconcile.give_notice()
    found = Ticket.objects.filter(about=f"silent:{about.id}").order_by("id").values_list("closed_at", flat=True)
    return [closed is None for closed in found]


def test_three_missed_contacts_make_a_service_unreachable_until_its_node_is_heard(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    away, _ = fleet
    page = rooms.request("page", constraints={"node": "away"}).instance
    rooms.node_says(page, "started")
    heard(away, 2 * MINUTE)
    assert (look(monkeypatch), shown("page").state) == (0, "started")
    heard(away, 4 * MINUTE)
    assert look(monkeypatch) == 1
    status = shown("page")
    assert (status.state, status.last_known, status.ready, status.promises_kept) == (
        "unreachable",
        "started",
        False,
        False,
    )
    assert "Its node was last heard at" in status.message
    assert look(monkeypatch) == 0, "it is noted once"
    heard(away)
    assert (look(monkeypatch), shown("page").state, shown("page").ready) == (1, "started", True)


def test_nothing_is_placed_on_a_silent_node_and_the_refusal_says_so(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation.errors import NoPlace

    away, here = fleet
    heard(away, 4 * MINUTE)
    look(monkeypatch)
    for number in range(2):
        assert rooms.request(f"page-{number}").node == here.id
    with pytest.raises(NoPlace, match="is not heard at the moment"):
        rooms.request("page-2")
    heard(away)
    look(monkeypatch)
    assert rooms.request("page-2").node == away.id


def test_what_a_silent_node_tells_later_does_not_open_it_before_it_is_heard(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.fleet import actions
    from freehold.master.fleet.models import Supply

    away, _ = fleet
    heard(away, 4 * MINUTE)
    look(monkeypatch)
    actions.change_node(away.id, "provider", capacity=5, acting=rooms.owner)
    assert not Supply.objects.get(node=away).open


def test_a_master_that_was_away_or_whose_clock_jumped_says_nothing_of_others(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in fleet:
        heard(node, 4 * MINUTE)
    assert look(monkeypatch, steady_for=100.0) == 0
    assert look(monkeypatch) == 2


def test_its_operator_is_told_once_and_that_it_is_over(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    away, here = fleet
    heard(away, 4 * MINUTE)
    look(monkeypatch)
    assert [tickets(away), tickets(away), tickets(here)] == [[True], [True], []]
    heard(away)
    look(monkeypatch)
    assert tickets(away) == [False]
    heard(away, 5 * MINUTE)
    look(monkeypatch)
    assert tickets(away) == [False, True]


def test_a_silence_that_its_site_expects_is_shown_and_pages_nobody_until_it_is_exceeded(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.fleet import actions

    away, _ = fleet
    rooms.request("page", constraints={"node": "away"})
    actions.change_site("provider", "here", expected_silence=3600, acting=rooms.owner)
    heard(away, 30 * MINUTE)
    look(monkeypatch)
    assert (shown("page").state, tickets(away)) == ("unreachable", [])
    actions.change_site("provider", "here", expected_silence=1200, acting=rooms.owner)
    assert tickets(away) == [True]


@pytest.mark.parametrize("seconds", [-1, 367 * 86400])
def test_nonsense_is_no_expected_silence(rooms: "Rooms", fleet: "list[Node]", seconds: int) -> None:
    from freehold.master.fleet import actions
    from freehold.master.foundation.errors import Invalid, NotFound

    with pytest.raises(Invalid, match="An expected silence is 0 to 31622400 seconds"):
        actions.change_site("provider", "here", expected_silence=seconds, acting=rooms.owner)
    for name in ("elsewhere", "\0"):
        with pytest.raises(NotFound):
            actions.change_site("provider", name, expected_silence=5, acting=rooms.owner)


def test_what_is_in_trouble_is_found_at_every_depth_and_what_just_starts_is_not(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring.models import Assessment
    from freehold.master.monitoring.queries import BROKEN
    from freehold.master.ordering import listing
    from freehold.master.ordering.models import Instance, InstanceRow

    def troubled(**more: Any) -> list[str]:
        return [row["title"] for row in listing.page([rooms.shop], state="trouble", broken=BROKEN, **more).rows]

    for title in ("well", "broken", "young", "mended"):
        instance = rooms.request(
            title, constraints={"node": "here" if title in ("well", "broken") else "away"}
        ).instance
        rooms.node_says(instance, "started", promises='["web"]')
        results = {"well": [True], "broken": [True, False], "young": [False], "mended": [False, True]}[title]
        for kept in results:
            Assessment.objects.create(
                instance_id=instance, revision=10**9, promise="web", kept=kept, message="", at=clock.now()
            )
    before = clock.now() - 2 * MINUTE
    InstanceRow.objects.exclude(instance_id=Instance.objects.get(title="young").id).update(at=before)
    assert troubled() == ["broken"]
    assert {title: shown(title).shown for title in ("well", "broken", "young", "mended")} == {
        "well": "started", "broken": "trouble", "young": "starting", "mended": "started",
    }  # fmt: skip
    heard(fleet[0], 4 * MINUTE)
    look(monkeypatch)
    assert troubled() == ["broken", "mended", "young"]
    assert troubled(text="mend") == ["mended"]


def test_every_page_says_since_when_a_node_is_not_heard(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.urls import reverse

    from freehold.master.foundation import clock

    away, _ = fleet
    rooms.node_says(rooms.request("page", constraints={"node": "away"}).instance, "started")
    heard(away, 4 * MINUTE)
    since = clock.now() - 4 * MINUTE
    look(monkeypatch)
    customer, owner = Visitor(rooms.customer), Visitor(rooms.owner)
    moment = f'<time datetime="{clock.iso(since)[:16]}'  # type: ignore[index]
    for visitor, path, word in (
        (customer, "/", "unreachable"),
        (customer, "/?state=unreachable", "unreachable"),
        (customer, "/?state=trouble", "unreachable"),
        (customer, reverse("instance", args=["shop", "page"]), "unreachable"),
        (owner, reverse("fleet", args=["provider"]), "silent"),
        (owner, reverse("node", args=["provider", "away"]), "silent"),
    ):
        seen = visitor.get(path).content.decode()
        assert (word in seen, moment in seen) == (True, True), (path, seen)
    assert "Nothing fits." in customer.reads("/?state=started")


@pytest.mark.parametrize(("stopped", "words"), [("node", "Its node was stopped"), ("agent", "The agent of its node")])
def test_a_node_that_its_operator_stopped_says_so_and_nobody_is_called(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch, stopped: str, words: str
) -> None:
    from django.urls import reverse

    from freehold.master.fleet import queries
    from freehold.master.fleet.models import Farewell
    from freehold.master.foundation.errors import NoPlace

    away, _ = fleet
    rooms.node_says(rooms.request("page", constraints={"node": "away"}).instance, "started")
    Farewell.objects.create(node=away, epoch=1, sequence=1, stopped=stopped)
    assert (look(monkeypatch), look(monkeypatch)) == (1, 0), "at once, and once"
    assert [queries.node(away.project_id, title=title)["state"] for title in ("away", "here")] == ["stopped", "open"]
    assert (shown("page").state, shown("page").message.startswith(f"{words} ")) == ("unreachable", True)
    assert tickets(away) == []
    assert "stopped" in Visitor(rooms.owner).reads(reverse("node", args=["provider", "away"]))
    with pytest.raises(NoPlace):
        rooms.request("more", constraints={"node": "away"})
    # What was sent twice is heard later, and nothing else was.
    heard(away)
    look(monkeypatch)
    assert queries.node(away.project_id, title="away")["state"] == "stopped"
    heard(away, sequence=2)
    look(monkeypatch)
    assert (queries.node(away.project_id, title="away")["state"], shown("page").state) == ("open", "started")
    heard(away, 4 * MINUTE, sequence=2)
    look(monkeypatch)
    assert queries.node(away.project_id, title="away")["state"] == "silent", "what it said before is over"


def test_what_a_node_says_last_is_heard_as_its_good_bye(master: "Master") -> None:
    node = master.node("leaving", site="away")
    assert node.offer()[0] == 200
    refused = node.report({"kind": "farewell", "stopped": "moon"})[1]["refused"]
    assert (refused, master.node_row("leaving")["state"]) == (1, "open")
    assert node.report({"kind": "farewell", "stopped": "node"})[0] == 200
    row = master.until(lambda: (row := master.node_row("leaving"))["silent_since"] and row)
    assert (row["state"], row["stopped"]) == ("stopped", "node")
    assert node.report({"kind": "farewell", "stopped": "agent"}, {"kind": "farewell", "stopped": "agent"})[0] == 200
    assert master.until(lambda: (row := master.node_row("leaving"))["stopped"] == "agent" and row)["state"] == "stopped"
    assert node.report()[0] == 200
    assert master.until(lambda: (row := master.node_row("leaving"))["silent_since"] is None and row)["state"] == "open"


def test_a_node_is_heard_again_though_the_clock_had_run_ahead_when_it_fell_silent(
    rooms: "Rooms", fleet: "list[Node]", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.fleet.models import Node
    from freehold.master.foundation import clock

    away, _ = fleet
    ahead = clock.now() + 600 * MINUTE
    with monkeypatch.context() as wrong:
        wrong.setattr(clock, "now", lambda: ahead)
        heard(away, 4 * MINUTE)
        look(wrong)
    assert Node.objects.get(id=away.id).silent_since == ahead - 4 * MINUTE
    heard(away)
    look(monkeypatch)
    assert Node.objects.get(id=away.id).silent_since is None
