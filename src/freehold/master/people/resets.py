"""A forgotten password: a code that staff hands over, or one that is mailed, sets another one, once."""

import secrets

from django.contrib.auth.hashers import make_password

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Unauthenticated
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity, letters
from freehold.master.people.actions import check_email, check_password_rules, replace_password
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.letters import LetterKind
from freehold.master.people.models import MailLetter, PasswordReset, Person
from freehold.master.people.throttle import throttle

RESET_DAYS = 1
"""How long a code of staff is good; one that is mailed is for `letters.LIFETIMES`."""


def make_reset(person: Person, *, acting: Caller) -> tuple[str, PasswordReset]:
    """Return a code with which a person sets another password, once and within a day, and its row.

    The code is shown only now; one that was made before opens nothing any more. For the Master's staff. Raise
    Conflict for a closed account.
    """
    acting.require(Scope.OPERATE)
    acting.require_staff()
    if not person.is_active:
        raise Conflict(f"The account of {person.email} is closed.", remedy="Open it again first.")
    code = f"fhr_{secrets.token_urlsafe(32)}"
    now = clock.now()
    with writing():
        reset, _ = PasswordReset.objects.update_or_create(
            person=person,
            defaults={"digest": identity.digest(code), "made_at": now, "expires_at": now + RESET_DAYS * clock.DAY},
        )
        audit(acting.actor, "reset.make", person.id)
    return code, reset


def ask_reset(email: str, language: str = "", address: str = "") -> None:
    """Have a code mailed with which whoever has an account of this e-mail address sets another password.

    It is good once, for an hour. Nothing tells whether there is such an account, nor whether there were three letters
    to it in an hour, after which no more is written. `language` is that of the page, for who has chosen none; `address`
    whom the network address stands for. Raise Invalid for what is no address, Unavailable where no mail is sent,
    TooManyTries.
    """
    email = email.strip().lower()
    check_email(email)
    with writing():
        letters.ask(LetterKind.RESET, email, language, address)


def use_reset(email: str, code: str, password: str, address: str = "") -> None:
    """Set another password with a code of staff or of a letter; all sessions and tokens of the person end.

    Raise Invalid for a password that cannot be: the code is then still good. Raise Unauthenticated for a code that is
    not this person's, over or used, never saying which; TooManyTries where that happened too often, as with passwords.
    """
    email = email.strip().lower()
    account = identity.digest(email)
    throttle.check(account, address)
    check_password_rules(password)
    reset = _find(email, code)
    if reset is None or not _take(*reset, make_password(password)):
        throttle.failed(account, address)
        raise Unauthenticated(
            "The e-mail or the code is wrong, or the code is over or was used.", remedy="Ask for another code."
        )
    throttle.succeeded(account, address)


def _find(email: str, code: str) -> tuple[PasswordReset | MailLetter, Person] | None:
    """Return what a code is of, and whose. A wrong one is the same work whether there is an account or not."""
    if "\0" in email:
        return None
    resets = PasswordReset.objects.filter(digest=identity.digest(code), expires_at__gt=clock.now(), person__email=email)
    reset = resets.first() or letters.find(LetterKind.RESET, email, code)
    if reset is None:
        return None
    person = Person.objects.filter(email=email, is_active=True).first()
    return None if person is None else (reset, person)


def _take(reset: PasswordReset | MailLetter, person: Person, hashed: str) -> bool:
    with writing():
        # Of two that come at the same moment with one code, one deletes the row.
        deleted = type(reset)._default_manager.filter(pk=reset.pk, digest=reset.digest).delete()[0]
        if deleted:
            replace_password(person, hashed)
            audit(person.email, "reset.use", person.id)
    return bool(deleted)
