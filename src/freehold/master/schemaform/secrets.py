"""Secrets in parameters and publications are not in a page until asked for: pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freehold.master.catalog.secrets import is_secret


@dataclass(frozen=True)
class Shown:
    """A value as a page shows it."""

    name: str
    title: str
    text: str
    """Empty when hidden."""
    is_hidden: bool
    link: str = ""
    """The value, when it is the address of a web page."""


def shown(values: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Shown]:
    """Return values in the order of their schema, each with its title; secrets hidden.

    A value is secret when its property's schema, or one within it, has the format `password`.
    """
    properties = schema.get("properties")
    known: dict[str, Any] = properties if isinstance(properties, dict) else {}
    names = [*(name for name in known if name in values), *(name for name in values if name not in known)]
    paths = []
    for name in names:
        own = known.get(name)
        title = own.get("title", name) if isinstance(own, dict) else name
        if is_secret(name, schema):
            paths.append(Shown(name, str(title), "", True))
        else:
            words = text(values[name])
            is_link = isinstance(values[name], str) and words.startswith(("http://", "https://"))
            paths.append(Shown(name, str(title), words, False, words if is_link else ""))
    return paths


def text(value: Any) -> str:
    """Return a value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
