"""Who may come in."""

from typing import TYPE_CHECKING

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, Unauthenticated
from support.running import OWNER, PASSWORD

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master


@pytest.fixture(scope="module")
def customer(master: "Master") -> str:
    return master.project("shop")


def _try(master: "Master", token: str | None, path: str = "/api/v1/me") -> tuple[int, str]:
    status, body = master.call("GET", path, token=token)
    return status, body.get("detail", "") if isinstance(body, dict) else ""


def test_a_login_gives_a_token_that_says_who_it_is(master: "Master", customer: str) -> None:
    me = master.api("GET", "/me", token=customer)
    assert me == {
        "email": "customer@shop.example",
        "scopes": ["account", "audit", "operate", "order", "read", "sell"],
        "projects": [{"name": "shop", "role": "customer"}],
    }


def test_letters_of_an_address_may_be_large_or_small(master: "Master") -> None:
    assert master.log_in(OWNER.upper())


def test_a_wrong_password_and_an_unknown_address_look_the_same(master: "Master") -> None:
    answers = [
        master.call("POST", "/api/v1/login", {"email": email, "password": password})
        for email, password in ((OWNER, "wrong"), ("stranger@example.org", PASSWORD), (OWNER, ""))
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({str(answer.body) for answer in answers}) == 1
    assert answers[0].kind == "application/problem+json"


def test_a_login_of_the_wrong_shape_names_the_field(master: "Master") -> None:
    status, problem = master.call("POST", "/api/v1/login", {"email": OWNER})
    assert status == 422
    assert problem["errors"][0]["field"].endswith("password")
    assert PASSWORD not in str(problem)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'"word"'])
def test_a_body_that_is_not_json_is_a_problem_of_its_sender(master: "Master", body: bytes) -> None:
    answer = master.call("POST", "/api/v1/login", raw=body)
    assert answer.status in (400, 422), answer.body
    assert answer.kind == "application/problem+json"


def test_a_zero_character_is_a_problem_of_its_sender(master: "Master", customer: str) -> None:
    answer = master.call("POST", "/api/v1/login", {"email": "a\0@b", "password": PASSWORD})
    assert answer.status in (400, 401)
    answer = master.call("GET", "/api/v1/projects/shop/instances/a%00b", token=customer)
    assert answer.status in (400, 404)
    spec = {"product": "a\0b"}
    answer = master.call("PUT", "/api/v1/projects/shop/instances/x", spec, token=customer)
    assert answer.status in (400, 404)
    answer = master.call("GET", "/api/v1/projects/shop/instances?after=%00", token=customer)
    assert answer.status in (200, 400)


def test_a_body_too_large_is_refused_before_it_is_read(master: "Master") -> None:
    answer = master.call("POST", "/api/v1/login", raw=b"x", headers={"Content-Length": str(10**10)})
    assert answer.status == 413
    assert answer.body["type"] == "too-large"


@pytest.mark.parametrize("size", ["many", "-1", "1e9"])
def test_a_size_that_is_no_number_is_refused(master: "Master", size: str) -> None:
    assert master.call("POST", "/api/v1/login", raw=b"x", headers={"Content-Length": size}).status == 400


def test_without_a_token_nothing_is_told(master: "Master") -> None:
    for token in (None, "fhp_unknown", "", "'; --"):
        status, detail = _try(master, token)
        assert status == 401, detail


def test_a_token_opens_what_its_scopes_say(master: "Master", customer: str) -> None:
    reader = master.log_in("customer@shop.example", scopes=("read",))
    assert master.api("GET", "/projects/shop/instances", token=reader) == []
    status, problem = master.call("PUT", "/api/v1/projects/shop/instances/x", {"product": "t"}, token=reader)
    assert (status, problem["detail"]) == (403, "This token has no scope 'order'.")
    orderer = master.log_in("customer@shop.example", scopes=("order",))
    assert _try(master, orderer, "/api/v1/projects/shop/instances")[0] == 403


