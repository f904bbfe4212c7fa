"""A node's page: who lives there and how it is, and what its operator does with it."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.panels import Visitor, inputs, text
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from support.rooms import Rooms

PAGE = "/fleet/provider/nodes/rack-1"


@pytest.fixture
def node(rooms: "Rooms") -> "Node":
    """A node with a service of `shop`, in a fleet that has room elsewhere."""
    from freehold.master.fleet.models import Chain

    nodes = [rooms.node("rack-1", partitions=4), rooms.node("rack-2", partitions=4)]
    rooms.supply(rooms.publish(tiny_release()), *nodes)
    for one in nodes:
        Chain.objects.create(node=one, epoch=1, sequence=1, hash="", received_at=1)
    return nodes[0]


@pytest.fixture
def operator(rooms: "Rooms") -> Visitor:
    return Visitor(rooms.owner)


def place(rooms: "Rooms", title: str) -> str:
    return str(rooms.request(title, constraints={"node": "rack-1"}).instance)


def where(title: str) -> str:
    from freehold.master.ordering.models import Instance

    return Instance.objects.select_related("node").get(title=title, gone_at=None).node.title


def fresh(node: "Node") -> "Node":
    node.refresh_from_db()
    return node


def test_each_service_has_its_state_and_the_promise_that_it_breaks(
    rooms: "Rooms", node: "Node", operator: Visitor
) -> None:
    from freehold.master.monitoring.models import Assessment
    from freehold.master.ordering.models import InstanceRow

    fine, broken = place(rooms, "fine"), place(rooms, "broken")
    place(rooms, "young")
    for instance, kept in ((fine, True), (broken, False)):
        rooms.node_says(instance, "started", promises='["page"]')
        Assessment.objects.create(
            instance_id=instance, revision=10**9, promise="page", kept=kept, message="hushed", at=1
        )
    InstanceRow.objects.update(at=1)
    shown = operator.reads(PAGE)
    assert "fine started shop" in shown
    assert "broken in trouble page shop" in shown
    assert "young waiting shop" in shown
    assert "hushed" not in shown
    content = operator.get(PAGE).content.decode()
    assert "/services/shop/" not in content, "the pages of others are not for who runs their node"


def test_who_may_open_a_service_has_a_link_to_it_and_one_to_move_it(
    rooms: "Rooms", node: "Node", operator: Visitor
) -> None:
    from freehold.master.ordering import actions

    spec = actions.Request("provider", "own", product="tiny", constraints={"node": "rack-1"})
    actions.request(spec, acting=rooms.owner)
    content = operator.get(PAGE).content.decode()
    assert 'href="/services/provider/own"' in content
    assert 'href="/services/provider/own/-/move"' in content


def test_draining_says_before_and_after_what_becomes_of_each_service(
    rooms: "Rooms", node: "Node", operator: Visitor
) -> None:
    place(rooms, "page")
    assert "Holds data, and stays for its owner to decide 1 page" in operator.reads(f"{PAGE}/drain")
    _movable(holds_data=False)
    before = operator.reads(f"{PAGE}/drain")
    assert "Would move 1 page" in before
    assert (where("page"), fresh(node).open) == ("rack-1", True), "to look changes nothing"
    after = text(operator.post(f"{PAGE}/drain"))
    assert "It takes no new services any more." in after
    assert "Moves 1 page" in after
    assert (where("page"), fresh(node).open) == ("rack-2", False)
    assert "being emptied" in operator.reads("/desk/provider")
    assert "It takes new services again." in text(_followed(operator, operator.post(PAGE, {"open": "yes"})))
    assert fresh(node).open


def test_what_finds_no_other_place_is_named_with_the_reason(rooms: "Rooms", node: "Node", operator: Visitor) -> None:
    from freehold.master.fleet.models import Node

    place(rooms, "page")
    _movable(holds_data=False)
    rooms.tell(Node.objects.get(title="rack-2"), partitions=0)
    shown = text(operator.post(f"{PAGE}/drain"))
    assert "Finds no other place 1 page" in shown
    assert where("page") == "rack-1"


def _followed(operator: Visitor, answer: Any) -> Any:
    assert answer.status_code == 302, text(answer)
    return operator.get(answer["Location"])


@pytest.mark.parametrize(
    ("typed", "field", "value", "said"),
    [
        ({"lease": "3600"}, "lease", 3600, "The lease is changed."),
        ({"labels": "disk = ssd\n\nrack=4"}, "labels", {"disk": "ssd", "rack": "4"}, "The labels are changed."),
        ({"labels": ""}, "labels", {}, "The labels are changed."),
        ({"builder": "yes"}, "builder", True, "Other nodes take its finished builds."),
        ({"builder": "no"}, "builder", False, "No other node takes its builds any more."),
        ({"open": "no"}, "open", False, "Those that live there stay."),
    ],
)
def test_what_is_set_is_kept_and_a_word_is_said(
    node: "Node", operator: Visitor, typed: dict[str, str], field: str, value: Any, said: str
) -> None:
    assert said in text(_followed(operator, operator.post(PAGE, typed)))
    found = getattr(fresh(node), field)
    assert (json.loads(found) if field == "labels" else found) == value


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ({"lease": "a while"}, "This is no time."),
        ({"lease": "-5"}, "This is no time."),
        ({"lease": "5"}, "A lease is 0, or 10 to"),
        ({"lease": "9" * 40}, "This is no time."),
        ({"labels": "ssd"}, "'ssd' is not a label."),
        ({"labels": "=ssd"}, "'=ssd' is not a label."),
        ({}, "Nothing of it can be changed so."),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_reason_and_what_was_typed_stays(
    node: "Node", operator: Visitor, typed: dict[str, str], rule: str
) -> None:
    answer = operator.post(PAGE, typed)
    assert (answer.status_code, rule in text(answer)) == (422, True), text(answer)
    if "lease" in typed:
        assert inputs(answer)["lease"]["value"] == typed["lease"]
    assert (fresh(node).lease, node.labels) == (0, "{}")


def test_certificates_are_revoked_only_when_the_title_is_typed(rooms: "Rooms", node: "Node", operator: Visitor) -> None:
    from freehold.master.fleet.models import Certificate

    place(rooms, "page")
    Certificate.objects.create(fingerprint="a", kind="node", subject=node.id, not_after=2**50, issued_at=1)
    assert "1 service runs on there" in operator.reads(f"{PAGE}/revoke")
    assert operator.post(f"{PAGE}/revoke", {"confirm": "rack-2"}).status_code == 422
    assert Certificate.objects.get().revoked_at is None
    done = _followed(operator, operator.post(f"{PAGE}/revoke", {"confirm": "rack-1"}))
    assert "It has to be enrolled again." in text(done)
    assert Certificate.objects.get().revoked_at is not None


def test_a_service_moves_when_its_owner_says_so_and_data_only_with_its_title(rooms: "Rooms", node: "Node") -> None:
    customer = Visitor(rooms.customer)
    customer_page = "/services/shop/page/-/move"
    place(rooms, "page")
    _movable(holds_data=False)
    assert "page leaves rack-1 and begins on rack-2" in customer.reads(customer_page)
    assert where("page") == "rack-1", "to look moves nothing"
    assert customer.post(customer_page).status_code == 302
    assert where("page") == "rack-2"
    _departed()
    _movable(holds_data=True)
    assert "Nothing brings it back." in customer.reads(customer_page)
    assert customer.post(customer_page).status_code == 422
    assert where("page") == "rack-2"
    assert customer.post(customer_page, {"confirm": "page"}).status_code == 302
    assert where("page") == "rack-1"


def _movable(*, holds_data: bool) -> None:
    """Have what was ordered fit on each node, with or without data of its own."""
    from freehold.master.catalog.models import ReleaseType
    from freehold.master.ordering.models import Instance

    Instance.objects.update(constraints="{}")
    ReleaseType.objects.update(holds_data=holds_data)


def _departed() -> None:
    """Have the former nodes say that nothing is left."""
    from freehold.master.ordering import moves
    from freehold.master.ordering.models import DepartedRow, Departure

    for departure in Departure.objects.all():
        DepartedRow.objects.create(instance_id=departure.instance_id, node_id=departure.node_id, at=1)
    moves.finish_departures()


def test_what_cannot_move_says_why_and_offers_nothing(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet.models import Node

    place(rooms, "page")
    rooms.tell(Node.objects.get(title="rack-2"), partitions=0)
    answer = Visitor(rooms.customer).get("/services/shop/page/-/move")
    assert answer.status_code == 409
    assert "No place fits" in text(answer)
    assert '<form method="post" class="narrow"' not in answer.content.decode()
