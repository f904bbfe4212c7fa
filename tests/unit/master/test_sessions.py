"""Where people are logged in: they see each browser, end one or all others, and nobody sees or ends those of others."""

import re
from typing import TYPE_CHECKING

import pytest

from support.browsing import browse, logged_in
from support.panels import Visitor, text
from support.running import PASSWORD

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master

HOUR = 3600


def sessions_of(visitor: Visitor) -> list[str]:
    """Return the public ids of the sessions that a page lists."""
    page = visitor.get("/account")
    assert page.status_code == 200
    return re.findall(r'name="session" value="([^"]*)"', page.content.decode())


def is_in(visitor: Visitor) -> bool:
    return bool(visitor.get("/account").status_code == 200)


def verbs(master_verb: str) -> int:
    from freehold.master.foundation.models import AuditRow

    return AuditRow.objects.filter(verb=master_verb).count()


def test_each_browser_is_listed_and_this_one_is_marked(rooms: "Rooms") -> None:
    desk, phone = Visitor(rooms.customer), Visitor(rooms.customer)
    first, second = sessions_of(desk), sessions_of(phone)
    assert sorted(first) == sorted(second)
    assert len(first) == 2
    assert text(desk.get("/account")).count("this one") == 1
    key = desk._client.cookies["__Host-session"].value
    assert key not in desk.get("/account").content.decode(), "what is listed does not open anything"
    stranger = Visitor(rooms.owner)
    assert not set(sessions_of(stranger)) & set(first)


def test_one_ended_session_is_logged_out_at_once_and_no_other(rooms: "Rooms") -> None:
    desk = Visitor(rooms.customer)
    (own,) = sessions_of(desk)
    phone = Visitor(rooms.customer)
    (other,) = set(sessions_of(desk)) - {own}
    assert desk.post("/account", {"session": other}).status_code == 302
    assert (is_in(desk), is_in(phone)) == (True, False)
    assert sessions_of(desk) == [own]
    assert verbs("session.end") == 1
    again = desk.post("/account", {"session": other})
    assert again.status_code == 404


