"""Currencies as people write and read them: ISO 4217 codes, decimals, and how each language shows an amount.

Names, decimals and formats are those of the Unicode CLDR, through Babel (decision 0020).
"""

from decimal import Decimal, InvalidOperation

from babel import Locale
from babel.numbers import format_currency, format_decimal, get_currency_precision, list_currencies

from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.money import LARGEST
from freehold.protocol.problem import FieldError

_LOCALES = {"en": "en", "fr": "fr", "zh-hans": "zh_Hans_CN"}


def check(code: str, field: str = "currency") -> str:
    """Return a currency's code; raise Invalid when there is none of this code."""
    if code not in list_currencies():
        raise Invalid(
            f"'{code}' is no currency.", errors=[FieldError(field, "an ISO 4217 code such as EUR, USD, CNY", code)]
        )
    return code


def decimals(currency: str) -> int:
    """Return how many decimals a currency has: 2 for euros, 0 for yen."""
    return get_currency_precision(currency)


def minor(text: str, currency: str, field: str = "amount") -> int:
    """Return minor units of an amount as people write it, `12.30`; raise Invalid when it is none of this currency."""
    places = decimals(currency)
    try:
        scaled = Decimal(text.strip()).scaleb(places)
        whole = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        scaled, whole = Decimal(1), 0
    if scaled != whole or abs(whole) > LARGEST:
        raise Invalid(
            f"'{text}' is no amount in {currency}.",
            errors=[
                FieldError(
                    field, f"a number with at most {places} decimals, at most {LARGEST} of the smallest unit", text
                )
            ],
        )
    return whole


def plain(amount: int, currency: str) -> str:
    """Return an amount as programs read it: `-1234.50`."""
    return f"{Decimal(amount).scaleb(-decimals(currency)):f}"


def shown(amount: int, currency: str, language: str = "en") -> str:
    """Return an amount as people of a language read it: `€1,234.50`, `1 234,50 €`."""
    return format_currency(Decimal(amount).scaleb(-decimals(currency)), currency, locale=_locale(language))


def number(value: Decimal | int, language: str = "en") -> str:
    """Return a number as people of a language read it."""
    return format_decimal(value, locale=_locale(language), decimal_quantization=False)


def _locale(language: str) -> Locale:
    return Locale.parse(_LOCALES.get(language, "en"))
