"""What the PDF of a document says, in a language: all its words, dates and amounts, ready to be set."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from freehold.master.accounting import banking
from freehold.master.billing.invoicing import documents, pay_to
from freehold.master.billing.models import Customer
from freehold.master.billing.printing.wording import line
from freehold.master.foundation import currencies
from freehold.master.foundation.errors import Invalid
from freehold.protocol.problem import FieldError

_OF_COUNTRY = {
    **dict.fromkeys(("FR", "BE", "LU", "MC", "SN", "CI", "TN", "MA", "DZ"), "fr"),
    **dict.fromkeys(("CN", "TW", "HK", "MO"), "zh-hans"),
}
"""Languages of customers who did not say theirs."""
_TYPESET = {"en": ("en", "gb"), "fr": ("fr", "fr"), "zh-hans": ("zh", "cn")}
"""Language and region as the typesetter names them."""


def language_of(customer: Customer) -> str:
    """Return the language of a customer's documents: theirs, or else that of their country, or English."""
    return customer.language or _OF_COUNTRY.get(customer.country, "en")


def of_document(row: dict[str, Any], language: str = "") -> dict[str, Any]:
    """Return what a document (a row of `queries.documents`) says, in its customer's language or another of ours.

    Raise Invalid for a language that is none of ours.
    """
    language = language or language_of(Customer.objects.get(id=row["customer"]))
    if language not in dict(settings.LANGUAGES):
        words = " or ".join(dict(settings.LANGUAGES))
        raise Invalid(f"No document is set in '{language}'.", errors=[FieldError("language", words)])
    with translation.override(language):
        return _said(row, documents.whole(row), language)


def _said(row: dict[str, Any], document: dict[str, Any], language: str) -> dict[str, Any]:
    def money(amount: str) -> str:
        return currencies.shown(currencies.minor(amount, row["currency"]), row["currency"], language)

    name, region = _TYPESET[language]
    kind = _("Credit note") if document["kind"] == "credit_note" else _("Invoice")
    moment = datetime.fromtimestamp(row["issued_at"] / 1000, UTC)
    notes = [tax["text"] for tax in document["taxes"] if tax["text"]]
    if in_books := document.get("tax_in_books"):
        notes.append(_named(_("Tax in the seller's currency"), in_books))
    return {
        "language": name,
        "region": region,
        "title": f"{kind} {document['number']}",
        "issued": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "words": {"seller": _("Seller"), "customer": _("Customer")},
        "seller": _party(document["seller"]),
        "customer": _party(document["customer"]),
        "facts": _facts(document),
        "columns": [_("What"), _("Period"), _("Tax"), _("With tax") if document["tax_included"] else _("Without tax")],
        "lines": [
            [line(row), row["period"] or row["month"], f"{row['tax_rate']:g} %", money(row["amount"])]
            for row in document["lines"]
        ],
        "sums": [
            [_("Without tax"), money(document["net"])],
            *([_named(_("Tax"), f"{tax['rate']:g} %"), money(tax["tax"])] for tax in document["taxes"]),
        ],
        "total": [_("Total"), money(document["gross"])],
        "notes": notes,
        "pay": _how_to_pay(row, document, language),
        "proofs": [
            _named("SHA-256", document["digest"]),
            *([_named(_("Ledger"), document["ledger"])] if document["ledger"] else []),
        ],
    }


def _facts(document: dict[str, Any]) -> list[list[str]]:
    facts = [[_("Date"), document["day"]]]
    if document["kind"] == "invoice":
        facts.append([_("Due"), document["due"]])
    facts.append([_("Period"), document["period"]])
    if document["corrects"]:
        facts.append([_("Corrects"), document["corrects"]])
    return facts


def _how_to_pay(row: dict[str, Any], document: dict[str, Any], language: str) -> dict[str, Any] | None:
    """Return where to pay what is still asked, with a code to scan for euros; None when nothing is."""
    to = pay_to.of_document(row)
    if to is None:
        return None
    facts = [
        [_("To pay"), currencies.shown(to.amount, to.currency, language)],
        [_("Due"), document["due"]],
        [_("Name"), to.name],
        ["IBAN", banking.grouped(to.iban)],
        *([["BIC", to.bic]] if to.bic else []),
        *([[_("Bank"), to.bank]] if to.bank else []),
        [_("Reference"), banking.grouped(to.reference) if banking.is_reference(to.reference) else to.reference],
    ]
    return {
        "title": _("How to pay"),
        "facts": facts,
        "code": to.picture(),
        "scan": _("Scan it with your bank's app."),
    }


def _party(party: dict[str, str]) -> list[str]:
    """Return the lines of an address."""
    lines = [party["name"], *party["address"].splitlines(), party["country"], party["vat_number"]]
    return [line.strip() for line in [*lines, party.get("registration", "")] if line.strip()]


def _named(name: str, value: str) -> str:
    return f"{name} {value}"
