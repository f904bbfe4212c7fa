"""What each kind of visitor gets from each page of the panel: one table, checked against its addresses."""

from typing import Any

import pytest

from support.panels import Visitor, text
from support.rooms import Rooms
from support.running import tiny_release

VISITORS = ("nobody", "stranger", "customer", "operator", "sales", "accountant", "auditor")
LOGIN = {"email": "owner@example.org", "password": "wrong"}

# What each visitor gets, in the order of VISITORS: `login` is being led to log in. `stranger` is the customer of
# another project. Pages are of project `provider`, of which customer and operator are, of its service `theirs`, of
# its product `own` (which only it may order), of its node `one` and of that product's supply there.
TABLE: dict[str, tuple[Any, str]] = {
    "GET login":             (None, "200 200 200 200 200 200 200"),
    "POST login":            (LOGIN, "401 401 401 401 401 401 401"),
    "POST login-code":       ({"ticket": "x", "code": "1"}, "401 401 401 401 401 401 401"),
    "POST login-passkey":    ({"ticket": "x", "answer": "{}"}, "401 401 401 401 401 401 401"),
    "GET account-data":      (None, "login 200 200 200 200 200 200"),
    "POST account-data":     ({"password": ""}, "login 422 422 422 422 422 422"),
    "GET account-download":  (None, "login 200 200 200 200 200 200"),
    "GET account-security":  (None, "login 200 200 200 200 200 200"),
    "POST account-security": ({"act": "x"}, "login 422 422 422 422 422 422"),
    "GET sign-up":           (None, "200 200 200 200 200 200 200"),
    "POST sign-up":          ({"email": "x"}, "409 409 409 409 409 409 409"),
    "GET sign-up-confirm":   (None, "200 200 200 200 200 200 200"),
    "POST sign-up-confirm":  ({"email": "x"}, "409 409 409 409 409 409 409"),
    "GET sign-ups":          (None, "login 403 403 403 403 403 403"),
    "POST sign-ups":         ({"act": "mode", "mode": "open"}, "login 403 403 403 403 403 403"),
    "GET terms":             (None, "200 200 200 200 200 200 200"),
    "POST terms":            ({"kind": "terms", "text": "x"}, "login 403 403 403 403 403 403"),
    "GET terms-version":     (None, "404 404 404 404 404 404 404"),
    "GET forgotten":         (None, "200 200 200 200 200 200 200"),
    "POST forgotten":        ({"email": "x"}, "422 422 422 422 422 422 422"),
    "GET reset":             (None, "200 200 200 200 200 200 200"),
    "POST reset":            ({"email": "x"}, "422 422 422 422 422 422 422"),
    "GET account":           (None, "login 200 200 200 200 200 200"),
    "POST account":          ({"session": "lost"}, "login 404 404 404 404 404 404"),
    "GET join":              (None, "200 200 200 200 200 200 200"),
    "POST join":             ({"email": "x"}, "422 422 422 422 422 422 422"),
    "GET account-password":  (None, "login 200 200 200 200 200 200"),
    "POST account-password": ({"old": "x"}, "login 422 422 422 422 422 422"),
    "GET members-choice":    (None, "login 200 200 302 200 200 200"),
    "GET members":           (None, "login 403 403 200 403 403 403"),
    "POST members":          ({"act": "invite", "email": "x"}, "login 403 403 422 403 403 403"),
    "GET account-messages":  (None, "login 200 200 200 200 200 200"),
    "POST account-messages": ({"time_zone": "Nowhere"}, "login 422 422 422 422 422 422"),
    "GET webhooks":          (None, "login 403 200 200 403 200 403"),
    "POST webhooks":         ({"url": "ftp://x"}, "login 403 422 422 403 422 403"),
    "GET webhook":           (None, "login 403 404 404 403 404 403"),
    "POST webhook":          ({"act": "test"}, "login 403 404 404 403 404 403"),
    "GET account-tokens":    (None, "login 200 200 200 200 200 200"),
    "POST account-tokens":   ({"token": "lost"}, "login 404 404 404 404 404 404"),
    "POST language":         ({"language": "fr"}, "302 302 302 302 302 302 302"),
    "GET language":          (None, "302 302 302 302 302 302 302"),
    "GET instances":         (None, "login 200 200 200 200 200 200"),
    "GET instance":          (None, "login 403 200 200 403 403 403"),
    "GET instance-live":     (None, "login 403 200 200 403 403 403"),
    "POST instance-secret":  ({"name": "password"}, "login 403 200 200 403 403 403"),
    "POST instance-protection": ({"protected": "no"}, "login 403 302 302 403 403 403"),
    "POST instance-restart": ({}, "login 403 409 409 403 403 403"),
    "POST instance-state":   ({"state": "started"}, "login 403 302 302 403 403 403"),
    "GET instance-change":   (None, "login 403 200 200 403 403 403"),
    "POST instance-change":  ({"p/size": "no number"}, "login 403 422 422 403 403 403"),
    "GET instance-plan":     (None, "login 403 404 404 403 403 403"),
    "POST instance-plan":    ({"offer": "x"}, "login 403 404 404 403 403 403"),
    "GET instance-destroy":  (None, "login 403 200 200 403 403 403"),
    "POST instance-destroy": ({"confirm": "another"}, "login 403 422 422 403 403 403"),
    "GET catalogue":         (None, "login 200 200 200 200 200 200"),
    "GET order":             (None, "login 404 200 200 403 403 403"),
    "POST order":            ({"title": "/", "project": "provider"}, "login 404 422 422 403 403 403"),
    "GET projects":          (None, "login 403 403 403 403 403 403"),
    "POST projects":         ({"act": "lift", "name": "lost"}, "login 403 403 403 403 403 403"),
    "GET tasks":             (None, "login 403 403 403 403 403 403"),
    "GET audit-choice":      (None, "login 200 200 302 200 200 200"),
    "GET audit":             (None, "login 403 403 200 403 403 403"),
    "GET audit-csv":         (None, "login 403 403 200 403 403 403"),
    "GET home":              (None, "login 302 302 302 302 302 302"),
    "GET desk-choice":       (None, "login 200 200 302 200 200 200"),
    "GET desk":              (None, "login 403 403 200 403 403 403"),
    "GET fleet-choice":      (None, "login 200 200 302 200 200 200"),
    "GET fleet":             (None, "login 403 403 200 403 403 403"),
    "POST add-site":         ({"name": "-"}, "login 403 403 422 403 403 403"),
    "GET site":              (None, "login 403 403 200 403 403 403"),
    "POST site":             ({"hours": "-"}, "login 403 403 422 403 403 403"),
    "GET enrol":             (None, "login 403 403 200 403 403 403"),
    "POST enrol":            ({"site": "here", "title": "new"}, "login 403 403 200 403 403 403"),
    "GET node":              (None, "login 403 403 200 403 403 403"),
    "POST node":             ({"open": "yes"}, "login 403 403 302 403 403 403"),
    "GET node-drain":        (None, "login 403 403 200 403 403 403"),
    "POST node-drain":       ({}, "login 403 403 200 403 403 403"),
    "GET node-revoke":       (None, "login 403 403 200 403 403 403"),
    "POST node-revoke":      ({"confirm": "another"}, "login 403 403 422 403 403 403"),
    "GET instance-events":    (None, "login 403 200 200 403 403 403"),
    "GET instance-pictures":  (None, "login 403 200 200 403 403 403"),
    "GET instance-history-csv": (None, "login 403 200 200 403 403 403"),
    "GET instance-logs":      (None, "login 403 200 200 403 403 403"),
    "POST instance-logs":     ({"lines": "9999"}, "login 403 422 422 403 403 403"),
    "GET instance-logs-more": (None, "login 403 200 200 403 403 403"),
    "GET instance-move":     (None, "login 403 409 409 403 403 403"),
    "POST instance-move":    ({}, "login 403 409 409 403 403 403"),
    "GET supplies":          (None, "login 403 403 200 403 403 403"),
    "POST supplies":         ({"release": "lost"}, "login 403 403 404 403 403 403"),
    "GET supply":            (None, "login 403 403 200 403 403 403"),
    "GET build-log":         (None, "login 403 403 200 403 403 403"),
    "GET prices":            (None, "200 200 200 200 200 200 200"),
    "GET status":            (None, "200 200 200 200 200 200 200"),
    "GET status-feed":       (None, "200 200 200 200 200 200 200"),
    "GET evidence":          (None, "404 404 404 404 404 404 404"),
    "GET costs-choice":      (None, "login 302 302 302 200 200 200"),
    "GET costs":             (None, "login 403 200 200 403 403 403"),
    "POST costs":            ({"amount": "x", "currency": "EUR"}, "login 403 422 422 403 403 403"),
    "GET invoice":           (None, "login 403 404 404 403 403 403"),
    "GET invoice-pdf":       (None, "login 403 404 404 403 403 403"),
    "GET books-choice":      (None, "login 200 200 200 200 302 302"),
    "GET books":             (None, "login 403 403 403 403 200 200"),
    "GET payment":           (None, "login 403 403 403 403 404 403"),
    "POST payment":          (None, "login 403 403 403 403 404 403"),
    "GET statement":         (None, "login 403 403 403 403 200 403"),
    "POST statement":        (None, "login 403 403 403 403 422 403"),
    "POST books-act":        ({"act": "lock", "day": "x"}, "login 403 403 403 403 422 403"),
    "GET sold":              (None, "login 403 403 403 403 404 404"),
    "GET sold-pdf":          (None, "login 403 403 403 403 404 404"),
    "GET report-csv":        (None, "login 403 403 403 403 200 200"),
    "GET books-export":      (None, "login 403 403 403 403 200 200"),
    "GET ask":               (None, "login 403 200 200 403 403 403"),
    "POST ask":              ({"title": ""}, "login 403 422 422 403 403 403"),
    "GET tickets":           (None, "login 200 200 200 200 200 200"),
    "GET ticket":            (None, "login 403 404 404 403 404 403"),
    "POST ticket":           ({"text": "x"}, "login 403 404 404 403 404 403"),
    "POST logout":           (None, "302 302 302 302 302 302 302"),
}  # fmt: skip
OPEN = {
    "login",
    "login-code",
    "login-passkey",
    "logout",
    "sign-up",
    "sign-up-confirm",
    "terms",
    "terms-version",
    "forgotten",
    "reset",
    "join",
    "language",
    "prices",
    "status",
    "status-feed",
    "evidence",
}
"""Pages for which nobody needs to be anybody."""