def test_a_token_for_one_project_opens_no_other(master: "Master", customer: str) -> None:
    master.cli("person", "customer@shop.example", "--project", "provider", "--role", "operator")
    try:
        narrow = master.log_in("customer@shop.example", project="shop")
        assert _try(master, narrow, "/api/v1/projects/shop/instances")[0] == 200
        assert _try(master, narrow, "/api/v1/projects/provider/nodes")[0] == 403
        wide = master.log_in("customer@shop.example")
        assert _try(master, wide, "/api/v1/projects/provider/nodes")[0] == 200
    finally:
        master.sql(
            "DELETE FROM people_membership WHERE role = 'operator' AND person_id ="
            " (SELECT id FROM people_person WHERE email = 'customer@shop.example')"
        )


def test_a_role_taken_away_closes_the_token_at_once(master: "Master", customer: str) -> None:
    token = master.person("brief@shop.example", "shop")
    assert _try(master, token, "/api/v1/projects/shop/instances")[0] == 200
    master.sql(
        "DELETE FROM people_membership WHERE person_id ="
        " (SELECT id FROM people_person WHERE email = 'brief@shop.example')"
    )
    assert _try(master, token, "/api/v1/projects/shop/instances")[0] == 403
    master.sql("UPDATE people_person SET is_active = ? WHERE email = 'brief@shop.example'", False)
    assert _try(master, token) == (401, "This account is closed.")
    answer = master.call("POST", "/api/v1/login", {"email": "brief@shop.example", "password": PASSWORD})
    assert answer.status == 401


def test_an_expired_token_says_so(master: "Master", customer: str) -> None:
    token = master.log_in("customer@shop.example", title="old", days=1)
    assert _try(master, token)[0] == 200
    master.sql("UPDATE people_apitoken SET created_at = 1, expires_at = 2 WHERE title = 'old'")
    assert _try(master, token) == (401, "This API token has expired.")


@pytest.mark.parametrize("days", [0, -1, 367, 10**12])
def test_a_token_lives_a_day_to_a_year(master: "Master", days: int) -> None:
    spec = {"email": OWNER, "password": PASSWORD, "days": days}
    status, problem = master.call("POST", "/api/v1/login", spec)
    assert (status, problem["errors"][0]["field"]) == (422, "days")


def test_a_revoked_token_is_over_at_once(master: "Master", customer: str) -> None:
    spec = {"email": "customer@shop.example", "password": PASSWORD}
    made = master.call("POST", "/api/v1/login", spec).body
    stranger = master.call("DELETE", f"/api/v1/tokens/{made['id']}", token=master.owner)
    assert stranger.status == 404
    assert master.call("DELETE", f"/api/v1/tokens/{made['id']}", token=made["token"]).status == 204
    assert _try(master, made["token"]) == (401, "This API token was revoked.")
    assert master.call("DELETE", f"/api/v1/tokens/{made['id']}", token=customer).status == 404


def test_the_master_does_not_keep_what_opens_it(master: "Master", customer: str) -> None:
    kept = str(master.sql("SELECT * FROM people_apitoken")) + str(master.sql("SELECT * FROM people_person"))
    kept += str(master.sql("SELECT * FROM foundation_auditrow")) + master.log()
    assert customer not in kept
    assert customer.removeprefix("fhp_") not in kept
    assert PASSWORD not in kept


def test_a_token_in_the_address_opens_nothing(master: "Master") -> None:
    assert _try(master, None, f"/api/v1/me?token={master.owner}&key={master.owner}")[0] == 401


def test_init_twice_changes_nothing(master: "Master") -> None:
    before = master.authority.read_text(), master.sql("SELECT id, password FROM people_person")
    master.cli("init", "--owner", OWNER, "--password-file", "-", secret="another password")
    assert (master.authority.read_text(), master.sql("SELECT id, password FROM people_person")) == before


def test_the_keys_are_the_masters_alone(master: "Master") -> None:
    keys = [*master.root.glob("authority/*.key"), master.root / "secret.key"]
    assert len(keys) == 3
    assert {path.stat().st_mode & 0o077 for path in keys} == {0}


