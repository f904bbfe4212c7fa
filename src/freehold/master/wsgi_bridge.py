"""Between the ASGI server and Django, which is synchronous: a request is read whole, answered in a thread, sent.

Bodies are bounded before they come here. What is large, body or answer (a ledger of years), waits on the disk and
never in memory: so nothing needs to stream, and one hop to a thread and back costs a third less CPU a request than a
bridge that streams (decision 0009).
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, Any, TypeVar

from freehold.master.foundation.errors import Busy
from freehold.master.gateway.app import Receive, Scope, Send

LARGEST_IN_MEMORY = 1024 * 1024
"""Bytes of a body or an answer from which on it waits on the disk."""
_PIECE = 256 * 1024
"""Bytes of a large answer that are sent at once."""
R = TypeVar("R")
Headers = list[tuple[bytes, bytes]]


class Bridge:
    """An ASGI application made of a WSGI one, run in so many threads; `most` requests at once, if it says so."""

    def __init__(self, wsgi: Callable[..., Iterable[bytes]], threads: int, most: int | None = None) -> None:
        self._wsgi = wsgi
        self._threads = ThreadPoolExecutor(threads, "django")
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with tempfile.SpooledTemporaryFile(LARGEST_IN_MEMORY) as body:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
            size = body.tell()
            body.seek(0)
            status, headers, answer = await self.run(self._answer, scope, body, size)
        with answer:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            # In memory it is at hand; from the disk a thread reads it, while the loop serves others.
            left = answer.tell()
            answer.seek(0)
            while left > LARGEST_IN_MEMORY:
                piece = await asyncio.get_running_loop().run_in_executor(self._threads, answer.read, _PIECE)
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": answer.read()})

    async def run(self, function: Callable[..., R], *arguments: object) -> R:
        """Return what a function does in one of the threads; raise Busy when as many as may wait do so."""
        if self._most is not None and self._running >= self._most:
            raise Busy("Too many log in at once.", remedy="Try again in a few seconds.")
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self._running -= 1

    def close(self) -> None:
        """End the threads, after the requests they are answering."""
        self._threads.shutdown()

    def _answer(self, scope: Scope, body: IO[bytes], size: int) -> tuple[int, Headers, IO[bytes]]:
        status, headers = 500, Headers()

        def start_response(line: str, fields: list[tuple[str, str]], error: object = None) -> None:
            nonlocal status, headers
            status = int(line.partition(" ")[0])
            headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]

        answer = self._wsgi(environment(scope, body, size), start_response)
        try:
            with ExitStack() as until_whole:
                output = until_whole.enter_context(tempfile.SpooledTemporaryFile(LARGEST_IN_MEMORY))
                # One by one: its `writelines` would have all of them in memory before it looks how much that is.
                for piece in answer:
                    output.write(piece)
                until_whole.pop_all()
            return status, headers, output
        finally:
            close: Callable[[], None] | None = getattr(answer, "close", None)
            if close is not None:
                close()


def environment(scope: Scope, body: IO[bytes], size: int) -> dict[str, Any]:
    """Return what PEP 3333 says of a request, and `asgi.scope`, in which the server tells who the client is."""
    server = scope.get("server") or ("localhost", 443)
    environ: dict[str, Any] = {
        "asgi.scope": scope,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # WSGI carries bytes in strings of latin-1.
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "CONTENT_LENGTH": str(size),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name != "content-length" and "_" not in name:
            # An underscore could pass itself off as a dash, which no proxy would have seen.
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}" if key in environ else value
    return environ