def _addresses() -> dict[str, str]:
    from freehold.master.panel.urls import urlpatterns

    return {str(one.name): "/" + str(one.pattern) for one in urlpatterns}


@pytest.fixture
def house(rooms: Rooms) -> dict[str, Visitor]:
    """Everyone who may come, to a Master with a service that has a secret and a product that is not for all."""
    from freehold.master.accounting import actions as accounting
    from freehold.master.foundation import clock, ids
    from freehold.master.ordering import actions
    from freehold.master.ordering.models import PublicationRow
    from freehold.master.people import actions as people
    from freehold.master.people import identity
    from freehold.master.people.models import Person, Project, Role

    rooms.supply(rooms.publish(tiny_release("own")), rooms.node("one"), everyone=False)
    spec = actions.Request("provider", "theirs", product="own", parameters={"greeting": "whispered"})
    granted = actions.request(spec, acting=rooms.owner)
    PublicationRow.objects.create(
        instance_id=granted.instance, revision=10**9, published='{"password": "hushed"}', at=clock.now()
    )
    visitors = {"nobody": Visitor(None), "stranger": Visitor(rooms.customer)}
    spec = accounting.Seller("BOOKS", "Books", "street", "FR", "EUR", "Europe/Paris")
    accounting.add_entity(spec, "provider", acting=rooms.owner)
    for role in (Role.CUSTOMER, Role.OPERATOR, Role.SALES, Role.ACCOUNTANT, Role.AUDITOR):
        person = Person.objects.create(
            id=ids.new("pers"), email=f"{role.value}@example.org", password="!", created_at=clock.now()
        )
        people.give_role(person, Project.objects.get(name="provider"), role, acting=identity.system())
        visitors[role.value] = Visitor(identity.by_person(person.id))
    return visitors


