"""What stands between strangers and this Master: each protection is tried, none is assumed.

Doors are tried from without, over TLS, at the Master that serves this folder; where none does, at a trial server of
the same code and configuration on a port of the loopback.
"""

import contextlib
import fcntl
import os
import secrets
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password

from freehold.exposure import Protection
from freehold.master.catalog.evaluation import engine
from freehold.master.connections import Strangers
from freehold.master.foundation.errors import MasterError, TooManyTries
from freehold.master.people import actions
from freehold.master.people.throttle import throttle

PATIENCE_S = 10.0
"""Seconds for one answer."""
LARGE_HEADER, MANY_CONNECTIONS, MANY_TRIES = 64 * 1024, 1000, 100
"""What no door may take, whatever its own bounds say: bytes of headers, connections of an address, wrong passwords."""
Trial = Callable[["Doors"], str]
"""Returns what it saw; raises Broken with what it saw when the protection does not hold."""


class Broken(Exception):
    """A protection does not hold; the message says what was seen."""


@dataclass(frozen=True)
class Doors:
    """Where a Master answers, and the folder of its keys."""

    root: Path
    host: str
    port: int

    def connect(self, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ssl.SSLSocket:
        """Return a connection of a stranger who would speak TLS up to a version."""
        context = ssl.create_default_context(cafile=str(self.root / "authority" / "authority.pem"))
        # It is known by its key here, whatever name it is reached by.
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = newest
        plain = socket.create_connection((self.host, self.port), PATIENCE_S)
        try:
            return context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise

    def ask(self, path: str, *headers: str, method: str = "GET") -> tuple[int, str]:
        """Return status, and headers in small letters with the body, of what a stranger is answered."""
        lines = (f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers)
        answer = b""
        with self.connect() as connection, contextlib.suppress(ConnectionError):
            connection.sendall("\r\n".join((*lines, "", "")).encode())
            while part := connection.recv(65536):
                answer += part
        head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
        words = head.split(None, 2)
        if len(words) < 2:
            raise Broken(f"{path} was not answered")
        return int(words[1]), f"{head}\r\n\r\n{body}"


def find(root: Path) -> list[Protection]:
    """Try every protection of the Master in a folder, which must be initialised."""
    with _doors(root) as doors:
        return [_tried(doors, *trial) for trial in _TRIALS]


def _tried(doors: Doors, name: str, weight: int, exposes: str, trial: Trial) -> Protection:
    try:
        return Protection(name, True, weight, trial(doors), exposes)
    except Broken as broken:
        return Protection(name, False, weight, str(broken), exposes)
    except (OSError, ValueError, MasterError) as error:
        return Protection(name, False, weight, f"it could not be tried: {error}", exposes)


@contextlib.contextmanager
def _doors(root: Path) -> Iterator[Doors]:
    address = _serving(root)
    if address is not None:
        yield Doors(root, *address)
        return
    with _trial_server(root) as port:
        yield Doors(root, "127.0.0.1", port)


def _serving(root: Path) -> tuple[str, int] | None:
    """Return where the Master that holds the lock of a folder answers; None when there is none."""
    try:
        lock = os.open(root / "master.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        host, _, port = os.read(lock, 1000).decode().strip().rpartition(" ")
        return ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)) if port else None
    finally:
        os.close(lock)
    return None


@contextlib.contextmanager
def _trial_server(root: Path) -> Iterator[int]:
    from freehold.master.server import trial_server

    server = trial_server(root, settings.DATABASE_URL)
    thread = threading.Thread(target=server.run, name="trial", daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE_S
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1] if server.started else 0
    finally:
        server.should_exit = True
        thread.join()


def _tls(doors: Doors) -> str:
    with doors.connect() as connection:
        spoken = connection.version()
    with contextlib.suppress(ssl.SSLError, ConnectionError), doors.connect(ssl.TLSVersion.TLSv1_2):
        raise Broken("TLS 1.2 is spoken with who asks for it")
    return f"{spoken} is spoken, and TLS 1.2 refused"


def _certificates(doors: Doors) -> str:
    for path in ("/node/v1/feed", "/api/v1/me", "/node/v1/cache/builder"):
        status, _ = doors.ask(path)
        if status != 401:
            raise Broken(f"a stranger is answered {status} at {path}")
    return "strangers are answered 401 at the doors for nodes and programs"


def _hsts(doors: Doors) -> str:
    _, answer = doors.ask("/login")
    _, _, value = answer.lower().partition("strict-transport-security: max-age=")
    seconds = int(value.split()[0].rstrip(";")) if value else 0
    if seconds < 180 * 86400:
        raise Broken(f"browsers are told to stay with TLS for {seconds} s")
    return f"browsers are told to stay with TLS for {seconds // 86400} days"


