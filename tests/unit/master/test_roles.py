"""What each kind of caller gets from each operation of the public API: one table, checked against the document."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.protocol_node import Pocket
    from support.rooms import Rooms
    from support.running import Master

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
CALLERS = (
    "nobody", "stranger", "customer", "operator", "sales", "accountant", "auditor", "owner", "instance", "node",
)  # fmt: skip
PRICES = {"seller": "LOST", "title": "x", "currency": "EUR", "tax_included": False, "from": "2026-01-01", "prices": []}
BUYER = {"name": "", "kind": "person", "address": "", "country": "FR", "currency": "EUR"}
COST = {
    "site": "lost",
    "offer": "x",
    "kind": "loan",
    "currency": "EUR",
    "amount": "1",
    "from": "2026-01-01",
    "evidence": "",
}
CHARGE = {"customer": "lost", "seller": "LOST", "currency": "EUR", "label": "x", "amount": "1"}
SELLER = {"code": "-", "name": "", "address": "", "country": "FR", "currency": "EUR", "time_zone": "UTC"}
PAYMENT = {"customer": "lost", "currency": "EUR", "amount": "1", "method": "transfer", "reference": "r"}
TERMS = {"name": "", "address": "x"}
NEWS = {
    "events": [
        {
            "provider": "card",
            "event": "1",
            "payment": "p",
            "kind": "captured",
            "customer": "lost",
            "currency": "EUR",
            "amount": "1",
        }
    ]
}
QUESTION = {"service": "lost", "title": "x", "text": "x"}
DEPOSIT = {"customer": "lost", "currency": "EUR", "amount": "1", "reference": "r"}
ENTRY = {"day": "2026-01-01", "label": "x", "reference": "r", "currency": "EUR", "lines": []}
BUDGET = {"amount": "1", "currency": "EUR"}
OFFER: dict[str, Any] = {"name": "-", "product": "x", "titles": {}}
CHANGE = {"project": "lost", "title": "x"}
RATE = {"currency": "USD", "day": "2026-01-01", "rate": "x"}
PASSWORD = {"old": "not this one at all", "new": "another one altogether"}
RESET = {"email": "nobody@a.example", "code": "fhr_none", "new": "x"}
RULE = {"tax_class": "x", "category": "x", "rate": "1", "code": "S", "from": "2026-01-01"}
ACCOUNT = {"code": "-", "name": "x", "kind": "x"}
SUPPLY = {"product": "tiny", "all": True}
GRANT = {"product": "lost", "project": "no-such-project"}
DOWN = {"site": "lost", "begins_at": "2999-01-01T00:00Z", "ends_at": "2999-01-01T01:00Z", "what": "x"}
HANDOVER = {"title": "lost", "to": "no-such-project"}
YEAR = "since=2026-01-01&until=2026-12-31"
WEBHOOK = {"url": "ftp://host"}
INVITED = {"email": "nobody", "role": "customer"}
JOIN = {"email": "x"}
SIGN_UP = {"email": "x", "password": "x"}
CONFIRM = {"email": "x", "code": "fhc_x", "password": "x"}
LOGIN = {"email": "owner@example.org", "password": "correct horse battery"}

# What each caller gets, in the order of CALLERS. `stranger` is the customer of another project; `instance` and
# `node` show their client certificate and no token. Paths name project `provider`, of which customer, operator
# and owner are; what a role allows ends with 200, 201, 204, or a 404 or 422 that comes after the role was looked at.
TABLE: dict[str, tuple[Any, str]] = {
    "POST /login":                              (LOGIN, "200 200 200 200 200 200 200 200 200 200"),
    "DELETE /tokens/nothing":                   (None, "401 404 404 404 404 404 404 404 401 401"),
    "GET /me":                                  (None, "401 200 200 200 200 200 200 200 401 401"),
    # Staff is the owner here.
    "GET /me/data":                             (None, "401 200 200 200 200 200 200 200 401 401"),
    "POST /me/delete":                          ({"password": ""}, "401 422 422 422 422 422 422 422 401 401"),
    "PUT /me/password":                         (PASSWORD, "401 422 422 422 422 422 422 422 401 401"),
    "POST /password-reset":                     (RESET, "422 422 422 422 422 422 422 422 422 422"),
    "GET /sign-up":                             (None, "200 200 200 200 200 200 200 200 200 200"),
    "POST /sign-up":                            (SIGN_UP, "409 409 409 409 409 409 409 409 409 409"),
    "POST /sign-up/confirm":                    (CONFIRM, "409 409 409 409 409 409 409 409 409 409"),
    "PUT /sign-up":                             ({"mode": "x"}, "401 403 403 403 403 403 403 422 401 401"),
    "GET /sign-ups":                            (None, "401 403 403 403 403 403 403 200 401 401"),
    "POST /sign-ups/lost/accept":               (None, "401 403 403 403 403 403 403 404 401 401"),
    "POST /sign-ups/lost/refuse":               ({"reason": "x"}, "401 403 403 403 403 403 403 404 401 401"),
    "GET /status":                             (None, "200 200 200 200 200 200 200 200 200 200"),
    "GET /terms":                               (None, "200 200 200 200 200 200 200 200 200 200"),
    "POST /terms":                              ({"kind": "x", "text": "x"}, "401 403 403 403 403 403 403 422 401 401"),
    "POST /password-reset/letter":              (JOIN, "422 422 422 422 422 422 422 422 422 422"),
    "GET /me/tokens":                           (None, "401 200 200 200 200 200 200 200 401 401"),
    "GET /me/notifications":                    (None, "401 200 200 200 200 200 200 200 401 401"),
    "PATCH /me/notifications":                  ({"most": 0}, "401 422 422 422 422 422 422 422 401 401"),
    "GET /me/messages":                         (None, "401 200 200 200 200 200 200 200 401 401"),
    "POST /me/messages/test":                   (None, "401 409 409 409 409 409 409 409 401 401"),
    "POST /me/messages/lost/retry":             (None, "401 404 404 404 404 404 404 404 401 401"),
    "GET /projects/provider/webhooks":          (None, "401 403 200 200 403 200 403 200 401 401"),
    "POST /projects/provider/webhooks":         (WEBHOOK, "401 403 422 422 403 422 403 422 401 401"),
    "DELETE /projects/provider/webhooks/lost":  (None, "401 403 404 404 403 404 403 404 401 401"),
    "POST /projects/provider/webhooks/lost/test": (None, "401 403 404 404 403 404 403 404 401 401"),
    "GET /projects/provider/webhooks/lost/messages": (None, "401 403 404 404 403 404 403 404 401 401"),
    "POST /projects/provider/webhooks/lost/messages/lost/retry": (None, "401 403 404 404 403 404 403 404 401 401"),
    "GET /projects/provider/feed":         (None, "401 403 200 200 403 200 403 200 401 401"),
    "GET /metrics":                             (None, "401 403 403 403 403 403 403 200 401 401"),
    "GET /tasks":                               (None, "401 403 403 403 403 403 403 200 401 401"),
    "GET /me/sessions":                         (None, "401 200 200 200 200 200 200 200 401 401"),
    "DELETE /me/sessions":                      (None, "401 204 204 204 204 204 204 204 401 401"),
    "DELETE /me/sessions/lost":                 (None, "401 404 404 404 404 404 404 404 401 401"),
    "GET /suspensions":                         (None, "401 403 403 403 403 403 403 200 401 401"),
    "PUT /suspensions/lost":                    ({"reason": "x"}, "401 403 403 403 403 403 403 404 401 401"),
    "DELETE /suspensions/lost":                 (None, "401 403 403 403 403 403 403 404 401 401"),
    "GET /people":                              (None, "401 403 403 403 403 403 403 200 401 401"),
    "GET /people/lost@a.example/tokens":        (None, "401 403 403 403 403 403 403 404 401 401"),
    "DELETE /people/lost@a.example/tokens/lost": (None, "401 403 403 403 403 403 403 404 401 401"),
    "GET /people/lost@a.example/sessions":      (None, "401 403 403 403 403 403 403 404 401 401"),
    "DELETE /people/lost@a.example/sessions/lost": (None, "401 403 403 403 403 403 403 404 401 401"),
    "DELETE /people/lost@a.example/sessions":   (None, "401 404 404 404 404 404 404 404 401 401"),
    "POST /people/lost@a.example/password-reset": (None, "401 403 403 403 403 403 403 404 401 401"),
    "DELETE /people/lost@a.example/second-factor": (None, "401 403 403 403 403 403 403 404 401 401"),
    "POST /people/lost@a.example/close":        (None, "401 403 403 403 403 403 403 404 401 401"),
    "POST /people/lost@a.example/reopen":       (None, "401 403 403 403 403 403 403 404 401 401"),
    "GET /projects/provider/members":           (None, "401 403 403 200 403 403 403 200 401 401"),
    "PUT /projects/provider/members/lost":      ({"role": "sales"}, "401 403 403 404 403 403 403 404 401 401"),
    "DELETE /projects/provider/members/lost":   (None, "401 403 403 404 403 403 403 404 401 401"),
    "GET /projects/provider/invitations":       (None, "401 403 403 200 403 403 403 200 401 401"),
    "POST /projects/provider/invitations":      (INVITED, "401 403 403 422 403 403 403 422 401 401"),
    "DELETE /projects/provider/invitations/lost": (None, "401 403 403 404 403 403 403 404 401 401"),
    "POST /join":                               (JOIN, "422 422 422 422 422 422 422 422 422 422"),
    "POST /projects":                           ({"name": "-"}, "401 403 403 403 403 403 403 422 401 401"),
    "GET /projects/provider/quotas":            (None, "401 403 200 200 200 200 200 200 401 401"),
    "PUT /projects/provider/quotas/instances":  ({"most": None}, "401 403 403 403 403 403 403 204 401 401"),
    "GET /releases":                            (None, "401 200 200 200 200 200 200 200 401 401"),
    "POST /projects/provider/releases":         (b"no archive", "401 403 403 422 403 403 403 422 401 401"),
    "GET /projects/provider/releases/none/protections": (None, "401 403 200 200 403 403 403 200 401 401"),
    "PUT /projects/provider/instances/new":     ({"product": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/instances/theirs":  (None, "401 403 200 200 403 403 403 200 401 401"),
    "GET /projects/provider/instances":         (None, "401 403 200 200 403 403 403 200 401 401"),
    "POST /projects/provider/handovers":        (HANDOVER, "401 403 403 403 403 403 403 403 401 401"),
    "POST /projects/provider/moves":            ({"title": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/history?title=theirs": (None, "401 403 200 200 403 403 403 200 401 401"),
    "GET /projects/provider/events?title=theirs": (None, "401 403 200 200 403 403 403 200 401 401"),
    "POST /projects/provider/revealed":         ({"title": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "POST /projects/provider/restarts":         ({"title": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "POST /projects/provider/logs":             ({"title": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/logs?title=lost&stream=x": (None, "401 403 404 404 403 403 403 404 401 401"),
    "GET /instance":                            (None, "401 401 401 401 401 401 401 401 200 403"),
    "PUT /instance/requests":                   ({"requests": {}}, "401 401 401 401 401 401 401 401 200 403"),
    "GET /projects/provider/sites":             (None, "401 403 403 200 403 403 403 200 401 401"),
    "POST /projects/provider/sites":            ({"name": "-"}, "401 403 403 422 403 403 403 422 401 401"),
    "PATCH /projects/provider/sites/lost":      ({"expected_silence": 0}, "401 403 403 404 403 403 403 404 401 401"),
    "POST /projects/provider/enrol-tokens":     ({"site": "here"}, "401 403 403 201 403 403 403 201 401 401"),
    "GET /projects/provider/nodes":             (None, "401 403 403 200 403 403 403 200 401 401"),
    "PATCH /projects/provider/nodes/one":       ({"open": True}, "401 403 403 200 403 403 403 200 401 401"),
    "POST /projects/provider/nodes/lost/revoke": (None, "401 403 403 404 403 403 403 404 401 401"),
    "POST /projects/provider/nodes/lost/drain": (None, "401 403 403 404 403 403 403 404 401 401"),
    "GET /projects/provider/supplies":          (None, "401 403 403 200 403 403 403 200 401 401"),
    "PUT /projects/provider/supplies":          (SUPPLY, "401 403 403 200 403 403 403 200 401 401"),
    "GET /prices":                              (None, "200 200 200 200 200 200 200 200 200 200"),
    "GET /prices/sites":                        (None, "200 200 200 200 200 200 200 200 200 200"),
    "POST /projects/provider/quotes":           ({"offer": "lost"}, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/costs":             (None, "401 403 200 200 403 403 403 200 401 401"),
    "PUT /projects/provider/budget":            (BUDGET, "401 403 204 204 403 403 403 204 401 401"),
    "GET /projects/provider/documents":         (None, "401 403 200 200 403 403 403 200 401 401"),
    "GET /projects/provider/documents/lost":    (None, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/documents/lost/pdf":(None, "401 403 404 404 403 403 403 404 401 401"),
    "POST /projects/provider/offers":           (OFFER, "401 403 403 403 422 403 403 422 401 401"),
    "DELETE /projects/provider/offers/lost":    (None, "401 403 403 403 404 403 403 404 401 401"),
    "GET /projects/provider/grants":            (None, "401 403 403 403 200 403 403 200 401 401"),
    "PUT /projects/provider/grants":            (GRANT, "401 403 403 403 404 403 403 404 401 401"),
    "DELETE /projects/provider/grants/lost/x":  (None, "401 403 403 403 404 403 403 404 401 401"),
    "POST /projects/provider/price-lists":      (PRICES, "401 403 403 403 404 403 403 404 401 401"),
    "GET /projects/provider/customers":         (None, "401 403 403 403 200 200 200 200 401 401"),
    "POST /projects/provider/customers":        (BUYER, "401 403 403 403 422 403 403 422 401 401"),
    "PUT /projects/provider/customers/lost":    (BUYER, "401 403 403 403 404 403 403 404 401 401"),
    # Only staff (here the owner) is told that there is no such project.
    "PUT /projects/provider/payers":            ({"project": "lost"}, "401 403 403 403 204 403 403 404 401 401"),
    "POST /projects/provider/costs-of-sites":   (COST, "401 403 403 403 404 403 403 404 401 401"),
    "POST /projects/provider/subscriptions":    (CHANGE, "401 403 403 403 404 403 403 404 401 401"),
    "POST /projects/provider/charges":          (CHARGE, "401 403 403 403 404 403 403 404 401 401"),
    "GET /projects/provider/maintenances":      (None, "401 403 403 200 403 403 403 200 401 401"),
    "POST /projects/provider/maintenances":     (DOWN, "401 403 403 404 403 403 403 404 401 401"),
    "DELETE /projects/provider/maintenances/0": (None, "401 403 403 404 403 403 403 404 401 401"),
    "GET /projects/provider/audit":             (None, "401 403 403 200 403 403 403 200 401 401"),
    "GET /projects/provider/audit.csv":         (None, "401 403 403 200 403 403 403 200 401 401"),
    "GET /projects/provider/desk":              (None, "401 403 403 200 403 403 403 200 401 401"),
    "GET /projects/provider/tickets":           (None, "401 403 200 200 403 200 403 200 401 401"),
    "POST /projects/provider/tickets":          (QUESTION, "401 403 404 404 403 403 403 404 401 401"),
    "GET /projects/provider/tickets/lost":      (None, "401 403 404 404 403 404 403 404 401 401"),
    "GET /projects/provider/tickets/lost/messages": (None, "401 403 404 404 403 404 403 404 401 401"),
    "POST /projects/provider/tickets/lost/messages": ({"text": "x"}, "401 403 404 404 403 404 403 404 401 401"),
    "POST /projects/provider/entities":         (SELLER, "401 403 403 403 403 422 403 422 401 401"),
    "GET /entities":                            (None, "401 200 200 200 200 200 200 200 401 401"),
    "PUT /entities/BOOKS":                      (TERMS, "401 403 403 403 403 422 403 422 401 401"),
    "POST /entities/BOOKS/payment-events":      (NEWS, "401 403 403 403 403 404 403 404 401 401"),
    "POST /entities/BOOKS/payments":            (PAYMENT, "401 403 403 403 403 404 403 404 401 401"),
    "POST /entities/BOOKS/deposits-used":       (DEPOSIT, "401 403 403 403 403 404 403 404 401 401"),
    "POST /entities/BOOKS/rates":               (RATE, "401 403 403 403 403 422 403 422 401 401"),
    "GET /entities/BOOKS/tax-rules":            (None, "401 403 403 403 403 200 200 200 401 401"),
    "POST /entities/BOOKS/tax-rules":           (RULE, "401 403 403 403 403 422 403 422 401 401"),
    "POST /entities/BOOKS/accounts":            (ACCOUNT, "401 403 403 403 403 422 403 422 401 401"),
    "POST /entities/BOOKS/entries":             (ENTRY, "401 403 403 403 403 422 403 422 401 401"),
    "POST /entities/BOOKS/lock":                ({"day": "1970-01-01"}, "401 403 403 403 403 409 403 409 401 401"),
    "POST /entities/BOOKS/years/2999/close":    (None, "401 403 403 403 403 409 403 409 401 401"),
    "POST /entities/BOOKS/statements":          (b"no statement", "401 403 403 403 403 400 403 400 401 401"),
    "POST /entities/BOOKS/statement-bookings":  ({"lines": []}, "401 403 403 403 403 201 403 201 401 401"),
    "POST /entities/BOOKS/runs":                ({"day": "2999-01-01"}, "401 403 403 403 403 422 403 422 401 401"),
    "GET /entities/BOOKS/documents":            (None, "401 403 403 403 403 200 200 200 401 401"),
    "GET /entities/BOOKS/documents/lost/pdf":   (None, "401 403 403 403 403 404 404 404 401 401"),
    "POST /entities/BOOKS/documents/lost/take-back": (None, "401 403 403 403 403 404 403 404 401 401"),
    f"GET /entities/BOOKS/reports/vat?{YEAR}":   (None, "401 403 403 403 403 200 200 200 401 401"),
    f"GET /entities/BOOKS/exports/fec?{YEAR}":   (None, "401 403 403 403 403 200 200 200 401 401"),
}  # fmt: skip


def _operation(row: str) -> str:
    """Return an operation as the document names it."""
    method, path = row.partition("?")[0].split()
    parts = path.split("/")
    for index, name in (
        (2, "project"),
        (
            4,
            {
                "instances": "title",
                "nodes": "node",
                "offers": "name",
                "documents": "number",
                "releases": "release",
                "customers": "identity",
                "tickets": "ticket",
                "webhooks": "webhook",
                "quotas": "name",
                "sites": "name",
                "grants": "product",
                "maintenances": "maintenance_id",
            }.get("".join(parts[3:4])),
        ),
    ):
        if parts[1] == "projects" and name and len(parts) > index:
            parts[index] = f"{{{name}}}"
    if parts[3:4] == ["grants"] and len(parts) > 5:
        parts[5] = "{to}"
    if parts[3:4] == ["webhooks"] and len(parts) > 6:
        parts[6] = "{message}"
    if parts[3:4] in (["members"], ["invitations"]) and len(parts) > 4:
        parts[4] = "{email}"
    if parts[1] == "people" and len(parts) > 2:
        parts[2] = "{email}"
        if len(parts) > 4:
            parts[4] = {"tokens": "{token}", "sessions": "{session}"}[parts[3]]
    if parts[1] == "me" and len(parts) > 3 and parts[3] != "test":
        parts[3] = {"sessions": "{session}", "messages": "{message}"}[parts[2]]
    if parts[1] == "sign-ups" and len(parts) > 2:
        parts[2] = "{identity}"
    if parts[1] == "suspensions" and len(parts) > 2:
        parts[2] = "{name}"
    if parts[1] == "tokens":
        parts[2] = "{token_id}"
    if parts[1] == "entities" and len(parts) > 2:
        parts[2] = "{code}"
        named = {"reports": "{name}", "exports": "{name}", "years": "{year}", "documents": "{number}"}
        if len(parts) > 4:
            parts[4] = named[parts[3]]
    return f"{method} /api/v1{'/'.join(parts)}"


@pytest.fixture(scope="module")
def node(master: "Master") -> "Pocket":
    """The node on which what these callers order is placed."""
    return master.node("one")


@pytest.fixture(scope="module")
def callers(master: "Master", node: "Pocket") -> dict[str, dict[str, Any]]:
    """How each caller shows who they are."""
    stranger = master.project("elsewhere")
    customer = master.person("customer@example.org", "provider")
    operator = master.person("operator@example.org", "provider", "operator")
    staff = {
        role: {"token": master.person(f"{role}@example.org", "provider", role)}
        for role in ("sales", "accountant", "auditor")
    }
    master.api("POST", "/projects/provider/entities", {**SELLER, "code": "BOOKS", "name": "Books", "address": "x"})
    master.publish()
    master.supply("tiny", "one")
    instance = master.request("theirs", token=customer)["instance"]["id"]
    return {
        "nobody": {},
        "stranger": {"token": stranger},
        "customer": {"token": customer},
        "operator": {"token": operator},
        **staff,
        "owner": {"token": master.owner},
        "instance": {"certificate": master.certificate(node, instance)},
        "node": {"certificate": node.folder / "pocket.pem"},
    }


@pytest.fixture(scope="module")
def tokens(master: "Master", callers: dict[str, dict[str, Any]]) -> dict[str, tuple[str, set[str], str]]:
    """Roles of people who are no staff, with every narrower token of theirs: role, scopes, token."""
    master.person("plain-owner@example.org", "provider", "owner")
    found = {}
    for role, scopes in SCOPES.items():
        email = "plain-owner@example.org" if role == "owner" else f"{role}@example.org"
        for chosen in [*({scope} for scope in sorted(SCOPES["owner"])), scopes]:
            name = f"{role} with {' '.join(sorted(chosen))}"
            found[name] = (role, chosen, master.log_in(email, scopes=tuple(sorted(chosen))))
    return found


def _call(master: "Master", row: str, body: Any, **who: Any) -> Any:
    method, path = row.split()
    sent = {"raw": body} if isinstance(body, bytes) else {"body": body}
    return master.call(method, f"/api/v1{path}", **sent, **who)


def test_the_table_has_every_operation_and_no_other() -> None:
    document = json.loads(DOCUMENT.read_text())
    known = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert {_operation(row) for row in TABLE} == known


@pytest.mark.parametrize("row", TABLE)
def test_everyone_gets_what_they_may(master: "Master", callers: dict[str, dict[str, Any]], row: str) -> None:
    body, expected = TABLE[row]
    answers = {caller: _call(master, row, body, **who) for caller, who in callers.items()}
    assert {name: answer.status for name, answer in answers.items()} == dict(
        zip(CALLERS, map(int, expected.split()), strict=True)
    )
    for answer in answers.values():
        if answer.status >= 400:
            assert answer.kind == "application/problem+json"
            assert answer.body["status"] == answer.status
            assert answer.body["remedy"]


RIGHTS = {
    f"{method.upper()} {path}": operation["x-right"]
    for path, methods in json.loads(DOCUMENT.read_text())["paths"].items()
    for method, operation in methods.items()
}
"""What each operation declares, beside itself in the code."""
SCOPES = {
    "customer": {"read", "order"},
    "operator": {"read", "order", "operate"},
    "sales": {"sell"},
    "accountant": {"account", "audit"},
    "auditor": {"audit"},
    "owner": {"read", "order", "operate", "sell", "account", "audit"},
}
"""What a role holds in its project, said once more: the code must not be its own witness."""


def _may_enter(right: str, role: str, scopes: set[str], *, is_staff: bool = False) -> bool:
    """Whether a member of the project with this role and a token with these scopes may do what declares this right."""
    who, _, needed = right.partition(": ")
    if who == "staff":
        return is_staff and needed in scopes
    wanted = set(needed.replace(" in the project", "").replace(" of the seller", "").split(" or ")) if needed else set()
    return who != "instance" and (not wanted or bool(wanted & scopes & SCOPES[role]))


@pytest.mark.parametrize("row", TABLE)
def test_every_token_opens_what_its_operation_declares_and_nothing_else(
    master: "Master", callers: dict[str, dict[str, Any]], tokens: dict[str, tuple[str, set[str], str]], row: str
) -> None:
    """The matrix that follows from the declarations: every operation, every role with every kind of token."""
    right = RIGHTS[_operation(row)]
    for who, (role, scopes, token) in tokens.items():
        answer = _call(master, row, TABLE[row][0], token=token)
        refused = answer.status in (401, 403)
        if row.startswith("POST /projects/provider/handovers"):
            # The other project of its body is nobody's here.
            refused = refused and "no-such-project" not in answer.body["detail"]
        assert refused is not _may_enter(right, role, scopes), (who, right, answer.body)
    for who in ("instance", "node"):
        answer = _call(master, row, TABLE[row][0], **callers[who])
        allowed = right == "anybody" or right == who
        assert (answer.status not in (401, 403)) is allowed, (who, right, answer.body)


def test_an_operation_that_declares_no_right_does_not_start(rooms: "Rooms") -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.urls import path
    from ninja import Router

    from freehold.master.foundation import declared

    assert len(RIGHTS) == len(TABLE)
    with pytest.raises(ImproperlyConfigured, match="'secret-door' does not declare"):
        declared.check([path("secret-door", lambda request: None)], ())
    from freehold.master.api.auth import declare

    router = Router()
    router.get("/secret-door", auth=None)(_secret_door)
    with pytest.raises(ImproperlyConfigured, match="_secret_door does not declare"):
        declare(router)


def _secret_door(request: Any) -> None:
    """An operation whose author forgot to say whom it is for."""


@pytest.mark.parametrize("row", [row for row in TABLE if "/provider" in row])
@pytest.mark.parametrize("caller", ["stranger", "customer", "owner"])
def test_the_project_of_others_looks_like_one_that_is_not(
    master: "Master", callers: dict[str, dict[str, Any]], row: str, caller: str
) -> None:
    if caller == "owner" and RIGHTS[_operation(row)].startswith("staff"):
        return  # Who makes the projects of a Master knows them all.
    foreign = "provider" if caller == "stranger" else "elsewhere"
    body = TABLE[row][0]
    theirs = _call(master, row.replace("provider", foreign), body, **callers[caller])
    missing = _call(master, row.replace("provider", "no-such-project"), body, **callers[caller])
    assert theirs.status == missing.status == 403
    assert str(theirs.body).replace(foreign, "*") == str(missing.body).replace("no-such-project", "*")


def test_the_document_is_what_the_master_speaks(master: "Master") -> None:
    """Regenerate it with: freehold master openapi > docs/openapi.json."""
    assert json.loads(master.cli("openapi")) == json.loads(DOCUMENT.read_text())
    assert master.call("GET", "/api/v1/openapi.json").body["paths"] == json.loads(DOCUMENT.read_text())["paths"]
    assert master.call("GET", "/api/v1/docs").status == 200


def _let_the_node_be_heard(master: "Master", node: "Pocket") -> None:
    """Have the node speak again: what was silent for the time that all of this takes gets nothing new."""
    # Its connection was idle for so long that the Master may have hung up.
    node.close()
    assert node.offer()[0] == 200
    master.until(lambda: master.node_row("one")["state"] == "open")


def test_an_instance_speaks_for_itself_only(
    master: "Master", callers: dict[str, dict[str, Any]], node: "Pocket"
) -> None:
    _let_the_node_be_heard(master, node)
    own = master.call("GET", "/api/v1/instance", **callers["instance"])
    assert own.body["title"] == "theirs"
    other = master.request("other")["instance"]["id"]
    for method, path in (
        ("GET", "/node/v1/feed"),
        ("POST", "/node/v1/reports"),
        ("POST", "/node/v1/certificate"),
        ("POST", f"/node/v1/instances/{other}/certificate"),
        ("POST", f"/node/v1/instances/{own.body['id']}/certificate"),
        ("GET", f"/node/v1/releases/{'0' * 64}"),
    ):
        answer = master.call(method, path, {}, **callers["instance"])
        assert answer.status == 403, (path, answer.body)
        assert answer.kind == "application/problem+json"


def test_the_certificate_of_an_instance_ends_with_it(master: "Master", callers: dict[str, dict[str, Any]]) -> None:
    node = master.node("two")
    master.supply("tiny", "two")
    brief = master.request("brief", constraints={"node": "two"})["instance"]
    mine = {"certificate": master.certificate(node, brief["id"])}
    assert master.call("GET", "/api/v1/instance", **mine).body["title"] == "brief"
    gone = master.request("brief", None, state="destroyed")["instance"]
    told = {"kind": "instance", "instance": brief["id"], "revision": gone["revision"], "state": "destroyed"}
    assert node.report(told)[0] == 200
    master.until(lambda: master.call("GET", "/api/v1/instance", **mine).status == 401)


def test_two_customers_never_see_each_other(
    master: "Master", callers: dict[str, dict[str, Any]], node: "Pocket"
) -> None:
    _let_the_node_be_heard(master, node)
    elsewhere = callers["stranger"]["token"]
    mine = master.request("mine", project="elsewhere", token=elsewhere, parameters={"greeting": "secret"})
    assert [one["title"] for one in master.api("GET", "/projects/elsewhere/instances", token=elsewhere)] == ["mine"]
    theirs = str(master.api("GET", "/projects/provider/instances", token=callers["customer"]["token"]))
    assert "secret" not in theirs
    assert mine["instance"]["id"] not in theirs
    path = f"/api/v1/projects/provider/instances?after={mine['instance']['id'][:-1]}"
    assert "secret" not in str(master.call("GET", path, **callers["customer"]).body)
