"""A forgotten password: staff makes a code that is good once, for a day; with it the person sets another password."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, TooManyTries, Unauthenticated
from freehold.master.people.throttle import FREE_FAILURES, Throttle
from support.panels import Visitor, text
from support.running import PASSWORD

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master

NEW = "another battery of horses"


@pytest.fixture(autouse=True)
def throttle(monkeypatch: pytest.MonkeyPatch) -> Throttle:
    """Nobody has tried anything yet."""
    from freehold.master.people import actions, resets

    fresh = Throttle()
    for room in (actions, resets):
        monkeypatch.setattr(room, "throttle", fresh)
    return fresh


def make(rooms: "Rooms") -> str:
    """Return a code for the customer of `shop`."""
    from freehold.master.people import identity, resets

    return resets.make_reset(person(rooms), acting=identity.system())[0]


def person(rooms: "Rooms") -> Any:
    from freehold.master.people.models import Person

    return Person.objects.get(id=rooms.customer.person)


def use(rooms: "Rooms", code: str, new: str = NEW, *, email: str = "", address: str = "home") -> None:
    from freehold.master.people import resets

    resets.use_reset(email or rooms.customer.actor, code, new, address)


def test_a_code_sets_another_password_once_and_ends_all_that_was_open(rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.people import actions
    from freehold.master.people.identity import Scope, by_token
    from freehold.master.people.models import PasswordReset

    desk = Visitor(rooms.customer)
    token, _ = actions.make_token(person(rooms), title="robot", scopes=frozenset({Scope.READ}))
    code = make(rooms)
    assert code not in str(PasswordReset.objects.values())
    assert desk.get("/account").status_code == 200, "making it ends nothing"
    use(rooms, code)
    assert actions.log_in(rooms.customer.actor, NEW).id == rooms.customer.person
    assert desk.get("/account").status_code == 302
    with pytest.raises(Unauthenticated):
        by_token(token)
    with pytest.raises(Unauthenticated):
        use(rooms, code, "yet another battery")
    assert actions.log_in(rooms.customer.actor, NEW)
    acts = list(AuditRow.objects.filter(verb__startswith="reset").values_list("actor", "verb", "subject"))
    assert acts == [
        ("freehold", "reset.make", rooms.customer.person), (rooms.customer.actor, "reset.use", rooms.customer.person),
    ]  # fmt: skip


def test_a_code_is_its_persons_alone(rooms: "Rooms") -> None:
    code = make(rooms)
    for email in (rooms.owner.actor, "nobody@example.org", "a\0b@example.org"):
        with pytest.raises(Unauthenticated):
            use(rooms, code, email=email)
    use(rooms, code, email=rooms.customer.actor.upper())


def test_a_code_is_over_after_a_day_and_forgotten(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.people import reconcile
    from freehold.master.people.models import PasswordReset

    code, began = make(rooms), clock.now()
    monkeypatch.setattr(clock, "now", lambda: began + clock.DAY - 60_000)
    reconcile.clean_up()
    assert PasswordReset.objects.exists()
    monkeypatch.setattr(clock, "now", lambda: began + clock.DAY + 60_000)
    with pytest.raises(Unauthenticated):
        use(rooms, code)
    reconcile.clean_up()
    assert not PasswordReset.objects.exists()


def test_what_makes_a_code_void(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity

    system = identity.system()
    first = make(rooms)
    second = make(rooms)
    with pytest.raises(Unauthenticated):
        use(rooms, first)
    actions.set_password(person(rooms), "a password set meanwhile", acting=system)
    with pytest.raises(Unauthenticated):
        use(rooms, second)
    third = make(rooms)
    actions.set_active(person(rooms), False, acting=system)
    with pytest.raises(Unauthenticated):
        use(rooms, third)
    with pytest.raises(Conflict):
        make(rooms)
    actions.set_active(person(rooms), True, acting=system)
    with pytest.raises(Unauthenticated):
        use(rooms, third)


@pytest.mark.parametrize("password", ["short", "1QAZ2wsx3edc", "x" * 1001])
def test_a_password_that_cannot_be_costs_no_code(rooms: "Rooms", password: str) -> None:
    code = make(rooms)
    with pytest.raises(Invalid):
        use(rooms, code, password)
    use(rooms, code)


def test_codes_are_guessed_no_faster_than_passwords(rooms: "Rooms") -> None:
    code = make(rooms)
    for number in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            use(rooms, f"fhr_{number}", address="robot")
    with pytest.raises(TooManyTries):
        use(rooms, code, address="robot")
    use(rooms, code, address="home")


def test_only_staff_makes_codes(rooms: "Rooms") -> None:
    from freehold.master.people import resets

    for who in (rooms.owner, rooms.customer):
        with pytest.raises(Forbidden):
            resets.make_reset(person(rooms), acting=who)


@pytest.mark.parametrize("language", ["en", "fr", "zh-hans"])
def test_the_page_takes_the_code_from_a_form_and_says_nothing_of_who_has_an_account(
    rooms: "Rooms", language: str
) -> None:
    code = make(rooms)
    stranger = Visitor(None, language)
    assert stranger.get("/reset").status_code == 200
    wrong = [
        stranger.post("/reset", {"email": email, "code": "fhr_x", "password": NEW})
        for email in (rooms.customer.actor, "nobody@shop.example")
    ]
    assert [one.status_code for one in wrong] == [401, 401]
    said = [text(one).replace("customer", "nobody") for one in wrong]
    assert said[0] == said[1]
    short = stranger.post("/reset", {"email": rooms.customer.actor, "code": code, "password": "short"})
    assert short.status_code == 422
    for answer in (short, *wrong):
        assert code not in answer.content.decode()
        assert NEW not in answer.content.decode()
    done = stranger.post("/reset", {"email": rooms.customer.actor, "code": f" {code}\n", "password": NEW})
    assert done.status_code == 200
    assert "no-store" in done["Cache-Control"]
    assert done.content.decode().count('href="/login"') == 2


def test_of_two_at_the_same_moment_one_code_serves_one(master: "Master") -> None:
    email = "eve@example.org"
    master.person(email, "provider")
    code = master.api("POST", f"/people/{email}/password-reset")["code"]
    words = [f"the password of number {number}" for number in range(4)]

    def take(new: str) -> int:
        body = {"email": email, "code": code, "new": new}
        return master.call("POST", "/api/v1/password-reset", body).status

    with ThreadPoolExecutor(4) as people:
        answers = list(people.map(take, words))
    assert sorted(answers) == [204, 401, 401, 401]
    (new,) = [word for word, status in zip(words, answers, strict=True) if status == 204]
    assert master.call("POST", "/api/v1/login", {"email": email, "password": new}).status == 200
    assert master.call("POST", "/api/v1/login", {"email": email, "password": PASSWORD}).status == 401


def test_no_code_is_in_the_log_or_the_audit(master: "Master") -> None:
    email = "dan@example.org"
    master.person(email, "provider")
    shown = master.cli("person", email, "--reset")
    code = shown.splitlines()[-1]
    assert code.startswith("fhr_")
    body = {"email": email, "code": code, "new": NEW}
    assert master.call("POST", "/api/v1/password-reset", body).status == 204
    assert master.call("POST", "/api/v1/password-reset", body).status == 401
    assert code not in master.log()
    details = str(master.sql("SELECT detail FROM foundation_auditrow"))
    assert code not in details
    assert master.run("person", "nobody@example.org", "--reset").returncode == 1
