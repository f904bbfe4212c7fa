"""How a customer pays what is still asked of an invoice: the seller's account, the reference, and a code to scan."""

import io
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import segno
from segno import helpers

from freehold.master.accounting import banking
from freehold.master.accounting.models import LegalEntity
from freehold.master.billing.invoicing import settling

LONGEST_NAME = 70
"""Characters of a payee's name in a SEPA payment."""
_MOST = 99_999_999_999
"""Cents that a code can ask for (EPC069-12)."""


@dataclass(frozen=True)
class PayTo:
    """A transfer that pays what is open of a document now."""

    name: str
    iban: str
    bic: str
    bank: str
    reference: str
    """The creditor reference (ISO 11649), or else the document's number."""
    amount: int
    currency: str

    @property
    def code(self) -> segno.QRCode | None:
        """The code that banks' apps scan (EPC069-12, version 002): of euros only."""
        if self.currency != "EUR" or self.amount > _MOST:
            return None
        known = banking.is_reference(self.reference)
        return helpers.make_epc_qr(
            self.name[:LONGEST_NAME],
            self.iban,
            Decimal(self.amount).scaleb(-2),
            reference=self.reference if known else None,
            text=None if known else self.reference,
            bic=self.bic or None,
            encoding="UTF-8",
        )

    def picture(self) -> str:
        """Return the code as SVG; empty where there is none."""
        code = self.code
        if code is None:
            return ""
        drawn = io.BytesIO()
        code.save(drawn, kind="svg", xmldecl=False, nl=False)
        return drawn.getvalue().decode()


def of_document(row: dict[str, Any]) -> PayTo | None:
    """Return how to pay what is open of a document (a row of `queries.documents`); None when nothing is.

    None also when the seller names no account. The account is the seller's of now: who pays an old invoice pays there.
    """
    left = settling.open_of(row)
    entity = LegalEntity.objects.get(id=row["entity"])
    if not left or not entity.iban:
        return None
    reference = banking.reference(row["name"])
    return PayTo(entity.name, entity.iban, entity.bic, entity.bank, reference, left, row["currency"])
