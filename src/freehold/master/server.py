"""One port for everybody: nodes' hot path goes to the gateway, the rest to Django.

TLS ends here. A client certificate is asked for and optional: nodes and instances show one, people do not.
Certificates of other authorities are refused in the handshake; ours that are over are let through so that the
answer can say so (and say what to do), by the door that looks them up.
"""

import asyncio
import hashlib
import logging
import os
import ssl
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import uvicorn
from starlette.staticfiles import StaticFiles
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold.master.bridge import Bridge
from freehold.master.foundation.errors import Malformed, MasterError, TooLarge
from freehold.master.gateway.app import PEER, Gateway, Receive, Scope, Send, send_problem
from freehold.protocol import MAX_BODY

HOT_PATHS = frozenset({"/node/v1/feed", "/node/v1/reports"})
DJANGO_THREADS = 4
"""More of them wait for each other: Python runs one at a time."""
LARGEST_UPLOAD = 33 * 1024 * 1024
_X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""OpenSSL's flag, absent from Python's `ssl`: the date of a client certificate is checked by the application."""
_log = logging.getLogger(__name__)


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also tells the application who the client proved to be.

    No released ASGI server passes the client certificate on (decision 0006), so it is read here once a
    connection.
    """

    _peer: dict[str, dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(True) if tls is not None else None
        if certificate:
            self._peer = {PEER: hashlib.sha256(certificate).hexdigest()}  # type: ignore[dict-item]

    def shutdown(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            # A polite end of TLS waits for the other side, and idle nodes do not read: it held every restart
            # for seconds.
            self.transport.abort()
        else:
            super().shutdown()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._peer is not None:
            self.scope["extensions"] = self._peer  # type: ignore[typeddict-item]


class Outer:
    """The outer ASGI application: routes, bounds bodies, starts and stops what runs beside the server."""

    def __init__(self, gateway: Gateway, django: Callable[..., Any], background: list[Any]) -> None:
        self._gateway = gateway
        self._django = Bridge(django, DJANGO_THREADS)
        self._static = StaticFiles(packages=[("ninja", "static"), ("freehold.master.panel", "static")])
        self._background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return

        async def dated(message: Any) -> None:
            # uvicorn would say when the question came, and nodes that waited for news would set their clocks by it.
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"date", formatdate(usegmt=True).encode())]
            await send(message)

        await self._answer(scope, receive, dated)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in HOT_PATHS:
            await self._gateway(scope, receive, send)
        elif path.startswith("/static/"):
            await self._static({**scope, "root_path": "/static"}, receive, send)
        else:
            try:
                _bound(scope)
            except MasterError as error:
                await send_problem(send, error)
                return
            await self._django(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._gateway.start()
                for one in self._background:
                    one.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                for one in self._background:
                    one.stop()
                self._django.close()
                self._gateway.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


class Server(uvicorn.Server):
    """uvicorn, which first answers the nodes that wait when it is told to stop."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: Any = None) -> None:
        self._gateway.stop_waiting()
        await super().shutdown(sockets)


def serve(root: Path, database_url: str, next_contact: float, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. The Master in `root` must have been initialised."""
    from django.core.wsgi import get_wsgi_application

    from freehold.master.reconcilers import Reconcilers

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "freehold.master.settings")
    gateway = Gateway(database_url, next_contact)
    app = Outer(gateway, get_wsgi_application(), [Reconcilers()])
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=PeerProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=4096,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=None,
        ssl_context_factory=lambda *_: tls_context(root / "authority"),
        log_config=None,
    )
    Server(config, gateway).run()


def tls_context(folder: Path) -> ssl.SSLContext:
    """Return the server's side of TLS 1.3 with the keys in a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "authority.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME
    return context


def _bound(scope: Scope) -> None:
    """Raise TooLarge or Malformed for a body that is larger than its path takes, or does not say its size."""
    if "\0" in scope["path"]:
        raise Malformed("The path holds a zero character.")
    headers = dict(scope["headers"])
    size = headers.get(b"content-length")
    most = LARGEST_UPLOAD if scope["path"].endswith("/releases") else MAX_BODY
    if size is None:
        if b"transfer-encoding" in headers:
            raise Malformed("Say the size of the body.", remedy="Send a Content-Length header.")
    elif int(size) > most:
        raise TooLarge(f"The body has {int(size)} bytes; at most {most} are accepted here.")
