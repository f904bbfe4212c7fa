"""Currencies as people write and read them: ISO 4217 codes, decimals, and how each language shows an amount.

Codes and decimals are those of the list of ISO 4217 (package iso4217), formats those of the Unicode CLDR, through
Babel, which rounds some currencies as cash is and keeps those that are no more (decision 0032).
"""

import copy
import re
from decimal import Decimal

import iso4217
from babel import Locale
from babel.numbers import format_decimal

from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.money import LARGEST
from freehold.protocol.problem import FieldError

_DECIMALS = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
"""Metals, units of account and codes for tests have none: nobody pays in them."""
_AMOUNT = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,20})?")
_LOCALES = {"en": "en", "fr": "fr", "zh-hans": "zh_Hans_CN"}


def check(code: str, field: str = "currency") -> str:
    """Return a currency's code; raise Invalid when there is none of this code."""
    if code not in _DECIMALS:
        raise Invalid(
            f"'{code}' is no currency.", errors=[FieldError(field, "an ISO 4217 code such as EUR, USD, CNY", code)]
        )
    return code


def decimals(currency: str) -> int:
    """Return how many decimals a currency has: 2 for euros, 0 for yen."""
    return _DECIMALS[currency]


def minor(text: str, currency: str, field: str = "amount") -> int:
    """Return minor units of an amount as people write it, `12.30`; raise Invalid when it is none of this currency."""
    places = decimals(currency)
    written = text.strip()
    # As a bank writes it: no exponents, no underscores, no digits of other scripts.
    scaled = Decimal(written).scaleb(places) if _AMOUNT.fullmatch(written) else Decimal("0.5")
    whole = int(scaled)
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


def hundredths(text: str, field: str) -> int:
    """Return hundredths of a percent as people write it, `8.1`; raise Invalid when it is none."""
    written = text.strip()
    scaled = Decimal(written).scaleb(2) if _AMOUNT.fullmatch(written) else Decimal("0.5")
    if scaled != int(scaled) or not 0 <= scaled <= 10_000:
        raise Invalid(
            f"'{text}' is no percentage.", errors=[FieldError(field, "0 to 100, with at most two decimals", text)]
        )
    return int(scaled)


def plain(amount: int, currency: str) -> str:
    """Return an amount as programs read it: `-1234.50`."""
    return f"{Decimal(amount).scaleb(-decimals(currency)):f}"


def shown(amount: int, currency: str, language: str = "en") -> str:
    """Return an amount as people of a language read it: `€1,234.50`, `1 234,50 €`."""
    locale, places = _locale(language), decimals(currency)
    pattern = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (places, places)
    value = Decimal(amount).scaleb(-places)
    return str(pattern.apply(value, locale, currency=currency, currency_digits=False))


def number(value: Decimal | int, language: str = "en") -> str:
    """Return a number as people of a language read it."""
    return format_decimal(value, locale=_locale(language), decimal_quantization=False)


def _locale(language: str) -> Locale:
    return Locale.parse(_LOCALES.get(language, "en"))
