"""What is kept about a person: all of it, as they may have it (GDPR, articles 15 and 20), and its end (article 17).

What the law has somebody keep is kept for as long as it says, and the answer says so: who acted when (ten years), and
what was issued to customers, which is the seller's and in its books (ten years in France, § 147 AO in Germany).
"""

from typing import Any

from django.contrib.auth.hashers import make_password

from freehold.master.foundation import clock, events
from freehold.master.foundation.errors import Conflict, Invalid, Unauthenticated
from freehold.master.foundation.models import AuditRow
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import actions, second_factor, terms
from freehold.master.people.events import AskPersonalData, PersonDeleted
from freehold.master.people.identity import Caller
from freehold.master.people.models import (
    ApiToken,
    Authenticator,
    Invitation,
    MailLetter,
    Membership,
    Passkey,
    PasswordReset,
    Person,
    Project,
    RecoveryCode,
    Role,
    Session,
    SignUp,
)
from freehold.protocol.problem import FieldError

MOST_ACTS = 10_000
"""Acts of a person that an export holds, the newest; it says how many there are."""
KEPT = {
    "acts": "Who acted when, with the e-mail address: ten years, as evidence for everybody in the project.",
    "documents": "Invoices and books name their customer, not an account: the seller keeps them as its law says, ten "
    "years as a rule. Ask the seller.",
    "terms": "Which version of the terms you accepted and when, under the alias of your account: as evidence.",
    "messages": "What you wrote in tickets stays with the project, without your name.",
}
"""What outlives an account, and why."""


def export(*, acting: Caller) -> dict[str, Any]:
    """Return all that is kept about the caller, as JSON can hold it; secrets are not among it."""
    person = Person.objects.get(id=acting.person)
    subject = AskPersonalData(person.id, person.email)
    events.send(subject)
    acts = AuditRow.objects.filter(actor=person.email).order_by("-id")
    return {
        "account": {
            "email": person.email, "name": person.name, "is_staff": person.is_staff, "language": person.language,
            "created_at": clock.iso(person.created_at),
        },
        "projects": [
            {"project": name, "role": role}
            for name, role in Membership.objects.filter(person=person).order_by("project__name").values_list(
                "project__name", "role"
            )
        ],
        "tokens": [
            {"title": token.title, "scopes": token.scopes.split(), "created_at": clock.iso(token.created_at),
             "expires_at": clock.iso(token.expires_at)}
            for token in ApiToken.objects.filter(person=person).order_by("id")
        ],
        "sessions": [
            {"began_at": clock.iso(session.began_at), "seen_at": clock.iso(session.seen_at), "address": session.address,
             "browser": session.browser}
            for session in Session.objects.filter(person=person).order_by("began_at")
        ],
        "passkeys": [
            {"title": passkey.title, "host": passkey.host, "made_at": clock.iso(passkey.made_at),
             "used_at": clock.iso(passkey.used_at)}
            for passkey in Passkey.objects.filter(person=person).order_by("made_at")
        ],
        "second_factor": Authenticator.objects.filter(person=person).exists(),
        "invitations": [
            {"project": invitation.project.name, "role": invitation.role, "made_at": clock.iso(invitation.made_at)}
            for invitation in Invitation.objects.filter(email=person.email).select_related("project").order_by("id")
        ],
        "terms": [
            {"kind": accepted.version.kind, "version": accepted.version.number, "accepted_at": clock.iso(accepted.at)}
            for accepted in terms.accepted_by(person.id)
        ],
        "letters": [
            {"kind": letter.kind, "made_at": clock.iso(letter.made_at), "expires_at": clock.iso(letter.expires_at)}
            for letter in MailLetter.objects.filter(email=person.email).order_by("id")
        ],
        "acts": {
            "number": acts.count(),
            "newest": [
                {"at": clock.iso(row.at), "verb": row.verb, "subject": row.subject} for row in acts[:MOST_ACTS]
            ],
        },
        **subject.found,
        "kept_after_deletion": KEPT,
    }  # fmt: skip


def delete(password: str, code: str, *, acting: Caller, address: str = "") -> None:
    """Delete the caller's account: nobody logs in with it, and nothing names them but what must be kept (`KEPT`).

    Raise Invalid for a wrong password or code, as `log_in`; Conflict while they are the only owner of a project.
    """
    if not password:
        raise Invalid("The password is missing.", errors=[FieldError("password", "yours")])
    try:
        person = actions.log_in(acting.actor, password, address)
        second_factor.prove(person, code, address)
    except Unauthenticated as error:
        field = "code" if "code" in error.detail else "password"
        raise Invalid(error.detail, errors=[FieldError(field, "yours")]) from None
    alias = f"{person.id}@deleted.invalid"
    with writing():
        _leave_projects(person)
        events.send(PersonDeleted(person.id, person.email, alias))
        for model in (ApiToken, Session, Passkey, Authenticator, RecoveryCode, PasswordReset):
            model.objects.filter(person=person).delete()
        Invitation.objects.filter(email=person.email).delete()
        Invitation.objects.filter(maker=person).delete()
        MailLetter.objects.filter(email=person.email).delete()
        SignUp.objects.filter(email=person.email).delete()
        Person.objects.filter(id=person.id).update(
            email=alias, name="", language="", password=make_password(None), is_active=False, is_staff=False
        )
        audit(person.email, "person.delete", person.id)


def _leave_projects(person: Person) -> None:
    """Take a person out of all projects; raise Conflict naming those of which they are the only owner."""
    owned = Membership.objects.filter(person=person, role=Role.OWNER).values("project")
    # Two owners who go at the same moment would each count the other, on PostgreSQL.
    projects = list(Project.objects.select_for_update().filter(id__in=owned).order_by("id"))
    other_owners = Membership.objects.filter(project__in=projects, role=Role.OWNER, person__is_active=True)
    kept_projects = set(other_owners.exclude(person=person).values_list("project_id", flat=True))
    alone = sorted(project.name for project in projects if project.id not in kept_projects)
    if alone:
        raise Conflict(
            f"You are the only owner of {', '.join(alone)}.",
            remedy="Make somebody else an owner first, or ask the provider to close it.",
        )
    Membership.objects.filter(person=person).delete()
