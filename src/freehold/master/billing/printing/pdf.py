"""The PDF of an invoice or a credit note: the same bytes for the same facts.

It is set when somebody asks for it, by a process of its own (`typesetter`), never in a transaction: a run that issues
a million documents sets none.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from freehold.master.billing.printing import content
from freehold.master.foundation.errors import Busy, NotInstalled, TooLarge

FONTS = Path("/usr/share/fonts/opentype/noto")
"""Where Debian's package `fonts-noto-cjk` has its fonts."""
FONT = "Noto Sans CJK SC"
MOST_LINES = 5000
"""Lines of a document that is set: more than a hundred pages."""
SECONDS = 40.0
"""That a document may take."""
MOST_AT_ONCE = 2
PATIENCE = 20.0
"""Seconds that somebody waits for others' documents."""
_ENVIRONMENT = ("PATH", "PYTHONPATH")
_log = logging.getLogger(__name__)
_places = threading.BoundedSemaphore(MOST_AT_ONCE)


def missing() -> list[str]:
    """Return what this machine lacks to set documents, each with what to do."""
    if (FONTS / "NotoSansCJK-Regular.ttc").exists():
        return []
    return ["Documents cannot be set as PDF: their font is missing. Install the Debian package fonts-noto-cjk."]


def of_document(row: dict[str, Any], language: str = "") -> bytes:
    """Return the PDF of a document (a row of `queries.documents`), in its customer's language or another of ours.

    Raise Invalid for a language that is none of ours, NotInstalled without the font, TooLarge, or Busy when it takes
    too long or fails.
    """
    return _set(content.of_document(row, language), row["issued_at"] // 1000)


def _set(document: dict[str, Any], timestamp: int) -> bytes:
    if wrong := missing():
        raise NotInstalled(wrong[0])
    if len(document["lines"]) > MOST_LINES:
        raise TooLarge(
            f"A document of {len(document['lines'])} lines is not set as PDF.", remedy="Read it by `freehold invoice`."
        )
    if not _places.acquire(timeout=PATIENCE):
        raise Busy("Too many documents are being set.", remedy="Ask again in a minute.")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "freehold.master.billing.printing.typesetter", str(FONTS), str(timestamp)],
            input=json.dumps({**document, "font": FONT}).encode(),
            capture_output=True,
            timeout=SECONDS,
            # The child needs none of the Master's secrets.
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except subprocess.TimeoutExpired:
        raise Busy("This document took too long to set.", remedy="Ask again when the Master has less to do.") from None
    finally:
        _places.release()
    if done.returncode:
        _log.error("%s was not set: %s", document["title"], done.stderr.decode(errors="replace"))
        raise Busy("This document could not be set.", remedy="The Master's operator sees why in its log.")
    return done.stdout