def _cookies(doors: Doors) -> str:
    _, answer = doors.ask("/login")
    cookies = [line.lower() for line in answer.split("\r\n") if line.lower().startswith("set-cookie:")]
    if not cookies:
        raise Broken("the page to log in sets no cookie")
    for cookie in cookies:
        if " __host-" not in cookie or "secure" not in cookie or "httponly" not in cookie or "samesite" not in cookie:
            raise Broken("a cookie of the page to log in can leave this host, or be read by scripts")
    if not (settings.SESSION_COOKIE_NAME.startswith("__Host-") and settings.SESSION_COOKIE_SECURE):
        raise Broken("the configuration lets the cookie of sessions leave this host")
    if not settings.SESSION_COOKIE_HTTPONLY:
        raise Broken("the configuration lets scripts read the cookie of sessions")
    return "cookies are of this host alone, with TLS only, and closed to scripts"


def _pages(doors: Doors) -> str:
    _, answer = doors.ask("/login")
    for wanted in ("default-src 'none'", "frame-ancestors 'none'", "x-content-type-options: nosniff"):
        if wanted not in answer.lower():
            raise Broken(f"the page to log in comes without {wanted}")
    return "pages load only what is this Master's, and stand in nobody's frame"


def _headers(doors: Doors) -> str:
    status, _ = doors.ask("/prices", f"X-Trial: {'a' * LARGE_HEADER}")
    if status != 431:
        raise Broken(f"headers of {LARGE_HEADER // 1024} KiB are answered {status}")
    return f"headers of {LARGE_HEADER // 1024} KiB are refused"


def _bodies(doors: Doors) -> str:
    # Its body never comes: who waits for it is not answered in time.
    status, _ = doors.ask("/api/v1/login", "Content-Length: 4000000", method="POST")
    if status != 401:
        raise Broken(f"a stranger's large body is answered {status}")
    return "a stranger's large body is refused unread"


def _connections(doors: Doors) -> str:
    strangers = Strangers()
    let_in = sum(strangers.enter("trial") for _ in range(MANY_CONNECTIONS))
    if let_in == MANY_CONNECTIONS:
        raise Broken("connections of one address are not counted")
    return f"an address has {let_in} connections at most (tried with the counter, not at the door)"


def _throttling(doors: Doors) -> str:
    account, address = secrets.token_hex(8), f"trial-{secrets.token_hex(8)}"
    for _ in range(MANY_TRIES):
        throttle.failed(account, address)
    try:
        actions.log_in("nobody@trial.invalid", "x", address)
    except TooManyTries:
        return f"after {MANY_TRIES} wrong passwords an address has to wait"
    except MasterError:
        pass
    raise Broken(f"passwords may be tried after {MANY_TRIES} wrong ones")


def _passwords(doors: Doors) -> str:
    kind = make_password(secrets.token_hex(8)).split("$")[0]
    if kind != "argon2":
        raise Broken(f"passwords are kept as {kind}")
    return "passwords are kept as Argon2"


def _schemas(doors: Doors) -> str:
    began = time.monotonic()
    engine("^(a+)+$")("a" * 24 + "!")
    duration = time.monotonic() - began
    if duration > 0.2:
        raise Broken(f"a pattern that lies in wait took {duration:.1f} s for 25 characters")
    return f"a pattern that lies in wait took {1000 * duration:.1f} ms"


def _keys(doors: Doors) -> str:
    names = ("secret.key", "authority/authority.key", "authority/server.key")
    return _closed([doors.root / name for name in names], "keys")


def _files(doors: Doors) -> str:
    if _mode(doors.root) & 0o077 == 0:
        return f"{doors.root} is closed to others"
    return _closed([path for path in doors.root.iterdir() if not path.is_symlink()], "files")


def _closed(paths: list[Path], kind: str) -> str:
    if open_ones := [str(path) for path in paths if _mode(path) & 0o077 or path.stat().st_uid not in (0, os.geteuid())]:
        raise Broken(f"others can get at {', '.join(open_ones)}: chmod go= {' '.join(open_ones)}")
    return f"{kind} are closed to others"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _failures(doors: Doors) -> str:
    status, answer = doors.ask("/no-such-page-" + secrets.token_hex(4))
    if status != 404 or "Traceback" in answer or "URLconf" in answer or "\r\nserver:" in answer.lower():
        raise Broken("what is not there is answered with more than that")
    return "answers tell nothing of what is inside"


_TRIALS: tuple[tuple[str, int, str, Trial], ...] = (
    ("tls", 5, "who is on the way reads and changes what is said", _tls),
    ("certificates", 5, "strangers speak as nodes and people", _certificates),
    ("keys", 5, "other users of this machine issue certificates, and read sessions", _keys),
    ("files", 3, "other users of this machine read what customers ordered", _files),
    ("throttling", 3, "passwords are guessed without limit", _throttling),
    ("passwords", 2, "who gets the database gets the passwords", _passwords),
    ("cookies", 3, "sessions are taken by other hosts and scripts", _cookies),
    ("hsts", 1, "the first request of a browser goes without TLS", _hsts),
    ("pages", 2, "other sites act in a person's name", _pages),
    ("bodies", 3, "strangers fill memory and disk", _bodies),
    ("headers", 2, "strangers fill memory", _headers),
    ("connections", 2, "one address takes all connections", _connections),
    ("schemas", 3, "an order stops the Master", _schemas),
    ("failures", 1, "strangers learn what runs here", _failures),
)
