"""Regular expressions of schemas, as browsers take them: pure."""

import re

_ELSEWHERE = re.compile(r"\(\?(?![:=!])|\\[^dDwWsSbnrt.\\\[\](){}*+?^$|/-]")
"""What means something else, or nothing, in a browser."""
_CLASS = re.compile(r"((?<!\\)\[\^?(?:\\.|[^\]\\])+\])")
_TO_ESCAPE = re.compile(r"\\.|[(){}/|\[]|^-|-$")
_PLAIN = re.compile(r"\\.|\w")
_DOUBLED = re.compile(r"(.)\1")
"""Two of the same sign in a class stand for an operation there."""


def html_pattern(pattern: object) -> str:
    """Return a schema's pattern as browsers take it; empty when it is not safely the same there.

    A schema's pattern may match anywhere, a browser's must match all; and browsers want more characters of a
    class escaped (the `v` flag).
    """
    if not isinstance(pattern, str) or _ELSEWHERE.search(pattern):
        return ""
    parts = _CLASS.split(pattern)
    for index in range(1, len(parts), 2):
        head = "[^" if parts[index].startswith("[^") else "["
        inside = _TO_ESCAPE.sub(_escaped, parts[index][len(head) : -1])
        if _DOUBLED.search(_PLAIN.sub("", inside)):
            return ""
        parts[index] = f"{head}{inside}]"
    return f".*(?:{''.join(parts)}).*"


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("\\") else "\\" + match[0]
