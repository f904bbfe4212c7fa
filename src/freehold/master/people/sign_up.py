"""People who come by themselves: they ask, a letter proves their address, and staff may have a say.

Nothing tells a stranger whether an address has an account: all that they are answered is that a letter is on its way,
and its owner reads in it which of the two is so.
"""

import re
import secrets
from enum import StrEnum

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError
from django.db.models import QuerySet

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, Unauthenticated
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity, letters, terms
from freehold.master.people.actions import check_email, check_password_rules
from freehold.master.people.identity import STAFF, Caller
from freehold.master.people.letters import LetterKind
from freehold.master.people.models import Membership, Newcomer, Person, Project, Role, SignUp, SignUpSettings
from freehold.master.people.throttle import throttle
from freehold.protocol.problem import FieldError

LONGEST_NAME, LONGEST_REASON = 100, 500


class SignUpMode(StrEnum):
    """Who may sign up."""

    CLOSED = "closed"
    """Nobody: people come by invitations, or staff adds them."""
    APPROVAL = "approval"
    """Who proved their address waits until staff accepts them."""
    OPEN = "open"
    """Who proved their address has an account."""


def mode() -> SignUpMode:
    """Return who may sign up; nobody unless staff said so, and nobody where no letter can be sent."""
    row = SignUpSettings.objects.filter(id=1).first()
    return SignUpMode(row.mode) if row is not None and letters.are_sent() else SignUpMode.CLOSED


def set_mode(wanted: str, *, acting: Caller) -> None:
    """Say who may sign up. For the Master's staff; raise Conflict where no mail is sent, by which addresses are proven.

    Who waits goes on waiting whatever is said.
    """
    acting.check(STAFF)
    if wanted not in list(SignUpMode):
        rule = f"one of {', '.join(SignUpMode)}"
        raise Invalid("There is no such setting.", errors=[FieldError("mode", rule, wanted)])
    if wanted != SignUpMode.CLOSED and not letters.are_sent():
        raise Conflict("This Master sends no mail, by which addresses are proven.", remedy="Set FREEHOLD_SMTP_URL.")
    with writing():
        SignUpSettings.objects.update_or_create(id=1, defaults={"mode": wanted})
        audit(acting.actor, "sign-up.mode", wanted)


def ask(
    email: str, name: str, password: str, *, language: str = "", accepted: list[str] | None = None, address: str = ""
) -> None:
    """Have a letter written with which somebody proves their address; all is the same for one that has an account.

    `accepted` are the ids of the terms that hold, `address` whom the network address stands for. Raise Conflict where
    nobody may sign up, Invalid for what cannot be, TooManyTries.
    """
    _refuse_if_closed()
    email, name = email.strip().lower(), name.strip()
    check_email(email)
    if len(name) > LONGEST_NAME or not name.isprintable():
        rule = f"at most {LONGEST_NAME} characters in one line"
        raise Invalid("The name is too long.", errors=[FieldError("name", rule)])
    if language not in ["", *(code for code, _ in settings.LANGUAGES)]:
        raise Invalid("There is no such language.", errors=[FieldError("language", "one of this Master's", language)])
    check_password_rules(password)
    agreed = terms.check_accepted(accepted or [])
    hashed = make_password(password)
    with writing():
        letter = letters.ask(LetterKind.CONFIRM, email, language, address)
        if letter is not None:
            SignUp.objects.create(
                id=ids.new("sign"), letter=letter, email=email, name=name, language=language, password=hashed,
                terms=" ".join(version.id for version in agreed), made_at=letter.made_at,
            )  # fmt: skip


def confirm(email: str, code: str, password: str, address: str = "") -> Person | None:
    """Prove an address with the code of its letter and the password that was chosen; return the account, now there.

    None: staff has yet to accept it. Raise Unauthenticated for a code that is not this address's, over or used, for
    another password and for an address that has an account by now, never saying which; TooManyTries where that
    happened too often; Conflict where nobody may sign up any more.
    """
    _refuse_if_closed()
    email = email.strip().lower()
    check_email(email)
    account = identity.digest(email)
    throttle.check(account, address)
    request = _of_code(email, code)
    # Who reads the mail has to know the password, too: else a stranger's would be on an account that its owner opened.
    if request is None or not check_password(password, request.password) or not _take(request):
        throttle.failed(account, address)
        raise Unauthenticated(
            "The e-mail, the code or the password is wrong, or the code is over or was used.", remedy="Sign up again."
        )
    return Person.objects.filter(email=email).first()


