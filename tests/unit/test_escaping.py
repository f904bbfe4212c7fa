"""What strangers wrote is shown, never obeyed: on terminals, and in logs."""

import io
import json
import logging
import unicodedata

from hypothesis import given
from hypothesis import strategies as some

from freehold.cli import main
from freehold.escaping import LONGEST_RECORD, Escaping, Formatter, encodable, escaped

any_text = some.text(some.characters(exclude_categories=[]))


@given(any_text)
def test_nothing_that_a_terminal_obeys_is_left_of_any_text(text: str) -> None:
    shown = escaped(text)
    assert not [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n"]
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029")
    assert escaped(shown) == shown
    shown.encode()


@given(some.dictionaries(some.text(), some.text()))
def test_escaped_json_says_the_same(value: dict[str, str]) -> None:
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value


def test_what_people_write_stays_as_it_is() -> None:
    text = "Café 家 \t|\n🏡 naïve 👩‍👩‍👧"
    assert escaped(text) == text
    assert encodable("waiting: caf\udce9") == "waiting: caf\\udce9"


def test_a_command_prints_no_control_characters(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    status = main(["show", "x\x1b]0;owned\x07", "--project", "\x9b2J"])
    assert status != 0
    assert "freehold: " in err.getvalue()
    assert not set(out.getvalue() + err.getvalue()) & set("\x1b\x07\x9b")


def test_a_stream_in_front_of_a_terminal_is_one_too() -> None:
    stream = io.StringIO()
    print("\x1b[2Jhello", end="\r\n", file=Escaping(stream))
    assert stream.getvalue() == "\\x1b[2Jhello\\x0d\n"
    assert Escaping(stream).isatty() is False


def test_a_record_of_a_log_is_one_bounded_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("it says: %s", "x\x1b[2J\nERROR forged " + "y" * 3_000_000)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("WARNING it says: x\\x1b[2J\\nERROR forged y")
    assert len(line) < LONGEST_RECORD + 100
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        log.exception("ours")
    assert "\x1b" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()
