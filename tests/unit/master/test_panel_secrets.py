"""A secret is in no page until somebody asks for it."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from freehold.protocol import archive
from freehold.release import Secret
from support.panels import Visitor, inputs, ready_shop
from support.rooms import Rooms
from support.running import tiny_release

REPOSITORY = Path(__file__).parents[3]


class Mirror(msgspec.Struct):
    host: str
    token: Secret


class Wish(msgspec.Struct):
    """Secrets wherever an author may put them."""

    login: Secret
    mirror: Mirror
    greeting: str = "hello"
    keys: dict[str, Secret] = {}
    pool: list[Secret] = []
    mirrors: list[Mirror] = []
    either: Annotated[Secret, msgspec.Meta(min_length=1)] | int = 0
    spare: Secret | None = None


WISH: dict[str, Any] = {
    "login": "sesame-1",
    "mirror": {"host": "here", "token": "sesame-2"},
    "keys": {"a": "sesame-3"},
    "pool": ["sesame-4"],
    "mirrors": [{"host": "there", "token": "sesame-5"}],
    "either": "sesame-6",
    "spare": "sesame-7",
}
PAGES = (
    "/", "/?q=web", "/services/shop/web", "/services/shop/web/-/live", "/services/shop/web/-/change",
    "/services/shop/web/-/destroy", "/catalogue", "/catalogue/tiny",
)  # fmt: skip
OPERATORS_PAGES = ("/fleet/provider", "/fleet/provider/nodes/one", "/fleet/provider/supplies")


def _everything(rooms: Rooms) -> str:
    """Return the HTML of every page on which the service may be seen."""
    customer, operator = Visitor(rooms.customer), Visitor(rooms.owner)
    answers = [customer.get(path) for path in PAGES] + [operator.get(path) for path in OPERATORS_PAGES]
    answers.append(customer.post("/services/shop/web/-/change", {"redraw": "1"}))
    assert {answer.status_code for answer in answers} == {200}
    return "\n".join(answer.content.decode() for answer in answers)


def _published(rooms: Rooms, instance: str, **values: Any) -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import PublicationRow

    PublicationRow.objects.create(instance_id=instance, revision=10**9, published=json.dumps(values), at=clock.now())
    rooms.node_says(instance, "started")


def test_a_password_that_a_database_publishes_is_shown_to_who_asks(rooms: Rooms) -> None:
    rooms.supply(rooms.publish(archive.pack(REPOSITORY / "software" / "postgresql")), rooms.node("one"))
    rooms.supply(rooms.publish(tiny_release()), *_nodes())
    server = rooms.request("web", "postgresql")
    _published(rooms, server.instance, host="10.0.0.7", port=5432, password="sesame", certificate="PEM")
    html = _everything(rooms)
    assert "sesame" not in html
    assert "10.0.0.7" in html
    me = Visitor(rooms.customer)
    assert me.get("/services/shop/web/-/secret").status_code == 405
    asked = me.post("/services/shop/web/-/secret", {"name": "password"})
    assert '<code class="secret" tabindex="-1" autofocus>sesame</code>' in asked.content.decode()
    assert "no-store" in asked["Cache-Control"]
    assert me.post("/services/shop/web/-/secret", {"name": "passphrase"}).status_code == 404


def _nodes() -> list[Any]:
    from freehold.master.fleet.models import Node

    return list(Node.objects.all())


def test_a_secret_does_not_outlive_its_service(rooms: Rooms) -> None:
    from freehold.protocol.states import Wanted

    ready_shop(rooms, files={"out.json": json.dumps({"properties": {"key": {"format": "password"}}}).encode()})
    _published(rooms, rooms.request("web").instance, key="sesame")
    rooms.request("web", None, state=Wanted.DESTROYED)
    asked = Visitor(rooms.customer).post("/services/shop/web/-/secret", {"name": "key"})
    assert (asked.status_code, b"sesame" in asked.content) == (404, False)


def test_nothing_in_a_page_changes_with_a_secret(rooms: Rooms) -> None:
    ready_shop(rooms, files={"out.json": json.dumps({"properties": {"key": {"format": "password"}}}).encode()})
    service, me = rooms.request("web").instance, Visitor(rooms.customer)
    _published(rooms, service, key="sesame", name="one")
    before = me.get("/services/shop/web/-/live").content.decode()
    (seen,) = re.findall(r"seen=(\w+)", before)
    _published(rooms, service, key="another", name="one")
    assert me.get(f"/services/shop/web/-/live?seen={seen}").status_code == 204
    _published(rooms, service, key="another", name="two")
    assert me.get(f"/services/shop/web/-/live?seen={seen}").status_code == 200


def test_secret_parameters_are_in_no_page_wherever_they_are_and_stay_when_nothing_is_entered(rooms: Rooms) -> None:
    from freehold.master.ordering import queries

    ready_shop(rooms, schema=msgspec.json.schema(Wish))
    rooms.request("web", parameters=WISH)
    rooms.request("web", parameters={**WISH, "greeting": "bonjour"})
    html = _everything(rooms)
    assert "bonjour" in html
    assert "sesame" not in html
    me = Visitor(rooms.customer)
    form = {name: one.get("value", "") for name, one in inputs(me.get("/services/shop/web/-/change")).items()}
    assert {"p/login", "p/mirror/token", "p/keys", "p/either"} <= form.keys()
    answer = me.post("/services/shop/web/-/change", {**form, "p/greeting": "ciao"})
    assert answer.status_code == 302, answer.content.decode()
    assert queries.by_title(rooms.shop, "web")["parameters"] == {**WISH, "greeting": "ciao"}
    me.post("/services/shop/web/-/change", {**form, "p/greeting": "ciao", "p/keys": '{"b": "other"}'})
    assert queries.by_title(rooms.shop, "web")["parameters"]["keys"] == {"b": "other"}


def test_what_was_secret_in_an_earlier_release_stays_so_in_the_history(rooms: Rooms) -> None:
    ready_shop(rooms, schema={"properties": {"key": {"type": "string", "format": "password"}}})
    rooms.request("web", parameters={"key": "sesame", "colour": "red"})
    rooms.supply(rooms.publish(tiny_release(version="2.0", schema={"type": "object"})), *_nodes())
    rooms.request("web", release="2.0", parameters={"colour": "blue"})
    html = _everything(rooms)
    assert "red" in html
    assert "sesame" not in html


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"key": {"format": "password"}}},
        {"properties": {"other": {}}, "additionalProperties": {"format": "password"}},
        {"patternProperties": {"^k": {"format": "password"}}},
        {"allOf": [{"properties": {"key": {"$ref": "#/$defs/key"}}}], "$defs": {"key": {"format": "password"}}},
        {"anyOf": [{"$ref": "#/$defs/wish"}], "$defs": {"wish": {"properties": {"key": {"format": "password"}}}}},
        {"properties": {"key": {"items": {"anyOf": [{"format": "password"}, {"type": "null"}]}}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a", "properties": {"key": {"format": "password"}}}}},
    ],
)
def test_a_secret_is_known_however_its_schema_says_so(schema: dict[str, Any]) -> None:
    from freehold.master.schemaform import secrets

    (key, plain) = secrets.shown({"key": "sesame", "open": "door"}, {**schema, "title": "x"})[:2]
    assert (key.is_hidden, key.text) == (True, "")
    # Of names that may be any, rather one too many is hidden.
    assert plain.is_hidden == ("additionalProperties" in schema or "patternProperties" in schema)
