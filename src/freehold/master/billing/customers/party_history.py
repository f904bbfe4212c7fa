"""What customers and sellers are called on documents: a document says for ever what was true when it was issued."""

from dataclasses import dataclass

from freehold.master.accounting.actions import change_terms, wrong_terms
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import find_entity
from freehold.master.billing import overdue
from freehold.master.billing.models import Customer, PartySnapshot
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller, Scope

_PRINTED = ("name", "address", "country", "vat_number")


@dataclass(frozen=True)
class Terms:
    """What of a seller can change: how it is called, when it wants its money, and where."""

    name: str
    address: str
    vat_number: str = ""
    registration: str = ""
    payment_days: int = 30
    stop_days: int | None = None
    iban: str = ""
    bic: str = ""
    bank: str = ""


def change_seller(code: str, spec: Terms, *, acting: Caller) -> LegalEntity:
    """Note what a seller is now; what was issued keeps what it says. Raise Invalid naming what is wrong."""
    entity = find_entity(code, acting, Scope.ACCOUNT)
    if wrong := wrong_terms(**vars(spec)):
        raise Invalid("A seller cannot be so.", errors=wrong)
    with writing():
        snapshot(entity)
        change_terms(entity, vars(spec))
        seller_terms = {"stop_days": spec.stop_days, "iban": spec.iban}
        audit(acting.actor, "entity.change", entity.id, project=entity.project_id, **seller_terms)
    changed = find_entity(code, acting, Scope.ACCOUNT)
    overdue.look(changed)
    return changed


def snapshot(subject: Customer | LegalEntity) -> None:
    """Keep what a customer or a seller is called, just before that changes, in a transaction of the caller."""
    PartySnapshot.objects.create(
        subject=subject.id,
        until=clock.now(),
        registration=getattr(subject, "registration", ""),
        **{name: getattr(subject, name) for name in _PRINTED},
    )


def printed(subject: Customer | LegalEntity, at: int) -> dict[str, str]:
    """Return what documents say of their customer or seller whose run was opened at a moment: what was known then."""
    former = PartySnapshot.objects.filter(subject=subject.id, until__gte=at).order_by("until", "id").first()
    names = (*_PRINTED, "registration") if isinstance(subject, LegalEntity) else _PRINTED
    return {name: getattr(former or subject, name) for name in names}
