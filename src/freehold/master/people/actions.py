"""All writes about people, projects and tokens."""

import re
import secrets

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, Unauthenticated
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity, letters, queries, quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.letters import LetterKind
from freehold.master.people.models import ApiToken, Membership, PasswordReset, Person, Project, Role, Session
from freehold.master.people.quotas import Quota
from freehold.master.people.throttle import throttle
from freehold.protocol.problem import FieldError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 1000
LONGEST_EMAIL = 254
"""Characters (RFC 5321, 4.5.3.1.3, without its brackets)."""
TOKEN_DAYS = 90
ENDED_TOKEN_DAYS = 30
"""How long an API token that is over is still there."""


def add_project(name: str, *, acting: Caller) -> Project:
    """Create a project; raise Conflict when the name is taken."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    if not NAME.fullmatch(name):
        raise Invalid(
            "A project's name is 1 to 63 lower-case letters, digits and dashes.",
            errors=[FieldError("name", "must match [a-z0-9][a-z0-9-]{0,62}", name)],
        )
    project = Project(id=ids.new("proj"), name=name, created_at=clock.now())
    try:
        with writing():
            project.save(force_insert=True)
            audit(acting.actor, "project.add", project.id, project=project.id, name=name)
    except IntegrityError:
        raise Conflict(f"There is a project '{name}' already.", remedy="Choose another name.") from None
    return project


def add_person(email: str, password: str, *, name: str = "", is_staff: bool = False, acting: Caller) -> Person:
    """Create a person who can log in; raise Conflict when the address is taken."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    check_password_rules(password)
    check_email(email)
    person = Person(
        id=ids.new("pers"),
        email=email.lower(),
        name=name,
        is_staff=is_staff,
        password=make_password(password),
        created_at=clock.now(),
    )
    try:
        with writing():
            person.save(force_insert=True)
            audit(acting.actor, "person.add", person.id, email=person.email, staff=is_staff)
    except IntegrityError:
        raise Conflict(f"{email} has an account already.", remedy="Give that account a role instead.") from None
    return person


def check_email(email: str) -> None:
    """Raise Invalid for what is no e-mail address, is longer than any, or holds what a database or terminal obeys."""
    if not (re.fullmatch(r"[^@\s]+@[^@\s]+", email) and email.isprintable() and len(email) <= LONGEST_EMAIL):
        rule = f"must be name@host, at most {LONGEST_EMAIL} characters"
        raise Invalid("Not an e-mail address.", errors=[FieldError("email", rule, email[:LONGEST_EMAIL])])


def check_password_rules(password: str) -> None:
    """Raise Invalid for a password that ASVS 2.1 refuses: too short, or one of the 20,000 that are common."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        rule = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise Invalid("The password is too short or too long.", errors=[FieldError("password", rule)])
    try:
        CommonPasswordValidator().validate(password)
    except ValidationError:
        raise Invalid(
            "The password is one of the most common ones.", errors=[FieldError("password", "not a common one")]
        ) from None


def set_password(person: Person, password: str, *, acting: Caller) -> None:
    """Give a person another password, which ends all sessions and tokens of theirs. For the Master's staff."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    _keep_password(person, password, "password.set", acting)


def change_password(old: str, new: str, *, acting: Caller, address: str = "") -> None:
    """Give oneself another password, which ends all sessions and tokens of one's own, this one too.

    Raise Invalid when the old one is wrong (it counts as a failed log-in), or for a new one that cannot be.
    """
    # For one that cannot be, the old one is not even tried.
    check_password_rules(new)
    try:
        person = log_in(acting.actor, old, address)
    except Unauthenticated:
        raise Invalid("The old password is wrong.", errors=[FieldError("old", "your present password")]) from None
    _keep_password(person, new, "password.change", acting)


def set_language(code: str, *, acting: Caller) -> None:
    """Choose the language of messages to oneself, by its code; empty: the Master's own. Raise Invalid for no other."""
    known = ["", *(code for code, _ in settings.LANGUAGES)]
    if code not in known:
        raise Invalid("There is no such language.", errors=[FieldError("language", f"of {', '.join(known[1:])}", code)])
    with writing():
        Person.objects.filter(id=acting.person).update(language=code)
        audit(acting.actor, "language.choose", acting.person, language=code)


