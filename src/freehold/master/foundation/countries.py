"""Countries by their code: ISO 3166, and what of it the European Union does otherwise. Pure."""

from babel import Locale

_NO_COUNTRIES = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
"""Codes that the CLDR has besides: groups of countries, and parts that ISO 3166 only keeps free."""
_TERRITORIES = {str(code) for code in Locale("en").territories}
CODES = frozenset(code for code in _TERRITORIES if len(code) == 2 and code.isalpha()) - _NO_COUNTRIES
"""The codes of ISO 3166, and XK for Kosovo, which the EU uses."""
_OTHERWISE = {
    "EL": "GR is the code of Greece (EL is for its tax numbers)",
    "UK": "GB is the code of the United Kingdom",
}
_FOR_VAT = {"MC": "FR", "IM": "GB"}
"""Territories that count as part of a country (directive 2006/112/EC, art. 7)."""


def wrong(code: str) -> str:
    """Return why a text is no code of a country; empty when it is one."""
    if code in CODES:
        return ""
    return _OTHERWISE.get(code, "a code of ISO 3166, such as FR, CN, US")


def for_vat(code: str) -> str:
    """Return the country whose tax on sales holds in a country."""
    return _FOR_VAT.get(code, code)
