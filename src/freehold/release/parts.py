"""The parts of a plan: files, programs, what is requested of others. Each checks its own options."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from freehold.protocol.descriptor import LONGEST_CHANGE, MOST_REQUESTS
from freehold.protocol.network import target
from freehold.protocol.size import UNNAMED, Size
from freehold.release.errors import ReleaseError, must_be, must_be_from, must_be_size, must_hold

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp))?")
MOST_PORTS = 1000
"""Of each protocol, of those that everybody reaches, and of the internal ones."""
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

MOST_AFTER, LONGEST_STOP = 16, 120.0
LONGEST_PAUSE = 366 * 86400.0
"""Seconds between two runs of a job, or of one run of it."""
MOST_DAYS, MOST_MEGABYTES, MOST_LOGS_KEPT = 36500, 2.0**40, 1000
"""Of a certificate; of a log before it begins anew; of former logs."""
STOP_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")


@dataclass(frozen=True)
class File:
    """A file in the partition. Its path is relative to the partition's folder."""

    path: str
    content: str | bytes
    mode: int = 0o600

    def __post_init__(self) -> None:
        must_be(str, "File: path", self.path)
        must_be((str, bytes), f"File '{self.path}': content", self.content)
        must_be(int, f"File '{self.path}': mode", self.mode)
        if not 0 <= self.mode <= 0o7777:
            raise TypeError(f"File '{self.path}': mode must be from 0 to 0o7777, not {self.mode:#o}")

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content

    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Certificate:
    """A key and a certificate for TLS, made in the partition and renewed in time; the key never leaves it.

    It signs itself: whoever connects gets it by the publication (`Context.pem`) and trusts it alone. Or the authority
    of a cluster signs it: whoever trusts that trusts all members.
    """

    name: str
    names: tuple[str, ...]
    """Host names and addresses for which it stands."""
    days: int = 365
    of_cluster: bool = False
    """The authority that all members of the instance's cluster know signs it (`ClusterView.authority`)."""

    def __post_init__(self) -> None:
        must_be(str, "Certificate: name", self.name)
        must_be((tuple, list), f"Certificate '{self.name}': names", self.names)
        must_hold(str, f"Certificate '{self.name}': names", self.names)
        if not self.names:
            raise TypeError(f"Certificate '{self.name}': names must hold at least one")
        must_be(int, f"Certificate '{self.name}': days", self.days)
        must_be_from(1, MOST_DAYS, f"Certificate '{self.name}': days", self.days)
        must_be(bool, f"Certificate '{self.name}': of_cluster", self.of_cluster)

    @property
    def path(self) -> str:
        """Of the certificate (PEM), relative to the partition's folder."""
        return f"etc/certificate/{self.name}.pem"

    @property
    def key(self) -> str:
        """Path of the key (PEM), relative to the partition's folder."""
        return f"etc/certificate/{self.name}.key"


@dataclass(frozen=True)
class _Program:
    """What processes, tasks and jobs have in common."""

    name: str
    argv: tuple[str | Path, ...]
    """The program (absolute path) and its arguments. Never a secret: everybody can see them."""
    environment: dict[str, str] = field(default_factory=dict)
    reads: tuple[File | Certificate, ...] = ()
    """The files and certificates of the plan on which it depends."""
    after: tuple["Task | Process", ...] = ()
    """The tasks that must have ended well, and the processes that must be ready, before it starts."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        must_be(str, f"{kind}: name", self.name)
        subject = f"{kind} '{self.name}':"
        must_be((tuple, list), f"{subject} argv", self.argv)
        must_hold((str, Path), f"{subject} argv", self.argv)
        if not self.argv:
            raise TypeError(f"{subject} argv must name a program")
        must_be(dict, f"{subject} environment", self.environment)
        for name, value in self.environment.items():
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                raise TypeError(f"{subject} {name!r} cannot be the name of a variable")
            must_be(str, f"{subject} environment {name}", value)
        must_be((tuple, list), f"{subject} reads", self.reads)
        must_hold((File, Certificate), f"{subject} reads", self.reads)
        must_be((tuple, list), f"{subject} after", self.after)
        must_hold((Task, Process), f"{subject} after", self.after)
        if len(self.after) > MOST_AFTER:
            raise TypeError(f"{subject} after must hold at most {MOST_AFTER}, not {len(self.after)}")

    def digest(self, certificates: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return a hash of everything whose change means a restart; `certificates` are PEM by name."""
        state = json.dumps(
            [
                [str(part) for part in self.argv],
                sorted(self.environment.items()),
                _digests(self.reads, certificates),
                [program.name for program in self.after],
            ]
        )
        return hashlib.sha256(state.encode()).hexdigest()