def end_sessions(person: Person, *, acting: Caller) -> None:
    """End all sessions and tokens of a person: one's own, or anybody's for the Master's staff."""
    _check_whose(person, acting)
    with writing():
        # Also a session that is being begun at this moment ends: it holds a hash of this.
        Person.objects.filter(id=person.id).update(sessions_since=clock.now())
        _end_all(person)
        audit(acting.actor, "sessions.end", person.id)


def end_session(person: Person, public_id: str, *, acting: Caller) -> None:
    """End one session: one's own, or anybody's for the Master's staff; raise NotFound when it is not open."""
    _check_whose(person, acting)
    with writing():
        if "\0" in public_id or not queries.open_sessions(person.id).filter(public_id=public_id).delete()[0]:
            raise NotFound(f"{person.email} has no session '{public_id}' that is open.")
        audit(acting.actor, "session.end", public_id, person=person.id)


def end_other_sessions(this: str = "", *, acting: Caller) -> int:
    """End all sessions of the caller but that with the public id `this`; tokens stay. Return how many ended."""
    with writing():
        ended, _ = queries.open_sessions(acting.person).exclude(public_id=this).delete()
        audit(acting.actor, "sessions.end-others", acting.person, ended=ended)
    return ended


def find_person(email: str) -> Person:
    """Return a person by e-mail, for the Master's staff; raise NotFound."""
    person = None if "\0" in email else Person.objects.filter(email=email.lower()).first()
    if person is None:
        raise NotFound(f"There is no person '{email}'.", remedy="See `freehold people`.")
    return person


def set_active(person: Person, active: bool, *, acting: Caller) -> None:
    """Close an account, which ends all sessions and tokens of theirs, or open it again. For the Master's staff."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    with writing():
        Person.objects.filter(id=person.id).update(is_active=active)
        if not active:
            _end_all(person)
            _void_resets(person)
        audit(acting.actor, "person.open" if active else "person.close", person.id)


def remove_role(person: Person, project: Project, *, acting: Caller) -> None:
    """Take a person out of a project; raise NotFound for who is not in it."""
    require_owner(project, acting)
    with writing():
        _leave_an_owner(project, person)
        deleted, _ = Membership.objects.filter(person=person, project=project).delete()
        if not deleted:
            raise NotFound(f"{person.email} has no role in '{project.name}'.")
        audit(acting.actor, "role.remove", person.id, project=project.id)


def _leave_an_owner(project: Project, person: Person) -> None:
    """Raise Conflict when a person is the only owner of a project: nobody else could decide who is in it."""
    # Two owners who go at the same moment would each count the other, on PostgreSQL.
    Project.objects.select_for_update().get(id=project.id)
    owners = Membership.objects.filter(project=project, role=Role.OWNER)
    if owners.filter(person=person).exists() and not owners.exclude(person=person).exists():
        raise Conflict(
            f"{person.email} is the only owner of '{project.name}'.", remedy="Make somebody else an owner first."
        )


def _keep_password(person: Person, password: str, verb: str, acting: Caller) -> None:
    check_password_rules(password)
    hashed = make_password(password)
    with writing():
        replace_password(person, hashed)
        audit(acting.actor, verb, person.id)


def replace_password(person: Person, hashed: str) -> None:
    """Write another password down, in the caller's transaction: all sessions, tokens and codes of the person end.

    They are told by a letter: it may have been somebody else.
    """
    # Sessions hold a hash of the password's hash: also one that is being begun at this moment ends.
    Person.objects.filter(id=person.id).update(password=hashed)
    _end_all(person)
    _void_resets(person)
    if letters.are_sent():
        letters.write(LetterKind.CHANGED, person.email, person.language)


def _void_resets(person: Person) -> None:
    PasswordReset.objects.filter(person=person).delete()
    letters.to(person.email, LetterKind.RESET).delete()


def _check_whose(person: Person, acting: Caller) -> None:
    if acting.person != person.id:
        acting.require(Scope.OPERATE)
        acting.require_staff()


def _end_all(person: Person) -> None:
    Session.objects.filter(person=person).delete()
    ApiToken.objects.filter(person=person, revoked_at=None).update(revoked_at=clock.now())


def require_owner(project: Project, acting: Caller) -> None:
    """Raise Forbidden for who may not give roles in a project: its owners and the Master's staff may."""
    acting.require(Scope.OPERATE)
    if acting.roles.get(project.name) is not Role.OWNER:
        acting.require_staff()


