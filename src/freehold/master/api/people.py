"""Log in, tokens, and who am I."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import any_person, anybody, caller, in_project, staff
from freehold.master.api.bodies import StrictBody
from freehold.master.foundation import clock
from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import NotFound
from freehold.master.people import actions, identity, quotas, second_factor
from freehold.master.people.identity import Scope
from freehold.master.people.models import Project

router = Router()


class LoginIn(StrictBody):
    email: str
    password: str = Field(json_schema_extra={"format": "password"})
    code: str = Field(
        "",
        json_schema_extra={"format": "password"},
        description="Of your app, or a recovery code, if you have a second factor: `second-factor-needed` asks for it.",
    )
    title: str = Field("login", description="What the token is for, shown in lists.")
    scopes: list[Scope] = Field([Scope.READ, Scope.ORDER], description="What the token opens.")
    project: str | None = Field(None, description="Narrow the token to this one project.")
    days: int = Field(actions.TOKEN_DAYS, description="How long the token is valid, 1 to 366 days.")


class TokenOut(Schema):
    token: str = Field(description="Shown only now: only its hash is kept.")
    id: str
    expires_at: str
    projects: list[str]


class ProjectOut(Schema):
    name: str
    role: str


class MeOut(Schema):
    email: str
    scopes: list[str]
    projects: list[ProjectOut]


@router.post("/login", response=TokenOut, auth=anybody, summary="Exchange e-mail and password for an API token")
def log_in(request: HttpRequest, body: LoginIn) -> dict[str, Any]:
    person = actions.log_in(body.email, body.password, network_of_caller(request))
    second_factor.prove(person, body.code, network_of_caller(request))
    project = None
    if body.project is not None:
        project = identity.by_person(person.id).project(body.project, Scope.READ)
    secret, token = actions.make_token(
        person, title=body.title, scopes=frozenset(body.scopes), project=project, days=body.days
    )
    projects = identity.by_person(person.id, project=project).roles
    return {
        "token": secret,
        "id": token.id,
        "expires_at": clock.iso(token.expires_at),
        "projects": sorted(projects),
    }


@router.delete("/tokens/{token_id}", response={204: None}, auth=any_person, summary="Revoke one of your tokens")
def revoke(request: HttpRequest, token_id: str) -> tuple[int, None]:
    if not actions.revoke_token(token_id, acting=caller(request)):
        raise NotFound(f"You have no token '{token_id}' that is still valid.")
    return 204, None


@router.get("/me", response=MeOut, auth=any_person, summary="Who this token speaks for")
def me(request: HttpRequest) -> dict[str, Any]:
    who = caller(request)
    return {
        "email": who.actor,
        "scopes": sorted(who.scopes),
        "projects": [{"name": name, "role": role.value} for name, role in sorted(who.roles.items())],
    }


class ProjectIn(StrictBody):
    name: str


@router.post("/projects", response={201: ProjectOut}, auth=staff, summary="Create a project (staff)")
def add_project(request: HttpRequest, body: ProjectIn) -> tuple[int, dict[str, str]]:
    project: Project = actions.add_project(body.name, acting=caller(request))
    return 201, {"name": project.name, "role": ""}


class QuotaIn(StrictBody):
    most: int | None = Field(description="How many the project may have; null: as many as is usual.")


@router.get(
    "/projects/{project}/quotas",
    response=dict[str, int],
    auth=in_project(*Scope),
    summary="How many of everything a project may have",
)
def list_quotas(request: HttpRequest, project: str) -> dict[str, int]:
    return quotas.of_project(caller(request).projects[project])


@router.put(
    "/projects/{project}/quotas/{name}", response={204: None}, auth=staff, summary="Set a project's quota (staff)"
)
def set_quota(request: HttpRequest, project: str, name: str, body: QuotaIn) -> tuple[int, None]:
    quotas.set_limit(project, name, body.most, acting=caller(request))
    return 204, None
