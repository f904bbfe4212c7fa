"""A secret of a service is shown to who asks for it, which is noted, and ends with the service."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.client import Client, Refused
from support.rooms import Rooms
from support.running import OWNER, PASSWORD, tiny_release

if TYPE_CHECKING:
    from support.running import Master

SECRET = {"type": "object", "properties": {"key": {"type": "string", "format": "password"}, "colour": {}}}
SHOWN = {"key": "[secret]", "colour": "red"}
ASKED = {"key": "sesame", "colour": "red"}


@pytest.fixture(scope="module")
def client(master: "Master") -> Client:
    url = f"https://{master.host}:{master.port}"
    scopes = ["read", "order", "operate"]
    client = Client.log_in(url, OWNER, PASSWORD, scopes=scopes, authority=master.authority.read_text())
    master.publish("safe", schema=SECRET)
    master.node("cellar")
    client.supply("safe", nodes=["cellar"])
    return client


def test_a_secret_is_in_no_answer_but_to_who_asks_for_it_and_that_is_noted(client: Client) -> None:
    answer = client.request("web", product="safe", parameters=ASKED)
    assert answer.instance is not None
    listed = next(instance for instance in client.instances() if instance.title == "web")
    assert [answer.instance.parameters, client.show("web").parameters, listed.parameters] == [SHOWN] * 3
    assert client.show("web", reveal=True).parameters == ASKED
    (entry,) = client.ask("GET", "/projects/{project}/audit?verb=instance.reveal")
    assert (entry["actor"], entry["subject"]) == (OWNER, answer.instance.id)


def test_who_sends_back_what_was_shown_changes_no_secret(client: Client) -> None:
    client.request("back", product="safe", parameters=ASKED)
    client.request("back", parameters={**client.show("back").parameters, "colour": "blue"})
    assert client.show("back", reveal=True).parameters == {"key": "sesame", "colour": "blue"}
    client.request("back", parameters={"key": "other"})
    assert client.show("back", reveal=True).parameters == {"key": "other"}


def test_the_mark_of_a_secret_is_no_secret(client: Client) -> None:
    for title, before in (("new", None), ("bare", {"colour": "red"})):
        if before is not None:
            client.request(title, product="safe", parameters=before)
        with pytest.raises(Refused) as refused:
            client.request(title, product="safe", parameters=SHOWN)
        assert "there is none yet" in refused.value.problem.detail
        assert [error.field for error in refused.value.problem.errors] == ["parameters.key"]
    client.request("plain", product="safe", parameters={"colour": "[secret]"})
    assert client.show("plain").parameters == {"colour": "[secret]"}


def test_of_what_is_gone_no_secret_is_kept(rooms: Rooms) -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Instance, PublicationRow, RequestRow
    from freehold.protocol.states import Wanted

    content: dict[str, Any] = {"files": {"out.json": json.dumps(SECRET).encode()}, "schema": SECRET}
    rooms.supply(rooms.publish(tiny_release(**content)), rooms.node("one"))
    instance = rooms.request("web", parameters={**ASKED, "key": "first"}).instance
    rooms.request("web", parameters=ASKED)
    published = json.dumps({"key": "given", "colour": "red"})
    PublicationRow.objects.create(instance_id=instance, revision=1, published=published, at=clock.now())
    rooms.request("web", None, state=Wanted.DESTROYED)
    rooms.node_says(instance, "destroyed")
    row = Instance.objects.get(id=instance)
    texts = [row.parameters, *RequestRow.objects.values_list("parameters", flat=True)]
    texts += PublicationRow.objects.values_list("published", flat=True)
    assert [json.loads(text) for text in texts] == [SHOWN] * len(texts)
    assert (len(texts), row.seed) == (5, "")
