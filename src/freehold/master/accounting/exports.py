"""The ledger for others to read: FEC for the French tax office, and the journals of hledger and beancount.

Each yields lines of text in constant memory. FEC is article A47 A-1 of the livre des procédures fiscales: tabs, 18
columns, days as YYYYMMDD, a comma before decimals, in the entity's currency with the amount of the original beside it.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from freehold.master.accounting.models import Account, Entry, LegalEntity
from freehold.master.accounting.queries import journal
from freehold.master.foundation import currencies, days

_FEC = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise",
    "Idevise",
)  # fmt: skip
_JOURNALS = {"sales": ("VE", "Ventes"), "bank": ("BQ", "Banque"), "misc": ("OD", "Opérations diverses"),
             "closing": ("CL", "Clôture")}  # fmt: skip
_ROOTS = {"asset": "Assets", "liability": "Liabilities", "equity": "Equity", "income": "Income", "expense": "Expenses"}


def fec(entity: LegalEntity, since: int, until: int) -> Iterator[str]:
    """Yield the fichier des écritures comptables of a time."""
    yield "\t".join(_FEC) + "\n"
    for row in journal(entity.id, since, until):
        code, title = _JOURNALS[row["journal"]]
        day = days.iso(row["day"]).replace("-", "")
        foreign = row["currency"] != entity.currency
        yield "\t".join((
            code, title, str(row["number"]), day, row["account"], row["account_name"], row["party"], row["party"],
            row["label"], day, row["label"], _comma(max(0, row["functional"]), entity.currency),
            _comma(max(0, -row["functional"]), entity.currency), "", "", day,
            _comma(row["amount"], row["currency"]) if foreign else "", row["currency"] if foreign else "",
        )) + "\n"  # fmt: skip


def hledger(entity: LegalEntity, since: int, until: int) -> Iterator[str]:
    """Yield a journal for `hledger`: every account is declared, so that `hledger check --strict` can be asked."""
    yield f"; {entity.name}\ndecimal-mark .\n"
    used = {entity.currency, *_currencies(entity)}
    for currency in sorted(used):
        yield f"commodity {currencies.plain(10 ** (currencies.decimals(currency) + 3), currency)} {currency}\n"
    accounts = _accounts(entity)
    for name in accounts.values():
        yield f"account {name}\n"
    for entry in _entries(entity, since, until):
        yield f"\n{days.iso(entry[0]['day'])} ({entry[0]['number']}) {entry[0]['label'].replace(';', ',')}\n"
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
    return {code: f"{_ROOTS[kind]}:{code}" for code, kind in rows}


def _currencies(entity: LegalEntity) -> list[str]:
    return list(Entry.objects.filter(entity=entity.id).values_list("currency", flat=True).distinct())


def _comma(amount: int, currency: str) -> str:
    return currencies.plain(amount, currency).replace(".", ",")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
