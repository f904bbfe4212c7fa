"""Where a seller is paid: an account, its bank, and the reference by which a payment is known. Pure."""

import re

from stdnum import bic as bics
from stdnum import iban as ibans
from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

from freehold.protocol.problem import FieldError

_BANK = re.compile(r"[^|\x00-\x1f]{0,70}")
_BODY = re.compile(r"[0-9A-Z]{1,21}")
_REFERENCE = re.compile(r"RF[0-9]{2}[0-9A-Z]{1,21}")


def compact(text: str) -> str:
    """Return an IBAN or BIC without its spaces, in capitals."""
    return re.sub(r"\s", "", text).upper()


def grouped(text: str) -> str:
    """Return an IBAN or a reference in groups of four, as it is printed."""
    return str(ibans.format(text))


def wrong(iban: str, bic: str, bank: str) -> list[FieldError]:
    """Return what is wrong with an account, each part of which may be empty."""
    faults = []
    if iban and not ibans.is_valid(compact(iban), check_country=False):
        faults.append(FieldError("iban", "an IBAN with its right check digits", iban))
    if bic and not bics.is_valid(compact(bic)):
        faults.append(FieldError("bic", "a BIC of 8 or 11 letters and digits", bic))
    if not _BANK.fullmatch(bank):
        faults.append(FieldError("bank", "a line of at most 70 characters, without bars", bank))
    if (bic or bank) and not iban:
        faults.append(FieldError("iban", "the account itself, where its bank is named"))
    return faults


def reference(number: str) -> str:
    """Return the creditor reference (ISO 11649) of a document's number; the number where it is too long for one."""
    body = number.replace("-", "")
    if not _BODY.fullmatch(body):
        return number
    return f"RF{mod_97_10.calc_check_digits(f'{body}RF')}{body}"


def is_reference(text: str) -> bool:
    """Whether a text is a creditor reference with its right check digits."""
    return bool(_REFERENCE.fullmatch(text)) and iso11649.is_valid(text)
