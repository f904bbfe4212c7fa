"""Who is calling, and what they may do: the one place that answers both, for every door."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from freehold.master.foundation import clock, sql
from freehold.master.foundation.errors import Forbidden, Unauthenticated
from freehold.master.foundation.transactions import run
from freehold.master.people.models import Membership, Person, Project, Role

_SQL = sql.load(Path(__file__).parent / "sql" / "identity.sql", prepared=True)


class Scope(StrEnum):
    """What a token opens; a session opens everything its person may do."""

    READ = "read"
    """See services, with what they publish, and what they cost."""
    ORDER = "order"
    OPERATE = "operate"
    SELL = "sell"
    """Offers, prices, costs, customers."""
    ACCOUNT = "account"
    """The books, payments, monthly runs."""
    AUDIT = "audit"
    """See all that the books hold."""


ALL_SCOPES = frozenset(Scope)
RIGHTS: dict[Role, frozenset[Scope]] = {
    Role.CUSTOMER: frozenset({Scope.READ, Scope.ORDER}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.ORDER, Scope.OPERATE}),
    Role.SALES: frozenset({Scope.SELL}),
    Role.ACCOUNTANT: frozenset({Scope.ACCOUNT, Scope.AUDIT}),
    Role.AUDITOR: frozenset({Scope.AUDIT}),
    Role.OWNER: ALL_SCOPES,
}
"""The matrix of rights: what each role may do in its project, at every door."""


@dataclass(frozen=True)
class Caller:
    """Somebody who proved who they are."""

    actor: str
    """How the audit log names them."""
    person: str
    scopes: frozenset[Scope]
    roles: dict[str, Role] = field(default_factory=dict)
    """Role by project name."""
    projects: dict[str, str] = field(default_factory=dict)
    """Project id by name."""
    is_staff: bool = False

    def project(self, name: str, scope: Scope) -> str:
        """Return the id of a project in which this caller may act so; raise Forbidden otherwise.

        The answer is the same for a project of others and for one that does not exist, so that nobody can
        find out who is a customer here.
        """
        role = self.roles.get(name)
        if role is None:
            known = ", ".join(sorted(self.roles)) or "none"
            raise Forbidden(f"'{name}' is not a project of yours.", remedy=f"Use one of your projects: {known}.")
        self.require(scope)
        if scope not in RIGHTS[role]:
            able = " or ".join(one.value for one in Role if scope in RIGHTS[one])
            raise Forbidden(f"In '{name}' you are {role.value}; this needs {able}.")
        return self.projects[name]

    def may(self, name: str, scope: Scope) -> bool:
        """Return whether this caller may act so in one of their projects."""
        return scope in self.scopes and name in self.roles and scope in RIGHTS[self.roles[name]]

    def able(self, scope: Scope) -> dict[str, str]:
        """Return the projects, id by name, in which this caller may act so."""
        return {name: identity for name, identity in sorted(self.projects.items()) if self.may(name, scope)}

    def require(self, scope: Scope) -> None:
        """Raise Forbidden when the token in use was not made for this."""
        if scope not in self.scopes:
            raise Forbidden(
                f"This token has no scope '{scope.value}'.",
                remedy=f"Log in again asking for it: freehold login --scopes {' '.join(Scope)}.",
            )

    def require_staff(self) -> None:
        """Raise Forbidden for anyone who does not run the Master."""
        if not self.is_staff:
            raise Forbidden("Only staff of this Master may do that.")


def digest(secret: str) -> str:
    """Return what is kept of a secret: our secrets are random and long, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def by_token(secret: str) -> Caller:
    """Return the caller that a bearer token stands for; raise Unauthenticated when it is not valid."""
    rows = run(_SQL["by_token"], digest=digest(secret))
    if not rows:
        raise Unauthenticated("This API token is not known here.")
    token = rows[0]
    if token["revoked_at"] is not None:
        raise Unauthenticated("This API token was revoked.")
    if token["expires_at"] <= clock.now():
        raise Unauthenticated("This API token has expired.")
    if not token["is_active"]:
        raise Unauthenticated("This account is closed.")
    member = [row for row in rows if row["project"] is not None]
    return Caller(
        actor=token["email"],
        person=token["person"],
        scopes=frozenset(Scope(scope) for scope in token["scopes"].split()),
        roles={row["name"]: Role(row["role"]) for row in member},
        projects={row["name"]: row["project"] for row in member},
        is_staff=bool(token["is_staff"]) and token["narrowed"] is None,
    )


def by_person(person: str, scopes: frozenset[Scope] = ALL_SCOPES, project: str | None = None) -> Caller:
    """Return the caller for a person already authenticated; `project` narrows it to one project."""
    rows = Membership.objects.filter(person=person, person__is_active=True)
    if project is not None:
        rows = rows.filter(project=project)
    found = list(rows.values_list("person__email", "person__is_staff", "project_id", "project__name", "role"))
    if found:
        email, is_staff = found[0][:2]
    else:
        one = Person.objects.filter(id=person, is_active=True).values_list("email", "is_staff").first()
        if one is None:
            raise Unauthenticated("This account is closed.")
        email, is_staff = one
    return Caller(
        actor=email,
        person=person,
        scopes=scopes,
        roles={name: Role(role) for _, _, _, name, role in found},
        projects={name: project_id for _, _, project_id, name, _ in found},
        is_staff=is_staff and project is None,
    )


def system() -> Caller:
    """Return the Master itself, for commands run on its own machine by whoever owns it."""
    projects = dict(Project.objects.values_list("name", "id"))
    return Caller(
        actor="freehold",
        person="",
        scopes=ALL_SCOPES,
        roles=dict.fromkeys(projects, Role.OWNER),
        projects=projects,
        is_staff=True,
    )
