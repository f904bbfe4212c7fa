"""One port for everybody: nodes' hot path goes to the gateway, the rest to Django.

TLS ends here. A client certificate is asked for and optional: nodes and instances show one, people do not.
Certificates of other authorities are refused in the handshake; ours that are over are let through so that the
answer can say so (and say what to do), by the door that looks them up.
"""

import asyncio
import os
import re
import resource
import ssl
from collections.abc import Callable, MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from freehold.master.connections import PeerProtocol
from freehold.master.foundation.causes import failure
from freehold.master.foundation.errors import (
    Malformed,
    MasterError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from freehold.master.foundation.statements import Statements
from freehold.master.gateway.app import PEER, STREAMS, Gateway, Receive, Scope, Send, send_problem
from freehold.master.gateway.doubt import Judge, Standing
from freehold.master.streams.board import streams
from freehold.master.wsgi_bridge import Bridge
from freehold.protocol import MAX_BODY

HOT_PATHS = frozenset({"/node/v1/feed", "/node/v1/reports"})
DJANGO_THREADS = 4
"""More of them wait for each other: Python runs one at a time."""
NODE_THREADS = 2
"""Threads for what nodes ask rarely (certificates, archives, caches): however slow the requests of people and strangers
are, and however many, nodes do not wait for them. Who enrols or brings a letter shows no certificate of a node, and is
a stranger."""
PASSWORD_THREADS, PASSWORD_QUEUE = 2, 16
"""Threads in which passwords are hashed (0.3 s and 100 MB each), and requests that may wait for them."""
PASSWORD_PATHS = frozenset(
    {
        *("/login", "/reset", "/join", "/sign-up", "/sign-up/confirm", "/account/password", "/account/data"),
        *("/api/v1/sign-up", "/api/v1/sign-up/confirm"),
        *("/api/v1/login", "/api/v1/join", "/api/v1/me/password", "/api/v1/me/delete", "/api/v1/password-reset"),
    }
)
LARGEST_UPLOAD = 33 * 1024 * 1024
LARGEST_OF_STRANGERS = 64 * 1024
"""Bytes of a body that is read before it is known who sends it."""
_RELEASES = re.compile("/api/v1/projects/[^/]+/releases")
_X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""OpenSSL's flag, absent from Python's `ssl`: the date of a client certificate is checked by the application."""


class Outer:
    """The outer ASGI application: routes, bounds bodies, starts and stops what runs beside the server."""

    def __init__(self, gateway: Gateway, django: Callable[..., Any], background: list[Any]) -> None:
        self._gateway = gateway
        self._django = Bridge(django, DJANGO_THREADS)
        self._nodes = Bridge(django, NODE_THREADS)
        self._passwords = Bridge(django, PASSWORD_THREADS, PASSWORD_QUEUE)
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
        if path in HOT_PATHS or path.startswith(STREAMS):
            await self._gateway(scope, receive, send)
            return
        try:
            if path.startswith("/static/"):
                await self._serve_static(scope, receive, send)
                return
            if scope["method"] == "GET" and b"stream=" in scope["query_string"]:
                receive = await _wait_for_news(scope["query_string"], receive)
            is_of_node = path.startswith("/node/") and await self._gateway.is_of_node(scope)
            workers = self._nodes if is_of_node else self._django
            if _size(scope) > LARGEST_OF_STRANGERS:
                await workers.run(check_caller, scope)
            if path in PASSWORD_PATHS and scope["method"] in ("POST", "PUT"):
                await self._passwords(scope, receive, send)
            else:
                await workers(scope, receive, send)
        except MasterError as error:
            await send_problem(_closing(send), error)
        except Exception as error:
            # Nothing was sent yet: what Django answers goes out at once and whole.
            await send_problem(_closing(send), failure(error, f"{scope['method']} {path} failed"))

    async def _serve_static(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._static({**scope, "root_path": "/static"}, receive, send)
        except HTTPException as error:
            if error.status_code == 405:
                raise MethodNotAllowed(f"{scope['method']} is not possible here, only GET and HEAD.") from None
            raise NotFound("There is no such file.", remedy="") from None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._gateway.start()
                for task in self._background:
                    task.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in self._background:
                    task.stop()
                self._passwords.close()
                self._django.close()
                self._nodes.close()
                self._gateway.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


class MasterServer(uvicorn.Server):
    """uvicorn, which first answers the nodes that wait when it is told to stop."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: Any = None) -> None:
        self._gateway.stop_waiting()
        await super().shutdown(sockets)


def serve(root: Path, database_url: str, next_contact: float, host: str, port: int) -> str:
    """Serve until SIGTERM or SIGINT. The Master in `root` must have been initialised.

    Return why the database is no longer this code's, if that is what ended it, or an empty text.
    """
    from django.core.wsgi import get_wsgi_application

    from freehold.master.schema import SchemaWatch
    from freehold.master.tasks.lanes import LaneThread
    from freehold.master.tasks.registry import Lane

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "freehold.master.settings")
    # Each connection takes a file descriptor.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gateway = _gateway(root, database_url, next_contact)
    watch = SchemaWatch(lambda: setattr(server, "should_exit", True))
    config = _config(
        Outer(gateway, get_wsgi_application(), [*(LaneThread(lane) for lane in Lane), watch]), root, host, port
    )
    server = MasterServer(config, gateway)
    server.run()
    return watch.found


