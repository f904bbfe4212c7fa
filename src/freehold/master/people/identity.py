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


class ActorKind(StrEnum):
    """What kind of actor somebody is."""

    PERSON = "person"
    """With a session, or by an API token."""
    INSTANCE = "instance"
    """By its client certificate: acts for itself, and requests parts of itself."""
    NODE = "node"
    """By its client certificate."""


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
class Right:
    """Who may do an operation; declared beside it, at every door. Made by the functions and names below."""

    kind: ActorKind | None = None
    """None: anybody, also who did not say who they are."""
    scopes: tuple[Scope, ...] = ()
    """One of them is needed in the project, or of the seller, that the operation names."""
    where: str = ""
    """`project`, `seller` or, for what is nobody's in particular, nothing."""
    is_staff: bool = False

    def __str__(self) -> str:
        who = self.kind.value if self.kind else "anybody"
        scopes = " or ".join(self.scopes)
        where = f" in the {self.where}" if self.where == "project" else f" of the {self.where}" if self.where else ""
        return f"{'staff' if self.is_staff else who}{f': {scopes}{where}' if scopes else ''}"


ANYBODY, ANY_PERSON = Right(), Right(ActorKind.PERSON)
ITSELF, NODE = Right(ActorKind.INSTANCE), Right(ActorKind.NODE)
STAFF = Right(ActorKind.PERSON, (Scope.OPERATE,), is_staff=True)


def in_project(*scopes: Scope) -> Right:
    """Return the right of persons whose role in the named project, and token, hold one of these."""
    return Right(ActorKind.PERSON, scopes, "project")


def of_seller(*scopes: Scope) -> Right:
    """Return the right of persons whose role in the project of the named legal entity, and token, hold one of these."""
    return Right(ActorKind.PERSON, scopes, "seller")


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
    kind: ActorKind = ActorKind.PERSON
    subject: str = ""
    """Id of the instance or node that this is; none for a person."""

    def check(self, right: Right, project: str | None = None) -> None:
        """Raise Forbidden unless this caller has a right, in the project that the operation names if it names one.

        The one place that decides who may do what, for every kind of actor and at every door; which seller is whose
        is found out before (`accounting.queries.find_entity`).
        """
        if right.kind is None:
            return
        if self.kind is not right.kind:
            raise Forbidden(f"This is for a {right.kind}, not for a {self.kind}.")
        if right.is_staff:
            self.require(right.scopes[0])
            self.require_staff()
        elif right.where == "project":
            assert project is not None
            able = [scope for scope in right.scopes if self.may(project, scope)]
            self.project(project, (able or right.scopes)[0])

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
            able = " or ".join(role.value for role in Role if scope in RIGHTS[role])
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
    memberships = list(rows.values_list("person__email", "person__is_staff", "project_id", "project__name", "role"))
    if memberships:
        email, is_staff = memberships[0][:2]
    else:
        row = Person.objects.filter(id=person, is_active=True).values_list("email", "is_staff").first()
        if row is None:
            raise Unauthenticated("This account is closed.")
        email, is_staff = row
    return Caller(
        actor=email,
        person=person,
        scopes=scopes,
        roles={name: Role(role) for _, _, _, name, role in memberships},
        projects={name: project_id for _, _, project_id, name, _ in memberships},
        is_staff=is_staff and project is None,
    )


def by_certificate(kind: ActorKind, subject: str) -> Caller:
    """Return the instance or node whose client certificate was shown and checked."""
    return Caller(actor=f"{kind}:{subject}", person="", scopes=frozenset(), kind=kind, subject=subject)


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
