"""Answers of any length, such as the ledger of ten years, are never whole in the Master's memory."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from freehold.master import wsgi_bridge
from freehold.master.wsgi_bridge import LARGEST_IN_MEMORY, Bridge

LINE = b"2027-01-01\t706\tSales\t20.00\n" * 40
SCOPE = {
    "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": "/", "query_string": b"",
    "headers": [],
}  # fmt: skip


class Reader:
    """A client that remembers only the digest of what it got, and the largest piece."""

    def __init__(self) -> None:
        self.digest, self.size, self.largest, self.started, self.over = hashlib.sha256(), 0, 0, 0, False

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        assert not self.over
        if message["type"] == "http.response.start":
            self.started = message["status"]
            return
        self.digest.update(message["body"])
        self.size += len(message["body"])
        self.largest = max(self.largest, len(message["body"]))
        self.over = not message.get("more_body", False)


def ask(lines: Callable[[], Iterable[bytes]]) -> Reader:
    def application(environment: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        return lines()

    made, reader = Bridge(application, 1), Reader()
    try:
        asyncio.run(made(SCOPE, reader.receive, reader.send))
    finally:
        made.close()
    return reader


@pytest.mark.parametrize("size", [0, 1, LARGEST_IN_MEMORY, LARGEST_IN_MEMORY + 1, 5 * LARGEST_IN_MEMORY + 7])
def test_an_answer_of_any_length_arrives_as_it_was_made(size: int) -> None:
    content = (LINE * (size // len(LINE) + 1))[:size]
    pieces = [content[at : at + 1000] for at in range(0, size, 1000)]
    read = ask(lambda: pieces)
    assert (read.started, read.size, read.over) == (200, size, True)
    assert read.digest.digest() == hashlib.sha256(content).digest()


def test_a_long_answer_takes_no_memory() -> None:
    lines = 64 * 1024 * 1024 // len(LINE)
    tracemalloc.start()
    try:
        read = ask(lambda: (LINE for _ in range(lines)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read.size == lines * len(LINE)
    assert read.largest <= LARGEST_IN_MEMORY
    assert most < 8 * LARGEST_IN_MEMORY


def test_an_answer_that_breaks_off_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent before all of it is there: half of a ledger would look like one."""
    kept: list[Any] = []
    make = wsgi_bridge.tempfile.SpooledTemporaryFile
    monkeypatch.setattr(wsgi_bridge.tempfile, "SpooledTemporaryFile", lambda size: kept.append(make(size)) or kept[-1])

    def broken() -> Iterator[bytes]:
        yield LINE
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        ask(broken)
    assert all(one.closed for one in kept)
