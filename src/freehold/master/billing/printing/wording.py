"""What the lines of documents are called, in the language that is active."""

from typing import Any

from django.utils.translation import gettext as _

from freehold.protocol.meters import METERS


def meter_title(name: str) -> str:
    """Return what a meter is called; one that is not known here, as it is."""
    return _(METERS[name].title) if name in METERS else name


def line(one: dict[str, Any]) -> str:
    """Return what a document's line is about."""
    if one["kind"] == "recurring":
        return _("%(offer)s, %(days)s days") % {"offer": one["offer"], "days": one["quantity"]}
    if one["kind"] == "usage":
        return _("%(offer)s: %(what)s in %(month)s") % {
            "offer": one["offer"],
            "what": meter_title(one["meter"]),
            "month": one["month"],
        }
    if one["kind"] == "sla":
        return _("%(offer)s: promises not kept in %(month)s") % {"offer": one["offer"], "month": one["month"]}
    if one["kind"] == "setup":
        return _("%(offer)s: set-up") % {"offer": one["offer"]}
    if one["kind"] == "reversal":
        return _("%(offer)s: taken back") % {"offer": one["offer"] or one["label"]}
    return str(one["label"])
