"""Letters to e-mail addresses that strangers give. `notifications` sends them; whoever asks for one learns nothing.

Asking costs the same and is answered in the same words whether there is an account or not: who may read a letter, if
anybody, is found out when it is passed on. The code in a letter stands nowhere: it is made from the Master's key and
the letter's id each time that it is written, the same after a kill, and only its hash is kept.
"""

import base64
from enum import StrEnum

from django.conf import settings
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, TooManyTries, Unavailable
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity
from freehold.master.people.identity import Caller
from freehold.master.people.models import MailLetter, Person
from freehold.master.people.throttle import Throttle


class LetterKind(StrEnum):
    """What a letter is for."""

    RESET = "reset"
    """With its code somebody who forgot the password sets another one."""
    CONFIRM = "confirm"
    """With its code somebody who signs up proves that the address is theirs; who has an account is told so."""
    ACCEPTED = "accepted"
    """Staff gave somebody who signed up their account."""
    REFUSED = "refused"
    """Staff refused somebody who signed up; why is its detail."""
    CHANGED = "changed"
    """The password of an account is another one, whoever set it."""
    TEST = "test"
    """Somebody wants to see whether mail reaches them."""


LIFETIMES = {
    LetterKind.RESET: 3600 * clock.SECOND,
    LetterKind.CONFIRM: 2 * clock.DAY,
    LetterKind.ACCEPTED: 7 * clock.DAY,
    LetterKind.REFUSED: 7 * clock.DAY,
    LetterKind.CHANGED: 7 * clock.DAY,
    LetterKind.TEST: clock.DAY,
}
"""Milliseconds for which a letter is good."""
PREFIXES = {LetterKind.RESET: "fhr_", LetterKind.CONFIRM: "fhc_"}
"""How the code of each kind that has one begins."""
MOST_IN_AN_HOUR = 3
"""Letters of a kind to one address."""
MOST_IN_ALL = 1_000
"""Letters of a kind to all addresses in an hour: a flood of one kind keeps no other, and is over after that."""

asking = Throttle("Too many letters were asked for")


def are_sent() -> bool:
    """Whether this Master sends mail at all."""
    return bool(settings.SMTP_URL)


def ask(kind: LetterKind, email: str, language: str = "", address: str = "") -> MailLetter | None:
    """Have a letter written to an e-mail address (in lower case) that a stranger gave, in the caller's transaction.

    Return it; None after three in an hour. Raise Unavailable where no mail is sent, TooManyTries
    for who asks too often from the network address `address`.
    """
    if not are_sent():
        raise Unavailable("This Master sends no mail.", remedy="Ask who runs it.")
    account = identity.digest(email)
    asking.check(account, address)
    asking.failed(account, address)
    now = clock.now()
    recent = MailLetter.objects.filter(kind=kind, made_at__gt=now - 3600 * clock.SECOND)
    if recent.filter(email=email).count() >= MOST_IN_AN_HOUR:
        return None
    if recent.count() >= MOST_IN_ALL:
        raise TooManyTries("Very many letters are being asked for.")
    return write(kind, email, language)


def ask_test(*, acting: Caller) -> MailLetter:
    """Have a test mailed to the caller; raise Conflict where no mail is sent, TooManyTries after three in an hour."""
    if not are_sent():
        raise Conflict("This Master sends no mail.", remedy="Ask who runs it: FREEHOLD_SMTP_URL says by which server.")
    person = Person.objects.get(id=acting.person)
    with writing():
        letter = ask(LetterKind.TEST, person.email, person.language)
        if letter is None:
            raise TooManyTries("Three tests were mailed to you within an hour.")
        audit(acting.actor, "letter.test", person.id)
    return letter


def write(kind: LetterKind, email: str, language: str, detail: str = "") -> MailLetter:
    """Have a letter written to an e-mail address (in lower case), in the caller's transaction; return it."""
    now = clock.now()
    letter = MailLetter(
        id=ids.new("let"), kind=kind, email=email, language=language, detail=detail, made_at=now,
        expires_at=now + LIFETIMES[kind],
    )  # fmt: skip
    letter.digest = identity.digest(code_of(letter)) if kind in PREFIXES else None
    letter.save(force_insert=True)
    return letter


def code_of(letter: MailLetter) -> str:
    """Return the code of a letter: for its mail alone."""
    code = salted_hmac("freehold.letters", letter.id, algorithm="sha256").digest()
    return PREFIXES[LetterKind(letter.kind)] + base64.urlsafe_b64encode(code).decode().rstrip("=")


def to(email: str, kind: LetterKind) -> "QuerySet[MailLetter]":
    """Return the letters of a kind to an address."""
    return MailLetter.objects.filter(email=email, kind=kind)


def tests_to(person: str) -> "QuerySet[MailLetter]":
    """Return the tests that were mailed to a person (id)."""
    return MailLetter.objects.filter(kind=LetterKind.TEST, email__in=Person.objects.filter(id=person).values("email"))


def find(kind: LetterKind, email: str, code: str) -> MailLetter | None:
    """Return the letter with a code that was written to an address (in lower case), if it is not over."""
    if "\0" in email:
        return None
    return to(email, kind).filter(digest=identity.digest(code), expires_at__gt=clock.now()).first()


def reader(letter: MailLetter) -> Person | None:
    """Return who reads a letter now, if they have an account that is open."""
    return Person.objects.filter(email=letter.email, is_active=True).first()


def has_account(letter: MailLetter) -> bool:
    """Whether the address of a letter has an account, open or closed."""
    return Person.objects.filter(email=letter.email).exists()


def is_readable(letter: MailLetter) -> bool:
    """Whether somebody may read a letter now: who signs up has no account yet."""
    return letter.expires_at > clock.now() and (letter.kind != LetterKind.RESET or reader(letter) is not None)


def pass_on(most: int) -> list[MailLetter]:
    """Return letters that are to be written, each once, in the caller's transaction: it makes their messages.

    Those that are for an account which is not there are dropped here.
    """
    letters = list(MailLetter.objects.select_for_update().filter(is_passed_on=False).order_by("id")[:most])
    MailLetter.objects.filter(id__in=[letter.id for letter in letters]).update(is_passed_on=True)
    readable = [letter for letter in letters if is_readable(letter)]
    for letter in readable:
        # Of who has no account nothing stays when the letter is over.
        if (person := reader(letter)) is not None:
            audit("freehold", "letter.mail", person.id, kind=letter.kind)
    return readable


def clean_up() -> int:
    """Forget letters that are over, with their messages; return how many rows."""
    with writing():
        return MailLetter.objects.filter(expires_at__lt=clock.now()).delete()[0]
