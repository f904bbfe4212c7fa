"""The client: one method for each thing that the public API can do."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from freehold.client.credentials import Credentials
from freehold.client.errors import ClientError, NotReady, Refused, Unreachable
from freehold.client.messages import (
    Answer,
    Drained,
    Instance,
    LogPart,
    MoveAnswer,
    Node,
    OpenedLog,
    Release,
    Restarted,
    Site,
    Supply,
    Token,
)
from freehold.protocol import UNREADABLE
from freehold.protocol.order import OrderSpec
from freehold.protocol.problem import MEDIA_TYPE, Problem
from freehold.transport import Lost, NotTrusted, Reply, Transport, TransportError

T = TypeVar("T")
MOST = 1024 * 1024 * 1024
"""Bytes of an answer at most: exports of years of books have some hundred megabytes."""
PART = 1000
"""Rows of a list that are asked for at once: as many as a Master gives."""


class Client:
    """A connection to a Master as one person. Not to be shared between threads.

    Every method raises Refused when the Master says no, Unreachable when it cannot be asked. `project`
    defaults to the one of the credentials.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._transport = Transport(credentials.master, self._context, most=MOST)

    @classmethod
    def log_in(
        cls,
        master: str,
        email: str,
        password: str,
        *,
        project: str | None = None,
        all_projects: bool = False,
        scopes: list[str] | None = None,
        code: str = "",
        authority: str = "",
    ) -> "Client":
        """Return a client with a fresh token that opens `project` (or the person's only one), and nothing else.

        `all_projects`: it opens each project of the person, those of later too, and what they may as staff; `project`
        is then the one that is meant where none is named. Raise ClientError, naming the projects, where it is not said
        which one is meant, and Refused with a problem `second-factor-needed` where a `code` is wanted, too.
        """
        anonymous = cls(Credentials(master.rstrip("/"), "", project or "", authority))
        body: dict[str, Any] = {"email": email, "password": password, "title": "freehold login"}
        if code:
            body["code"] = code
        if scopes:
            body["scopes"] = scopes
        if project and not all_projects:
            body["project"] = project
        token = anonymous._call("POST", "/login", Token, body)
        only = token.projects[0] if len(token.projects) == 1 else ""
        client = cls(Credentials(master.rstrip("/"), token.token, project or only, authority, token.id))
        if (project or not all_projects) and client.credentials.project not in token.projects:
            # Nobody keeps it.
            client._call("DELETE", f"/tokens/{_part(token.id)}", None)
            raise ClientError(_which_project(project, token.projects))
        return client

    @classmethod
    def reset_password(cls, master: str, email: str, code: str, new: str, *, authority: str = "") -> None:
        """Set another password of a person with a code that was mailed, or that staff made."""
        anonymous = cls(Credentials(master.rstrip("/"), "", "", authority))
        anonymous._call("POST", "/password-reset", None, {"email": email, "code": code, "new": new})

    @classmethod
    def ask_reset(cls, master: str, email: str, *, authority: str = "") -> None:
        """Have a code for `reset_password` mailed to an address, if it has an account."""
        anonymous = cls(Credentials(master.rstrip("/"), "", "", authority))
        anonymous._call("POST", "/password-reset/letter", None, {"email": email})

    def request(
        self,
        title: str,
        *,
        dry_run: bool = False,
        now: bool = False,
        partial: bool = False,
        project: str | None = None,
        **fields: Any,
    ) -> Answer:
        """Make an instance exist as described by fields of `protocol.order.OrderSpec`.

        What is None stays as it is, or takes its default; an end that is asked for `now` has no time of grace;
        with `partial` it is taken though there is no room for all that it will request. Raise TypeError for
        a field that an order does not have.
        """
        body = msgspec.to_builtins(OrderSpec(**fields))
        path = self._instance(title, project)
        switches = {"dry_run": dry_run, "now": now, "partial": partial}
        query = urlencode({name: "true" for name, value in switches.items() if value})
        return self._call("PUT", f"{path}?{query}" if query else path, Answer, body)

    def move(
        self, title: str, *, abandon_data: bool = False, dry_run: bool = False, project: str | None = None
    ) -> MoveAnswer:
        """Place an instance on another node, where it begins as when it was new."""
        body = {"title": title, "abandon_data": abandon_data}
        path = f"{self._project(project)}/moves?dry_run={str(dry_run).lower()}"
        return self._call("POST", path, MoveAnswer, body)

    def restart(self, title: str, *, process: str = "", token: str = "", project: str | None = None) -> bool:
        """End an instance's processes, or one, and start them anew; return whether that was news.

        With a `token` of the caller's own nothing is restarted twice, however often it is asked with it.
        """
        # A request may be sent again when its connection ended.
        body = {"title": title, "process": process, "token": token or secrets.token_urlsafe(12)}
        return self._call("POST", f"{self._project(project)}/restarts", Restarted, body).restarted

    def open_log(
        self, title: str, *, process: str = "", lines: int = 100, follow: bool = False, project: str | None = None
    ) -> str:
        """Ask for the last lines of an instance's logs; return the stream in which `read_log` finds them."""
        body = {"title": title, "process": process, "lines": lines, "follow": follow}
        return self._call("POST", f"{self._project(project)}/logs", OpenedLog, body).stream

    def read_log(self, title: str, stream: str, *, after: int = 0, project: str | None = None) -> LogPart:
        """Return what came since; it waits some seconds for it. `after` is `next` of the part before."""
        query = urlencode({"title": title, "stream": stream, "after": after})
        return self._call("GET", f"{self._project(project)}/logs?{query}", LogPart)

    def log_parts(self, title: str, stream: str, *, project: str | None = None) -> Iterator[LogPart]:
        """Yield what comes of a stream, part by part, until it is over."""
        after, is_over = 0, False
        while not is_over:
            part = self.read_log(title, stream, after=after, project=project)
            yield part
            after, is_over = part.next, part.over

    def show(self, title: str, *, reveal: bool = False, project: str | None = None) -> Instance:
        """Return one instance; with `reveal` its secrets too, which the provider's audit trail notes."""
        if reveal:
            return self._call("POST", f"{self._project(project)}/revealed", Instance, {"title": title})
        return self._call("GET", self._instance(title, project), Instance)

    def wait(
        self,
        title: str,
        *,
        seconds: float,
        watch: Callable[[Instance], None] = lambda instance: None,
        project: str | None = None,
    ) -> Instance:
        """Return the instance as soon as it is as wanted (started: with its promises kept).

        `watch` is called with each new look at it. Raise NotReady after `seconds`.
        """
        deadline = time.monotonic() + seconds
        pause = 0.04
        while True:
            instance = self.show(title, project=project)
            watch(instance)
            if instance.ready:
                return instance
            if time.monotonic() + pause > deadline:
                raise NotReady(f"'{title}' is {instance.state} after {seconds:g} s. {instance.message}".rstrip())
            time.sleep(pause)
            pause = min(pause * 1.3, 0.5)

    def instances(self, *, project: str | None = None) -> list[Instance]:
        """Return every instance of a project that is not gone."""
        return self._all(f"{self._project(project)}/instances", list[Instance], "id")

    def releases(self, product: str | None = None) -> list[Release]:
        """Return what can be ordered, newest first."""
        return self._all("/releases", list[Release], "release", {"product": product} if product else {})

    def publish(self, archive: bytes, *, project: str | None = None) -> Release:
        """Publish a release from its archive."""
        return self._call("POST", f"{self._project(project)}/releases", Release, archive)

    def sites(self, *, project: str | None = None) -> list[Site]:
        return self._all(f"{self._project(project)}/sites", list[Site], "name")

    def add_site(self, name: str, region: str = "", *, project: str | None = None) -> Site:
        return self._call("POST", f"{self._project(project)}/sites", Site, {"name": name, "region": region})

    def change_site(self, name: str, *, expected_silence: int, project: str | None = None) -> Site:
        """Declare for how many seconds the nodes of a site may be silent without anybody being told."""
        path = f"{self._project(project)}/sites/{quote(name, safe='')}"
        return self._call("PATCH", path, Site, {"expected_silence": expected_silence})

    def enrol_token(self, site: str, *, project: str | None = None) -> str:
        """Return a one-time token with which one machine becomes a node of a site."""
        answer = self._call("POST", f"{self._project(project)}/enrol-tokens", dict[str, str], {"site": site})
        return answer["token"]

    def nodes(self, *, project: str | None = None) -> list[Node]:
        return self._all(f"{self._project(project)}/nodes", list[Node], "id")

    def change_node(
        self,
        node: str,
        *,
        open: bool | None = None,
        builder: bool | None = None,
        labels: dict[str, str] | None = None,
        capacity: int | None = None,
        lease: int | None = None,
        project: str | None = None,
    ) -> Node:
        """Open or close a node, trust its builds, set its labels, capacity or lease (seconds)."""
        spec = {"open": open, "builder": builder, "labels": labels, "capacity": capacity, "lease": lease}
        body = {name: value for name, value in spec.items() if value is not None}
        return self._call("PATCH", f"{self._project(project)}/nodes/{_part(node)}", Node, body)

    def drain_node(self, node: str, *, dry_run: bool = False, project: str | None = None) -> Drained:
        """Close a node and move what holds no data to others."""
        path = f"{self._project(project)}/nodes/{_part(node)}/drain?dry_run={str(dry_run).lower()}"
        return self._call("POST", path, Drained)

    def revoke_node(self, node: str, *, project: str | None = None) -> None:
        """Revoke a node's certificates, effective at once."""
        self._call("POST", f"{self._project(project)}/nodes/{_part(node)}/revoke", None)

    def supplies(self, *, project: str | None = None) -> list[Supply]:
        return self._all(f"{self._project(project)}/supplies", list[Supply], "id")

    def supply(
        self,
        product: str,
        *,
        release: str | None = None,
        nodes: list[str] | None = None,
        site: str | None = None,
        everyone: bool = True,
        wanted: str = "available",
        project: str | None = None,
    ) -> list[Supply]:
        """Say that a release may run on nodes (or a site's, or all), or no longer may (`wanted="removed"`)."""
        body: dict[str, Any] = {"product": product, "everyone": everyone, "wanted": wanted}
        if release:
            body["release"] = release
        if nodes:
            body["nodes"] = nodes
        elif site:
            body["site"] = site
        else:
            body["all"] = True
        return self._call("PUT", f"{self._project(project)}/supplies", list[Supply], body)

    def ask(
        self,
        method: str,
        path: str,
        parts: dict[str, str] | None = None,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        project: str | None = None,
    ) -> Any:
        """Ask anything that the API can do; return what it answers, decoded when it is JSON, None when it is nothing.

        Of a PDF, its bytes. `path` may hold `{project}` and the names of `parts`.
        """
        filled = self._filled(path, parts, project)
        return self._call(method, f"{filled}?{urlencode(query)}" if query else filled, object, body)

    def ask_all(
        self,
        path: str,
        cursor: str,
        parts: dict[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        project: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return every row of a list whose cursor is this field; `path` as for `ask`."""
        return self._all(self._filled(path, parts, project), list[dict[str, Any]], cursor, query)

    def _all(self, path: str, kind: type[list[T]], cursor: str, query: dict[str, str] | None = None) -> list[T]:
        """Return a list, of which the Master gives a part at a time."""
        items: list[T] = []
        after = ""
        while True:
            part = self._call("GET", f"{path}?{urlencode({**(query or {}), 'after': after, 'limit': PART})}", kind)
            items += part
            if len(part) < PART:
                return items
            last = part[-1]
            after = str(last[cursor] if isinstance(last, dict) else getattr(last, cursor))

    def _filled(self, path: str, parts: dict[str, str] | None, project: str | None) -> str:
        return path.format(
            project=_part(self._meant(project)) if "{project}" in path else "",
            **{name: _part(value) for name, value in (parts or {}).items()},
        )

    def _instance(self, title: str, project: str | None) -> str:
        if not title:
            raise ClientError("The title is empty. Name the service that you mean.")
        return f"{self._project(project)}/instances/{_part(title)}"

    def _project(self, project: str | None) -> str:
        return f"/projects/{_part(self._meant(project))}"

    def _meant(self, project: str | None) -> str:
        meant = project or self.credentials.project
        if not meant:
            raise ClientError("Say which project: --project NAME. Your login opens all of yours, and names none.")
        return meant

    def _call(self, method: str, path: str, kind: type[T] | None, body: object = None) -> T:
        headers = {"Accept": "application/json"}
        if self.credentials.token:
            headers["Authorization"] = f"Bearer {self.credentials.token}"
        try:
            data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            raise ClientError(f"{error.object!r} is not text in UTF-8.") from None
        if data is not None:
            headers["Content-Type"] = _media_type(body)
        reply = self._exchange(method, f"/api/v1{path}", data, headers)
        media_type, content = reply.headers.get_content_type(), reply.content
        if reply.status >= 400:
            raise Refused(_problem(reply.status, media_type, content))
        if kind is None or not content:
            return None  # type: ignore[return-value]
        if media_type in ("text/plain", "text/csv"):
            return content.decode()  # type: ignore[return-value]
        if media_type == "application/pdf":
            return content  # type: ignore[return-value]
        try:
            return msgspec.json.decode(content, type=kind)
        except UNREADABLE as error:
            raise ClientError(f"The Master's answer is not understood ({error}). Update Freehold.") from None

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Reply:
        try:
            return self._transport.exchange(method, path, data, headers)
        except NotTrusted as error:
            reason = getattr(error.error, "verify_message", "") or error.error.reason
            raise Unreachable(
                f"{self.credentials.master} did not prove to be your Master: {reason}. "
                "Log in with --authority FILE, the authority.pem that your provider gave you."
            ) from None
        except Lost as error:
            raise Unreachable(f"{error}. Is the Master running?") from None
        except TransportError as error:
            raise ClientError(str(error)) from None

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cadata=self.credentials.authority or None)
        except (ssl.SSLError, ValueError):
            raise ClientError(
                "The Master's authority is not a certificate in PEM. Log in again with --authority FILE, the "
                "authority.pem that your provider gave you."
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


def _media_type(body: object) -> str:
    """Return what a body is: a release, a bank statement, or JSON."""
    if not isinstance(body, bytes):
        return "application/json"
    return "application/gzip" if body.startswith(b"\x1f\x8b") else "application/xml"


def _which_project(named: str | None, projects: list[str]) -> str:
    """Return what to do for who has no project, or several, and did not say which one, or one that is not theirs."""
    if not projects:
        return (
            "You have no project yet: ask whoever runs this Master to give you a role in one. "
            "Staff log in without one: --all-projects."
        )
    names = ", ".join(projects)
    wrong = f"'{named}' is not a project of yours. " if named else ""
    return (
        f"{wrong}Say which of your projects: {names}. --project NAME gives a token for that one only; "
        "--all-projects one for all of them, with what you may as staff."
    )


def _part(text: str) -> str:
    """Return a text as one part of a path."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ClientError(f"{text!r} is not text in UTF-8.") from None


def _problem(status: int, media_type: str, content: bytes) -> Problem:
    if media_type == MEDIA_TYPE:
        try:
            return msgspec.json.decode(content, type=Problem)
        except UNREADABLE:
            pass
    return Problem(
        "unknown", f"The Master answered with status {status}", status, content[:200].decode(errors="replace")
    )