def _path(name: str, project: str = "provider") -> str:
    from freehold.master.fleet.models import Supply

    known = {"project": project, "product": "own", "identity": Supply.objects.get().id}
    known["title"] = "one" if name.startswith("node") else "theirs"
    known |= {
        "code": "BOOKS",
        "number": "lost",
        "digest": "0" * 64,
        "name": {"books-export": "fec", "site": "here"}.get(name, "vat"),
    }
    address = _addresses()[name]
    for key, value in known.items():
        for kind in ("str", "path"):
            address = address.replace(f"<{kind}:{key}>", value)
    assert "<" not in address, f"give a value for what is new in {address}"
    return address


def _visit(visitor: Visitor, row: str, project: str = "provider") -> Any:
    method, name = row.split()
    path = _path(name, project)
    return visitor.get(path) if method == "GET" else visitor.post(path, TABLE[row][0])


def _got(answer: Any) -> str:
    """Return the status of an answer, or `login` when it leads there."""
    leads = answer.get("Location", "").split("?")[0] == "/login"
    return "login" if leads and answer.wsgi_request.path != "/logout" else str(answer.status_code)


def test_the_table_has_every_page_and_every_way_to_ask_for_it(house: dict[str, Visitor]) -> None:
    for name in _addresses():
        for method in ("GET", "POST"):
            if f"{method} {name}" not in TABLE:
                path = _path(name)
                answer = house["operator"].get(path) if method == "GET" else house["operator"].post(path)
                assert answer.status_code == 405, f"{method} {name} is not in the table"
    assert {row.split()[1] for row in TABLE} == set(_addresses())


