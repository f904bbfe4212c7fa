"""The audit trail: who did what in a project, for its owners and operators."""

import ast
import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.machines import REPOSITORY
from support.panels import Visitor

if TYPE_CHECKING:
    from support.rooms import Rooms

OTHERS = {
    "certificate", "cluster", "instance", "invitation",
    "language", "letter", "maintenance", "master", "message", "messages",
    "node", "passkey", "person", "project", "quota", "release", "reset", "role", "second-factor", "selling", "session",
    "sessions", "sign-up", "site", "supply", "terms", "ticket", "token", "webhook",
}  # fmt: skip
"""What acts are about that each operator may read, beside those about money."""


def person(rooms: "Rooms", role: str) -> Any:
    """Return a caller with a role in `provider`."""
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Project, Role

    made = rooms._person(f"{role}@example.org")
    actions.give_role(made, Project.objects.get(name="provider"), Role(role), acting=identity.system())
    return identity.by_person(made.id)


def act(
    verb: str, project: str, at: int = 0, actor: str = "eve@example.org", subject: str = "x", **detail: Any
) -> None:
    from freehold.master.foundation.models import AuditRow

    AuditRow.objects.create(at=at, actor=actor, verb=verb, subject=subject, project=project, detail=json.dumps(detail))


def api(who: Any) -> Any:
    from django.test import Client

    from freehold.master.people import actions
    from freehold.master.people.identity import RIGHTS, Role
    from freehold.master.people.models import Person

    scopes = frozenset(RIGHTS[Role.OWNER] & RIGHTS[who.roles["provider"]])
    token, _ = actions.make_token(Person.objects.get(id=who.person), title="x", scopes=scopes)
    client = Client(headers={"authorization": f"Bearer {token}"})

    def get(path: str, expected: int = 200, **query: str) -> Any:
        answer = client.get(f"/api/v1/projects/provider/{path}", query, secure=True)
        assert answer.status_code == expected
        content = b"".join(answer) if answer.streaming else answer.content
        return content.decode() if path.endswith("csv") and expected == 200 else json.loads(content)

    return get


def test_what_somebody_does_is_there_with_who_and_when_and_of_no_other_project(rooms: "Rooms") -> None:
    from freehold.master.fleet import actions

    node = rooms.node("rack-1")
    actions.change_node(node.id, "provider", open=False, acting=rooms.owner)
    act("instance.stop", rooms.shop, subject="theirs")
    (newest, *_rest) = api(rooms.owner)("audit", verb="node")
    assert (newest["actor"], newest["verb"], newest["subject"]) == ("owner@example.org", "node.change", node.id)
    assert newest["detail"]["open"] is False
    page = Visitor(rooms.owner).reads("/audit/provider")
    assert "node.change" in page
    assert "theirs" not in page + str(api(rooms.owner)("audit"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"actor": "ann@example.org"}, ["site.add"]),
        ({"verb": "node"}, ["node.drain", "node.change"]),
        ({"verb": "node.drain"}, ["node.drain"]),
        ({"verb": "nod"}, []),
        ({"subject": "node-2"}, ["node.drain"]),
        ({"since": "2026-01-02"}, ["node.drain", "site.add"]),
        ({"until": "2026-01-02"}, ["site.add", "node.change"]),
        ({"until": "2026-01-02T00:00Z"}, ["node.change"]),
        ({"since": "2026-01-02T01:00+01:00", "until": "2026-01-02"}, ["site.add"]),
        ({"actor": "nul\0byte"}, []),
        ({"verb": "%"}, []),
    ],
)
def test_acts_are_chosen_by_who_what_to_what_and_when(rooms: "Rooms", asked: dict[str, str], found: list[str]) -> None:
    from freehold.master.foundation import audit_trail, days
    from freehold.master.foundation.models import AuditRow
    from freehold.master.foundation.paging import ListPart

    AuditRow.objects.all().delete()
    day = 86_400_000
    first = days.read("2026-01-01", "day") * day
    assert first == 1_767_225_600_000
    act("node.change", rooms.provider, first, subject="node-1")
    act("site.add", rooms.provider, first + day, actor="ann@example.org")
    act("node.drain", rooms.provider, first + 2 * day, subject="node-2")
    rows = audit_trail.acts(rooms.provider, audit_trail.TrailFilter(**asked), ListPart(), with_money=True)
    assert [row.verb for row in rows] == found