def test_a_command_that_cannot_be_done_says_why(master: "Master") -> None:
    done = master.run("person", "a@b", "--project", "nowhere", "--password-file", "-", secret=PASSWORD)
    assert done.returncode == 1
    assert "There is no project 'nowhere'" in done.stderr
    assert "Traceback" not in done.stderr
    done = master.run("project", "provider")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "There is a project 'provider' already" in done.stderr


def test_pages_want_a_session_of_a_person(master: "Master") -> None:
    pages = ("/", "/services/shop/x", "/services/shop/x/-/live", "/catalogue", "/catalogue/tiny", "/fleet/shop")
    for path in pages:
        assert master.call("GET", path).status == 302
    assert b"password" in master.call("GET", "/login").body
    assert master.call("POST", "/logout", raw=b"").status == 403


@pytest.mark.parametrize(
    ("name", "reason"), [("", "name"), ("Shop", "name"), ("a b", "name"), ("-a", "name"), ("a" * 64, "name")]
)
def test_names_of_projects_are_plain(rooms: "Rooms", name: str, reason: str) -> None:
    from freehold.master.people import actions, identity

    with pytest.raises(Invalid) as caught:
        actions.add_project(name, acting=identity.system())
    assert caught.value.errors[0].field == reason


def test_one_name_one_project_one_address_one_person(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity

    with pytest.raises(Conflict):
        actions.add_project("shop", acting=identity.system())
    with pytest.raises(Conflict):
        actions.add_person("OWNER@example.org", PASSWORD, acting=identity.system())


def test_only_staff_makes_projects_and_persons(rooms: "Rooms") -> None:
    from freehold.master.people import actions

    with pytest.raises(Forbidden):
        actions.add_project("more", acting=rooms.owner)
    with pytest.raises(Forbidden):
        actions.add_person("a@b", PASSWORD, acting=rooms.owner)


@pytest.mark.parametrize(("email", "password"), [("a@b", "short"), ("nobody", PASSWORD), ("a b@c", PASSWORD)])
def test_a_person_has_an_address_and_a_password(rooms: "Rooms", email: str, password: str) -> None:
    from freehold.master.people import actions, identity

    with pytest.raises(Invalid):
        actions.add_person(email, password, acting=identity.system())


def test_only_an_owner_gives_roles(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Project, Role

    customer = Person.objects.get(email="customer@shop.example")
    provider, shop = Project.objects.get(name="provider"), Project.objects.get(name="shop")
    actions.give_role(customer, provider, Role.OPERATOR, acting=rooms.owner)
    assert identity.by_person(customer.id).roles == {"shop": Role.CUSTOMER, "provider": Role.OPERATOR}
    for project in (shop, provider):
        with pytest.raises(Forbidden):
            actions.give_role(customer, project, Role.OWNER, acting=identity.by_person(customer.id))
    with pytest.raises(Forbidden):
        actions.give_role(customer, shop, Role.OWNER, acting=rooms.owner)


def test_an_owner_with_a_narrow_token_gives_no_roles(rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person, Project, Role

    reader = identity.by_person(rooms.owner.person, frozenset({Scope.READ}))
    customer = Person.objects.get(email="customer@shop.example")
    with pytest.raises(Forbidden):
        actions.give_role(customer, Project.objects.get(name="provider"), Role.OWNER, acting=reader)


def test_nobody_makes_a_token_for_the_project_of_others(rooms: "Rooms") -> None:
    from freehold.master.people import actions
    from freehold.master.people.identity import ALL_SCOPES
    from freehold.master.people.models import ApiToken, Person

    with pytest.raises(Invalid):
        actions.make_token(
            Person.objects.get(email="customer@shop.example"),
            title="x", scopes=ALL_SCOPES, project=rooms.provider,
        )  # fmt: skip
    assert not ApiToken.objects.exists()


def test_every_act_leaves_who_did_it(rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow

    rows = list(AuditRow.objects.order_by("id").values_list("actor", "verb"))
    assert rows[0] == ("freehold", "project.add")
    assert ("freehold", "role.give") in rows


def test_who_is_nobody_is_told_nothing_in_particular(rooms: "Rooms") -> None:
    from freehold.master.people import identity

    with pytest.raises(Unauthenticated):
        identity.by_token("fhp_unknown")
