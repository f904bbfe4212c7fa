"""Tax: what a customer is to a seller's tax office, and the rates that a Master begins with. Pure.

Rules are rows with dates (`TaxRule`), so that an accountant corrects or follows them without us; these are the first.
Sources: directive 2006/112/EC art. 44, 58, 196, 369a-k (services to businesses; electronic services to consumers, by
their country); standard rates of the member states as of 2026-11; code général des impôts art. 259-1, 283-2; China's
law on value added tax, in force since 2026-01-01 (13 % goods and leases of tangible property, 9 % basic
telecommunication, 6 % other services). Whether a rented server is a lease is for the accountant to say: it is the
category of the offer.
"""

from typing import NamedTuple

from stdnum.exceptions import ValidationError

from freehold.master.accounting.charts import TAX_CATEGORIES
from freehold.master.foundation import countries, days
from freehold.master.foundation.money import rounded

STANDARD = {
    "AT": 2000, "BE": 2100, "BG": 2000, "CY": 1900, "CZ": 2100, "DE": 1900, "DK": 2500, "EE": 2400, "ES": 2100,
    "FI": 2550, "FR": 2000, "GR": 2400, "HR": 2500, "HU": 2700, "IE": 2300, "IT": 2200, "LT": 2100, "LU": 1700,
    "LV": 2100, "MT": 1800, "NL": 2100, "PL": 2300, "PT": 2300, "RO": 2100, "SE": 2500, "SI": 2200, "SK": 2300,
}  # fmt: skip
"""Standard rate by member state of the EU, in hundredths of a percent."""
_CHINA = {"services": 600, "telecom": 900, "lease": 1300}
DOMESTIC, EU_BUSINESS, ABROAD = "domestic", "eu-business", "abroad"


class AppliedTaxRule(NamedTuple):
    """A rate with its code (UNTDID 5305) and the words for the invoice."""

    tax_class: str
    category: str
    rate: int
    code: str
    text: str


def classify(seller: str, kind: str, country: str, vat_number: str) -> str:
    """Return what a customer of a country is to a seller of another.

    A company of the EU without a valid number is taxed as a consumer: nobody could account for the tax elsewhere.
    """
    seller, country = countries.for_vat(seller), countries.for_vat(country)
    if country == seller:
        return DOMESTIC
    if seller in STANDARD and country in STANDARD:
        return EU_BUSINESS if kind == "company" and vat_number else f"eu-consumer-{country}"
    return ABROAD


def rules(seller: str) -> list[AppliedTaxRule]:
    """Return the rules that a seller of a country begins with; none where we know nothing."""
    if seller in STANDARD:
        law = "art. 283-2 CGI, " if seller == "FR" else ""
        outside = "art. 259-1 CGI, " if seller == "FR" else ""
        per_class = [
            (DOMESTIC, STANDARD[seller], "S", ""),
            (EU_BUSINESS, 0, "AE", f"Reverse charge: {law}art. 44 and 196 of directive 2006/112/EC"),
            (ABROAD, 0, "O", f"Outside the scope of EU VAT: {outside}art. 44 and 59 of directive 2006/112/EC"),
            *(
                (
                    f"eu-consumer-{country}",
                    rate,
                    "S",
                    f"VAT of {country}, art. 58 of directive 2006/112/EC (one stop shop)",
                )
                for country, rate in STANDARD.items()
                if country != seller
            ),
        ]
        return [
            AppliedTaxRule(name, category, rate, code, text)
            for name, rate, code, text in per_class
            for category in TAX_CATEGORIES
        ]
    if seller == "CN":
        return [
            *(AppliedTaxRule(DOMESTIC, category, rate, "S", "") for category, rate in _CHINA.items()),
            *(
                AppliedTaxRule(ABROAD, category, 0, "G", "跨境服务免征增值税 (export of services, exempt)")
                for category in TAX_CATEGORIES
            ),
        ]
    return []


def split(amount: int, rate: int, *, included: bool) -> tuple[int, int]:
    """Return the net and the tax of an amount at a rate (hundredths of a percent), as documents split it."""
    if included:
        tax = rounded(amount * rate, 10_000 + rate)
        return amount - tax, tax
    return amount, rounded(amount * rate, 10_000)


FIRST_DAY = days.parse("2026-01-01")
"""From when the first rules hold."""


def vat_number(country: str, number: str) -> str:
    """Return a company's tax number in its compact form; raise ValueError when it cannot be one of its country.

    Only its form and its check digits are looked at: whether it is in use, the tax office's own service says.
    """
    from stdnum.cn import uscc
    from stdnum.eu import vat

    try:
        if country == "CN":
            return str(uscc.validate(number))
        if country in STANDARD:
            compact = str(vat.validate(number))
            prefix = "EL" if country == "GR" else country
            if not compact.startswith(prefix):
                raise ValueError(f"it is not of {country}")
            return compact
    except ValidationError as error:
        raise ValueError(str(error) or "its form or its check digit is wrong") from None
    return number.strip()
