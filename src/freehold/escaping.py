"""Control characters never reach a terminal or a log: where text leaves for people, they are written as escapes.

A message may come from a stranger: a partition, a release, a node, a customer. `escaped` is applied at the output, by
`Escaping` (what commands print) and by `Formatter` (what goes into logs), so that no caller has to think of it.
"""

import io
import logging
import re
from pathlib import Path
from typing import TextIO

LONGEST_RECORD = 8000
"""Characters of a log record's message that are written; a traceback of our own code comes after it, whole."""
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed; DEL and C1, which hold another ESC [
    "\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # what turns the direction of text, or ends a line
    "\ud800-\udfff]"  # halves of characters: a byte that was not UTF-8
)


def escaped(text: str) -> str:
    """Return a text with `\\x1b` or `\\u009b` where a control character was; tabs and line feeds stay.

    What is valid JSON stays valid JSON with the same meaning.
    """
    return _UNSAFE.sub(_escape, text)


def escaped_line(text: str) -> str:
    """Return a text as one line, safe to show."""
    return escaped(text).replace("\n", "\\n")


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: halves of characters are written as escapes, such as `\\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_text(name: str) -> bool:
    """Return whether a name, as `os.fsdecode` gives it, is text that UTF-8 can hold."""
    return encodable(name) == name


class NotText(ValueError):
    """A file is not text in UTF-8; the message names it, the line and what stands there."""


def text_of(path: Path) -> str:
    """Return the text of a file in UTF-8; raise NotText, OSError."""
    content = path.read_bytes()
    try:
        # Lines end as they do for whoever opens it as text.
        return content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        line = content.splitlines()[number - 1]
        shown = line.decode(errors="backslashreplace").strip()
        raise NotText(f"{path}, line {number}: this is not text in UTF-8: {shown[:200]}") from None


def _escape(match: "re.Match[str]") -> str:
    number = ord(match[0])
    # JSON knows no \x; below 0x20 it holds none of these as they are.
    return f"\\x{number:02x}" if number < 0x20 else f"\\u{number:04x}"


class Escaping(io.TextIOBase):
    """A text stream in front of another, which gets only what is safe to show."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        self._stream.write(escaped(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def buffer(self) -> object:
        """What takes bytes: a file that a command writes to its output is not text for people."""
        return self._stream.buffer


class Formatter(logging.Formatter):
    """A formatter whose records are one line each, bounded, with nothing in them that a terminal obeys."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = record.message
        if len(message) > LONGEST_RECORD:
            record.message = f"{message[:LONGEST_RECORD]}… ({len(message)} characters)"
        return escaped_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        return escaped(super().formatException(ei)[-4 * LONGEST_RECORD :])  # type: ignore[arg-type]
