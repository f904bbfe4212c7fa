"""Regular expressions of schemas: parsed as ECMA 262 with the `u` flag, written anew for engines with linear time.

JSON Schema means ECMA 262 by `pattern`. RE2 has another syntax, and no look-around, back-references or large repeats;
these are refused with their position. What is written uses explicit sets of code points, so that it means the same
to RE2 and to Python's `re` (with `re.ASCII`), but for `end` and `\\p`, which Python does not know.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_REPEATS = 1000
"""RE2's own limit; of nested repeats the product counts."""
LONGEST_PATTERN = 2000
DEEPEST_GROUP = 50
LAST = 0x10FFFF

Ranges = list[tuple[int, int]]

_DATA = ("const", "default", "enum", "examples")
"""Keywords of a schema whose value is no schema, whatever it looks like."""
_MAPS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
"""Keywords whose value maps names, which may be those of keywords, to schemas."""
_SYNTAX = "^$\\.*+?()[]{}|/"
_CONTROLS = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_DIGITS: Ranges = [(0x30, 0x39)]
_WORD: Ranges = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
_SPACE: Ranges = [
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
]  # fmt: skip
_LINE_ENDS: Ranges = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]
_CATEGORY = re.compile("L[ulmto]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfo]")
"""General categories that RE2 and ECMA 262 define alike."""


class PatternError(ValueError):
    """A pattern is not one of ECMA 262, or cannot be matched in linear time; the message names the position."""


def translate(pattern: str, end: str = r"\z") -> str:
    """Return a pattern for RE2 that matches the same texts; raise PatternError.

    `end` is how the engine writes the very end of a text (`\\Z` for Python's).
    """
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"it has {len(pattern)} characters; {LONGEST_PATTERN} are the most")
    parser = _Parser(pattern, end)
    translated = parser.alternatives(0)
    if parser.position < len(pattern):
        raise parser.error("a ')' without its '('")
    return translated.text


