"""A passkey logs somebody in by itself; nothing that only looks like one does."""

import html
import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Invalid, NotFound, Unauthenticated
from support.panels import Visitor
from support.passkeys import PRESENT, Device

if TYPE_CHECKING:
    from support.rooms import Rooms


def add(rooms: "Rooms", device: Device, title: str = "phone", who: Any = None) -> str:
    from freehold.master.people import passkeys

    acting = who or rooms.customer
    asked, ticket = passkeys.begin_adding(acting=acting)
    return passkeys.add(ticket, device.make(asked), title, acting=acting).id


def log_in(device: Device) -> str:
    from freehold.master.people import passkeys

    asked, ticket = passkeys.begin_logging_in()
    return passkeys.log_in(ticket, device.open(asked)).id


@pytest.mark.parametrize("counts", [True, False])
def test_a_device_opens_the_account_of_its_owner_again_and_again(rooms: "Rooms", counts: bool) -> None:
    mine, other = Device(counts=counts), Device()
    add(rooms, mine)
    add(rooms, other, who=rooms.owner)
    assert [log_in(mine), log_in(other), log_in(mine)] == [
        rooms.customer.person,
        rooms.owner.person,
        rooms.customer.person,
    ]


def test_an_answer_opens_once(rooms: "Rooms") -> None:
    from freehold.master.people import passkeys

    device = Device(counts=False)
    add(rooms, device)
    asked, ticket = passkeys.begin_logging_in()
    answer = device.open(asked)
    assert passkeys.log_in(ticket, answer)
    with pytest.raises(Unauthenticated):
        passkeys.log_in(ticket, answer)


def test_a_copied_key_is_noticed_by_its_count(rooms: "Rooms") -> None:
    device = Device()
    add(rooms, device)
    log_in(device)
    log_in(device)
    device.uses = 1
    with pytest.raises(Unauthenticated):
        log_in(device)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "http://evil.localhost.example"},
        {"flags": PRESENT},
    ],
)
def test_a_site_that_looks_like_ours_or_a_device_that_nobody_unlocked_gets_nothing(
    rooms: "Rooms", change: dict[str, Any]
) -> None:
    device = Device()
    add(rooms, device)
    for name, value in change.items():
        setattr(device, name, value)
    with pytest.raises(Unauthenticated):
        log_in(device)
    other = Device()
    for name, value in change.items():
        setattr(other, name, value)
    with pytest.raises(Invalid):
        add(rooms, other)


@pytest.mark.parametrize(
    "nonsense", ["", "x", "[]", "null", "1", "{}", '{"rawId": "AA"}', '{"rawId": 3}', "[" * 20_000]
)
def test_nonsense_is_refused(rooms: "Rooms", nonsense: str) -> None:
    from freehold.master.people import passkeys

    asked, ticket = passkeys.begin_logging_in()
    with pytest.raises(Unauthenticated):
        passkeys.log_in(ticket, nonsense)
    asked, ticket = passkeys.begin_adding(acting=rooms.customer)
    with pytest.raises(Invalid):
        passkeys.add(ticket, nonsense, "phone", acting=rooms.customer)
    assert json.loads(asked)["rp"]["id"] == "localhost"


def test_a_ticket_is_for_one_person_one_challenge_and_five_minutes(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.people import passkeys

    device = Device()
    asked, ticket = passkeys.begin_adding(acting=rooms.owner)
    with pytest.raises(Invalid):
        passkeys.add(ticket, device.make(asked), "theirs", acting=rooms.customer)
    add(rooms, device)
    first, _ = passkeys.begin_logging_in()
    _, other_ticket = passkeys.begin_logging_in()
    with pytest.raises(Unauthenticated):
        passkeys.log_in(other_ticket, device.open(first))
    monkeypatch.setattr(passkeys, "TICKET_S", -1)
    with pytest.raises(Unauthenticated):
        log_in(device)


def test_what_is_removed_closed_or_anothers_opens_nothing(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity, passkeys
    from freehold.master.people.models import Person

    device = Device()
    identity_ = add(rooms, device)
    with pytest.raises(NotFound):
        passkeys.remove(identity_, acting=rooms.owner)
    person = Person.objects.get(id=rooms.customer.person)
    actions.set_active(person, False, acting=identity.system())
    with pytest.raises(Unauthenticated):
        log_in(device)
    actions.set_active(person, True, acting=identity.system())
    assert log_in(device) == person.id
    passkeys.remove(identity_, acting=rooms.customer)
    with pytest.raises(Unauthenticated):
        log_in(device)


def test_a_device_is_added_once_and_nobody_has_them_without_number(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.people import passkeys

    device = Device()
    add(rooms, device)
    for who in (rooms.customer, rooms.owner):
        with pytest.raises(Conflict):
            add(rooms, device, who=who)
    monkeypatch.setattr(passkeys, "MOST_PASSKEYS", 2)
    add(rooms, Device())
    with pytest.raises(Conflict, match="You have 2 passkeys"):
        add(rooms, Device())


def test_a_browser_under_another_name_is_not_asked(rooms: "Rooms") -> None:
    from django.test import Client

    from freehold.master.people import passkeys

    hosts = ("localhost:8443", "localhost", "master.localhost", "127.0.0.1:8443", "evillocalhost")
    pages = {host: Client().get("/login", secure=True, headers={"host": host}).content.decode() for host in hosts}
    asked = {host: "data-passkey" in page for host, page in pages.items()}
    assert asked == {
        "localhost:8443": True,
        "localhost": True,
        "master.localhost": True,
        "127.0.0.1:8443": False,
        "evillocalhost": False,
    }
    assert not passkeys.serves("[::1]:8443")


def test_whoever_changes_the_name_is_told_who_would_lose_a_passkey(rooms: "Rooms") -> None:
    from django.test import override_settings

    from freehold.master import checks
    from freehold.master.people import passkeys

    add(rooms, Device())
    add(rooms, Device())
    add(rooms, Device(), who=rooms.owner)
    assert passkeys.of_other_names() == {}
    with override_settings(PASSKEY_HOST="cloud.example"):
        assert passkeys.of_other_names() == {"localhost": 2}
        (said,) = [one for one in checks.run() if "Passkeys" in one]
        assert "Passkeys of 2 people are for 'localhost'" in said


def test_the_page_of_the_account_lists_and_removes_them(rooms: "Rooms") -> None:
    visitor = Visitor(rooms.customer)
    identity_ = add(rooms, Device(), "Ann's <phone>")
    assert "Ann's <phone>" in html.unescape(visitor.reads("/account/security"))
    assert visitor.post("/account/security", {"act": "remove-passkey", "passkey": "lost"}).status_code == 404
    assert visitor.post("/account/security", {"act": "remove-passkey", "passkey": identity_}).status_code == 302
    assert "Ann" not in visitor.reads("/account/security")