def give_role(person: Person, project: Project, role: Role, *, acting: Caller) -> None:
    """Make a person customer, operator or owner of a project, whatever they were before."""
    require_owner(project, acting)
    with writing():
        if role is not Role.OWNER:
            _leave_an_owner(project, person)
        other_members = Membership.objects.filter(project=project).exclude(person=person)
        quotas.check(project.id, Quota.MEMBERS, other_members.count)
        Membership.objects.update_or_create(person=person, project=project, defaults={"role": role})
        audit(acting.actor, "role.give", person.id, project=project.id, role=role.value)


def find_member(project: Project, email: str) -> Person:
    """Return somebody who has a role in a project, by e-mail; raise NotFound."""
    # PostgreSQL refuses to be asked for a zero character, so no address has one.
    rows = Membership.objects.filter(project=project, person__email=email.lower()).select_related("person")
    membership = None if "\0" in email else rows.first()
    if membership is None:
        raise NotFound(f"'{email}' has no role in '{project.name}'.", remedy="See `freehold people members`.")
    return membership.person


def log_in(email: str, password: str, address: str = "", device: str = "") -> Person:
    """Return the person with this e-mail and password; raise Unauthenticated, never saying which is wrong.

    Raise TooManyTries where the account, or the network address of who tries, has failed too often; a browser that is
    known to the account (`devices.of_account`) has tries of its own.
    """
    account = identity.digest(email.lower())
    throttle.check(account, address, device)
    # PostgreSQL refuses to be asked for a zero character, so no address has one.
    person = None if "\0" in email else Person.objects.filter(email=email.lower(), is_active=True).first()
    if person is None:
        # The same work as for a known address, so that time does not tell who has an account.
        make_password(password)
    if person is None or not check_password(password, person.password):
        throttle.failed(account, address, device)
        raise Unauthenticated("E-mail or password is wrong.", remedy="Check both and try again.")
    throttle.succeeded(account, address)
    return person


def make_token(
    person: Person,
    *,
    title: str,
    scopes: frozenset[Scope],
    project: str | None = None,
    days: int = TOKEN_DAYS,
) -> tuple[str, ApiToken]:
    """Return a new API token and its row; the token itself is shown only now.

    `project` (an id) narrows it to one project; `days` is how long it is valid, 1 to 366.
    """
    if not 1 <= days <= 366:
        raise Invalid("A token lives 1 to 366 days.", errors=[FieldError("days", "1 to 366", days)])
    caller = identity.by_person(person.id)
    if project is not None and project not in caller.projects.values():
        raise Invalid("Not a project of yours.", errors=[FieldError("project", "one of your projects")])
    secret = f"fhp_{secrets.token_urlsafe(32)}"
    now = clock.now()
    token = ApiToken(
        id=ids.new("tok"),
        person=person,
        project_id=project,
        title=title[:100],
        digest=identity.digest(secret),
        scopes=" ".join(sorted(scopes)),
        created_at=now,
        expires_at=now + days * clock.DAY,
    )
    with writing():
        # What is over is of no use to anybody, and would fill the disk.
        ApiToken.objects.filter(person=person, expires_at__lt=now - ENDED_TOKEN_DAYS * clock.DAY).delete()
        quotas.check_person(caller, Quota.TOKENS, ApiToken.objects.filter(person=person, expires_at__gt=now).count)
        token.save(force_insert=True)
        audit(person.email, "token.make", token.id, project=project or "", scopes=token.scopes, days=days)
    return secret, token


def revoke_token(token: str, *, acting: Caller, person: Person | None = None) -> bool:
    """Revoke a token of the caller or, for the Master's staff, of a person, effective at once.

    Return whether there was one.
    """
    if person is not None:
        _check_whose(person, acting)
    owner = acting.person if person is None else person.id
    with writing():
        changed = "\0" not in token and ApiToken.objects.filter(id=token, person=owner, revoked_at=None).update(
            revoked_at=clock.now()
        )
        if changed:
            audit(acting.actor, "token.revoke", token, person=owner)
    return bool(changed)
