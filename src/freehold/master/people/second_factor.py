"""A second proof of who somebody is: the codes of an app (TOTP, RFC 6238), and ten codes for when the app is lost.

Whoever has one logs in with the password *and* a code, at every door. A code works once. The app's key is kept
encrypted, so that a copy of the database alone makes no codes; of recovery codes only hashes are kept.
"""

import base64
import secrets
from urllib.parse import quote

import pyotp
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core import signing

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, SecondFactorNeeded, Unauthenticated
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import identity
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Authenticator, Person, RecoveryCode
from freehold.master.people.throttle import throttle
from freehold.protocol.problem import FieldError

STEP_S, DRIFT = 30, 1
"""Seconds for which a code is shown (RFC 6238, 5.2), and how many of these a phone's clock may be wrong."""
KEY_LETTERS = 32
"""Of base32: 160 bits (RFC 4226, 4)."""
RECOVERY_CODES = 10
TICKET_S = 300
"""Seconds in which a code is given after the password."""
_SALT = "freehold.second-factor"


def new_key() -> str:
    """Return a key for an app, in base32; nothing is kept of it before `confirm`."""
    return pyotp.random_base32(KEY_LETTERS)


def is_key(text: str) -> bool:
    """Return whether a text can be a key of `new_key`."""
    return len(text) == KEY_LETTERS and set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def app_address(email: str, key: str) -> str:
    """Return what an app reads from a picture: the key, and whose it is."""
    return f"otpauth://totp/Freehold:{quote(email)}?secret={key}&issuer=Freehold"


def confirm(key: str, code: str, *, acting: Caller) -> list[str]:
    """Have the caller log in with codes of an app from now on; return the recovery codes, which are shown only now.

    Raise Invalid for a code that is not of this key, Conflict for who has an app already.
    """
    step = _step_of(key, code, after=0) if is_key(key) else None
    if step is None:
        raise Invalid("This is not the code that the app shows now.", errors=[FieldError("code", "six digits")])
    with writing():
        authenticator = Authenticator.objects.get_or_create(
            person_id=acting.person, defaults={"key": _sealed(key), "last_step": step, "made_at": clock.now()}
        )
        if not authenticator[1]:
            raise Conflict("You have an app already.", remedy="Remove it first.")
        audit(acting.actor, "second-factor.add", acting.person)
        return _new_codes(acting.person)


def is_wanted(person: str) -> bool:
    """Return whether a person (its id) logs in with a code besides the password."""
    return Authenticator.objects.filter(person=person).exists()


def codes_left(person: str) -> int:
    """Return how many recovery codes a person can still use."""
    return RecoveryCode.objects.filter(person=person).count()


def prove(person: Person, code: str, address: str = "", device: str = "") -> None:
    """Check, and use up, a code of a person who gave the password, if one is wanted.

    Raise SecondFactorNeeded without a code, Unauthenticated for a wrong one or one that was used, TooManyTries after
    too many, as with passwords.
    """
    if not is_wanted(person.id):
        return
    if not code.strip():
        raise SecondFactorNeeded("The code of your app is needed, too.")
    account = identity.digest(person.email)
    throttle.check(account, address, device)
    if not _use(person.id, code):
        throttle.failed(account, address, device)
        raise Unauthenticated("The code is wrong, or was used already.", remedy="Wait for the next one.")


def ticket(person: Person) -> str:
    """Return a proof that somebody gave a person's password just now, good for five minutes."""
    return signing.dumps([person.id, person.get_session_auth_hash()], salt=_SALT)


def of_ticket(text: str) -> Person:
    """Return whose password was given; raise Unauthenticated when that is too long ago, or the password is another."""
    try:
        identity_, proof = signing.loads(text, salt=_SALT, max_age=TICKET_S)
    except signing.BadSignature:
        identity_, proof = "", ""
    person = Person.objects.filter(id=identity_, is_active=True).first()
    if person is None or not secrets.compare_digest(person.get_session_auth_hash(), proof):
        raise Unauthenticated("It took too long.", remedy="Begin with the password again.")
    return person


def renew_codes(code: str, *, acting: Caller, address: str = "") -> list[str]:
    """Return other recovery codes, shown only now; those of before open nothing any more. Raise as `prove`."""
    _prove_again(code, acting, address)
    with writing():
        audit(acting.actor, "second-factor.codes", acting.person)
        return _new_codes(acting.person)


def remove(code: str, *, acting: Caller, address: str = "") -> None:
    """Have the caller log in with the password alone again. Raise as `prove`."""
    _prove_again(code, acting, address)
    _forget(acting.person, "second-factor.remove", acting)


def forget(person: Person, *, acting: Caller) -> None:
    """Have a person who lost app and codes log in with the password alone. For the Master's staff; raise NotFound."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    if not is_wanted(person.id):
        raise NotFound(f"{person.email} has no second factor.")
    _forget(person.id, "second-factor.forget", acting)


def _prove_again(code: str, acting: Caller, address: str) -> None:
    if not is_wanted(acting.person):
        raise NotFound("You have no second factor.", remedy="")
    try:
        prove(Person.objects.get(id=acting.person), code, address)
    except Unauthenticated as error:
        raise Invalid(error.detail, errors=[FieldError("code", "a code of your app, or a recovery code")]) from None


def _forget(person: str, verb: str, acting: Caller) -> None:
    with writing():
        Authenticator.objects.filter(person=person).delete()
        RecoveryCode.objects.filter(person=person).delete()
        audit(acting.actor, verb, person)


def _use(person: str, code: str) -> bool:
    """Return whether a code is good, and have it be good no more."""
    typed = "".join(code.split()).replace("-", "").upper()
    row = Authenticator.objects.filter(person=person).first()
    if row is None:
        return False
    if not typed.isdecimal():
        with writing():
            return bool(RecoveryCode.objects.filter(person=person, digest=identity.digest(typed)).delete()[0])
    step = _step_of(_opened(row.key), typed, after=row.last_step)
    if step is None:
        return False
    with writing():
        # Of two that come with one code at the same moment, one finds an older step.
        return bool(Authenticator.objects.filter(person=person, last_step__lt=step).update(last_step=step))


def _step_of(key: str, code: str, *, after: int) -> int | None:
    """Return the step of which a code is, if it is a late one and none that was used."""
    now = clock.now() // 1000 // STEP_S
    codes = pyotp.TOTP(key)
    typed = "".join(code.split())
    for step in range(now - DRIFT, now + DRIFT + 1):
        if step > after and typed.isascii() and secrets.compare_digest(codes.generate_otp(step), typed):
            return step
    return None


def _new_codes(person: str) -> list[str]:
    RecoveryCode.objects.filter(person=person).delete()
    # Fifty bits each, and letters among them: none is taken for a code of an app.
    codes = [f"R{base64.b32encode(secrets.token_bytes(10)).decode()[:11]}" for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(person_id=person, digest=identity.digest(code)) for code in codes)
    return [f"{code[:4]}-{code[4:8]}-{code[8:]}" for code in codes]


def _seal() -> Fernet:
    derived = HKDF(SHA256(), 32, None, _SALT.encode()).derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def _sealed(key: str) -> str:
    return _seal().encrypt(key.encode()).decode()


def _opened(sealed: str) -> str:
    try:
        return _seal().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Conflict(
            "The key of your app was kept under another secret of this Master.",
            remedy="Use a recovery code, or have its staff forget your second factor.",
        ) from None