def keywords_of(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield every keyword of a schema and of the schemas in it, with its value."""
    if isinstance(schema, list):
        for value in schema:
            yield from keywords_of(value)
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            if key in _MAPS and isinstance(value, dict):
                yield from keywords_of(list(value.values()))
            elif key not in _DATA:
                yield from keywords_of(value)


def patterns_of(schema: Any) -> Iterator[str]:
    """Yield every pattern of a schema."""
    for key, value in keywords_of(schema):
        if key == "pattern" and isinstance(value, str):
            yield value
        elif key == "patternProperties" and isinstance(value, dict):
            yield from value


@dataclass(frozen=True)
class _Part:
    text: str
    repeats: int = 1
    """The largest product of nested repeats in it."""


class _Parser:
    """Recursive descent over the grammar `Pattern[+UnicodeMode, +NamedCaptureGroups]` of ECMA 262."""

    def __init__(self, pattern: str, end: str) -> None:
        self._pattern = pattern
        self._end = end
        self.position = 0

    def error(self, why: str, at: int | None = None) -> PatternError:
        return PatternError(f"at character {(self.position if at is None else at) + 1}: {why}")

    def alternatives(self, depth: int) -> _Part:
        if depth > DEEPEST_GROUP:
            raise self.error(f"groups are nested more than {DEEPEST_GROUP} deep")
        branches = [self._alternative(depth)]
        while self._take("|"):
            branches.append(self._alternative(depth))
        return _Part("|".join(branch.text for branch in branches), max(branch.repeats for branch in branches))

    def _alternative(self, depth: int) -> _Part:
        terms = []
        while self.position < len(self._pattern) and self._peek() not in "|)":
            terms.append(self._term(depth))
        return _Part("".join(term.text for term in terms), max((term.repeats for term in terms), default=1))

    def _term(self, depth: int) -> _Part:
        for sign, text in (("^", r"\A"), ("$", self._end), (r"\b", r"\b"), (r"\B", r"\B")):
            if self._take(sign):
                if self._peek() in ("*", "+", "?", "{"):
                    raise self.error("an assertion cannot be repeated")
                return _Part(text)
        return self._repeated(self._atom(depth))

    def _atom(self, depth: int) -> _Part:
        begin, sign = self.position, self._peek()
        if self._take("("):
            return self._group(begin, depth)
        if self._take("["):
            return _Part(self._class(begin))
        if self._take("\\"):
            return _Part(self._escape(begin))
        if sign in "*+?{}])":
            raise self.error(f"'{sign}' stands for itself only as '\\{sign}'")
        self.position += 1
        return _Part(_set(_LINE_ENDS, negated=True) if sign == "." else self._literal(ord(sign), begin))

    def _repeated(self, atom: _Part) -> _Part:
        begin = self.position
        most = 1
        sign = self._peek()
        if sign in ("*", "+", "?"):
            self.position += 1
        elif self._take("{"):
            least = self._number()
            most = least
            if self._take(","):
                most = self._number() if self._peek().isdecimal() else least
                sign = f"{{{least},{most if self._pattern[self.position - 1] != ',' else ''}}}"
            else:
                sign = f"{{{least}}}"
            if not self._take("}"):
                raise self.error("a repeat is written {n}, {n,} or {n,m}", begin)
            if most < least:
                raise self.error("a repeat of numbers that are out of order", begin)
        else:
            return atom
        # Whether it takes as little as it can does not change what matches.
        self._take("?")
        repeats = max(most, 1) * atom.repeats
        if repeats > MOST_REPEATS:
            raise self.error(f"{repeats} repeats; {MOST_REPEATS} are the most", begin)
        return _Part(f"(?:{atom.text}){sign}", repeats)

    def _group(self, begin: int, depth: int) -> _Part:
        if self._take("?"):
            for sign in ("=", "!", "<=", "<!"):
                if self._take(sign):
                    raise self.error("look-around cannot be matched in linear time", begin)
            if self._take("<"):
                self._name(begin)
            elif not self._take(":"):
                raise self.error("a group of a kind that ECMA 262 does not know", begin)
        inside = self.alternatives(depth + 1)
        if not self._take(")"):
            raise self.error("a '(' without its ')'", begin)
        return _Part(f"(?:{inside.text})", inside.repeats)

    def _name(self, begin: int) -> None:
        name, closed, _ = self._pattern[self.position :].partition(">")
        if not closed or not name.replace("$", "_").isidentifier():
            raise self.error("a group without a name", begin)
        self.position += len(name) + 1

    def _class(self, begin: int) -> str:
        negated = self._take("^")
        ranges: Ranges = []
        complement = ""
        while not self._take("]"):
            first = self._member(begin)
            if self._peek() == "-" and not self._pattern.startswith("-]", self.position):
                self.position += 1
                last = self._member(begin)
                if isinstance(first, int) and isinstance(last, int):
                    if last < first:
                        raise self.error("a range of characters that are out of order", begin)
                    ranges.append((first, last))
                    continue
                raise self.error("a range ends at a character, not at a set of them", begin)
            if isinstance(first, int):
                ranges.append((first, first))
            elif isinstance(first, str):
                complement += first
            else:
                ranges += first
        return _set(ranges, negated=negated, complement=complement)

    def _member(self, begin: int) -> int | str | Ranges:
        """Return a character of a class, a set of them, or a property (`\\p{…}`)."""
        at = self.position
        if at >= len(self._pattern):
            raise self.error("a '[' without its ']'", begin)
        self.position += 1
        sign = self._pattern[at]
        if sign != "\\":
            return self._character(ord(sign), at)
        if self._take("b"):
            return 0x08
        if self._take("-"):
            return 0x2D
        return self._escaped(at)

    def _escape(self, begin: int) -> str:
        sign = self._peek()
        if (sign.isdecimal() and sign != "0") or sign == "k":
            raise self.error("back-references cannot be matched in linear time", begin)
        escape = self._escaped(begin)
        if isinstance(escape, int):
            return self._literal(escape, begin)
        return escape if isinstance(escape, str) else _set(escape)

    def _escaped(self, begin: int) -> int | str | Ranges:
        sign = self._peek()
        self.position += 1
        if sign in ("d", "w", "s", "D", "W", "S"):
            ranges = {"d": _DIGITS, "w": _WORD, "s": _SPACE}[sign.lower()]
            return ranges if sign.islower() else _complement(ranges)
        if sign in ("p", "P"):
            return self._property(sign, begin)
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign == "c" and (letter := self._peek()).isascii() and letter.isalpha():
            self.position += 1
            return ord(letter) % 32
        if sign == "0" and not self._peek().isdecimal():
            return 0
        if sign == "x":
            return self._hexadecimal(2, begin)
        if sign == "u":
            return self._code_point(begin)
        if sign and sign in _SYNTAX:
            return ord(sign)
        raise self.error(f"'\\{sign}' means nothing in ECMA 262", begin)

    def _code_point(self, begin: int) -> int:
        if self._take("{"):
            digits, closed, _ = self._pattern[self.position :].partition("}")
            if not closed or not digits or set(digits) - set("0123456789abcdefABCDEF") or int(digits, 16) > LAST:
                raise self.error("a code point is written \\u{0} to \\u{10FFFF}", begin)
            self.position += len(digits) + 1
            return self._character(int(digits, 16), begin)
        unit = self._hexadecimal(4, begin)
        if 0xD800 <= unit < 0xDC00 and self._take("\\u"):
            low = self._hexadecimal(4, begin)
            if not 0xDC00 <= low < 0xE000:
                raise self.error("half of a character", begin)
            return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        return self._character(unit, begin)

    def _hexadecimal(self, count: int, begin: int) -> int:
        digits = self._pattern[self.position : self.position + count]
        if len(digits) < count or set(digits) - set("0123456789abcdefABCDEF"):
            raise self.error(f"{count} hexadecimal digits are missing", begin)
        self.position += count
        return int(digits, 16)

    def _property(self, sign: str, begin: int) -> str:
        name, closed, _ = self._pattern[self.position + 1 :].partition("}")
        if self._peek() != "{" or not closed:
            raise self.error("a property is written \\p{…}", begin)
        self.position += len(name) + 2
        kind, equals, value = name.partition("=")
        if not equals or kind in ("General_Category", "gc"):
            value = value or name
            if _CATEGORY.fullmatch(value):
                return f"\\{sign}{{{value}}}"
        elif kind in ("Script", "sc") and len(value) > 4 and value.replace("_", "").isalpha() and value.isascii():
            return f"\\{sign}{{{value}}}"
        raise self.error(f"the property '{name}' is not known here; use a general category or Script=", begin)

    def _character(self, point: int, begin: int) -> int:
        if 0xD800 <= point < 0xE000:
            raise self.error("half of a character", begin)
        return point

    def _literal(self, point: int, begin: int) -> str:
        return _written(self._character(point, begin))

    def _number(self) -> int:
        begin = self.position
        while self._peek().isdecimal() and self._peek().isascii():
            self.position += 1
        digits = self._pattern[begin : self.position]
        if not digits:
            raise self.error("a repeat is written {n}, {n,} or {n,m}", begin)
        if len(digits) > 9:
            raise self.error(f"a repeat of more than {MOST_REPEATS}", begin)
        return int(digits)

    def _peek(self) -> str:
        return self._pattern[self.position : self.position + 1]

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self.position):
            return False
        self.position += len(text)
        return True


def _set(ranges: Ranges, *, negated: bool = False, complement: str = "") -> str:
    if not ranges and not complement:
        # A class of nothing matches nothing, its opposite anything; no engine takes them as they are.
        ranges, negated = [(0, LAST)], not negated
    inside = "".join(
        _written(first) if first == last else f"{_written(first)}-{_written(last)}" for first, last in ranges
    )
    return f"[{'^' if negated else ''}{inside}{complement}]"


def _complement(ranges: Ranges) -> Ranges:
    begin, gaps = 0, []
    for first, last in ranges:
        if first > begin:
            gaps.append((begin, first - 1))
        begin = last + 1
    return [*gaps, (begin, LAST)]


def _written(point: int) -> str:
    character = chr(point)
    if character.isascii() and not character.isalnum():
        # Octal and hexadecimal escapes of two digits mean the same to both engines.
        return f"\\x{point:02x}"
    return character