def waiting() -> "QuerySet[SignUp]":
    """Return who proved an address and waits for staff."""
    return SignUp.objects.filter(confirmed_at__isnull=False)


def part(wanted: ListPart) -> list[SignUp]:
    """Return a part of those who wait, the first first."""
    return list(part_of(waiting(), ("id",), "id", wanted))


def accept(sign_up: str, *, acting: Caller) -> Person:
    """Give somebody who waits (their sign-up's id) an account, and tell them. For the Master's staff.

    Raise NotFound for who does not wait, Conflict when the address has an account by now.
    """
    acting.check(STAFF)
    try:
        with writing():
            request = _locked(sign_up)
            person = _bring_in(request, acting.actor)
            letters.write(LetterKind.ACCEPTED, request.email, request.language)
    except IntegrityError:
        raise Conflict("This address has an account by now.", remedy="Refuse the request.") from None
    return person


def refuse(sign_up: str, reason: str, *, acting: Caller) -> None:
    """Refuse somebody who waits, for a reason that is mailed to them. For the Master's staff; raise NotFound."""
    acting.check(STAFF)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        rule = f"1 to {LONGEST_REASON} characters in one line, which they read"
        raise Invalid("Say why.", errors=[FieldError("reason", rule)])
    with writing():
        request = _locked(sign_up)
        letters.write(LetterKind.REFUSED, request.email, request.language, reason)
        audit(acting.actor, "sign-up.refuse", request.id, reason=reason)
        request.delete()


def _refuse_if_closed() -> None:
    if mode() is SignUpMode.CLOSED:
        raise Conflict("Nobody can sign up here.", remedy="Ask who runs this Master for an invitation.")


def _of_code(email: str, code: str) -> SignUp | None:
    letter = letters.find(LetterKind.CONFIRM, email, code)
    has_account = Person.objects.filter(email=email).exists()
    return None if letter is None or has_account else SignUp.objects.filter(letter=letter).first()


def _take(request: SignUp) -> bool:
    """Make an account of a sign-up whose address is proven, or have it wait; return False if it was used before."""
    try:
        with writing():
            # Who asked again means the same.
            waiting().filter(email=request.email).exclude(id=request.id).delete()
            # Of two that come at the same moment with one code, one takes the row.
            proven = SignUp.objects.filter(id=request.id, confirmed_at=None).update(
                confirmed_at=clock.now(), letter=None
            )
            if not proven:
                return False
            letters.to(request.email, LetterKind.CONFIRM).delete()
            if mode() is SignUpMode.OPEN:
                _bring_in(request, request.email)
    except IntegrityError:
        # Somebody made that account at this moment.
        return False
    return True


def _bring_in(request: SignUp, actor: str) -> Person:
    """Make an account with a project of its own; raise IntegrityError for an address that has one."""
    now = clock.now()
    person = Person.objects.create(
        id=ids.new("pers"), email=request.email, name=request.name, language=request.language,
        password=request.password, created_at=now,
    )  # fmt: skip
    project = Project.objects.create(id=ids.new("proj"), name=_name_for(request.email), created_at=now)
    Membership.objects.create(person=person, project=project, role=Role.OWNER)
    Newcomer.objects.create(project=project)
    terms.note_accepted(person.id, [terms.find(version) for version in request.terms.split()], request.made_at)
    audit(actor, "person.add", person.id, email=person.email, staff=False)
    audit(actor, "project.add", project.id, project=project.id, name=project.name)
    SignUp.objects.filter(id=request.id).delete()
    return person


def _name_for(email: str) -> str:
    """Return a name for a project that no other has: that a name is taken would tell who is a customer here."""
    name = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0]).strip("-")[:40].strip("-")
    return f"{name or 'project'}-{secrets.token_hex(4)}"


def _locked(sign_up: str) -> SignUp:
    request = None if "\0" in sign_up else waiting().select_for_update().filter(id=sign_up).first()
    if request is None:
        raise NotFound(f"Nobody waits as '{sign_up}'.", remedy="See: freehold sign-ups list.")
    return request
