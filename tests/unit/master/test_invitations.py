"""Somebody comes into a project by themselves, with a link that its owner gave them."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound, TooManyTries, Unauthenticated
from freehold.master.people.throttle import FREE_FAILURES, Throttle
from support.panels import Visitor, text
from support.running import PASSWORD

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master

EVE, CHOSEN = "eve@example.org", "a battery of her own"


@pytest.fixture(autouse=True)
def throttle(monkeypatch: pytest.MonkeyPatch) -> Throttle:
    """Nobody has tried anything yet."""
    from freehold.master.people import actions, invitations

    fresh = Throttle()
    monkeypatch.setattr(actions, "throttle", fresh)
    monkeypatch.setattr(invitations, "throttle", fresh)
    return fresh


def project(name: str = "provider") -> Any:
    from freehold.master.people.models import Project

    return Project.objects.get(name=name)


def invite(rooms: "Rooms", email: str = EVE, role: str = "customer", *, acting: Any = None) -> str:
    from freehold.master.people import invitations

    return invitations.invite(project(), email, role, acting=acting or rooms.owner)[0]


def accept(code: str, email: str = EVE, password: str = CHOSEN, *, address: str = "home") -> Any:
    from freehold.master.people import invitations

    return invitations.accept(email, code, password, address)


def roles() -> dict[str, str]:
    from freehold.master.people.models import Membership

    return dict(Membership.objects.filter(project=project()).values_list("person__email", "role"))


def test_who_is_invited_makes_an_account_and_is_in(rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.people import actions
    from freehold.master.people.models import Invitation

    code = invite(rooms, " Eve@Example.org ", "operator")
    assert code not in str(Invitation.objects.values()), "only its hash is kept"
    assert EVE not in roles(), "nothing is theirs before they come"
    eve = accept(code)
    assert (roles()[EVE], actions.log_in(EVE, CHOSEN).id) == ("operator", eve.id)
    verbs = AuditRow.objects.filter(verb__startswith="invitation").order_by("id").values_list("verb", "actor")
    assert list(verbs) == [("invitation.make", rooms.owner.actor), ("invitation.use", EVE)]
    with pytest.raises(Unauthenticated):
        accept(code)


def test_who_has_an_account_comes_with_its_password_and_keeps_it(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity

    actions.add_person(EVE, PASSWORD, acting=identity.system())
    code = invite(rooms)
    with pytest.raises(Unauthenticated):
        accept(code)
    accept(code, password=PASSWORD)
    assert (roles()[EVE], bool(actions.log_in(EVE, PASSWORD))) == ("customer", True)


def test_a_password_that_cannot_be_leaves_the_code_good(rooms: "Rooms") -> None:
    code = invite(rooms)
    with pytest.raises(Invalid):
        accept(code, password="short")
    assert accept(code)


@pytest.mark.parametrize(
    "spoilt", ["used", "over", "withdrawn", "made anew", "of another address", "maker is no owner"]
)
def test_what_opens_nothing_says_the_same_whatever_it_is(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    from freehold.master.people import invitations
    from freehold.master.people.models import Membership

    code, email = invite(rooms), EVE
    if spoilt == "used":
        accept(code)
    elif spoilt == "over":
        later = clock.now() + 7 * clock.DAY
        monkeypatch.setattr(clock, "now", lambda: later)
    elif spoilt == "withdrawn":
        invitations.withdraw(project(), EVE, acting=rooms.owner)
    elif spoilt == "made anew":
        invite(rooms)
    elif spoilt == "of another address":
        email = "mallory@example.org"
    elif spoilt == "maker is no owner":
        Membership.objects.filter(person=rooms.owner.person).update(role="operator")
    before = roles()
    with pytest.raises(Unauthenticated) as told:
        accept(code, email)
    assert roles() == before
    with pytest.raises(Unauthenticated) as nonsense:
        accept("nonsense\0", "nobody@example.org")
    assert str(told.value) == str(nonsense.value)


def test_codes_are_not_guessed(rooms: "Rooms") -> None:
    code = invite(rooms)
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            accept("wrong")
    with pytest.raises(TooManyTries):
        accept(code)


def test_a_code_brings_in_one_of_two_who_come_at_once(master: "Master") -> None:
    made = master.api("POST", "/projects/provider/invitations", {"email": "twins@example.org", "role": "customer"})
    body = {"email": "twins@example.org", "code": made["code"], "password": CHOSEN}
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: master.call("POST", "/api/v1/join", body).status, range(2)))
    assert sorted(answers) == [204, 401]
    assert made["link"].endswith(f"/join#{made['code']}")
    members = master.api("GET", "/projects/provider/members")
    assert [one["role"] for one in members if one["email"] == "twins@example.org"] == ["customer"]
    assert master.api("GET", "/projects/provider/invitations") == []


def test_only_who_gives_roles_invites_and_not_twice_the_same(rooms: "Rooms") -> None:
    from freehold.master.people import invitations

    with pytest.raises(Forbidden):
        invite(rooms, acting=rooms.customer)
    for email, role in (("nobody", "customer"), ("a@b\0", "customer"), (EVE, "king"), (f"{'x' * 300}@b", "customer")):
        with pytest.raises(Invalid):
            invite(rooms, email, role)
    accept(invite(rooms))
    with pytest.raises(Conflict, match="is in 'provider' already"):
        invite(rooms)
    with pytest.raises(NotFound):
        invitations.withdraw(project(), "lost\0", acting=rooms.owner)


def test_invitations_count_among_the_members_that_a_project_may_have(rooms: "Rooms") -> None:
    from freehold.master.foundation.errors import MasterError
    from freehold.master.people import identity, quotas
    from freehold.master.people.quotas import Quota

    quotas.set_limit("provider", Quota.MEMBERS, 2, acting=identity.system())
    code = invite(rooms)
    with pytest.raises(MasterError, match="members"):
        invite(rooms, "fay@example.org")
    assert invite(rooms) != code, "the same one again takes no more"


def test_what_is_over_is_forgotten(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.people.models import Invitation
    from freehold.master.people.reconcile import clean_up

    invite(rooms)
    clean_up()
    assert Invitation.objects.exists()
    later = clock.now() + 8 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    clean_up()
    assert not Invitation.objects.exists()


# Pages


def test_an_owner_invites_on_a_page_and_a_colleague_comes_in(rooms: "Rooms") -> None:
    owner = Visitor(rooms.owner)
    shown = text(owner.post("/members/provider", {"act": "invite", "email": EVE, "role": "operator"}))
    code = shown.partition("/join#")[2].split()[0].partition("<")[0]
    assert EVE in owner.reads("/members/provider")
    assert code not in owner.reads("/members/provider"), "it is shown once"
    eve = Visitor(None)
    wrong = eve.post("/join", {"email": EVE, "code": "fhi_wrong", "password": CHOSEN})
    assert (wrong.status_code, "is wrong, or the invitation is over" in text(wrong)) == (401, True)
    assert eve.post("/join", {"email": EVE, "code": code, "password": CHOSEN}).status_code == 302
    assert EVE in eve.reads("/members/provider"), "an operator sees who is there"
    assert "Invite somebody" not in eve.reads("/members/provider"), "and gives no roles"
    assert eve.post("/members/provider", {"act": "remove", "email": rooms.owner.actor}).status_code == 403
    owner.post("/members/provider", {"act": "role", "email": EVE, "role": "customer"})
    assert roles()[EVE] == "customer"
    owner.post("/members/provider", {"act": "remove", "email": EVE})
    assert EVE not in roles()


def test_a_project_keeps_an_owner(rooms: "Rooms") -> None:
    owner, me = Visitor(rooms.owner), rooms.owner.actor
    for values in ({"act": "remove"}, {"act": "role", "role": "operator"}):
        answer = owner.post("/members/provider", {**values, "email": me})
        assert (answer.status_code, "is the only owner of" in text(answer)) == (409, True)
    accept(invite(rooms, role="owner"))
    owner.post("/members/provider", {"act": "role", "role": "operator", "email": me})
    assert roles() == {me: "operator", EVE: "owner"}


def test_a_mistake_on_the_page_of_members_is_told_and_changes_nothing(rooms: "Rooms") -> None:
    owner, before = Visitor(rooms.owner), roles()
    for values, status in (
        ({"act": "invite", "email": "nobody", "role": "operator"}, 422),
        ({"act": "invite", "email": rooms.owner.actor, "role": "operator"}, 409),
        ({"act": "role", "email": rooms.owner.actor, "role": "king"}, 422),
        ({"act": "role", "email": "lost\0", "role": "owner"}, 404),
        ({"act": "withdraw", "email": "lost"}, 404),
        ({"act": "dance", "email": rooms.owner.actor}, 404),
    ):
        assert owner.post("/members/provider", values).status_code == status, values
    assert roles() == before


def test_a_password_is_changed_on_a_page_and_logs_out(rooms: "Rooms") -> None:
    from freehold.master.people import actions

    accept(invite(rooms))
    eve = Visitor(None)
    eve.post("/login", {"email": EVE, "password": CHOSEN})
    wrong = eve.post("/account/password", {"old": "not this one here", "password": PASSWORD})
    assert (wrong.status_code, "This is not your present password." in text(wrong)) == (422, True)
    short = eve.post("/account/password", {"old": CHOSEN, "password": "short"})
    assert (short.status_code, "too short" in text(short)) == (422, True)
    assert eve.post("/account/password", {"old": CHOSEN, "password": PASSWORD}).status_code == 302
    assert eve.get("/account").status_code == 302, "it has to log in again"
    assert actions.log_in(EVE, PASSWORD)


@pytest.mark.parametrize(
    "email", ["", "nobody", "a b@a.example", "a\0b@a.example", "\x1b[2Ja@b.example", f"{'x' * 250}@a.example"]
)
def test_what_is_no_address_is_neither_invited_nor_given_an_account(rooms: "Rooms", email: str) -> None:
    from freehold.master.people import actions, identity

    with pytest.raises(Invalid):
        invite(rooms, email)
    with pytest.raises(Invalid):
        actions.add_person(email, PASSWORD, acting=identity.system())


def test_a_short_password_does_not_tell_its_maker_who_has_an_account(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity

    actions.add_person("known@example.org", PASSWORD, acting=identity.system())
    answers = []
    for email in ("known@example.org", "unknown@example.org"):
        with pytest.raises(Invalid) as told:
            accept(invite(rooms, email), email, "short")
        answers.append(str(told.value))
    assert answers[0] == answers[1]


def test_the_whole_link_may_be_pasted(rooms: "Rooms") -> None:
    link = f"https://master.example/join#{invite(rooms)}"
    answer = Visitor(None).post("/join", {"email": EVE, "code": f" {link} ", "password": CHOSEN})
    assert answer.status_code == 302
    assert roles()[EVE] == "customer"


def test_every_door_that_takes_a_password_hashes_it_where_few_others_wait() -> None:
    import json

    from django.urls import reverse

    from freehold.master.server import PASSWORD_PATHS
    from support.machines import REPOSITORY

    document = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())
    schemas = document["components"]["schemas"]
    doors = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = schemas.get(body.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
            if any(field.get("format") == "password" for field in fields.values()):
                doors.add(path)
    templates = REPOSITORY / "src" / "freehold" / "master" / "panel" / "templates" / "panel"
    for page in templates.glob("*.html"):
        if 'type="password"' in page.read_text():
            doors.add(reverse(page.stem.replace("_", "-")))
    assert len(doors) >= 8
    assert doors == PASSWORD_PATHS
