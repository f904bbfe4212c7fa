"""The size of a service in a form: the numbers that are typed, and what they mean."""

from collections.abc import Mapping
from typing import Any

from freehold.master.foundation.errors import Invalid
from freehold.master.panel import labels
from freehold.protocol.problem import FieldError

TYPED = ("cpus", "memory_mb", "disk_mb")
"""What people choose; programs can name the rest, too."""
PREFIX = "size-"
"""How the names of their inputs begin."""


def fields(typed: Mapping[str, Any], present: Mapping[str, float]) -> list[dict[str, str]]:
    """Return the inputs of a form: what was typed, or what there is."""
    return [
        {
            "name": f"{PREFIX}{name}",
            "title": labels.size_title(name),
            "text": str(typed.get(f"{PREFIX}{name}", f"{present[name]:g}" if present.get(name) else "")),
        }
        for name in TYPED
    ]


def read(typed: Mapping[str, Any], present: Mapping[str, float]) -> dict[str, Any] | None:
    """Return the size that a form asks for; None: as it is. Raise Invalid for what is no number."""
    size = dict(present)
    for name in TYPED:
        text = str(typed.get(f"{PREFIX}{name}", "")).strip().replace(",", ".")
        size.pop(name, None)
        if text:
            size[name] = _number(name, text)
    return None if size == present else size


def _kind(name: str) -> str:
    return "number" if name == "cpus" else "integer"


def _number(name: str, text: str) -> float:
    try:
        return float(text) if name == "cpus" else int(text)
    except ValueError:
        raise Invalid(
            "A size is a number.", errors=[FieldError(f"{PREFIX}{name}", f"type: {_kind(name)}", text)]
        ) from None