def trial_server(root: Path, database_url: str) -> MasterServer:
    """Return a server with the same doors on a port of the loopback, behind which no work of a Master is done."""
    from django.core.wsgi import get_wsgi_application

    gateway = _gateway(root, database_url, 60)
    config = _config(Outer(gateway, get_wsgi_application(), []), root, "127.0.0.1", 0)
    config.lifespan = "off"
    return MasterServer(config, gateway)


def _gateway(root: Path, database_url: str, next_contact: float) -> Gateway:
    from freehold.master.fleet.authority import Authority

    statements = Statements(Authority(root / "authority").statement_key())
    return Gateway(database_url, next_contact, Judge(database_url, statements, Standing()), streams)


def _config(app: Outer, root: Path, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="freehold.master.connections:Loop",
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


def tls_context(folder: Path) -> ssl.SSLContext:
    """Return the server's side of TLS 1.3 with the keys in a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "authority.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME
    return context


def check_caller(scope: Scope) -> None:
    """Raise Unauthenticated unless a request shows an API token, a session or a certificate that is known here."""
    from django.conf import settings
    from django.contrib.auth import SESSION_KEY
    from django.http import parse_cookie

    from freehold.master.fleet import queries
    from freehold.master.people import identity
    from freehold.master.people.sessions import SessionStore

    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    fingerprint = scope.get("extensions", {}).get(PEER)
    kind, _, secret = headers.get(b"authorization", "").partition(" ")
    session = parse_cookie(headers.get(b"cookie", "")).get(settings.SESSION_COOKIE_NAME)
    if kind.lower() == "bearer":
        identity.by_token(secret.strip())
    elif fingerprint is not None:
        queries.identify(fingerprint, "instance" if scope["path"].startswith("/api/") else "node", renewing=True)
    elif session is None or SessionStore(session).get(SESSION_KEY) is None:
        raise Unauthenticated("A body of this size is taken from callers that are known only.")


async def _wait_for_news(query: bytes, receive: Receive) -> Receive:
    """Wait until what is asked of a stream can be answered: here, where that takes no thread of those who answer.

    Who does not know the name of a stream waits for nothing; whether it is theirs says who answers. Who hangs up waits
    no more. Return what gives the request on.
    """
    values = parse_qs(query.decode("ascii", "replace"))
    after = values.get("after", ["0"])[0]
    first = await receive()
    if first.get("more_body", False):
        raise Malformed("A question about a stream has no body.")
    news = asyncio.ensure_future(
        streams.news(values.get("stream", [""])[0], int(after) if re.fullmatch("[0-9]{1,9}", after) else 0)
    )
    gone = asyncio.ensure_future(receive())
    await asyncio.wait({news, gone}, return_when=asyncio.FIRST_COMPLETED)
    news.cancel()

    messages = [first]

    async def again() -> MutableMapping[str, Any]:
        return messages.pop() if messages else await gone

    return again


def _size(scope: Scope) -> int:
    """Return the size of a request's body; raise TooLarge for more than its path takes, Malformed for one unsaid."""
    if "\0" in scope["path"]:
        raise Malformed("The path holds a zero character.")
    headers = dict(scope["headers"])
    size = headers.get(b"content-length")
    most = LARGEST_UPLOAD if _RELEASES.fullmatch(scope["path"]) else MAX_BODY
    if size is None:
        if b"transfer-encoding" in headers:
            raise Malformed("Say the size of the body.", remedy="Send a Content-Length header.")
        return 0
    if int(size) > most:
        raise TooLarge(f"The body has {int(size)} bytes; at most {most} are accepted here.")
    return int(size)


def _closing(send: Send) -> Send:
    """Return a `send` that ends the connection after the answer: what is refused unread is not read afterwards."""

    async def closing(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return closing
