"""Patterns of schemas: ECMA 262 on one side, engines with linear time on the other."""

import re

import pytest
import re2

from freehold.protocol.patterns import PatternError, patterns_of, translate

MEANINGS = [
    # pattern, what it matches, what it does not
    (r"^[a-z]+$", ["abc"], ["abc\n", "\nabc", "ABC", ""]),
    (r"^(a+)+$", ["aaa"], ["a" * 5000 + "b"]),
    (r"^.$", ["x", "\x85", "\x0b"], ["\n", "\r", "\u2028", "\u2029", "xx"]),
    (r"^\d$", ["7"], ["٣", "x"]),
    (r"^\w+$", ["a_9"], ["é", "\u212a"]),
    (r"^\s$", [" ", "\ufeff", "\u3000", "\xa0"], ["\x1c", "\x85"]),
    (r"^\S\D\W$", ["ab-"], ["\ufeffb-", "a1-", "abc"]),
    (r"^[\u4e00-\u9fa5]{1,3}$", ["一", "中文字"], ["中文文字", "a"]),
    (r"^\u{1F600}$", ["😀"], ["😁"]),
    (r"^\ud83d\ude00$", ["😀"], ["😁"]),
    (r"^[^\d\s-]$", ["x", "é"], ["-", "1", "\u2003"]),
    (r"^[\b]$", ["\b"], ["b"]),
    (r"a|^b$", ["xax", "b"], ["bb"]),
    (r"[]", [], ["", "x"]),
    (r"^[^]$", ["\n", "x"], [""]),
    (r"^(?<year>\d{4})-\cA?$", ["2026-", "2026-\x01"], ["26-"]),
    (r"^a{2,}?$", ["aa", "aaaa"], ["a"]),
    (r"^[a\]^-]+$", ["a]^-"], ["b"]),
    (r"\bfoo\b", ["a foo!"], ["foobar"]),
    (r"^\/\.\0$", ["/.\0"], ["/x\0"]),
]  # fmt: skip
REFUSED = {
    r"a(?=b)": "character 2: look-around",
    r"(?<!a)b": "character 1: look-around",
    r"(a)\1": "character 4: back-references",
    r"(?<n>a)\k<n>": "character 8: back-references",
    r"a{1001}": "character 2: 1001 repeats",
    r"(a{100}){11}": "character 9: 1100 repeats",
    r"(?i)a": "character 1: a group",
    r"\-": "character 1: '\\-' means nothing",
    r"\Z": "means nothing in ECMA 262",
    r"a**": "character 3",
    r"^*": "cannot be repeated",
    r"(a": "character 1: a '('",
    r"a)": "character 2: a ')'",
    r"[a": "character 1: a '['",
    r"[z-a]": "out of order",
    r"[a-\d]": "range",
    r"a{2,1}": "out of order",
    r"a{": "a repeat is written",
    r"\ud800": "half of a character",
    r"\u{110000}": "code point",
    r"\p{Nonsense}": "property 'Nonsense'",
    "(" * 60 + ")" * 60: "nested more than 50",
    "a" * 2001: "2000 are the most",
    "\\": "means nothing",
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "matching", "others"), MEANINGS)
def test_a_pattern_means_what_ecma_says_to_both_engines(pattern: str, matching: list[str], others: list[str]) -> None:
    engines = [re2.compile(translate(pattern)).search]
    if "+)+" not in pattern:
        engines.append(re.compile(translate(pattern, end=r"\Z"), re.ASCII).search)
    for search in engines:
        assert [text for text in [*matching, *others] if search(text)] == matching


@pytest.mark.parametrize("pattern", [r"^\p{Lu}\P{L}$", r"^[\p{gc=Lu}_]1$", r"^\p{Script=Latin}1$"])
def test_properties_of_characters_are_known_to_the_linear_engine(pattern: str) -> None:
    search = re2.compile(translate(pattern)).search
    assert search("É1")
    assert not search("1É")


@pytest.mark.parametrize(("pattern", "why"), REFUSED.items(), ids=[pattern[:20] for pattern in REFUSED])
def test_what_no_linear_engine_matches_is_refused_with_its_position(pattern: str, why: str) -> None:
    with pytest.raises(PatternError) as refused:
        translate(pattern)
    assert why in str(refused.value)


def test_patterns_are_found_where_schemas_have_them_and_nowhere_else() -> None:
    schema = {
        "pattern": "1",
        "properties": {"pattern": {"pattern": "2"}, "default": {"items": {"pattern": "3"}}},
        "patternProperties": {"4": {"not": {"pattern": "5"}}},
        "allOf": [{"if": {"pattern": "6"}}],
        "$defs": {"enum": {"pattern": "7"}},
        "default": {"pattern": "no"},
        "enum": [{"pattern": "no"}],
        "const": {"pattern": "no"},
    }
    assert sorted(patterns_of(schema)) == ["1", "2", "3", "4", "5", "6", "7"]