def test_what_is_no_time_or_no_row_is_refused_at_every_door(rooms: "Rooms") -> None:
    get = api(rooms.owner)
    assert get("audit", 422, since="yesterday")["errors"][0]["field"] == "since"
    assert get("audit.csv", 422, until="2026-99-01")["errors"][0]["field"] == "until"
    for after in ("nothing", "9" * 30, "²", "-1"):
        assert get("audit", 422, after=after)["errors"][0]["field"] == "after"
    assert Visitor(rooms.owner).get("/audit/provider?since=yesterday").status_code == 422


def test_what_was_done_with_money_is_told_to_who_may_read_the_books(rooms: "Rooms") -> None:
    operator = person(rooms, "operator")
    act("payment.record", rooms.provider, amount=4711)
    act("node.change", rooms.provider)
    for who, sees in ((rooms.owner, True), (operator, False)):
        told = str(api(who)("audit")) + api(who)("audit.csv") + Visitor(who).reads("/audit/provider")
        assert ("payment.record" in told, "4711" in told, "node.change" in told) == (sees, sees, True)


def test_each_act_is_about_money_or_for_operators_too() -> None:
    """Who adds a verb says here who reads it."""
    from freehold.master.foundation.audit_trail import MONEY

    verbs = set()
    for path in sorted((REPOSITORY / "src/freehold/master").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "audit":
                for part in ast.walk(node.args[1]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value:
                        verbs.add(part.value.partition(".")[0])
    assert len(verbs) > 30
    assert verbs - MONEY - OTHERS == set()
    assert not MONEY & OTHERS


def test_the_trail_as_csv_is_whole_and_no_spreadsheet_computes_it(rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow

    AuditRow.objects.all().delete()
    for number in range(1500):
        act(
            "site.add",
            rooms.provider,
            subject=f"=HYPERLINK({number})" if number == 7 else f"site-{number}",
            name='a,"b"',
        )
    answer = Visitor(rooms.owner).get("/audit/provider/csv?verb=site")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(rows) == 1500
    assert [row["subject"] for row in rows if "HYPERLINK" in row["subject"]] == ["'=HYPERLINK(7)"]
    assert json.loads(rows[0]["detail"]) == {"name": 'a,"b"'}
    assert 'filename="provider-audit.csv"' in answer["Content-Disposition"]


def test_a_long_trail_has_pages_and_keeps_what_was_chosen(rooms: "Rooms") -> None:
    for _ in range(60):
        act("site.add", rooms.provider)
    content = Visitor(rooms.owner).get("/audit/provider?verb=site").content.decode()
    assert content.count("<td>site.add</td>") == 50
    assert 'href="?verb=site&amp;page=2"' in content


def test_no_secret_that_somebody_types_or_gets_is_in_the_trail(rooms: "Rooms") -> None:
    from freehold.master.fleet import actions as fleet
    from freehold.master.foundation.models import AuditRow
    from freehold.master.people import actions, invitations
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person, Project
    from support.running import tiny_release

    rooms.supply(rooms.publish(tiny_release()), rooms.node("rack-1"))
    rooms.request("page", parameters={"greeting": "whispered"})
    code, _ = invitations.invite(Project.objects.get(name="provider"), "new@a.example", "customer", acting=rooms.owner)
    token, _ = actions.make_token(Person.objects.get(id=rooms.owner.person), title="x", scopes=frozenset(Scope))
    enrol = fleet.make_enrol_token("provider", "here", acting=rooms.owner)
    told = "".join(f"{row.subject} {row.detail}" for row in AuditRow.objects.all())
    for secret in ("whispered", code, token, enrol.secret):
        assert secret not in told
