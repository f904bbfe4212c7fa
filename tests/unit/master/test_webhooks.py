"""Programs of customers are told what happens, signed, at addresses of the internet only; and feed readers show it."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from freehold.master.notifications.kinds import CauseKind
from support.happenings import Clock, assess, pass_by, shop, silence
from support.machines import REPOSITORY
from support.panels import Visitor, text
from support.receiver import Receiver, receiver

if TYPE_CHECKING:
    from support.rooms import Rooms


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    """Addresses on this machine may be told."""
    from django.conf import settings

    monkeypatch.setattr(settings, "WEBHOOKS_INSIDE", True)
    monkeypatch.setattr(settings, "PUBLIC_URL", "https://cloud.example.net")


@pytest.fixture
def hook(inside: None) -> Iterator[Receiver]:
    with receiver() as received:
        yield received


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, database: str) -> Clock:
    return Clock(monkeypatch)


def add(rooms: "Rooms", url: str, caller: Any = None, project: str = "shop") -> tuple[str, Any]:
    from freehold.master.notifications import actions

    return actions.add_webhook(project, url, acting=caller or rooms.customer)


def states() -> list[str]:
    from freehold.master.notifications.models import OutgoingMessage

    return list(OutgoingMessage.objects.order_by("id").values_list("state", flat=True))


def test_a_receiver_is_told_the_beginning_and_the_end_and_can_check_who_says_so(
    rooms: "Rooms", hook: Receiver, time: Clock
) -> None:
    secret, _ = add(rooms, hook.url)
    # So that it is now when it is told: receivers refuse what is older, or newer, than five minutes.
    time.minutes(-6)
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    assess(web, True, time)
    pass_by(time, 1)
    pass_by(time, 1)
    assert len(hook.posts) == 2
    (headers, body), (_, ending) = hook.posts
    verifier = Verifier(secret)
    told = verifier.verify(body, headers)
    assert told["type"] == "promise.broken"
    assert told["data"]["event"] == "opened"
    assert told["data"]["title"] == "web does not keep what it promises"
    assert told["data"]["url"] == "https://cloud.example.net/services/shop/web"
    assert json.loads(ending)["data"]["event"] == "ended"
    assert json.loads(ending)["data"]["cause"] == told["data"]["cause"]
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"web", b"wob"), headers)


def test_what_is_posted_has_the_shape_that_is_documented(rooms: "Rooms", hook: Receiver, time: Clock) -> None:
    page = (REPOSITORY / "docs" / "notifications.md").read_text()
    documented = json.loads(page.partition("```json")[2].partition("```")[0])
    add(rooms, hook.url)
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    posted = json.loads(hook.posts[0][1])
    assert posted.keys() == documented.keys()
    assert posted["data"].keys() == documented["data"].keys()
    assert all(f"`{kind}`" in page for kind in CauseKind)


def test_a_secret_is_in_no_table_and_another_one_for_each_webhook(rooms: "Rooms", hook: Receiver) -> None:
    from django.apps import apps

    secret, _ = add(rooms, hook.url)
    other, _ = add(rooms, f"{hook.url}/2")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != other
    kept = [str(row) for model in apps.get_models() for row in model._default_manager.values()]
    assert any(hook.url in row for row in kept)
    assert not any(secret in row or secret.removeprefix("whsec_") in row for row in kept)


def test_a_receiver_that_fails_is_told_again_under_the_same_id_and_others_meanwhile(
    rooms: "Rooms", hook: Receiver, time: Clock
) -> None:
    with receiver() as well:
        add(rooms, hook.url)
        add(rooms, well.url)
        hook.answers += [503, 400]
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        pass_by(time, 6)
        assert (len(hook.posts), len(well.posts)) == (1, 1)
        pass_by(time, 0.1)
        assert len(hook.posts) == 1, "not at once"
        pass_by(time, 0.2)
        pass_by(time, 2)
        assert [headers["webhook-id"] for headers, _ in hook.posts] == [hook.posts[0][0]["webhook-id"]] * 3
        assert len({body for _, body in hook.posts}) == 1
        assert len({headers["webhook-timestamp"] for headers, _ in hook.posts}) == 3
    assert states() == ["sent", "sent"]


@pytest.mark.parametrize("status", [301, 404, 500])
def test_what_is_not_taken_for_three_days_is_dead_shown_and_sent_again_by_hand(
    rooms: "Rooms", hook: Receiver, time: Clock, status: int
) -> None:
    _, made = add(rooms, hook.url)
    hook.answers += [status] * 100
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    for _ in range(80):
        pass_by(time, 60)
    assert states() == ["dead"]
    assert 5 < len(hook.posts) < 15
    assert all(headers["host"] in hook.url for headers, _ in hook.posts), "nobody was followed elsewhere"
    hook.answers.clear()
    visitor = Visitor(rooms.customer)
    page = visitor.get(f"/webhooks/shop/{made.id}")
    assert f"The receiver answers {status}." in text(page)
    message = hook.posts[0][0]["webhook-id"]
    assert visitor.post(f"/webhooks/shop/{made.id}", {"message": message}).status_code == 302
    pass_by(time, 1)
    assert states() == ["sent"]


def test_a_receiver_that_says_gone_is_not_asked_again(rooms: "Rooms", hook: Receiver, time: Clock) -> None:
    add(rooms, hook.url)
    hook.answers.append(410)
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    pass_by(time, 600)
    assert (states(), len(hook.posts)) == (["dead"], 1)


def test_a_receiver_that_never_ends_its_answer_costs_a_bounded_time(
    rooms: "Rooms", inside: None, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends a byte whenever one would give it up."""
    import time as real

    from freehold.master.notifications import reconcile, webhooks

    monkeypatch.setattr(webhooks, "DEADLINE", 1.0)
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not over.wait(0.1):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    add(rooms, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    time.minutes(6)
    reconcile.gather()
    began = real.monotonic()
    reconcile.post()
    assert real.monotonic() - began < 5
    over.set()
    thread.join()
    listener.close()
    assert states() == ["waiting"]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "ftp://hooks.example.org/", "https://", "https://user:secret@hooks.example.org/",
        "https://hooks.example.org/#part", "https://hooks.example.org:99999/", "https://hooks.example.org/a b",
        "https://hooks.example.org/\n", "https://[::1", f"https://hooks.example.org/{'x' * 2000}", "",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_internet_is_refused_when_it_is_added(rooms: "Rooms", url: str) -> None:
    from freehold.master.foundation.errors import Invalid
    from freehold.master.notifications.models import Webhook

    with pytest.raises(Invalid) as refused:
        add(rooms, url)
    assert "secret" not in str(refused.value)
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.0.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False), ("2002:7f00:1::", False), ("2001:0:7f00:1::", False), ("ff02::1", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_internet_are_public(database: str, address: str, public: bool) -> None:
    from freehold.master.notifications.webhooks import is_public

    assert is_public(address) is public


def test_a_name_that_leads_inside_is_not_connected_to(
    rooms: "Rooms", time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner has it lead to the Master's own network, also after it was added."""
    from freehold.master.notifications import webhooks
    from freehold.master.notifications.models import OutgoingMessage

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        add(rooms, f"https://hooks.example.org:{port}/")
        place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(webhooks.socket, "getaddrinfo", lambda *_, **__: [place])
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        pass_by(time, 6)
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert OutgoingMessage.objects.get().error == "its name leads to an address that is not public"


def test_a_receiver_whose_certificate_is_not_trusted_gets_nothing(
    rooms: "Rooms", inside: None, time: Clock, tmp_path: Any
) -> None:
    import ssl
    from pathlib import Path

    from django.conf import settings

    from freehold.master.notifications.models import OutgoingMessage

    folder = Path(settings.ROOT) / "authority"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    read = list[bytes]()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                read.append(context.wrap_socket(connection, server_side=True).recv(1000))
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        add(rooms, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        pass_by(time, 6)
        thread.join()
    assert "certificate verify failed" in OutgoingMessage.objects.get().error
    assert read == []


def test_a_webhook_is_told_what_its_maker_may_know_and_no_more(rooms: "Rooms", hook: Receiver, time: Clock) -> None:
    from dataclasses import replace

    from freehold.master.people import actions, identity
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person, Project

    with receiver() as narrow, receiver() as gone:
        add(rooms, hook.url, rooms.owner, "provider")
        add(rooms, narrow.url, replace(rooms.owner, scopes=frozenset({Scope.READ, Scope.ORDER})), "provider")
        guest = rooms._person("guest@example.org")
        project = Project.objects.get(name="provider")
        actions.give_role(guest, project, identity.Role.OPERATOR, acting=identity.system())
        add(rooms, gone.url, identity.by_person(guest.id), "provider")
        actions.remove_role(Person.objects.get(id=guest.id), project, acting=identity.system())
        shop(rooms, "web")
        silence("rack", time.now)
        pass_by(time, 6)
        assert [json.loads(body)["type"] for _, body in hook.posts] == ["node.silent"]
        assert narrow.posts == [], "the token it was made with does not open that"
        assert gone.posts == [], "who made it is not in the project any more"


def test_a_master_that_is_killed_at_any_point_tells_a_receiver_all_and_doubles_only_what_it_just_took(
    hook: Receiver, time: Clock, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conftest import empty_tables
    from support.happenings import Killed, die_at
    from support.rooms import Rooms

    doubled, number, is_over = list[str](), 0, False
    while not is_over:
        empty_tables()
        rooms = Rooms(database)
        add(rooms, hook.url)
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        time.minutes(6)
        hook.posts.clear()
        with die_at(number) as passed:
            try:
                pass_by()
                is_over = True
            except Killed:
                number += 1
        for _ in range(3):
            pass_by(time, 11)
        assert len({headers["webhook-id"] for headers, _ in hook.posts}) == 1, passed
        if len(hook.posts) > 1:
            doubled.append(passed[-1])
    assert number > 8
    assert doubled == ["message-sent", "act-not-committed"]


def test_others_see_where_a_webhook_is_and_neither_its_path_nor_its_messages(rooms: "Rooms", hook: Receiver) -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Project

    _, made = add(rooms, f"{hook.url}/T0/secret")
    mate = rooms._person("mate@shop.example")
    actions.give_role(mate, Project.objects.get(name="shop"), identity.Role.CUSTOMER, acting=identity.system())
    visitor = Visitor(identity.by_person(mate.id))
    page = visitor.reads("/webhooks/shop")
    assert "127.0.0.1" in page
    assert "secret" not in page.partition("checks signatures")[0].partition("None yet")[0]
    assert "T0" not in page
    assert visitor.get(f"/webhooks/shop/{made.id}").status_code == 404
    assert "T0" in Visitor(rooms.customer).reads("/webhooks/shop")


def test_the_page_makes_a_webhook_shows_its_secret_once_tests_and_removes_it(
    rooms: "Rooms", hook: Receiver, time: Clock
) -> None:
    from freehold.master.notifications.models import Webhook

    visitor = Visitor(rooms.customer)
    made = visitor.post("/webhooks/shop", {"url": hook.url})
    assert made.status_code == 200
    assert "whsec_" in text(made)
    assert "whsec_" not in visitor.reads("/webhooks/shop")
    assert visitor.post("/webhooks/shop", {"url": hook.url}).status_code == 409
    webhook = Webhook.objects.get()
    assert visitor.post(f"/webhooks/shop/{webhook.id}", {"act": "test"}).status_code == 302
    pass_by(time)
    (post,) = hook.posts
    assert json.loads(post[1])["type"] == "test"
    assert "A test" in visitor.reads(f"/webhooks/shop/{webhook.id}")
    assert visitor.post(f"/webhooks/shop/{webhook.id}", {"act": "remove"}).status_code == 302
    assert not Webhook.objects.exists()


def test_a_project_has_so_many_webhooks_and_no_more(rooms: "Rooms", hook: Receiver) -> None:
    from freehold.master.foundation.errors import QuotaExceeded

    for number in range(20):
        add(rooms, f"{hook.url}/{number}")
    with pytest.raises(QuotaExceeded):
        add(rooms, f"{hook.url}/more")


# The feed

ATOM = "{http://www.w3.org/2005/Atom}"


def feed(rooms: "Rooms", person: Any, project: str = "shop", authorization: str = "", **query: str) -> Any:
    from django.test import Client

    from freehold.master.people import actions
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person

    token, _ = actions.make_token(
        Person.objects.get(id=person.person), title="reader", scopes=frozenset({Scope.READ, Scope.OPERATE})
    )
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    client = Client(headers={"authorization": authorization or f"Basic {basic}"})
    return client.get(f"/api/v1/projects/{project}/feed", query, secure=True)


def test_a_feed_says_what_happened_in_a_project_to_who_may_know_it(rooms: "Rooms", inside: None, time: Clock) -> None:
    (web,) = shop(rooms, "web")
    assess(web, False, time, message="\x1b[31mno\x01\ufffe <b>")
    pass_by(time, 6)
    silence("rack", time.now)
    pass_by(time, 6)
    answer = feed(rooms, rooms.customer)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/atom+xml; charset=utf-8")
    read = ElementTree.fromstring(answer.content)
    entries = read.findall(f"{ATOM}entry")
    assert [one.findtext(f"{ATOM}title") for one in entries] == [
        "1 service cannot be reached", "web does not keep what it promises",
    ]  # fmt: skip
    assert "\\x1b[31mno\\x01\ufffd <b>" in (entries[1].findtext(f"{ATOM}content") or "")
    assert entries[1].find(f"{ATOM}link").attrib["href"] == "https://cloud.example.net/services/shop/web"  # type: ignore[union-attr]
    assert b"Node rack" in feed(rooms, rooms.owner, "provider").content
    assert feed(rooms, rooms.customer, "provider").status_code == 403
    assert feed(rooms, rooms.customer, authorization="Basic bm8=").status_code == 401
    assert feed(rooms, rooms.customer, authorization="Basic ?").status_code == 401
    silence("rack", None)
    pass_by(time, 1)
    again = ElementTree.fromstring(feed(rooms, rooms.customer).content).findall(f"{ATOM}entry")[0]
    assert again.findtext(f"{ATOM}title") == "1 service can be reached again"
    assert again.findtext(f"{ATOM}id") == entries[0].findtext(f"{ATOM}id"), "the same entry, changed"


def test_what_is_older_than_the_feed_is_on_the_next_one(rooms: "Rooms", inside: None, time: Clock) -> None:
    from freehold.master.notifications.models import Cause

    for number in range(120):
        Cause.objects.create(
            id=f"caus-{number:03}", project_id=rooms.shop, kind="budget.reached", subject=str(number), key=str(number),
            scope="read", detail='{"month": "2026-03", "percent": 80}', opened_at=number, noticed_at=number,
            ended_at=number,
        )  # fmt: skip
    read = ElementTree.fromstring(feed(rooms, rooms.customer).content)
    assert len(read.findall(f"{ATOM}entry")) == 100
    (following,) = (one.attrib["href"] for one in read.findall(f"{ATOM}link") if one.attrib["rel"] == "next")
    assert following.endswith("?after=caus-020")
    rest = ElementTree.fromstring(feed(rooms, rooms.customer, after="caus-020").content)
    assert len(rest.findall(f"{ATOM}entry")) == 20
