"""Waiting for what should come true, instead of sleeping; and looking at pages and processes."""

import http.client
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class KitError(AssertionError):
    """What a test waited for did not come, or the kit cannot do what it was asked; the message says what."""


def until(condition: Callable[[], T], seconds: float = 15, what: str = "the condition") -> T:
    """Return what `condition` returns as soon as it is true; raise KitError when it is not within so many seconds.

    It looks again after a tenth of the time that it has waited, so that who waits takes little from who works.
    """
    begin = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - begin
        if waited > seconds:
            raise KitError(f"{what} did not come true within {seconds:g} seconds.")
        time.sleep(min(max(0.01, waited / 10), 0.15))
    return value


def page(url: str) -> str:
    """Return the text that a URL shows; raise OSError when it shows none, or ends in its middle."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except http.client.HTTPException as error:
        # Of a service that is just being replaced, for example.
        raise ConnectionResetError(f"{url} does not answer whole: {error!r}") from None


def shows(url: str, text: str) -> Callable[[], bool]:
    """Return a condition: the page answers, with this text."""

    def look() -> bool:
        try:
            return text in page(url)
        except OSError:
            return False

    return look


def lives(pid: int) -> bool:
    """Return whether a process runs, and does not only wait to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: Iterable[int]) -> Callable[[], bool]:
    """Return a condition: none of these processes lives."""
    listed = list(pids)
    return lambda: not any(lives(pid) for pid in listed)
