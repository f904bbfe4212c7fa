"""Whatever the panel says, it says in each of its languages.

After a change of a `.po` file, `python tests/unit/master/test_panel_languages.py` makes its `.mo` again.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest

from freehold.protocol.meters import METERS
from freehold.protocol.order import FIELDS, FREE_TEXT

PANEL = Path(__file__).parents[3] / "src" / "freehold" / "master" / "panel"
SCHEMAFORM = PANEL.parent / "schemaform"
NOTIFICATIONS = PANEL.parent / "notifications"
PRINTING = PANEL.parent / "billing" / "printing"
LANGUAGES = sorted(path.parent.parent.name for path in PANEL.glob("locale/*/LC_MESSAGES/django.po"))
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "npgettext"}
DECLARED = {
    "METERS": [meter.title for meter in METERS.values()],
    "FIELDS": [FIELDS[name].title for name in FREE_TEXT],
}
"""Titles that are written in a table of declarations, by its name."""
Message = tuple[str, ...]
"""What is said: of one; or of one and of many."""


def said_in(folder: Path) -> set[Message]:
    """Return what the templates and modules below a folder want translated, found as `makemessages` finds it."""
    from django.utils.translation.template import templatize

    found: set[Message] = set()
    for path in (*folder.rglob("*.html"), *folder.rglob("*.txt")):
        # Its indentation is no Python's.
        found.update(_called(re.sub(r"^\s+", "", templatize(path.read_text(), origin=str(path)), flags=re.MULTILINE)))
    for path in folder.rglob("*.py"):
        found.update(_called(path.read_text()))
    return found


def _called(source: str) -> Iterator[Message]:
    """Yield the literal texts given to gettext's functions. The text of a template is no Python, but its words are."""
    words = [
        one
        for one in tokenize.generate_tokens(io.StringIO(source).readline)
        if one.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
    ]
    for place, word in enumerate(words[:-1]):
        if word.string not in CALLS or words[place + 1].string != "(":
            continue
        if words[place + 2].string in DECLARED:
            # Not written here: the title of each declaration.
            yield from ((title,) for title in DECLARED[words[place + 2].string])
            continue
        assert "pgettext" not in word.string, f"a text with a context, which is not looked for here: {word.line}"
        texts = [""]
        for one in words[place + 2 :]:
            if one.type == tokenize.STRING:
                texts[-1] += ast.literal_eval(one.string)
            elif one.string == "," and "ngettext" in word.string and len(texts) == 1:
                texts.append("")
            else:
                break
        assert all(texts), f"only literal texts can be translated: {word.line}"
        yield tuple(texts)


def _entries(language: str) -> dict[Message, polib.POEntry]:
    entries = polib.pofile(str(_file(language)), check_for_duplicates=True)
    return {_message(one): one for one in entries if not one.obsolete}


def _file(language: str) -> Path:
    return PANEL / "locale" / language / "LC_MESSAGES" / "django.po"


def _message(entry: polib.POEntry) -> Message:
    return (entry.msgid, entry.msgid_plural) if entry.msgid_plural else (entry.msgid,)


def _says(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def _blanks(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|%%", text))


def test_the_languages_offered_are_those_that_are_written(django_once: str) -> None:
    from django.conf import settings
    from django.utils.translation import to_locale

    assert (
        sorted(to_locale(code) for code, _name in settings.LANGUAGES if code != "en") == LANGUAGES == ["fr", "zh_Hans"]
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated_and_nothing_is_translated_for_nobody(django_once: str, language: str) -> None:
    said, written = (
        said_in(PANEL) | said_in(SCHEMAFORM) | said_in(NOTIFICATIONS) | said_in(PRINTING),
        set(_entries(language)),
    )
    assert len(said) > 150
    assert sorted(said - written) == [], "translate these"
    assert sorted(written - said) == [], "nothing says these any more"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_translation_is_finished_and_fills_the_same_blanks(language: str) -> None:
    book = polib.pofile(str(_file(language)))
    forms = int(book.metadata["Plural-Forms"].split(";")[0].removeprefix("nplurals="))
    for message, entry in _entries(language).items():
        assert not entry.fuzzy, message
        assert len(_says(entry)) == (forms if entry.msgid_plural else 1), message
        for text in _says(entry):
            assert text.strip(), message
            assert _blanks(text) == _blanks(message[-1]), (message, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_master_reads_is_what_translators_wrote(language: str) -> None:
    path = _file(language)
    read = polib.mofile(str(path.with_suffix(".mo")))
    said = {_message(one): _says(one) for one in read}
    assert said == {message: _says(one) for message, one in _entries(language).items()}, f"run {Path(__file__).name}"
    assert read.metadata["Plural-Forms"] == polib.pofile(str(path)).metadata["Plural-Forms"]


def test_every_way_to_say_something_is_found(django_once: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '{% load i18n %}{% translate "New" %} {{ title|default:_("Untitled") }} it\'s {# no #}\n'
        "{% blocktranslate with n=1 %}With {{ n }}{% endblocktranslate %}\n"
        "  {% blocktranslate count n=2 %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}"
    )
    (tmp_path / "words.py").write_text(
        'def say():\n    return _("Long "\n      "text"), ngettext("%(n)d hour", "%(n)d hours", 3)\n'
        'later = gettext_lazy("soon")\n'
    )
    assert said_in(tmp_path) == {
        ("New",), ("Untitled",), ("With %(n)s",), ("%(n)s day", "%(n)s days"),
        ("Long text",), ("%(n)d hour", "%(n)d hours"), ("soon",),
    }  # fmt: skip


if __name__ == "__main__":
    for one in LANGUAGES:
        polib.pofile(str(_file(one))).save_as_mofile(str(_file(one).with_suffix(".mo")))
