"""Writes Atom feeds (RFC 4287), which any feed reader shows."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.master.foundation import clock

MEDIA_TYPE = "application/atom+xml; charset=utf-8"
_ATOM = "http://www.w3.org/2005/Atom"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no document of XML 1.0 may hold, not even escaped (section 2.2)."""


@dataclass(frozen=True)
class FeedEntry:
    """One thing that a feed tells. Moments are milliseconds."""

    identity: str
    """Unique, and the same for ever; what begins with `urn:freehold:` in the feed."""
    title: str
    content: str
    published_at: int
    updated_at: int
    category: str
    url: str = ""


def feed(title: str, identity: str, entries: Sequence[FeedEntry], base: str, *, following: str = "") -> bytes:
    """Return a feed of entries, the newest first; `base` is its address, `following` that of older ones (RFC 5005)."""
    ET.register_namespace("", _ATOM)
    root = ET.Element(f"{{{_ATOM}}}feed")
    _add(root, "id", f"urn:freehold:{identity}")
    _add(root, "title", f"Freehold: {title}")
    _add(root, "updated", _iso(max((entry.updated_at for entry in entries), default=0)))
    ET.SubElement(root, f"{{{_ATOM}}}link", rel="self", href=base)
    if following:
        ET.SubElement(root, f"{{{_ATOM}}}link", rel="next", href=following)
    author = ET.SubElement(root, f"{{{_ATOM}}}author")
    _add(author, "name", "Freehold")
    for entry in entries:
        _add_entry(root, entry)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_entry(root: ET.Element, entry: FeedEntry) -> None:
    item = ET.SubElement(root, f"{{{_ATOM}}}entry")
    _add(item, "id", f"urn:freehold:{entry.identity}")
    _add(item, "title", entry.title)
    _add(item, "published", _iso(entry.published_at))
    _add(item, "updated", _iso(entry.updated_at))
    ET.SubElement(item, f"{{{_ATOM}}}category", term=entry.category)
    if entry.url:
        ET.SubElement(item, f"{{{_ATOM}}}link", rel="alternate", href=entry.url)
    _add(item, "content", entry.content, type="text")


def _iso(moment: int) -> str:
    return clock.iso(moment) or ""


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    child = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    child.text = _NOT_XML.sub("\ufffd", text)
