"""How values are drawn."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from freehold.master.foundation import currencies, days
from freehold.master.panel import labels

register = template.Library()
register.filter("state_word", labels.state)
register.filter("role_word", labels.role)
register.filter("document_state", labels.document_state)
register.filter("cost_kind", labels.cost_kind)
register.filter("waiting_word", labels.waiting)

_DATES = {"fr": "j M Y, H:i:s", "zh-hans": "Y年n月j日 H:i:s"}
"""Day and time; English as nobody misreads it."""


@register.filter
def moment(at: int | str | None) -> SafeString | str:
    """Draw a moment (milliseconds since 1970, or as ISO 8601 says it) in UTC; a script makes it local."""
    if at is None:
        return "–"
    when = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at / 1000, UTC)
    shown = formats.date_format(when, _DATES.get(get_language() or "", "j M Y, H:i:s"))
    return format_html('<time datetime="{}">{} UTC</time>', when.isoformat(), shown)


@register.filter
def amount(value: float | None) -> str:
    """Draw an amount with as many digits as say something."""
    if value is None:
        return ""
    return formats.localize(round(value, 3 if value < 1 else 1))


@register.filter
def money(minor: int, currency: str) -> str:
    """Draw minor units of a currency."""
    return currencies.shown(minor, currency, get_language() or "en")


@register.filter
def day(number: int) -> str:
    """Draw a civil day."""
    return days.iso(number)


@register.filter
def percent(millionths: int) -> str:
    """Draw parts of a million as a percentage."""
    return f"{formats.localize(millionths / 10_000)} %"


@register.filter
def tax_rate(hundredths: int) -> str:
    """Draw hundredths of a percent."""
    return f"{hundredths / 100:g} %"


@register.filter
def gibibytes(mebibytes: int) -> str:
    """Draw a size of memory or disk."""
    return f"{formats.localize(round(mebibytes / 1024, 1))} GiB"


@register.filter
def choice_word(value: Any) -> str:
    """Draw one of a schema's values."""
    return value if isinstance(value, str) else labels.value(value)
