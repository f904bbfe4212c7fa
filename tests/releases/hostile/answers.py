"""Answers that no configuration should give: each is written on the stream to the agent in place of an honest one."""

import json
import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SCRIPT = 'fe80::1%lo accept\ninclude "shadow"\n#'


def give(name: str) -> None:
    """Answer what a name stands for; an honest answer follows only where that says so."""
    if name in LAYOUTS:
        _send(json.dumps(LAYOUTS[name]).encode())
        os._exit(0)
    elif name in RAW:
        _send(RAW[name])
        os._exit(0)
    elif name:
        ACTS[name]()


def _layout(**changed: Any) -> dict[str, Any]:
    return {"services": [], "runs": [], "promises": [], "published": {}, "outcome": {}, **changed}


LAYOUTS: dict[str, Any] = {
    "large publication": _layout(published={"a": "x" * (5 << 20)}),
    "path as a name": _layout(services=[{"name": "../../../../bin/sh", "digest": "x"}]),
    "line feed in a name": _layout(services=[{"name": "a\nb", "digest": "x"}]),
    "zero in a name": _layout(services=[{"name": "a\0b", "digest": "x"}]),
    "endless stop": _layout(services=[{"name": "x", "digest": "x", "stop_timeout": 1e308}]),
    "services without end": _layout(services=[{"name": f"s{n}", "digest": "x"} for n in range(5000)]),
    "promises without end": _layout(promises=[f"etc/promise/p{n}" for n in range(5000)]),
    "script as a network": _layout(outcome={"network": {"tcp": [8080], "udp": [], "connect": [SCRIPT]}}),
    "ports out of range": _layout(outcome={"network": {"tcp": [-1, 70000], "udp": [], "connect": []}}),
    "log outside": _layout(outcome={"logs": [{"path": "../../../etc/shadow", "most": 1, "keep": 1}]}),
}
RAW = {
    "no JSON": b"abc",
    "half a character": b'{"published":{"a":"\\ud800"}}',
    "no UTF-8": b'{"published":{"a":"\xed\xa0\x80"}}',
    "500 digits": b'{"published":{"a":' + b"9" * 500 + b"}}",
    "endless nesting": b"[" * 1_000_000,
}


def _announce() -> None:
    stream = _send(b"", length=2**32 - 1)
    with suppress(OSError):
        while True:
            stream.sendall(b"x" * (1 << 20))
    time.sleep(10**6)


def _lament() -> None:
    _send(b"e" * 3_000_000, status=b"\1")
    os._exit(0)


def _shorter() -> None:
    _send(b"abc", length=300)
    os._exit(0)


def _sleep() -> None:
    Path("srv/asleep").touch()
    time.sleep(10**6)


def _drip() -> None:
    Path("srv/asleep").touch()
    stream = _send(b"", length=1000)
    while True:
        stream.sendall(b"x")
        time.sleep(1)


def _scribble() -> None:
    for descriptor in (1, 2):
        for size in (0, 100_000):
            with suppress(OSError):
                os.ftruncate(descriptor, size)
        os.write(descriptor, b"\x1b[2J written by a stranger\n" * 1000)


def _escape() -> None:
    raise RuntimeError("\x1b]0;owned\x07\x1b[2Jhello \udce9")


ACTS = {
    "announcement of 4 GB": _announce,
    "error of 3 MB": _lament,
    "shorter than announced": _shorter,
    "byte by byte": _drip,
    "sleep": _sleep,
    "scribble": _scribble,
    "escape": _escape,
}


def _send(answer: bytes, *, status: bytes = b"\0", length: int | None = None) -> socket.socket:
    stream = _stream()
    with suppress(OSError):
        stream.sendall(status + struct.pack("!I", len(answer) if length is None else length) + answer)
    return stream


def _stream() -> socket.socket:
    """Return the connection of this child to the agent."""
    frame = sys._getframe()
    while not ("sock" in frame.f_locals and "order" in frame.f_locals):
        assert frame.f_back is not None
        frame = frame.f_back
    found: socket.socket = frame.f_locals["sock"]
    return found
