"""How accounts change and end by the public API: of oneself, and of others for who may."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.running import Master

OLD, NEW = "correct horse battery", "another horse entirely"


def works(master: "Master", token: str) -> bool:
    return bool(master.call("GET", "/api/v1/me", token=token).status == 200)


@pytest.fixture
def ada(master: "Master", request: pytest.FixtureRequest) -> tuple[str, str]:
    """A person of the project `provider`: their e-mail and a token."""
    email = f"ada-{abs(hash(request.node.name)) % 10**8}@example.org"
    return email, master.person(email, "provider")


def test_a_password_is_changed_with_the_old_one_and_ends_what_it_opened(master: "Master", ada: tuple[str, str]) -> None:
    email, token = ada
    wrong = master.call("PUT", "/api/v1/me/password", {"old": "not this one here", "new": NEW}, token=token)
    assert (wrong.status, wrong.body["errors"][0]["field"]) == (422, "old")
    short = master.call("PUT", "/api/v1/me/password", {"old": OLD, "new": "short"}, token=token)
    assert short.status == 422
    assert works(master, token)
    master.api("PUT", "/me/password", {"old": OLD, "new": NEW}, token=token)
    assert not works(master, token)
    old = master.call("POST", "/api/v1/login", {"email": email, "password": OLD})
    assert old.status == 401
    new = master.call("POST", "/api/v1/login", {"email": email, "password": NEW})
    assert new.status == 200


def test_tokens_are_listed_without_their_secret_and_ended(master: "Master", ada: tuple[str, str]) -> None:
    email, token = ada
    second = master.log_in(email)
    rows = master.api("GET", "/me/tokens", token=token)
    assert len(rows) == 2
    assert token not in str(rows)
    assert master.api("GET", f"/people/{email}/tokens") == rows, "staff sees the same"
    master.api("DELETE", f"/tokens/{rows[1]['id']}", token=token)
    assert not works(master, second)
    master.api("DELETE", f"/people/{email}/sessions", token=token)
    assert not works(master, token)


def test_staff_ends_closes_and_opens_accounts_of_others(master: "Master", ada: tuple[str, str]) -> None:
    email, token = ada
    assert master.call("POST", f"/api/v1/people/{email}/close", token=token).status == 403
    master.api("DELETE", f"/people/{email}/sessions")
    assert not works(master, token)
    token = master.log_in(email)
    master.api("POST", f"/people/{email}/close")
    assert not works(master, token)
    assert master.call("POST", "/api/v1/login", {"email": email, "password": OLD}).status == 401
    assert any(one["email"] == email and not one["is_open"] for one in master.api("GET", "/people"))
    master.api("POST", f"/people/{email}/reopen")
    assert works(master, master.log_in(email))


def test_an_owner_takes_somebody_out_of_the_project(master: "Master", ada: tuple[str, str]) -> None:
    email, token = ada
    assert {"email": email, "role": "customer"} in master.api("GET", "/projects/provider/members")
    master.api("DELETE", f"/projects/provider/members/{email}")
    assert master.call("GET", "/api/v1/projects/provider/instances", token=token).status == 403
    assert master.call("DELETE", f"/api/v1/projects/provider/members/{email}", token=master.owner).status == 404


def test_what_was_done_to_accounts_is_in_the_audit_log(master: "Master", ada: tuple[str, str]) -> None:
    email, token = ada
    master.api("PUT", "/me/password", {"old": OLD, "new": NEW}, token=token)
    master.api("POST", f"/people/{email}/close")
    (person,) = [row[0] for row in master.sql("SELECT id FROM people_person WHERE email = ?", email)]
    verbs = [row[0] for row in master.sql("SELECT verb FROM foundation_auditrow WHERE subject = ? ORDER BY id", person)]
    assert verbs[-2:] == ["password.change", "person.close"]
