"""What Landlock refused to whom, from the kernel's audit log: a port that a program may not listen on, a file.

It takes Linux 6.15 and a log that is switched on (`auditctl -e 1`, or `audit=1` for the kernel); the node does not
switch it on, for it is the whole machine's. Elsewhere nothing is known of what is refused so.
"""

import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator

_NETLINK_AUDIT, _LISTENERS = 9, 1
_GET, _ACCESS, _DOMAIN = 1000, 1423, 1424
_HEADER = struct.Struct("=IHHII")
_STATUS = struct.Struct("=II")
_DOMAIN_OF, _OWNER = re.compile(rb" domain=([0-9a-f]+)"), re.compile(rb" uid=([0-9]+)")
_BLOCKERS = re.compile(rb" blockers=([a-z_.,]+)")
_REQUEST = 1


class Refusals:
    """Counts what is refused, from now on; reads what came since the last look, so nothing wakes anybody."""

    def __init__(self) -> None:
        self._owners: dict[bytes, int] = {}
        """The user of each domain, as one process's walls are called there."""
        self._unowned: dict[bytes, Counter[str]] = {}
        self._counts: dict[int, Counter[str]] = {}
        self._socket = _listen()

    def by_user(self) -> dict[int, Counter[str]]:
        """Return how often each user was refused what: bind, reach, file."""
        for kind, words in self._records():
            named = _DOMAIN_OF.search(words)
            domain = named[1] if named else b""
            if kind == _ACCESS and (blockers := _BLOCKERS.search(words)):
                # The first time a domain is refused something, whose it is comes right after.
                self._unowned.setdefault(domain, Counter())[_what(blockers[1])] += 1
            elif kind == _DOMAIN and (owner := _OWNER.search(words)):
                self._owners[domain] = int(owner[1])
            if domain in self._owners and domain in self._unowned:
                self._counts.setdefault(self._owners[domain], Counter()).update(self._unowned.pop(domain))
            if kind == _DOMAIN and b"status=deallocated" in words:
                self._owners.pop(domain, None)
                self._unowned.pop(domain, None)
        return self._counts

    def _records(self) -> Iterator[tuple[int, bytes]]:
        while self._socket is not None:
            try:
                message = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                # There were more than the kernel keeps for us: those are lost.
                continue
            yield _HEADER.unpack_from(message)[1], message[_HEADER.size :]


def is_on() -> bool:
    """Return whether the kernel writes an audit log."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT) as asking:
            asking.settimeout(1)
            asking.send(_HEADER.pack(_HEADER.size, _GET, _REQUEST, 1, 0))
            return bool(_STATUS.unpack_from(asking.recv(4096), _HEADER.size)[1])
    except (OSError, struct.error):
        return False


def _listen() -> socket.socket | None:
    try:
        audit_socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_AUDIT
        )
        audit_socket.bind((0, _LISTENERS))
    except OSError:
        return None
    return audit_socket


def _what(blockers: bytes) -> str:
    return "bind" if b"net.bind" in blockers else "reach" if b"scope." in blockers else "file"
