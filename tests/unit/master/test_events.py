"""The life of a service in one list, told to its customer."""

import json
from typing import TYPE_CHECKING, Any

from freehold.protocol.states import Wanted
from support.panels import Visitor, ready_shop

if TYPE_CHECKING:
    from support.rooms import Rooms

SCHEMA = {"type": "object", "properties": {"key": {"format": "password"}, "colour": {}, "size": {}}}


def _of(rooms: "Rooms", title: str) -> list[Any]:
    from freehold.master.monitoring import events
    from freehold.master.ordering import queries

    return events.of_instance(queries.by_title(rooms.shop, title))[0]


def test_orders_are_told_with_what_changed_and_without_secrets(rooms: "Rooms") -> None:
    ready_shop(rooms, schema=SCHEMA)
    rooms.request("web", parameters={"key": "sesame", "colour": "red", "size": 1})
    rooms.request("web", parameters={"key": "open", "size": 2})
    rooms.request("web", None, state=Wanted.STOPPED)
    stopped, changed, ordered = [event for event in _of(rooms, "web") if event.kind in ("ordered", "changed")]
    assert (ordered.about, ordered.message, ordered.actor) == ("1.0", "started", "customer@shop.example")
    assert [(each.name, each.before, each.after) for each in changed.differences] == [
        ("colour", "red", None),
        ("key", "[secret]", "[secret]"),
        ("size", "1", "2"),
    ]
    assert (stopped.message, stopped.differences, stopped.about) == ("stopped", [], "")


def test_what_its_node_and_its_promises_say_and_what_was_done_to_it_stands_among_them(rooms: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring.models import Assessment
    from freehold.master.ordering import queries, restarts, reveals

    ready_shop(rooms)
    instance = rooms.request("web").instance
    rooms.node_says(instance, "configuring")
    for _ in range(2):
        rooms.node_says(instance, "started", promises=json.dumps(["page"]), processes=json.dumps(["web"]))
    for kept, message in ((True, ""), (True, ""), (False, "no answer")):
        Assessment.objects.create(
            instance_id=instance, promise="page", revision=10**9, kept=kept, message=message, at=clock.now()
        )
    restarts.restart("shop", "web", acting=rooms.customer)
    reveals.note(queries.by_title(rooms.shop, "web"), acting=rooms.customer)
    told = [(event.kind.value, event.about, event.message) for event in _of(rooms, "web")]
    assert [event for event in told if event[0] == "said"] == [("said", "started", ""), ("said", "configuring", "")]
    assert [event for event in told if event[0] in ("kept", "broken")] == [
        ("broken", "page", "no answer"),
        ("kept", "page", ""),
    ]
    assert {"restarted", "revealed", "ordered"} <= {event[0] for event in told}


def test_a_customer_is_not_told_who_moved_their_service(rooms: "Rooms") -> None:
    from freehold.master.foundation.transactions import audit, writing

    ready_shop(rooms)
    instance = rooms.request("web").instance
    with writing():
        audit("operator@provider.example", "instance.move", instance, project=rooms.shop)
    (moved,) = [event for event in _of(rooms, "web") if event.kind == "moved"]
    assert moved.actor == ""


def test_of_a_long_life_the_newest_is_told(rooms: "Rooms") -> None:
    from freehold.master.monitoring import events
    from freehold.master.ordering import queries

    ready_shop(rooms, schema=SCHEMA)
    for number in range(events.MOST + 5):
        rooms.request("web", parameters={"size": number})
    happened, left_out = events.of_instance(queries.by_title(rooms.shop, "web"))
    assert (len(happened), left_out) == (events.MOST, True)
    assert happened[0].differences[0].after == str(events.MOST + 4)
    assert "ordered" not in {event.kind for event in happened}


def test_the_page_of_events_is_for_the_services_customer(rooms: "Rooms") -> None:
    ready_shop(rooms, schema=SCHEMA)
    rooms.request("web", parameters={"key": "sesame", "colour": "<b>"})
    rooms.request("web", parameters={"key": "sesame", "colour": "blue"})
    page = Visitor(rooms.customer).get("/services/shop/web/-/events").content.decode()
    assert "&lt;b&gt;" in page
    assert "blue" in page
    assert "sesame" not in page
