"""The terms of the provider: what people agree to, each version as it was, and who accepted which of them when."""

from enum import StrEnum
from urllib.parse import urlsplit

from django.db.models import Exists, OuterRef

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import STAFF, Caller
from freehold.master.people.models import AcceptedTerms, TermsVersion
from freehold.protocol.problem import FieldError

LONGEST_TEXT = 200_000
"""Characters of a version."""


class TermsKind(StrEnum):
    """What a text is."""

    TERMS = "terms"
    """The general terms and conditions."""
    PROCESSING = "processing"
    """The agreement on the processing of personal data (GDPR, article 28)."""


def publish(kind: str, text: str, *, acting: Caller) -> TermsVersion:
    """Have a text, or a page at an `https://` address, hold from now on; return its version. For the Master's staff.

    Raise Invalid for what is neither, Conflict for what holds already.
    """
    acting.check(STAFF)
    if kind not in list(TermsKind):
        raise Invalid("There is no such text.", errors=[FieldError("kind", f"one of {', '.join(TermsKind)}", kind)])
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > LONGEST_TEXT or "\0" in text:
        rule = f"1 to {LONGEST_TEXT} characters, or an address https://…"
        raise Invalid("The text is missing or too long.", errors=[FieldError("text", rule)])
    with writing():
        last = TermsVersion.objects.select_for_update().filter(kind=kind).order_by("-number").first()
        if last is not None and last.text == text:
            raise Conflict(f"This is version {last.number}, which holds already.", remedy="")
        number = 1 if last is None else last.number + 1
        version = TermsVersion.objects.create(
            id=f"{kind}-{number}", kind=kind, number=number, text=text, published_at=clock.now()
        )
        audit(acting.actor, "terms.publish", version.id)
    return version


def current() -> list[TermsVersion]:
    """Return what holds now: the newest version of each kind, the general terms first."""
    newer = TermsVersion.objects.filter(kind=OuterRef("kind"), number__gt=OuterRef("number"))
    # The kinds are few, and "terms" comes after "processing".
    return list(TermsVersion.objects.filter(~Exists(newer)).order_by("-kind"))


def find(identity: str) -> TermsVersion:
    """Return a version by its id, `terms-3`; raise NotFound."""
    version = None if "\0" in identity else TermsVersion.objects.filter(id=identity).first()
    if version is None:
        raise NotFound(f"There are no terms '{identity}'.", remedy="")
    return version


def part(wanted: ListPart) -> list[TermsVersion]:
    """Return a part of all versions, the newest first."""
    return list(part_of(TermsVersion.objects.all(), ("-published_at", "id"), "id", wanted))


def link_of(version: TermsVersion) -> str:
    """Return the address of a version that is a page elsewhere; empty for one that is a text."""
    is_address = not version.text.count("\n") and version.text.startswith("https://") and " " not in version.text
    return version.text if is_address and urlsplit(version.text).hostname else ""


def check_accepted(accepted: list[str]) -> list[TermsVersion]:
    """Return the versions that hold; raise Invalid unless exactly these (ids) were accepted."""
    held = current()
    wanted = [version.id for version in held]
    if sorted(set(accepted)) != sorted(wanted):
        rule = f"accept {', '.join(wanted)}" if wanted else "nothing is to be accepted"
        raise Invalid("The terms are not accepted as they are now.", errors=[FieldError("terms", rule)])
    return held


def note_accepted(person: str, versions: list[TermsVersion], at: int) -> None:
    """Note when a person (its id) accepted versions first, in the caller's transaction."""
    for version in versions:
        AcceptedTerms.objects.get_or_create(person_id=person, version=version, defaults={"at": at})


def accept(versions: list[TermsVersion], *, acting: Caller) -> None:
    """Note that the caller accepts versions now, as with an order."""
    new = [
        version
        for version in versions
        if not AcceptedTerms.objects.filter(person=acting.person, version=version).exists()
    ]
    if new:
        with writing():
            note_accepted(acting.person, new, clock.now())
            audit(acting.actor, "terms.accept", acting.person, versions=[version.id for version in new])


def accepted_by(person: str) -> list[AcceptedTerms]:
    """Return what a person (its id) accepted, and when."""
    return list(AcceptedTerms.objects.filter(person=person).select_related("version").order_by("at", "id"))
