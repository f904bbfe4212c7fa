"""What the lines of documents are called, in the language that is active."""

from typing import Any

from django.utils.translation import gettext as _

from freehold.protocol.meters import METERS


def meter_title(name: str) -> str:
    """Return what a meter is called; one that is not known here, as it is."""
    return _(METERS[name].title) if name in METERS else name


def line(document_line: dict[str, Any]) -> str:
    """Return what a document's line is about."""
    if document_line["kind"] == "recurring":
        return _("%(offer)s, %(days)s days") % {"offer": document_line["offer"], "days": document_line["quantity"]}
    if document_line["kind"] == "usage":
        return _("%(offer)s: %(what)s in %(month)s") % {
            "offer": document_line["offer"],
            "what": meter_title(document_line["meter"]),
            "month": document_line["month"],
        }
    if document_line["kind"] == "sla":
        return _("%(offer)s: promises not kept in %(month)s") % {
            "offer": document_line["offer"],
            "month": document_line["month"],
        }
    if document_line["kind"] == "setup":
        return _("%(offer)s: set-up") % {"offer": document_line["offer"]}
    if document_line["kind"] == "reversal":
        return _("%(offer)s: taken back") % {"offer": document_line["offer"] or document_line["label"]}
    return str(document_line["label"])
