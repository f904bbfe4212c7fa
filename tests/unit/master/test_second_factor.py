"""Who has a second factor logs in with the password and a code, at every door; a code works once."""

import re
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from freehold.master.foundation.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooManyTries,
    Unauthenticated,
)
from support.panels import Visitor, text

if TYPE_CHECKING:
    from support.rooms import Rooms

EMAIL, PASSWORD = "ann@example.org", "correct horse battery"


class Ann:
    """A person with a password, a phone with an app, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
        from freehold.master.foundation import clock
        from freehold.master.people import actions, identity, second_factor
        from freehold.master.people.models import Project, Role
        from freehold.master.people.throttle import Throttle

        monkeypatch.setattr(second_factor, "throttle", Throttle())
        self.now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.person = actions.add_person(EMAIL, PASSWORD, acting=identity.system())
        actions.give_role(self.person, Project.objects.get(id=provider), Role.CUSTOMER, acting=identity.system())
        self.caller = identity.by_person(self.person.id)
        self.key = second_factor.new_key()
        self.codes: list[str] = []

    def code(self, steps: int = 0) -> str:
        """Return what the app shows so many half minutes from now."""
        return pyotp.TOTP(self.key).at(self.now // 1000 + 30 * steps)

    def add_app(self) -> None:
        from freehold.master.people import second_factor

        self.codes = second_factor.confirm(self.key, self.code(), acting=self.caller)
        self.wait()

    def wait(self, seconds: int = 30) -> None:
        self.now += seconds * 1000

    def prove(self, code: str) -> None:
        from freehold.master.people import second_factor

        second_factor.prove(self.person, code)


@pytest.fixture
def ann(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> Ann:
    return Ann(monkeypatch, rooms.provider)


@pytest.fixture
def door() -> Any:
    """The API in this process, for who is nobody yet."""
    from django.test import Client

    return Client()


def log_in(door: Any, **more: str) -> tuple[int, dict[str, Any]]:
    answer = door.post(
        "/api/v1/login", {"email": EMAIL, "password": PASSWORD, **more}, content_type="application/json", secure=True
    )
    return answer.status_code, answer.json()


def test_nothing_is_asked_of_who_has_none(ann: Ann, door: Any) -> None:
    ann.prove("")
    assert log_in(door)[0] == 200


def test_a_program_logs_in_with_password_and_code_and_is_told_so(ann: Ann, door: Any) -> None:
    ann.add_app()
    status, problem = log_in(door)
    assert (status, problem["type"]) == (401, "second-factor-needed")
    assert log_in(door, code="000000")[1]["type"] == "unauthenticated"
    assert log_in(door, password="wrong but long enough", code=ann.code())[1]["type"] == "unauthenticated"
    assert log_in(door, code=ann.code())[0] == 200


def test_a_code_works_once_and_a_phone_may_be_half_a_minute_wrong(ann: Ann) -> None:
    ann.add_app()
    late, code = ann.code(-1), ann.code()
    with pytest.raises(Unauthenticated):
        ann.prove(late)
    ann.prove(f" {code[:3]} {code[3:]} ")
    for used in (code, late):
        with pytest.raises(Unauthenticated):
            ann.prove(used)
    ann.prove(ann.code(1))
    ann.wait(90)
    for far in (-2, 2):
        with pytest.raises(Unauthenticated):
            ann.prove(ann.code(far))
    ann.prove(ann.code(-1))


@pytest.mark.parametrize("nonsense", ["12345", "1234567", "٣٤٥٦٧٨", "🔑" * 6, "R" * 40, "0x1F00", "\0" * 6, "-" * 9])
def test_nonsense_is_no_code(ann: Ann, nonsense: str) -> None:
    ann.add_app()
    with pytest.raises(Unauthenticated):
        ann.prove(nonsense)


def test_a_recovery_code_stands_in_for_a_lost_phone_once(ann: Ann) -> None:
    from freehold.master.people import second_factor
    from freehold.master.people.models import RecoveryCode

    ann.add_app()
    assert len(set(ann.codes)) == 10
    ann.prove(ann.codes[0].lower().replace("-", " "))
    with pytest.raises(Unauthenticated):
        ann.prove(ann.codes[0])
    assert second_factor.codes_left(ann.person.id) == 9
    others = second_factor.renew_codes(ann.codes[1], acting=ann.caller)
    with pytest.raises(Unauthenticated):
        ann.prove(ann.codes[2])
    ann.prove(others[0])
    kept = " ".join(RecoveryCode.objects.values_list("digest", flat=True))
    assert not any(code.replace("-", "") in kept for code in others)


def test_it_is_added_with_its_own_code_only_and_once(ann: Ann) -> None:
    from freehold.master.people import second_factor

    for key, code in ((ann.key, "000000"), ("A" * 31, ann.code()), ("", ""), (ann.key.lower(), ann.code())):
        with pytest.raises(Invalid):
            second_factor.confirm(key, code, acting=ann.caller)
    assert not second_factor.is_wanted(ann.person.id)
    ann.add_app()
    with pytest.raises(Conflict):
        second_factor.confirm(ann.key, ann.code(), acting=ann.caller)


def test_it_is_removed_with_a_code_only(ann: Ann, door: Any) -> None:
    from freehold.master.people import second_factor
    from freehold.master.people.models import RecoveryCode

    ann.add_app()
    for wrong in ("123456", ""):
        with pytest.raises(Invalid):
            second_factor.remove(wrong, acting=ann.caller)
    second_factor.remove(ann.code(), acting=ann.caller)
    assert log_in(door)[0] == 200
    assert not RecoveryCode.objects.exists()
    with pytest.raises(NotFound):
        second_factor.remove(ann.code(), acting=ann.caller)


def test_staff_helps_who_lost_both_and_nobody_else_does(ann: Ann, door: Any, rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.people import identity, second_factor

    ann.add_app()
    for nobody in (rooms.owner, rooms.customer):
        with pytest.raises(Forbidden):
            second_factor.forget(ann.person, acting=nobody)
    second_factor.forget(ann.person, acting=identity.system())
    assert log_in(door)[0] == 200
    assert AuditRow.objects.filter(verb="second-factor.forget", subject=ann.person.id).exists()
    with pytest.raises(NotFound):
        second_factor.forget(ann.person, acting=identity.system())


def test_guessing_is_throttled_as_passwords_are(ann: Ann) -> None:
    from freehold.master.people import second_factor
    from freehold.master.people.throttle import MOST_FAILURES

    ann.add_app()
    for number in range(MOST_FAILURES):
        with pytest.raises(Unauthenticated):
            second_factor.prove(ann.person, f"{number:06}", f"10.0.0.{number}")
    with pytest.raises(TooManyTries):
        second_factor.prove(ann.person, ann.code(), "10.9.9.9")


def test_a_copy_of_the_database_makes_no_codes(ann: Ann) -> None:
    from django.test import override_settings

    from freehold.master.people.models import Authenticator

    ann.add_app()
    assert ann.key not in Authenticator.objects.get().key
    with override_settings(SECRET_KEY="that of another Master"), pytest.raises(Conflict, match="another secret"):
        ann.prove(ann.code())
    ann.prove(ann.code())


def test_in_a_browser_the_password_alone_opens_nothing(ann: Ann) -> None:
    stranger = Visitor(None)
    ann.add_app()
    asked = stranger.post("/login", {"email": EMAIL, "password": PASSWORD, "next": "/tickets"})
    assert "Code of your app" in text(asked)
    assert stranger.get("/tickets").status_code == 302, "not logged in"
    (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', asked.content.decode())
    form = {"ticket": ticket, "next": "/tickets"}
    wrong = stranger.post("/login/code", {**form, "code": "000000"})
    assert (wrong.status_code, "This code is wrong" in text(wrong)) == (401, True)
    right = stranger.post("/login/code", {**form, "code": ann.code()})
    assert (right.status_code, right["Location"]) == (302, "/tickets")
    assert stranger.get("/tickets").status_code == 200


def test_a_ticket_of_another_is_none_and_ends(ann: Ann, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.people import actions, identity, second_factor

    ann.add_app()
    ticket = second_factor.ticket(ann.person)
    stranger = Visitor(None)
    for bad in ("", "x", ticket[:-1], ticket + "x", ticket.replace(":", ".")):
        answer = stranger.post("/login/code", {"ticket": bad, "code": ann.code()})
        assert (answer.status_code, "It took too long" in text(answer)) == (401, True)
    actions.set_password(ann.person, "another long password", acting=identity.system())
    assert stranger.post("/login/code", {"ticket": ticket, "code": ann.code()}).status_code == 401
    ann.person.refresh_from_db()
    monkeypatch.setattr(second_factor, "TICKET_S", -1)
    late = second_factor.ticket(ann.person)
    assert stranger.post("/login/code", {"ticket": late, "code": ann.code()}).status_code == 401


def test_nobody_is_sent_to_another_site_after_the_code(ann: Ann) -> None:
    from freehold.master.people import second_factor

    ann.add_app()
    form = {"ticket": second_factor.ticket(ann.person), "code": ann.code(), "next": "https://evil.example/"}
    assert Visitor(None).post("/login/code", form)["Location"] == "/home"


def test_an_invitation_opens_no_session_without_the_code(ann: Ann, rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity, invitations
    from freehold.master.people.models import Person, Project, Role

    ann.add_app()
    shop, host = Project.objects.get(id=rooms.shop), Person.objects.get(id=rooms.customer.person)
    actions.give_role(host, shop, Role.OWNER, acting=identity.system())
    code, _ = invitations.invite(shop, EMAIL, Role.CUSTOMER, acting=identity.by_person(host.id))
    guest = Visitor(None)
    answer = guest.post("/join", {"email": EMAIL, "code": code, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/login")
    assert guest.get("/account").status_code == 302


def test_a_person_adds_an_app_and_removes_it_on_the_page_of_the_account(ann: Ann) -> None:
    visitor = Visitor(ann.caller)
    page = visitor.get("/account/security").content.decode()
    (ann.key,) = re.findall(r'name="key" value="([A-Z2-7]{32})"', page)
    assert 'class="qr"' in page
    refused = visitor.post("/account/security", {"act": "add-app", "key": ann.key, "code": "12"})
    assert refused.status_code == 422
    assert f'value="{ann.key}"' in refused.content.decode(), "the app has read this key already"
    added = visitor.post("/account/security", {"act": "add-app", "key": ann.key, "code": ann.code()})
    codes = re.findall(r"R[A-Z2-7]{3}-[A-Z2-7]{4}-[A-Z2-7]{4}", added.content.decode())
    assert len(codes) == 10
    assert codes[0] not in visitor.get("/account/security").content.decode()
    ann.wait()
    assert "Recovery codes left: 10" in visitor.reads("/account/security")
    other = visitor.post("/account/security", {"act": "other-codes", "code": codes[0]})
    assert codes[1] not in other.content.decode()
    assert visitor.post("/account/security", {"act": "remove-app", "code": "1"}).status_code == 422
    assert visitor.post("/account/security", {"act": "remove-app", "code": ann.code()}).status_code == 302
    assert visitor.post("/account/security", {"act": "sing"}).status_code == 422


def test_a_token_is_made_on_the_page_and_shown_once(ann: Ann, door: Any) -> None:
    visitor = Visitor(ann.caller)
    form = {"act": "make", "title": "backup", "scopes": ["read", "order"], "project": "provider", "days": "7"}
    for wrong, words in (
        ({"scopes": []}, "Choose what"),
        ({"days": "400"}, "1 to 366"),
        ({"project": "shop"}, "no project"),
    ):
        refused = visitor.post("/account/tokens", {**form, **wrong})
        assert (refused.status_code, words in text(refused)) == (422, True), wrong
    page = visitor.post("/account/tokens", form).content.decode()
    (token,) = re.findall(r"fhp_[\w-]+", page)
    assert token not in visitor.get("/account/tokens").content.decode()
    me = door.get("/api/v1/me", headers={"authorization": f"Bearer {token}"}, secure=True).json()
    assert (me["email"], me["scopes"]) == (EMAIL, ["order", "read"])
