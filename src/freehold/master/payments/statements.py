"""A bank's account statement (ISO 20022, camt.053) as lines: pure. Nothing of it is kept.

A line is what one payment did: of an entry that a bank made of several, each that it details by an amount of its own.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import Invalid, Malformed, TooLarge

MOST_BYTES = 4 * 1024 * 1024
MOST_LINES = 900
"""Lines of a file; a form of the panel cannot name many more."""
LONGEST_TEXT = 500
"""Characters of what was said with a payment that are shown."""
_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.(02|08)\}Document")
_ABSENT = frozenset({"", "NOTPROVIDED", "NONREF"})


@dataclass(frozen=True)
class StatementLine:
    """What one payment did to the account."""

    account: str
    """Its IBAN, or what else the bank names it by."""
    day: int | None
    """When it was booked; None where the bank does not say it as a date."""
    amount: int | None
    """In minor units; None where it is no amount of its currency."""
    currency: str
    is_credit: bool
    is_reversal: bool
    is_booked: bool
    is_whole: bool
    """False: several payments that the bank does not tell apart."""
    reference: str
    """The bank's; empty: none."""
    end_to_end: str
    name: str
    """Who paid, as the bank says it."""
    texts: tuple[str, ...]
    """What was said with it, structured references first."""
    key: str = ""
    """The same for the same payment in whichever statement: by it nothing is booked twice."""

    @property
    def text(self) -> str:
        """What was said with it, to be read."""
        return " · ".join(self.texts)[:LONGEST_TEXT]


def read(content: bytes) -> list[StatementLine]:
    """Return the lines of a file.

    Raise TooLarge for more than `MOST_BYTES` or `MOST_LINES`, Malformed for what is no camt.053 of version 02 or 08,
    also when it declares entities or a document type.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge(f"The statement has {len(content)} bytes; at most {MOST_BYTES} are read.")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise Malformed("The statement declares entities or a document type, which no bank needs.") from None
    except (ParseError, ValueError, LookupError):
        # LookupError: an encoding that nobody knows.
        raise Malformed("The statement is not XML.", remedy="Have your bank export camt.053.") from None
    if not _NAMESPACE.fullmatch(root.tag):
        raise Malformed(
            "This is no bank statement that is read here.", remedy="Have your bank export camt.053, version 02 or 08."
        )
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    lines: list[StatementLine] = []
    for statement in root.iterfind("BkToCstmrStmt/Stmt"):
        lines += _with_keys(_lines(statement))
        if len(lines) > MOST_LINES:
            raise TooLarge(f"The statement has more than {MOST_LINES} lines.", remedy="Have it made for fewer days.")
    return lines


def _with_keys(lines: Iterator[StatementLine]) -> Iterator[StatementLine]:
    """Yield the lines of one statement with their keys, by which another statement with them knows them.

    The bank's own reference names a payment, with its account, day and amount. Without one, its words do. Of payments
    that are alike in all, the place among them counts: a statement has all of a day.
    """
    alike: Counter[str] = Counter()
    for line in lines:
        # Not NtryRef: many banks number the entries of each statement anew.
        named = [line.reference] if line.reference else [line.name, *line.texts]
        parts = [line.account, line.day, line.amount, line.currency, line.is_credit, line.end_to_end, *named]
        text = json.dumps(parts, ensure_ascii=False)
        alike[text] += 1
        yield replace(line, key=hashlib.sha256(f"{text}{alike[text]}".encode()).hexdigest())


def _lines(statement: Element) -> Iterator[StatementLine]:
    account = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
    for entry in statement.iterfind("Ntry"):
        whole = _of_entry(entry, account)
        details = entry.findall("NtryDtls/TxDtls")
        parts = [_of_detail(detail, whole) for detail in details]
        if len(parts) == 1:
            # What the entry moved on the account is what counts: a detail may name what the payer's bank was asked.
            yield replace(parts[0], amount=whole.amount, currency=whole.currency)
        elif parts and _are_whole(parts, whole):
            yield from parts
        else:
            texts = tuple(text for part in parts for text in part.texts)
            many = len(parts) > 1 or int(_text(entry, "NtryDtls/Btch/NbOfTxs") or "1") > 1
            yield replace(whole, is_whole=not many, texts=(*texts, *whole.texts))


def _are_whole(parts: list[StatementLine], whole: StatementLine) -> bool:
    """Whether the details of an entry say each payment's amount: together, they are the entry's."""
    if any(part.amount is None or part.currency != whole.currency for part in parts):
        return False
    signed = sum((part.amount or 0) * (1 if part.is_credit == whole.is_credit else -1) for part in parts)
    return signed == whole.amount


def _of_entry(entry: Element, account: str) -> StatementLine:
    amount, currency = _amount(entry.find("Amt"))
    return StatementLine(
        account=account,
        day=_day(entry, "BookgDt") or _day(entry, "ValDt"),
        amount=amount,
        currency=currency,
        is_credit=_text(entry, "CdtDbtInd") == "CRDT",
        is_reversal=_text(entry, "RvslInd") in ("true", "1"),
        # Version 08 has the code in an element of its own.
        is_booked=(_text(entry, "Sts/Cd") or _text(entry, "Sts")) == "BOOK",
        is_whole=True,
        reference=_named(_text(entry, "AcctSvcrRef")),
        end_to_end="",
        name="",
        texts=tuple(filter(None, [_text(entry, "AddtlNtryInf")])),
    )


def _of_detail(detail: Element, whole: StatementLine) -> StatementLine:
    amount, currency = _amount(detail.find("Amt"))
    if amount is None:
        amount, currency = _amount(detail.find("AmtDtls/TxAmt/Amt"))
    direction = _text(detail, "CdtDbtInd")
    structured = [reference.text or "" for reference in detail.iterfind("RmtInf/Strd/CdtrRefInf/Ref")]
    free = [text.text or "" for text in detail.iterfind("RmtInf/Ustrd")]
    more = [text.text or "" for text in detail.iterfind("RmtInf/Strd/AddtlRmtInf")]
    # Of what a payer typed, a bank makes lines of so many characters.
    texts = [*structured, "".join(free), *more, _text(detail, "AddtlTxInf")]
    return replace(
        whole,
        amount=amount,
        currency=currency,
        is_credit=direction == "CRDT" if direction else whole.is_credit,
        is_reversal=whole.is_reversal or detail.find("RtrInf") is not None,
        reference=_named(_text(detail, "Refs/AcctSvcrRef")) or whole.reference,
        end_to_end=_named(_text(detail, "Refs/EndToEndId")),
        name=_text(detail, "RltdPties/Dbtr/Nm") or _text(detail, "RltdPties/Dbtr/Pty/Nm"),
        texts=(*(text.strip() for text in texts if text.strip()), *whole.texts),
    )


def _amount(element: Element | None) -> tuple[int | None, str]:
    if element is None:
        return None, ""
    currency = element.get("Ccy", "")
    try:
        return currencies.minor((element.text or "").strip(), currencies.check(currency)), currency
    except Invalid:
        return None, currency


def _day(entry: Element, name: str) -> int | None:
    text = _text(entry, f"{name}/Dt") or _text(entry, f"{name}/DtTm").partition("T")[0]
    try:
        return days.read(text, name)
    except Invalid:
        return None


def _named(text: str) -> str:
    """Return a reference; empty for the words by which a bank says that there is none."""
    return "" if text.upper() in _ABSENT else text


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
