"""What happened in a project as an Atom feed (RFC 4287), which any feed reader shows."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from freehold.master.foundation import clock
from freehold.master.notifications.kinds import LASTING, CauseEvent, CauseKind
from freehold.master.notifications.models import Cause
from freehold.master.notifications.wording import entry

MEDIA_TYPE = "application/atom+xml; charset=utf-8"
LENGTH = 100
"""Entries of one document; `next` leads to older ones."""
_ATOM = "http://www.w3.org/2005/Atom"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no document of XML 1.0 may hold, not even escaped (section 2.2)."""


def atom(project: str, identity: str, causes: Sequence[Cause], base: str) -> bytes:
    """Return the feed of a project with causes, the newest first, in the active language; `base` is its address."""
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _add(feed, "id", f"urn:freehold:{identity}")
    _add(feed, "title", f"Freehold: {project}")
    _add(feed, "updated", _iso(max((_changed(cause) for cause in causes), default=0)))
    ET.SubElement(feed, f"{{{_ATOM}}}link", rel="self", href=base)
    if len(causes) == LENGTH:
        # As RFC 5005 has it.
        ET.SubElement(feed, f"{{{_ATOM}}}link", rel="next", href=f"{base}?after={causes[-1].id}")
    author = ET.SubElement(feed, f"{{{_ATOM}}}author")
    _add(author, "name", "Freehold")
    for cause in causes:
        _add_entry(feed, cause)
    document: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def _add_entry(feed: ET.Element, cause: Cause) -> None:
    is_over = CauseKind(cause.kind) in LASTING and cause.ended_at is not None
    words = entry(cause, CauseEvent.ENDED if is_over else CauseEvent.OPENED)
    item = ET.SubElement(feed, f"{{{_ATOM}}}entry")
    _add(item, "id", f"urn:freehold:{cause.id}")
    _add(item, "title", words.title)
    _add(item, "published", _iso(cause.noticed_at))
    _add(item, "updated", _iso(_changed(cause)))
    ET.SubElement(item, f"{{{_ATOM}}}category", term=cause.kind)
    if words.url:
        ET.SubElement(item, f"{{{_ATOM}}}link", rel="alternate", href=words.url)
    _add(item, "content", "\n".join(words.lines), type="text")


def _changed(cause: Cause) -> int:
    return max(cause.noticed_at, cause.ended_at or 0)


def _iso(moment: int) -> str:
    return clock.iso(moment) or ""


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    child = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    child.text = _NOT_XML.sub("\ufffd", text)