def test_this_session_ends_as_by_logging_out(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Visitor(rooms.customer)
    (own,) = sessions_of(desk)
    # Long enough for a use that is noted in the request that ends it.
    later(monkeypatch, 120)
    answer = desk.post("/account", {"session": own})
    assert (answer.status_code, answer["Location"]) == (302, "/login")
    assert not is_in(desk)


def test_all_others_end_at_once(rooms: "Rooms") -> None:
    desk, phone, lost = (Visitor(rooms.customer) for _ in range(3))
    somebody = Visitor(rooms.owner)
    assert desk.post("/account", {"act": "others"}).status_code == 302
    assert [is_in(one) for one in (desk, phone, lost, somebody)] == [True, False, False, True]
    assert len(sessions_of(desk)) == 1


def test_nobody_ends_the_session_of_another(rooms: "Rooms") -> None:
    mine, theirs = Visitor(rooms.customer), Visitor(rooms.owner)
    (target,) = sessions_of(theirs)
    for named in (target, "no-such", "", "sess-\0"):
        assert mine.post("/account", {"session": named}).status_code == 404
    assert is_in(theirs)
    assert verbs("session.end") == 0


def test_what_a_browser_says_of_itself_is_bounded_and_harmless(rooms: "Rooms") -> None:
    from django.contrib.auth.hashers import make_password
    from django.test import Client

    from freehold.master.people.models import Person, Session

    Person.objects.filter(id=rooms.customer.person).update(password=make_password(PASSWORD))
    client = Client()
    agent = "<b>Fox\x1b[31m\x00\x7f" + "x" * 10_000
    spec = {"email": rooms.customer.actor, "password": PASSWORD}
    answer = client.post("/login", spec, secure=True, headers={"user-agent": agent}, REMOTE_ADDR="2001:db8::7")
    assert answer.status_code == 302
    row = Session.objects.get()
    assert (row.person_id, row.address, len(row.browser)) == (rooms.customer.person, "2001:db8::7", 200)
    assert row.browser.startswith("<b>Fox?[31m??xxx")
    page = client.get("/account", secure=True).content.decode()
    assert "&lt;b&gt;Fox" in page
    assert "2001:db8::7" in page


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so much time pass for sessions."""
    from freehold.master.people import sessions

    before = sessions.seconds()
    monkeypatch.setattr(sessions, "seconds", lambda: round(before + seconds))


def test_a_session_that_is_used_all_day_ends_twelve_hours_after_its_log_in(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Visitor(rooms.customer)
    for _ in range(47):
        later(monkeypatch, HOUR / 4)
        assert is_in(desk)
    later(monkeypatch, HOUR / 4 + 60)
    assert not is_in(desk)


def test_a_session_that_nobody_uses_ends_and_is_not_listed(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Visitor(rooms.customer)
    later(monkeypatch, 31 * 60)
    desk = Visitor(rooms.customer)
    assert len(sessions_of(desk)) == 1
    assert not is_in(idle)


def test_when_a_session_was_used_last_is_told(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.people.models import Session

    desk = Visitor(rooms.customer)
    began = Session.objects.get().seen_at
    later(monkeypatch, 20 * 60)
    assert is_in(desk)
    row = Session.objects.get()
    assert row.seen_at - began >= 20 * 60 * 1000
    assert row.began_at <= began


def test_what_ends_all_leaves_no_session_in_the_list(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Session

    person = Person.objects.get(id=rooms.customer.person)
    system = identity.system()
    for act in (
        lambda: actions.set_password(person, "another battery of horses", acting=system),
        lambda: actions.end_sessions(person, acting=rooms.customer),
        lambda: actions.set_active(person, False, acting=system),
    ):
        desk = Visitor(identity.by_person(person.id))
        assert Session.objects.filter(person=person).count() == 1
        act()
        assert not Session.objects.filter(person=person).exists()
        assert not is_in(desk)


def test_one_sees_and_ends_ones_tokens_by_page(rooms: "Rooms") -> None:
    from freehold.master.people import actions
    from freehold.master.people.identity import Scope, by_token
    from freehold.master.people.models import Person

    person = Person.objects.get(id=rooms.customer.person)
    secret, token = actions.make_token(person, title="robot", scopes=frozenset({Scope.READ}))
    desk = Visitor(rooms.customer)
    page = desk.get("/account/tokens")
    assert "robot" in text(page)
    assert secret not in page.content.decode()
    assert Visitor(rooms.owner).post("/account/tokens", {"token": token.id}).status_code == 404
    assert by_token(secret).actor == person.email
    assert desk.post("/account/tokens", {"token": token.id}).status_code == 302
    assert "robot" not in text(desk.get("/account/tokens"))
    assert "Aucun programme" in Visitor(rooms.customer, "fr").reads("/account/tokens")


def test_staff_lists_and_ends_what_is_open_of_others(master: "Master") -> None:
    email = "ada@example.org"
    token = master.person(email, "provider")
    key = browse(master, email)
    (row,) = master.api("GET", "/me/sessions", token=token)
    assert row["address"] == "127.0.0.1"
    assert row["browser"] == "tests"
    assert key not in str(row)
    assert master.api("GET", f"/people/{email}/sessions") == [row], "staff sees the same"
    other = master.person("bob@example.org", "provider", "owner")
    for path in (f"/people/{email}/sessions", f"/people/{email}/tokens"):
        assert master.call("GET", f"/api/v1{path}", token=other).status == 403
    for path in (f"/me/sessions/{row['id']}", f"/people/bob@example.org/sessions/{row['id']}"):
        who = other if path.startswith("/me") else master.owner
        assert master.call("DELETE", f"/api/v1{path}", token=who).status == 404
    assert logged_in(master, key)
    master.api("DELETE", f"/people/{email}/sessions/{row['id']}")
    assert not logged_in(master, key)
    assert master.api("GET", "/me/sessions", token=token) == []
    (mine,) = master.api("GET", f"/people/{email}/tokens")
    master.api("DELETE", f"/people/{email}/tokens/{mine['id']}")
    assert master.call("GET", "/api/v1/me", token=token).status == 401
    done = {verb for (verb,) in master.sql("SELECT verb FROM foundation_auditrow WHERE actor = 'owner@example.org'")}
    assert {"session.end", "token.revoke"} <= done


def test_a_program_of_ones_own_logs_out_all_browsers_and_stays(master: "Master") -> None:
    email = "eve@example.org"
    token = master.person(email, "provider")
    keys = [browse(master, email) for _ in range(2)]
    master.api("DELETE", "/me/sessions", token=token)
    assert not any(logged_in(master, key) for key in keys)
    assert master.call("GET", "/api/v1/me", token=token).status == 200
