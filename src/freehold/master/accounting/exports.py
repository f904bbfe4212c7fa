"""The ledger for others to read: FEC for the French tax office, and the journals of hledger and beancount.

Each yields lines of text in constant memory. FEC is article A47 A-1 of the livre des procédures fiscales: tabs, 18
columns, days as YYYYMMDD, a comma before decimals, in the entity's currency with the amount of the original beside it.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import Account, Entry, LegalEntity
from freehold.master.accounting.queries import journal, trial_balance, validated
from freehold.master.foundation import currencies, days

_FEC = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise",
    "Idevise",
)  # fmt: skip
_JOURNALS = {"sales": ("VE", "Ventes"), "bank": ("BQ", "Banque"), "misc": ("OD", "Opérations diverses"),
             "closing": ("CL", "Clôture")}  # fmt: skip
_SEPARATORS = re.compile(r"[|\x00-\x1f\x7f\x85\u2028\u2029]+")
_ROOTS = {"asset": "Assets", "liability": "Liabilities", "equity": "Equity", "income": "Income", "expense": "Expenses"}


def fec(entity: LegalEntity, since: int, until: int) -> Iterator[str]:
    """Yield the fichier des écritures comptables of a time, by the rules of article A47 A-1.

    Entries are in the order of their validation, with its date; those that close a year are not part of it, and what
    accounts of the balance sheet held before is its first entry (à-nouveaux).
    """
    yield "\t".join(_FEC) + "\n"
    yield from _openings(entity, since)
    for row in validated(entity.id, since, until):
        code, title = _JOURNALS[row["journal"]]
        foreign = row["currency"] != entity.currency
        yield _fec_row(
            code, title, str(row["number"]), _compact(row["day"]), row["account"], row["account_name"], row["party"],
            row["party"], row["label"], _compact(row["day"]), row["label"],
            _comma(max(0, row["functional"]), entity.currency), _comma(max(0, -row["functional"]), entity.currency),
            "", "", _compact(days.of_moment(row["validated_at"], entity.time_zone)),
            _comma(row["amount"], row["currency"]) if foreign else "", row["currency"] if foreign else "",
        )  # fmt: skip


def _openings(entity: LegalEntity, since: int) -> Iterator[str]:
    held = [row for row in trial_balance(entity.id, since, since - 1) if row.opening]
    sheet = [(row.code, row.name, row.opening) for row in held if row.kind not in ("income", "expense")]
    # Of a year that was not closed the result is where it will go.
    if result := sum(row.opening for row in held if row.kind in ("income", "expense")):
        account = Account.objects.get(entity=entity, purpose=Purpose.RESULT)
        sheet.append((account.code, account.name, result))
    day, label = _compact(since), "A-nouveaux"
    for code, name, amount in sheet:
        yield _fec_row(
            "AN", "A-nouveaux", "0", day, code, name, "", "", label, day, label,
            _comma(max(0, amount), entity.currency), _comma(max(0, -amount), entity.currency), "", "", day, "", "",
        )  # fmt: skip


def _fec_row(*fields: str) -> str:
    # What separates fields and lines is in none.
    return "\t".join(" ".join(_SEPARATORS.split(field)).strip() for field in fields) + "\n"


def _compact(day: int) -> str:
    return days.iso(day).replace("-", "")


def hledger(entity: LegalEntity, since: int, until: int) -> Iterator[str]:
    """Yield a journal for `hledger`: every account is declared, so that `hledger check --strict` can be asked."""
    yield f"; {_line(entity.name)}\ndecimal-mark .\n"
    used = {entity.currency, *_currencies(entity)}
    for currency in sorted(used):
        written = currencies.plain(10 ** (currencies.decimals(currency) + 3), currency)
        # The mark tells how many decimals there are, also when there are none.
        yield f"commodity {written if '.' in written else f'{written}.'} {currency}\n"
    accounts = _accounts(entity)
    for name in accounts.values():
        yield f"account {name}\n"
    for entry in _entries(entity, since, until):
        yield f"\n{days.iso(entry[0]['day'])} ({entry[0]['number']}) {_line(entry[0]['label'])}\n"
        for row in entry:
            comment = f"  ; party:{row['party']}" if row["party"] else ""
            yield f"    {accounts[row['account']]}  {_cost(row, entity)}{comment}\n"


def beancount(entity: LegalEntity, since: int, until: int) -> Iterator[str]:
    """Yield a ledger for `bean-check`."""
    yield f'option "title" "{_quoted(entity.name)}"\noption "operating_currency" "{entity.currency}"\n'
    accounts = _accounts(entity)
    for name in accounts.values():
        yield f"1970-01-01 open {name}\n"
    for entry in _entries(entity, since, until):
        yield f'\n{days.iso(entry[0]["day"])} * "{_quoted(entry[0]["label"])}"\n'
        for row in entry:
            yield f"  {accounts[row['account']]}  {_cost(row, entity)}\n"
            if row["party"]:
                yield f'    party: "{row["party"]}"\n'


FORMATS: dict[str, tuple[str, Callable[[LegalEntity, int, int], Iterator[str]]]] = {
    "fec": ("txt", fec),
    "hledger": ("journal", hledger),
    "beancount": ("beancount", beancount),
}
"""What a file of each format ends with, and what writes it."""


def file_name(entity: LegalEntity, name: str, until: int) -> str:
    """Return what a file is to be called: that for the tax office by SIREN and the day on which the year ends."""
    ending = FORMATS[name][0]
    if name != "fec":
        return f"{entity.code}-{name}.{ending}"
    siren = "".join(letter for letter in entity.registration if letter.isalnum())[:9] or entity.code
    return f"{siren}FEC{_compact(until)}.{ending}"


def _entries(entity: LegalEntity, since: int, until: int) -> Iterator[list[dict[str, Any]]]:
    for _, rows in groupby(journal(entity.id, since, until), key=lambda row: row["id"]):
        yield list(rows)


def _cost(row: dict[str, Any], entity: LegalEntity) -> str:
    """Return an amount, with what it is in the entity's currency when it is of another."""
    own = currencies.plain(abs(row["functional"]), entity.currency)
    if row["currency"] == entity.currency or not row["amount"]:
        return f"{currencies.plain(row['functional'], entity.currency)} {entity.currency}"
    return f"{currencies.plain(row['amount'], row['currency'])} {row['currency']} @@ {own} {entity.currency}"


def _accounts(entity: LegalEntity) -> dict[str, str]:
    rows = Account.objects.filter(entity=entity).order_by("code").values_list("code", "kind")
    # A name begins with a capital or a digit.
    return {code: f"{_ROOTS[kind]}:{f'A-{code}' if code[0].islower() else code}" for code, kind in rows}


def _currencies(entity: LegalEntity) -> list[str]:
    return list(Entry.objects.filter(entity=entity.id).values_list("currency", flat=True).distinct())


def _comma(amount: int, currency: str) -> str:
    return currencies.plain(amount, currency).replace(".", ",")


def _line(text: str) -> str:
    """Return a text in one line, without what begins a comment or ends a name there."""
    return " ".join(re.sub(r"[;|\x00-\x1f\x7f\x85\u2028\u2029]", " ", text).split()) or "-"


def _quoted(text: str) -> str:
    return _line(text).replace("\\", "\\\\").replace('"', '\\"')
