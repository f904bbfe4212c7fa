"""The accounts that a legal entity starts with, by country. Pure data.

Codes of France: plan comptable général (règlement ANC 2014-03); of China: 企业会计准则应用指南 (2006), appendix. The
accountant may add others; ours are found by what they are for.
"""

from enum import StrEnum
from typing import NamedTuple


class Purpose(StrEnum):
    """What the Master itself uses an account for."""

    RECEIVABLE = "receivable"
    DEPOSIT = "deposit"
    ADVANCE = "advance"
    """What customers paid before any invoice."""
    BANK = "bank"
    FEES = "fees"
    REVENUE = "revenue"
    SLA = "sla"
    """Credits for promises that were not kept."""
    TAX = "tax"
    FX_LOSS = "fx-loss"
    FX_GAIN = "fx-gain"
    RESULT = "result"


TAX_CATEGORIES = ("services", "telecom", "lease")
"""What may be sold, as taxes tell it apart."""


class Line(NamedTuple):
    code: str
    name: str
    kind: str
    purpose: str = ""


_FRANCE = [
    Line("101", "Capital", "equity"),
    Line("120", "Résultat de l'exercice", "equity", Purpose.RESULT),
    Line("165", "Dépôts et cautionnements reçus", "liability", Purpose.DEPOSIT),
    Line("401", "Fournisseurs", "liability"),
    Line("411", "Clients", "asset", Purpose.RECEIVABLE),
    Line("4191", "Clients - avances et acomptes reçus", "liability", Purpose.ADVANCE),
    Line("44566", "TVA déductible sur autres biens et services", "asset"),
    Line("44571", "TVA collectée", "liability", Purpose.TAX),
    Line("512", "Banque", "asset", Purpose.BANK),
    Line("604", "Achats d'études et prestations de services", "expense"),
    Line("627", "Services bancaires", "expense", Purpose.FEES),
    Line("666", "Pertes de change", "expense", Purpose.FX_LOSS),
    Line("706", "Prestations de services", "income", Purpose.REVENUE),
    Line("7096", "Rabais accordés sur prestations (avoirs SLA)", "income", Purpose.SLA),
    Line("766", "Gains de change", "income", Purpose.FX_GAIN),
]
_CHINA = [
    Line("1002", "银行存款", "asset", Purpose.BANK),
    Line("1122", "应收账款", "asset", Purpose.RECEIVABLE),
    Line("2202", "应付账款", "liability"),
    Line("2203", "预收账款", "liability", Purpose.ADVANCE),
    Line("2241", "其他应付款 - 押金", "liability", Purpose.DEPOSIT),
    Line("222101", "应交税费 - 应交增值税", "liability", Purpose.TAX),
    Line("4001", "实收资本", "equity"),
    Line("4103", "本年利润", "equity", Purpose.RESULT),
    Line("6001", "主营业务收入", "income", Purpose.REVENUE),
    Line("600109", "服务等级赔付", "income", Purpose.SLA),
    Line("6061", "汇兑收益", "income", Purpose.FX_GAIN),
    Line("6401", "主营业务成本", "expense"),
    Line("6603", "财务费用 - 手续费", "expense", Purpose.FEES),
    Line("660301", "财务费用 - 汇兑损失", "expense", Purpose.FX_LOSS),
]
_ELSEWHERE = [
    Line("1000", "Bank", "asset", Purpose.BANK),
    Line("1200", "Trade receivables", "asset", Purpose.RECEIVABLE),
    Line("1400", "Recoverable tax", "asset"),
    Line("2000", "Trade payables", "liability"),
    Line("2100", "Customer deposits", "liability", Purpose.DEPOSIT),
    Line("2110", "Customer advances", "liability", Purpose.ADVANCE),
    Line("2200", "Tax collected", "liability", Purpose.TAX),
    Line("3000", "Capital", "equity"),
    Line("3900", "Result of the year", "equity", Purpose.RESULT),
    Line("4000", "Sales of services", "income", Purpose.REVENUE),
    Line("4090", "Credits for promises not kept", "income", Purpose.SLA),
    Line("4900", "Exchange gains", "income", Purpose.FX_GAIN),
    Line("5000", "Purchases", "expense"),
    Line("5600", "Bank fees", "expense", Purpose.FEES),
    Line("5900", "Exchange losses", "expense", Purpose.FX_LOSS),
]
_BY_COUNTRY = {"FR": _FRANCE, "CN": _CHINA}


def chart(country: str) -> list[Line]:
    """Return the accounts of a new entity of a country."""
    return _BY_COUNTRY.get(country, _ELSEWHERE)
