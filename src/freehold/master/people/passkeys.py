"""Passkeys (WebAuthn level 2): a device proves that it holds a key, and that its owner unlocked it.

So one is enough to log in: it is something that somebody has, and something that they know or are. A key is for the
name by which this Master is reached (`FREEHOLD_PASSKEY_HOST`), and opens nothing under another.
"""

import json
import threading
from collections import OrderedDict
from typing import Any

from django.conf import settings
from django.core import signing
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, Unauthenticated
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller
from freehold.master.people.models import Passkey, Person
from freehold.protocol.problem import FieldError

TICKET_S = 300
"""Seconds for which a challenge is good."""
MOST_PASSKEYS, LONGEST_TITLE, LONGEST_ANSWER = 20, 100, 16_384
MOST_USED = 20_000
"""Challenges that were answered and are remembered, so that none is answered twice."""
_SALT = "freehold.passkeys"
_VERIFIED = UserVerificationRequirement.REQUIRED
_used: "OrderedDict[str, None]" = OrderedDict()
_used_lock = threading.Lock()


def serves(host: str) -> bool:
    """Return whether passkeys work in a browser that reached this Master by a name (with or without its port)."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name == settings.PASSKEY_HOST or name.endswith(f".{settings.PASSKEY_HOST}")


def begin_adding(*, acting: Caller) -> tuple[str, str]:
    """Return what the caller's browser is to be asked, as JSON, and the ticket with which its answer is taken."""
    user = PublicKeyCredentialUserEntity(name=acting.actor, id=acting.person.encode(), display_name=acting.actor)
    options, state = _server().register_begin(
        user,
        [_credential(passkey) for passkey in Passkey.objects.filter(person=acting.person)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=_VERIFIED,
    )
    return json.dumps(dict(options)["publicKey"]), _ticket(state, acting.person)


def add(ticket: str, answer: str, title: str, *, acting: Caller) -> Passkey:
    """Keep a passkey that the caller's browser made; raise Invalid for what is none, Conflict for too many."""
    state = _state(ticket, acting.person)
    try:
        registered = _server().register_complete(state, RegistrationResponse.from_dict(_read(answer)))
        credential = registered.credential_data
        assert credential is not None
    except Exception as error:
        # Of whatever a stranger sends, the library says so in many ways.
        raise Invalid("The browser's answer is not what was asked for.", errors=_WRONG) from error
    title = title.strip()[:LONGEST_TITLE] or "passkey"
    with writing():
        Person.objects.select_for_update().get(id=acting.person)
        if Passkey.objects.filter(person=acting.person).count() >= MOST_PASSKEYS:
            raise Conflict(f"You have {MOST_PASSKEYS} passkeys.", remedy="Remove one first.")
        if Passkey.objects.filter(credential=credential.credential_id.hex()).exists():
            raise Conflict("This passkey is there already.", remedy="")
        row = Passkey.objects.create(
            id=ids.new("pky"),
            person_id=acting.person,
            credential=credential.credential_id.hex(),
            key=bytes(credential).hex(),
            uses=registered.counter,
            host=settings.PASSKEY_HOST,
            title="".join(character if character.isprintable() else "?" for character in title),
            made_at=clock.now(),
        )
        audit(acting.actor, "passkey.add", row.id)
    return row


def begin_logging_in() -> tuple[str, str]:
    """Return what a browser is to be asked, as JSON, and the ticket with which its answer is taken."""
    options, state = _server().authenticate_begin(None, user_verification=_VERIFIED)
    return json.dumps(dict(options)["publicKey"]), _ticket(state, "")


def log_in(ticket: str, answer: str) -> Person:
    """Return whose passkey answered; raise Unauthenticated, never saying what was wrong."""
    try:
        state = _state(ticket, "")
        response = AuthenticationResponse.from_dict(_read(answer))
        row = Passkey.objects.select_related("person").get(credential=response.raw_id.hex(), person__is_active=True)
        _server().authenticate_complete(state, [_credential(row)], response)
        uses = response.response.authenticator_data.counter
    except Exception as error:
        # Of whatever a stranger sends, the library says so in many ways.
        raise _refusal() from error
    with writing():
        # A counter that does not grow is that of a copy (WebAuthn 6.1.1); keys that are kept in many places count none.
        good = Passkey.objects.filter(id=row.id, uses__lt=uses) if uses else Passkey.objects.filter(id=row.id, uses=0)
        if not good.update(uses=uses, used_at=clock.now()):
            raise _refusal()
    return row.person


def of_person(person: str) -> list[Passkey]:
    """Return the passkeys of a person (its id), the oldest first."""
    return list(Passkey.objects.filter(person=person).order_by("made_at", "id")[:MOST_PASSKEYS])


def remove(identity: str, *, acting: Caller) -> None:
    """Have a passkey of the caller open nothing any more; raise NotFound."""
    with writing():
        if "\0" in identity or not Passkey.objects.filter(id=identity, person=acting.person).delete()[0]:
            raise NotFound("You have no such passkey.", remedy="")
        audit(acting.actor, "passkey.remove", identity)


def of_other_names() -> dict[str, int]:
    """Return how many people have passkeys for names that are not this Master's any more, by name."""
    transports: dict[str, set[str]] = {}
    rows = Passkey.objects.exclude(host=settings.PASSKEY_HOST).values_list("host", "person")
    for host, person in rows.iterator():
        transports.setdefault(host, set()).add(person)
    return {host: len(people) for host, people in sorted(transports.items())}


_WRONG = [FieldError("answer", "what a browser says of a passkey that it made just now")]


def _server() -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(name="Freehold", id=settings.PASSKEY_HOST))


def _credential(row: Passkey) -> AttestedCredentialData:
    return AttestedCredentialData(bytes.fromhex(row.key))


def _ticket(state: dict[str, Any], person: str) -> str:
    return signing.dumps([state["challenge"], person], salt=_SALT)


def _state(ticket: str, person: str) -> dict[str, Any]:
    """Return the state of a challenge, which is answered once; raise Invalid for one that is over or another's."""
    try:
        challenge, whose = signing.loads(ticket, salt=_SALT, max_age=TICKET_S)
    except signing.BadSignature:
        challenge, whose = "", None
    with _used_lock:
        if whose != person or challenge in _used:
            raise Invalid("It took too long.", errors=[FieldError("ticket", "that of the page, within five minutes")])
        _used[challenge] = None
        if len(_used) > MOST_USED:
            _used.popitem(last=False)
    return {"challenge": challenge, "user_verification": _VERIFIED}


def _read(answer: str) -> dict[str, Any]:
    decoded = json.loads(answer[:LONGEST_ANSWER])
    if not isinstance(decoded, dict):
        raise TypeError
    return decoded


def _refusal() -> Unauthenticated:
    return Unauthenticated("This passkey opens nothing here.", remedy="Try again, or use the password.")
