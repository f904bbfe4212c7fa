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


class ChartLine(NamedTuple):
    code: str
    name: str
    kind: str
    purpose: str = ""


_FRANCE = [
    ChartLine("101", "Capital", "equity"),
    ChartLine("120", "Résultat de l'exercice", "equity", Purpose.RESULT),
    ChartLine("165", "Dépôts et cautionnements reçus", "liability", Purpose.DEPOSIT),
    ChartLine("401", "Fournisseurs", "liability"),
    ChartLine("411", "Clients", "asset", Purpose.RECEIVABLE),
    ChartLine("4191", "Clients - avances et acomptes reçus", "liability", Purpose.ADVANCE),
    ChartLine("44566", "TVA déductible sur autres biens et services", "asset"),
    ChartLine("44571", "TVA collectée", "liability", Purpose.TAX),
    ChartLine("512", "Banque", "asset", Purpose.BANK),
    ChartLine("604", "Achats d'études et prestations de services", "expense"),
    ChartLine("627", "Services bancaires", "expense", Purpose.FEES),
    ChartLine("666", "Pertes de change", "expense", Purpose.FX_LOSS),
    ChartLine("706", "Prestations de services", "income", Purpose.REVENUE),
    ChartLine("7096", "Rabais accordés sur prestations (avoirs SLA)", "income", Purpose.SLA),
    ChartLine("766", "Gains de change", "income", Purpose.FX_GAIN),
]
_CHINA = [
    ChartLine("1002", "银行存款", "asset", Purpose.BANK),
    ChartLine("1122", "应收账款", "asset", Purpose.RECEIVABLE),
    ChartLine("2202", "应付账款", "liability"),
    ChartLine("2203", "预收账款", "liability", Purpose.ADVANCE),
    ChartLine("2241", "其他应付款 - 押金", "liability", Purpose.DEPOSIT),
    ChartLine("222101", "应交税费 - 应交增值税", "liability", Purpose.TAX),
    ChartLine("4001", "实收资本", "equity"),
    ChartLine("4103", "本年利润", "equity", Purpose.RESULT),
    ChartLine("6001", "主营业务收入", "income", Purpose.REVENUE),
    ChartLine("600109", "服务等级赔付", "income", Purpose.SLA),
    ChartLine("6061", "汇兑收益", "income", Purpose.FX_GAIN),
    ChartLine("6401", "主营业务成本", "expense"),
    ChartLine("6603", "财务费用 - 手续费", "expense", Purpose.FEES),
    ChartLine("660301", "财务费用 - 汇兑损失", "expense", Purpose.FX_LOSS),
]
_ELSEWHERE = [
    ChartLine("1000", "Bank", "asset", Purpose.BANK),
    ChartLine("1200", "Trade receivables", "asset", Purpose.RECEIVABLE),
    ChartLine("1400", "Recoverable tax", "asset"),
    ChartLine("2000", "Trade payables", "liability"),
    ChartLine("2100", "Customer deposits", "liability", Purpose.DEPOSIT),
    ChartLine("2110", "Customer advances", "liability", Purpose.ADVANCE),
    ChartLine("2200", "Tax collected", "liability", Purpose.TAX),
    ChartLine("3000", "Capital", "equity"),
    ChartLine("3900", "Result of the year", "equity", Purpose.RESULT),
    ChartLine("4000", "Sales of services", "income", Purpose.REVENUE),
    ChartLine("4090", "Credits for promises not kept", "income", Purpose.SLA),
    ChartLine("4900", "Exchange gains", "income", Purpose.FX_GAIN),
    ChartLine("5000", "Purchases", "expense"),
    ChartLine("5600", "Bank fees", "expense", Purpose.FEES),
    ChartLine("5900", "Exchange losses", "expense", Purpose.FX_LOSS),
]
_BY_COUNTRY = {"FR": _FRANCE, "CN": _CHINA}


def chart(country: str) -> list[ChartLine]:
    """Return the accounts of a new entity of a country."""
    return _BY_COUNTRY.get(country, _ELSEWHERE)