def _digests(parts: tuple[File | Certificate, ...], certificates: Mapping[str, str]) -> list[list[str]]:
    return [[part.path, part.digest() if isinstance(part, File) else certificates[part.name]] for part in parts]


@dataclass(frozen=True)
class Process(_Program):
    """A program to keep running. It is restarted exactly when its command, environment or what it `reads` changes.

    What comes `after` it starts when it is ready, and is ended before it.
    """

    ready: int | str = 0
    """It is ready when this accepts connections: a port (TCP) of the partition's address, or the path of a socket in
    the partition. Without, it is ready as soon as it was started."""
    stop_timeout: float = 10.0
    """Seconds that it may take to end after it was told to; then it is killed."""
    stop_signal: str = "TERM"
    """The signal by which it is told to end, without `SIG`: what makes it end soon and lose nothing."""
    reloads: tuple[File | Certificate, ...] = ()
    """The files and certificates of the plan that it reads anew when it gets `reload_signal`: when they change, and
    nothing else, it gets that, and is not restarted."""
    reload_signal: str = "HUP"

    def __post_init__(self) -> None:
        super().__post_init__()
        subject = f"Process '{self.name}':"
        must_be((int, str), f"{subject} ready", self.ready)
        if isinstance(self.ready, int) and not 0 <= self.ready < 65536:
            raise TypeError(f"{subject} ready must be a port or the path of a socket, not {self.ready}")
        must_be((int, float), f"{subject} stop_timeout", self.stop_timeout)
        must_be_from(0, LONGEST_STOP, f"{subject} stop_timeout", self.stop_timeout, "seconds")
        if self.stop_signal not in STOP_SIGNALS:
            raise TypeError(f"{subject} stop_signal must be one of {', '.join(STOP_SIGNALS)}, not {self.stop_signal!r}")
        must_be((tuple, list), f"{subject} reloads", self.reloads)
        must_hold((File, Certificate), f"{subject} reloads", self.reloads)
        if any(part in self.reads for part in self.reloads):
            raise TypeError(f"{subject} a file is in reads, or in reloads")
        if self.reload_signal not in STOP_SIGNALS:
            signals = ", ".join(STOP_SIGNALS)
            raise TypeError(f"{subject} reload_signal must be one of {signals}, not {self.reload_signal!r}")

    def reload_digest(self, certificates: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return a hash of what it reads anew; `certificates` are PEM by name."""
        state = json.dumps(_digests(self.reloads, certificates))
        return hashlib.sha256(state.encode()).hexdigest()


@dataclass(frozen=True)
class Task(_Program):
    """A program to run to its end, again until it succeeds and whenever something of it changes.

    It must do no harm when run twice. Until it succeeded the promise `task-NAME` is broken.
    """


@dataclass(frozen=True)
class Job(_Program):
    """A program to run again and again: every so many seconds, or daily at a time of the clock (UTC).

    A time that passed while the machine was off is made up for, and so is a run that failed, after a growing pause.
    The promise `job-NAME` is broken when the last run failed, or is overdue.
    """

    every: float = 0.0
    """Seconds from one start to the next."""
    daily: str = ""
    """`HH:MM`, UTC."""
    timeout: float = 3600.0
    """Seconds after which a run is ended and counts as failed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        subject = f"Job '{self.name}':"
        must_be((int, float), f"{subject} every", self.every)
        must_be(str, f"{subject} daily", self.daily)
        must_be((int, float), f"{subject} timeout", self.timeout)
        if bool(self.every) == bool(self.daily):
            raise TypeError(f"{subject} say either every=SECONDS or daily='HH:MM'")
        if self.every:
            must_be_from(1, LONGEST_PAUSE, f"{subject} every", self.every, "seconds")
        must_be_from(1, LONGEST_PAUSE, f"{subject} timeout", self.timeout, "seconds")
        if self.daily and not _TIME.fullmatch(self.daily):
            raise TypeError(f"{subject} daily must be a time like 03:30, not {self.daily!r}")


@dataclass(frozen=True)
class Network:
    """Where the instance listens and connects; where its node has a firewall, nothing else gets through.

    `listen` holds ports of the partition's address: `8080`, `"53/udp"`, or a range such as `"20000-20099"`. `connect`
    holds where it may connect: addresses or networks, with or without a port (`192.0.2.7`, `192.0.2.0/24:443`,
    `[2001:db8::1]:443`), or a port of any address (`:443`); None: anywhere. Its own address, name servers and the
    Master can always be reached.
    `internal` holds ports that are reached by the other instances of its tree only; its type says `peers=True`.
    """

    listen: tuple[int | str, ...] = ()
    connect: tuple[str, ...] | None = None
    internal: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        for name, ports in (("listen", self.listen), ("internal", self.internal)):
            must_be((tuple, list), f"Network: {name}", ports)
            must_hold((int, str), f"Network: {name}", ports)
            for port in ports:
                if not _range(port):
                    raise TypeError(
                        f"Network: {name} must hold ports like 8080, '53/udp' or '20000-20099', not {port!r}"
                    )
        for protocol in ("tcp", "udp"):
            open_to_all, internal = (set(self.ports(protocol, internal=inner)) for inner in (False, True))
            if max(len(open_to_all), len(internal)) > MOST_PORTS:
                raise TypeError(f"Network: at most {MOST_PORTS} ports of {protocol}")
            if both := open_to_all & internal:
                raise TypeError(f"Network: a port is in listen, or in internal, not {min(both)} in both")
        must_be((tuple, list, type(None)), "Network: connect", self.connect)
        must_hold(str, "Network: connect", self.connect or ())
        for declared in self.connect or ():
            _check_target(declared)

    def ports(self, protocol: Literal["tcp", "udp"], *, internal: bool = False) -> list[int]:
        """Return the ports of a protocol on which it listens, to everybody or to its tree."""
        declared = self.internal if internal else self.listen
        ranges = [_range(port) for port in declared if str(port).endswith("/udp") == (protocol == "udp")]
        return sorted({number for ports in ranges for number in ports})


@dataclass(frozen=True)
class LogRotation:
    """How a log of the partition is kept from growing for ever. Logs in `var/log` are rotated without being named."""

    path: str
    """Relative to the partition's folder."""
    megabytes: float = 10.0
    """Longer than this it begins anew."""
    keep: int = 4
    """Former logs kept, compressed."""

    def __post_init__(self) -> None:
        must_be(str, "LogRotation: path", self.path)
        must_be((int, float), f"LogRotation '{self.path}': megabytes", self.megabytes)
        must_be_from(0, MOST_MEGABYTES, f"LogRotation '{self.path}': megabytes", self.megabytes)
        must_be(int, f"LogRotation '{self.path}': keep", self.keep)
        must_be_from(0, MOST_LOGS_KEPT, f"LogRotation '{self.path}': keep", self.keep)


@dataclass(frozen=True)
class Request:
    """Another instance that should exist, requested as a customer would. It may be a shared one.

    Its title is unique among what this instance requests. It runs in the same project, follows this instance
    when that is stopped, started or destroyed, and ends some time after it is requested no more.
    """

    title: str
    product: str
    type: str = "default"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    returns: tuple[str, ...] = ()
    """What must be in its publication before `Context.returned` gives it."""
    release: str = ""
    """Version. When empty: of its own product, the one of this instance; of another, the newest that can be had when
    it is first requested, and that one from then on."""
    constraints: Mapping[str, Any] = field(default_factory=dict)
    state: Literal["started", "stopped"] = "started"
    ready: bool = False
    """`Context.returned` gives what it publishes only when it is ready, with all that it requested; what was given
    once stays, until it is ready with something else. Without, it is given as soon as it is published."""
    size: Size = UNNAMED
    """What it may use; what is not named is as its type says."""

    def __post_init__(self) -> None:
        must_be(str, "Request: title", self.title)
        subject = f"Request '{self.title}':"
        if not _TITLE.fullmatch(self.title):
            raise TypeError(f"{subject} a title has 1 to 100 letters, digits, spaces, dots, dashes, underscores")
        for name in ("product", "type", "release"):
            must_be(str, f"{subject} {name}", getattr(self, name))
        for name in ("parameters", "constraints"):
            must_be(Mapping, f"{subject} {name}", getattr(self, name))
            try:
                json.dumps(getattr(self, name))
            except (TypeError, ValueError) as error:
                raise TypeError(f"{subject} {name} must be what JSON can say: {error}") from None
        must_be((tuple, list), f"{subject} returns", self.returns)
        must_hold(str, f"{subject} returns", self.returns)
        must_be(bool, f"{subject} ready", self.ready)
        must_be_size(f"{subject} size", self.size)
        if self.state not in ("started", "stopped"):
            raise TypeError(f"{subject} state must be started or stopped, not {self.state!r}")

    def spec(self) -> dict[str, Any]:
        """Return the request as the public API takes it."""
        spec: dict[str, Any] = {"product": self.product, "type": self.type, "state": self.state}
        spec |= {"parameters": dict(self.parameters), "constraints": dict(self.constraints)}
        return spec | _optional(self.release, self.size)


@dataclass(frozen=True)
class Cluster:
    """Several instances of one kind, requested together: `NAME-0`, `NAME-1`, …, all with these parameters.

    They are made at once, each knowing who the others are (`Context.cluster`). A change of the parameters, the release
    or the siblings goes to one after another, the next when that is ready again; one that does not become ready goes
    back to what it had, and the change ends there. More are added one by one; of fewer, the highest leave one by one.
    """

    name: str
    product: str
    count: int
    type: str = "default"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    returns: tuple[str, ...] = ()
    """What must be in the publication of each before `Context.returned` gives them."""
    release: str = ""
    """Version. When empty: of its own product, the one of this instance; of another, the newest that can be had at
    first, and that one from then on."""
    constraints: Mapping[str, Any] = field(default_factory=dict)
    ready: bool = False
    """What each publishes is given only when it is ready, as in `Request`."""
    shares: tuple[str, ...] = ()
    """What of its publication each is told of the others."""
    most_down: int = 1
    """So many of them at most are not ready because they are changed."""
    ready_within: float = 300.0
    """Seconds that one may take to be ready with a change; then it goes back."""
    leave_within: float = 60.0
    """Seconds that one that is too many may take for `Plan.leave`; then it goes all the same."""
    size: Size = UNNAMED
    """What each may use; what is not named is as their type says. A change goes to one after another."""

    def __post_init__(self) -> None:
        must_be(str, "Cluster: name", self.name)
        subject = f"Cluster '{self.name}':"
        must_be(int, f"{subject} count", self.count)
        must_be_from(0, MOST_REQUESTS, f"{subject} count", self.count)
        # What holds of each holds of a request.
        Request(f"{self.name}-{self.count}", self.product, self.type, self.parameters, self.returns, self.release,
                self.constraints, ready=self.ready, size=self.size)  # fmt: skip
        must_be((tuple, list), f"{subject} shares", self.shares)
        must_hold(str, f"{subject} shares", self.shares)
        must_be(int, f"{subject} most_down", self.most_down)
        must_be_from(1, MOST_REQUESTS, f"{subject} most_down", self.most_down)
        for name in ("ready_within", "leave_within"):
            must_be((int, float), f"{subject} {name}", getattr(self, name))
        must_be_from(0.1, LONGEST_CHANGE, f"{subject} ready_within", self.ready_within, "seconds")
        must_be_from(0, LONGEST_CHANGE, f"{subject} leave_within", self.leave_within, "seconds")

    @property
    def titles(self) -> tuple[str, ...]:
        """What its members are called."""
        return tuple(f"{self.name}-{ordinal}" for ordinal in range(self.count))

    def spec(self) -> dict[str, Any]:
        """Return each of them as the public API takes a request."""
        spec: dict[str, Any] = {"product": self.product, "type": self.type}
        spec |= {"parameters": dict(self.parameters), "constraints": dict(self.constraints)}
        return spec | _optional(self.release, self.size)


@dataclass(frozen=True)
class Refusal:
    """A host's answer to a shared instance that it cannot serve; its requester reads the message."""

    message: str

    def __post_init__(self) -> None:
        must_be(str, "Refusal: message", self.message)


def _range(declared: int | str) -> range:
    """Return the ports of a declaration; none when it is none."""
    match = _PORT.fullmatch(str(declared))
    if match is None:
        return range(0)
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if 0 < first <= last < 65536 else range(0)


def _optional(release: str, size: Size) -> dict[str, Any]:
    """Return what a request says only if it is said."""
    sized = {} if size == UNNAMED else {"size": msgspec.to_builtins(size)}
    return ({"release": release} if release else {}) | sized


def _check_target(declared: str) -> None:
    try:
        target(declared)
    except ValueError as error:
        subject = "Network: connect must hold addresses like '192.0.2.0/24:443'"
        raise TypeError(f"{subject}, not {declared!r}: {error}") from None


def template(path: Path, /, **values: object) -> str:
    """Return a Jinja template rendered with values; a name that has no value is an error.

    Jinja is what most authors know from SlapOS, Ansible and Salt.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        text: str = environment.get_template(path.name).render(**values)
    except jinja2.TemplateSyntaxError as error:
        raise ReleaseError(f"{error.filename or path}, line {error.lineno}: {error.message}") from None
    except jinja2.TemplateNotFound as error:
        raise ReleaseError(f"{path}: there is no template {error.name}.") from None
    except jinja2.TemplateError as error:
        raise ReleaseError(f"{path}, line {_line(error, path)}: {error.message}") from None
    return text


def _line(error: BaseException, path: Path) -> int:
    """Return the line of a template in which rendering failed; Jinja rewrites the traceback to say so."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