@pytest.mark.parametrize("row", TABLE)
def test_everyone_gets_what_they_may(house: dict[str, Visitor], row: str) -> None:
    answers = {who: _visit(visitor, row) for who, visitor in house.items()}
    assert {who: _got(answer) for who, answer in answers.items()} == dict(
        zip(VISITORS, TABLE[row][1].split(), strict=True)
    )
    for who in ("nobody", "stranger"):
        for theirs in ("whispered", "hushed", "127.0.1.", "customer@example.org"):
            assert theirs not in answers[who].content.decode(), who
    if row.split()[1] not in OPEN:
        for answer in answers.values():
            assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("row", [row for row, (_body, got) in TABLE.items() if got.split()[1] == "403"])
def test_the_project_of_others_looks_like_one_that_is_not(house: dict[str, Visitor], row: str) -> None:
    theirs, missing = (_visit(house["stranger"], row, project) for project in ("provider", "no-such"))
    assert theirs.status_code == missing.status_code == 403
    assert text(theirs).replace("provider", "*") == text(missing).replace("no-such", "*")


@pytest.mark.parametrize("row", [row for row in TABLE if row.startswith("POST")])
def test_nothing_is_done_for_a_form_of_another_site(house: dict[str, Visitor], row: str) -> None:
    from freehold.master.foundation.models import AuditRow

    before = AuditRow.objects.count()
    for visitor in house.values():
        visitor._client.handler.enforce_csrf_checks = True
        assert _visit(visitor, row).status_code == 403
    assert AuditRow.objects.count() == before


def test_lists_hold_nothing_of_others(house: dict[str, Visitor]) -> None:
    assert "theirs" in house["customer"].reads("/")
    assert "own" in house["customer"].reads("/catalogue")
    assert "theirs" not in house["stranger"].reads("/?q=the")
    assert house["stranger"].get("/?project=provider").status_code == 403
    assert "own" not in house["stranger"].reads("/catalogue")


def test_what_is_of_another_fleet_is_not_found_in_ones_own(house: dict[str, Visitor], rooms: Rooms) -> None:
    from freehold.master.fleet.models import Node, Supply
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Project, Role

    rival = Person.objects.get(id=rooms.customer.person)
    actions.give_role(rival, Project.objects.get(name="shop"), Role.OWNER, acting=identity.system())
    visitor = Visitor(identity.by_person(rival.id))
    assert "one" not in visitor.reads("/fleet/shop").split()
    for row in (*(row for row in TABLE if row.split()[1].startswith("node")), "GET supply", "GET build-log"):
        assert _visit(visitor, row, "shop").status_code == 404, row
    for where in ("node:one", f"node:{Node.objects.get().id}", "site:here"):
        spec = {"release": Supply.objects.get().release_id, "where": where, "wanted": "removed"}
        assert visitor.post("/fleet/shop/supplies", spec).status_code == 404, where
    assert Supply.objects.get().wanted == "available"
    assert Node.objects.get().open
