"""Accounts and how they end: one's own, and for the Master's staff those of others."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import any_person, anybody, caller, in_project, staff
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock
from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.people import actions, invitations, personal_data, resets, second_factor
from freehold.master.people.identity import Scope
from freehold.master.people.models import Invitation, Membership, Person, Project, Role
from freehold.master.people.queries import open_sessions, valid_tokens

router = Router()


class PasswordIn(StrictBody):
    old: str = Field(json_schema_extra={"format": "password"})
    new: str = Field(json_schema_extra={"format": "password"}, description="12 characters or more.")


class DeleteIn(StrictBody):
    password: str = Field(json_schema_extra={"format": "password"})
    code: str = Field("", json_schema_extra={"format": "password"}, description="If you have a second factor.")


class ResetIn(StrictBody):
    email: str
    code: str = Field(
        json_schema_extra={"format": "password"},
        description="From a mail, good for an hour, or from staff, for a day; good once.",
    )
    new: str = Field(json_schema_extra={"format": "password"}, description="12 characters or more.")


class AskResetIn(StrictBody):
    email: str


class ResetOut(Schema):
    code: str = Field(description="Shown only now: only its hash is kept.")
    expires_at: str


class TokenRow(Schema):
    id: str
    title: str
    scopes: list[str]
    project: str = Field(description="The one project that it opens; empty: all of the person's.")
    created_at: str
    expires_at: str


class SessionRow(Schema):
    id: str = Field(description="Names the session, and does not open it.")
    began_at: str
    seen_at: str = Field(description="Of its last use, to a minute.")
    address: str = Field(description="From which somebody logged in.")
    browser: str = Field(description="As the browser said of itself.")


class PersonRow(Schema):
    email: str
    name: str
    is_staff: bool
    is_open: bool = Field(description="Whether the account may be used.")
    roles: dict[str, str] = Field(description="By project.")


class MemberRow(Schema):
    email: str
    role: str


class RoleIn(StrictBody):
    role: Role


class InvitationIn(StrictBody):
    email: str
    role: Role


class InvitationRow(Schema):
    email: str
    role: str
    made_at: str
    expires_at: str


class InvitationOut(InvitationRow):
    code: str = Field(description="Shown only now: only its hash is kept. Good once.")
    link: str = Field(
        description="The page on which it is used, with the code after `#`: browsers send that part to nobody."
    )


class JoinIn(StrictBody):
    email: str = Field(description="As it was invited.")
    code: str = Field(json_schema_extra={"format": "password"})
    password: str = Field(
        json_schema_extra={"format": "password"},
        description="Of the account, if that address has one; else its account gets this: 12 characters or more.",
    )


@router.put("/me/password", response={204: None}, auth=any_person, summary="Change your password; all your tokens end")
def change_password(request: HttpRequest, body: PasswordIn) -> tuple[int, None]:
    actions.change_password(body.old, body.new, acting=caller(request), address=network_of_caller(request))
    return 204, None


@router.get(
    "/me/data", response=dict[str, Any], auth=any_person, summary="All that is kept about you, and what outlives it"
)
def export_data(request: HttpRequest) -> dict[str, Any]:
    return personal_data.export(acting=caller(request))


@router.post("/me/delete", response={204: None}, auth=any_person, summary="Delete your account, for good")
def delete_account(request: HttpRequest, body: DeleteIn) -> tuple[int, None]:
    personal_data.delete(body.password, body.code, acting=caller(request), address=network_of_caller(request))
    return 204, None


@router.post(
    "/password-reset",
    response={204: None},
    auth=anybody,
    summary="Set another password with a code; all your sessions and tokens end",
)
def use_reset(request: HttpRequest, body: ResetIn) -> tuple[int, None]:
    resets.use_reset(body.email, body.code, body.new, network_of_caller(request))
    return 204, None


@router.post(
    "/password-reset/letter",
    response={204: None},
    auth=anybody,
    summary="Have a code mailed to an address, if it has an account; the answer does not tell whether",
)
def ask_reset(request: HttpRequest, body: AskResetIn) -> tuple[int, None]:
    resets.ask_reset(body.email, address=network_of_caller(request))
    return 204, None


@router.get(
    "/me/tokens",
    response=list[TokenRow],
    auth=any_person,
    summary="Your tokens that are valid",
    openapi_extra=listed("id"),
)
def list_tokens(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return _tokens(caller(request).person, ListPart(after, limit))


@router.get(
    "/me/sessions",
    response=list[SessionRow],
    auth=any_person,
    summary="Browsers in which you are logged in",
    openapi_extra=listed("id"),
)
def list_sessions(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return _sessions(caller(request).person, ListPart(after, limit))


@router.delete(
    "/me/sessions",
    response={204: None},
    auth=any_person,
    summary="Log out of all browsers; your tokens stay",
)
def end_own_sessions(request: HttpRequest) -> tuple[int, None]:
    actions.end_other_sessions(acting=caller(request))
    return 204, None


@router.delete("/me/sessions/{session}", response={204: None}, auth=any_person, summary="Log out of one browser")
def end_own_session(request: HttpRequest, session: str) -> tuple[int, None]:
    who = caller(request)
    actions.end_session(actions.find_person(who.actor), session, acting=who)
    return 204, None


@router.get(
    "/people",
    response=list[PersonRow],
    auth=staff,
    summary="Who has an account (staff)",
    openapi_extra=listed("email"),
)
def list_people(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    people = list(part_of(Person.objects.all(), ("email",), "email", ListPart(after, limit)))
    roles: dict[str, dict[str, str]] = {}
    members = Membership.objects.filter(person__in=people)
    for person, project, role in members.values_list("person_id", "project__name", "role"):
        roles.setdefault(person, {})[project] = role
    return [
        {
            "email": person.email, "name": person.name, "is_staff": person.is_staff, "is_open": person.is_active,
            "roles": roles.get(person.id, {}),
        }
        for person in people
    ]  # fmt: skip


@router.get(
    "/people/{email}/tokens",
    response=list[TokenRow],
    auth=staff,
    summary="Somebody's tokens (staff)",
    openapi_extra=listed("id"),
)
def list_tokens_of(request: HttpRequest, email: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return _tokens(actions.find_person(email).id, ListPart(after, limit))


@router.delete(
    "/people/{email}/tokens/{token}",
    response={204: None},
    auth=staff,
    summary="Revoke one of somebody's tokens (staff)",
)
def revoke_token_of(request: HttpRequest, email: str, token: str) -> tuple[int, None]:
    person = actions.find_person(email)
    if not actions.revoke_token(token, acting=caller(request), person=person):
        raise NotFound(f"{person.email} has no token '{token}' that is still valid.")
    return 204, None


@router.get(
    "/people/{email}/sessions",
    response=list[SessionRow],
    auth=staff,
    summary="Browsers in which somebody is logged in (staff)",
    openapi_extra=listed("id"),
)
def list_sessions_of(request: HttpRequest, email: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return _sessions(actions.find_person(email).id, ListPart(after, limit))


@router.delete(
    "/people/{email}/sessions/{session}",
    response={204: None},
    auth=staff,
    summary="Log somebody out of one browser (staff)",
)
def end_session_of(request: HttpRequest, email: str, session: str) -> tuple[int, None]:
    actions.end_session(actions.find_person(email), session, acting=caller(request))
    return 204, None


@router.delete(
    "/people/{email}/sessions",
    response={204: None},
    auth=any_person,
    summary="End all your sessions and tokens, or (staff) somebody's",
)
def end_sessions(request: HttpRequest, email: str) -> tuple[int, None]:
    who = caller(request)
    if email.lower() != who.actor and not who.is_staff:
        # As for a person who is not there.
        raise NotFound(f"There is no person '{email}'.")
    actions.end_sessions(actions.find_person(email), acting=who)
    return 204, None


@router.post(
    "/people/{email}/password-reset",
    response={201: ResetOut},
    auth=staff,
    summary="Make a code with which somebody sets another password (staff)",
)
def make_reset(request: HttpRequest, email: str) -> tuple[int, dict[str, Any]]:
    code, reset = resets.make_reset(actions.find_person(email), acting=caller(request))
    return 201, {"code": code, "expires_at": clock.iso(reset.expires_at)}


@router.delete(
    "/people/{email}/second-factor",
    response={204: None},
    auth=staff,
    summary="Have somebody who lost app and recovery codes log in with the password alone (staff)",
)
def forget_second_factor(request: HttpRequest, email: str) -> tuple[int, None]:
    second_factor.forget(actions.find_person(email), acting=caller(request))
    return 204, None


@router.post("/people/{email}/close", response={204: None}, auth=staff, summary="Close an account (staff)")
def close(request: HttpRequest, email: str) -> tuple[int, None]:
    actions.set_active(actions.find_person(email), False, acting=caller(request))
    return 204, None


@router.post("/people/{email}/reopen", response={204: None}, auth=staff, summary="Open an account again (staff)")
def reopen(request: HttpRequest, email: str) -> tuple[int, None]:
    actions.set_active(actions.find_person(email), True, acting=caller(request))
    return 204, None


@router.get(
    "/projects/{project}/members",
    response=list[MemberRow],
    auth=in_project(Scope.OPERATE),
    summary="Who is in a project",
    openapi_extra=listed("email"),
)
def list_members(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, str]]:
    rows = Membership.objects.filter(project__name=project).values_list("person__email", "role")
    membership_rows = part_of(rows, ("person__email",), "person__email", ListPart(after, limit))
    return [{"email": email, "role": role} for email, role in membership_rows]


@router.delete(
    "/projects/{project}/members/{email}",
    response={204: None},
    auth=in_project(Scope.OPERATE),
    summary="Take somebody out of a project (its owner)",
)
def remove_member(request: HttpRequest, project: str, email: str) -> tuple[int, None]:
    project_row = Project.objects.get(name=project)
    actions.remove_role(actions.find_member(project_row, email), project_row, acting=caller(request))
    return 204, None


@router.put(
    "/projects/{project}/members/{email}",
    response=MemberRow,
    auth=in_project(Scope.OPERATE),
    summary="Give a member of a project another role (its owner); who is not in it is invited",
)
def change_member(request: HttpRequest, project: str, email: str, body: RoleIn) -> dict[str, str]:
    project_row = Project.objects.get(name=project)
    person = actions.find_member(project_row, email)
    actions.give_role(person, project_row, body.role, acting=caller(request))
    return {"email": person.email, "role": body.role.value}


@router.get(
    "/projects/{project}/invitations",
    response=list[InvitationRow],
    auth=in_project(Scope.OPERATE),
    summary="Who is invited into a project",
    openapi_extra=listed("email"),
)
def list_invitations(
    request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    open_invitations = invitations.open_in(Project.objects.get(name=project))
    return [
        _invitation(invitation) for invitation in part_of(open_invitations, ("email",), "email", ListPart(after, limit))
    ]


@router.post(
    "/projects/{project}/invitations",
    response={201: InvitationOut},
    auth=in_project(Scope.OPERATE),
    summary="Invite somebody into a project (its owner)",
)
def invite(request: HttpRequest, project: str, body: InvitationIn) -> tuple[int, dict[str, Any]]:
    code, invitation = invitations.invite(
        Project.objects.get(name=project), body.email, body.role.value, acting=caller(request)
    )
    return 201, {**_invitation(invitation), "code": code, "link": request.build_absolute_uri(f"/join#{code}")}


@router.delete(
    "/projects/{project}/invitations/{email}",
    response={204: None},
    auth=in_project(Scope.OPERATE),
    summary="Withdraw an invitation (the project's owner)",
)
def withdraw(request: HttpRequest, project: str, email: str) -> tuple[int, None]:
    invitations.withdraw(Project.objects.get(name=project), email, acting=caller(request))
    return 204, None


@router.post("/join", response={204: None}, auth=anybody, summary="Come into a project by an invitation")
def join(request: HttpRequest, body: JoinIn) -> tuple[int, None]:
    invitations.accept(body.email, body.code, body.password, network_of_caller(request))
    return 204, None


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "email": invitation.email, "role": invitation.role,
        "made_at": clock.iso(invitation.made_at), "expires_at": clock.iso(invitation.expires_at),
    }  # fmt: skip


def _tokens(person: str, part: ListPart) -> list[dict[str, Any]]:
    return [
        {
            "id": token.id, "title": token.title, "scopes": token.scopes.split(),
            "project": token.project.name if token.project else "",
            "created_at": clock.iso(token.created_at), "expires_at": clock.iso(token.expires_at),
        }
        for token in part_of(valid_tokens(person), ("created_at", "id"), "id", part)
    ]  # fmt: skip


def _sessions(person: str, part: ListPart) -> list[dict[str, Any]]:
    return [
        {
            "id": session.public_id, "began_at": clock.iso(session.began_at), "seen_at": clock.iso(session.seen_at),
            "address": session.address, "browser": session.browser,
        }
        for session in part_of(open_sessions(person), ("began_at", "public_id"), "public_id", part)
    ]  # fmt: skip
