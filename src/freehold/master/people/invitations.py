"""Invitations: somebody comes into a project by themselves, with a code that its owner gave them. No mail is needed.

The code stands in the link after `#`, where browsers keep it to themselves: it is in no log of a server or proxy. Only
its hash is kept. An invitation is worth what its maker may do when it is used.
"""

import secrets

from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError
from django.db.models import QuerySet

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, Unauthenticated
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity, quotas
from freehold.master.people.actions import check_email, check_password_rules, require_owner
from freehold.master.people.identity import Caller
from freehold.master.people.models import Invitation, Membership, Person, Project, Role
from freehold.master.people.quotas import Quota
from freehold.master.people.throttle import throttle
from freehold.protocol.problem import FieldError

INVITATION_DAYS = 7


def invite(project: Project, email: str, role: str, *, acting: Caller) -> tuple[str, Invitation]:
    """Return a code with which somebody comes into a project with a role, once and within a week, and its row.

    The code is shown only now; one that was made before for the same address opens nothing any more. For who may give
    roles there. Raise Invalid for what is no address or no role, Conflict for who is in the project already.
    """
    email = email.strip().lower()
    check_email(email)
    if role not in Role.values:
        raise Invalid("There is no such role.", errors=[FieldError("role", f"one of {', '.join(Role.values)}", role)])
    require_owner(project, acting)
    if Membership.objects.filter(project=project, person__email=email).exists():
        raise Conflict(f"{email} is in '{project.name}' already.", remedy="Change their role there.")
    code, now = f"fhi_{secrets.token_urlsafe(32)}", clock.now()
    with writing():
        quotas.check(
            project.id, Quota.MEMBERS, lambda: _members(project) + open_in(project).exclude(email=email).count()
        )
        invitation, _ = Invitation.objects.update_or_create(
            project=project,
            email=email,
            defaults={
                "role": role,
                "maker_id": acting.person,
                "digest": identity.digest(code),
                "made_at": now,
                "expires_at": now + INVITATION_DAYS * clock.DAY,
            },
        )
        audit(acting.actor, "invitation.make", str(invitation.id), project=project.id, email=email, role=role)
    return code, invitation


def open_in(project: Project) -> QuerySet[Invitation, Invitation]:
    """Return the invitations into a project that can be used."""
    return Invitation.objects.filter(project=project, expires_at__gt=clock.now())


def withdraw(project: Project, email: str, *, acting: Caller) -> None:
    """Have an invitation open nothing any more. For who may give roles in its project; raise NotFound."""
    invitation = None if "\0" in email else Invitation.objects.filter(project=project, email=email.lower()).first()
    if invitation is None:
        raise NotFound(f"Nobody is invited as '{email}' into '{project.name}'.")
    require_owner(project, acting)
    with writing():
        invitation.delete()
        audit(acting.actor, "invitation.withdraw", email.lower(), project=project.id)


def accept(email: str, code: str, password: str, address: str = "") -> Person:
    """Bring somebody into a project by a code of `invite`, and return them.

    Who has an account gives its password; who has none gets one with this. Raise Invalid for what is no address, and
    for a password that cannot be: the code is then still good. Raise Unauthenticated for a wrong password and for a
    code that is not this address's, over, used or withdrawn, or whose maker may not give roles any more, never saying
    which; TooManyTries where that happened too often, as with passwords.
    """
    email = email.strip().lower()
    check_email(email)
    account = identity.digest(email)
    throttle.check(account, address)
    # Before anything is looked up: else its answer would tell who has an account.
    check_password_rules(password)
    person = _bring_in(email, code, password)
    if person is None:
        throttle.failed(account, address)
        raise Unauthenticated(
            "The e-mail, the code or the password is wrong, or the invitation is over or was used.",
            remedy="Ask for another invitation.",
        )
    throttle.succeeded(account, address)
    return person


def _bring_in(email: str, code: str, password: str) -> Person | None:
    good = Invitation.objects.filter(digest=identity.digest(code), email=email, expires_at__gt=clock.now())
    invitation = good.select_related("project", "maker").first()
    if invitation is None or not _holds(invitation):
        return None
    person = Person.objects.filter(email=email).first()
    if person is None:
        person = Person(id=ids.new("pers"), email=email, password=make_password(password), created_at=clock.now())
    elif not person.is_active or not check_password(password, person.password):
        return None
    try:
        return person if _take(invitation, person) else None
    except IntegrityError:
        # Somebody made that account at this moment.
        return None


def _holds(invitation: Invitation) -> bool:
    """Return whether who made an invitation could make it now."""
    maker = invitation.maker
    if maker is None or not maker.is_active:
        return False
    owned = Membership.objects.filter(person=maker, project=invitation.project, role=Role.OWNER)
    return maker.is_staff or owned.exists()


def _take(invitation: Invitation, person: Person) -> bool:
    with writing():
        # First of all, as `invite` does: they would wait for each other, each with a row that the other needs.
        Project.objects.select_for_update().get(id=invitation.project_id)
        # Of two that come at the same moment with one code, one deletes the row.
        if not Invitation.objects.filter(id=invitation.id, digest=invitation.digest).delete()[0]:
            return False
        project = invitation.project
        if person._state.adding:
            person.save(force_insert=True)
            audit(person.email, "person.add", person.id, email=person.email, staff=False)
        if not Membership.objects.filter(person=person, project=project).exists():
            quotas.check(project.id, Quota.MEMBERS, lambda: _members(project))
            Membership.objects.create(person=person, project=project, role=invitation.role)
        audit(person.email, "invitation.use", person.id, project=project.id, role=invitation.role)
    return True


def _members(project: Project) -> int:
    return Membership.objects.filter(project=project).count()
