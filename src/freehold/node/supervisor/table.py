"""What the supervisor knows: processes, their groups, who gives orders; and what of it outlives the supervisor."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any


class Process:
    """A process we keep, or are ending."""

    def __init__(self, group: str, spec: dict[str, Any]) -> None:
        self.group = group
        self.spec = spec
        self.pid = 0
        self.digest = ""
        """With which digest it runs; the one of `spec` is what is wanted."""
        self.descriptor = -1
        self.started = 0.0
        self.quick_deaths = 0
        self.restarts = 0
        self.next_start: float | None = None
        self.reloaded = ""
        """With which digest of what it reads anew it runs."""
        self.postponed = False
        """Another one is wanted in its place, or none, as soon as what that awaits has ended well."""
        self.superfluous = False
        """None."""
        self.ending = False
        """It is to end, as soon as those that come after it have ended."""
        self.kill_at: float | None = None
        """It was told to end and will be killed then."""
        self.held = False
        """It ended to be started again, as soon as none that it comes after is to end."""
        self.leaving = False
        """Not wanted any more: forget it when it has ended."""
        self.done = False
        """Ran to its end, as a `once` process does."""
        self.exit: int | None = None
        self.version = ""
        """Of its configuration: another one whenever it is to run otherwise."""
        self.told: bool | None = None
        """Those who watch were told that it lives, or that it cannot; None: neither yet, of this version."""
        self.lived = 0.0
        """Seconds between the start and the end of the one that died last."""
        self.well_at: float | None = None
        """When it counts as living, if it lives until then."""


class ProcessGroup:
    """The processes of one partition, by name."""

    def __init__(self, dead_cpu_ms: float = 0.0, uid: int | None = None, control: list[str] | None = None) -> None:
        self.processes: dict[str, Process] = {}
        self.dead_cpu_ms = dead_cpu_ms
        """Processor time of those of its processes that ended."""
        self.stopping = False
        """Nothing of it is wanted: forget it when nothing of it runs."""
        self.waiting: list[ClientConnection] = []
        """Who asked to be told when nothing of it runs any more."""
        self.uid = uid
        self.control = control or []
        """Folders of its partition's control groups."""
        self.kill_at: float | None = None
        """What of it lives then (monotonic) is killed, whatever it asked for."""
        self.until: float | None = None
        """It is lent until this moment (seconds since the boot); then it ends, whoever else has ended."""


class ClientConnection:
    """Someone who gives orders."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.buffer = b""
        self.watching = False

    def answer(self, **message: object) -> None:
        try:
            self.socket.setblocking(True)
            self.socket.settimeout(5)
            self.socket.sendall(json.dumps(message).encode() + b"\n")
            self.socket.setblocking(False)
        except OSError:
            pass


def shared(value: Any) -> Any:
    """Return what an order said with equal texts kept once: every process names the same folders of the machine."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, list):
        return [shared(item) for item in value]
    return {key: shared(item) for key, item in value.items()} if isinstance(value, dict) else value


def write(root: str, groups: dict[str, ProcessGroup]) -> None:
    """Keep what is wanted, for a supervisor that comes after us; raise OSError."""
    path = os.path.join(root, "supervisor.json")
    with open(path + ".new", "w") as file:
        # ProcessGroup by group: the text of all of them at once would be memory that is never given back.
        file.write(f'{{"boot": {json.dumps(_boot())}, "groups": {{')
        for number, (name, group) in enumerate(groups.items()):
            content = {
                "dead_cpu_ms": group.dead_cpu_ms,
                "uid": group.uid,
                "control": group.control,
                "until": group.until,
                "processes": [p.spec for p in group.processes.values() if not p.leaving],
                "done": [p.spec["name"] for p in group.processes.values() if p.done],
                "well": [p.spec["name"] for p in group.processes.values() if p.told and p.pid],
            }
            file.write(f"{', ' if number else ''}{json.dumps(name)}: {json.dumps(content)}")
        file.write("}}")
    os.replace(path + ".new", path)


def read(root: str) -> dict[str, Any]:
    """Return the groups that a supervisor before us kept, by name, as `write` wrote them."""
    try:
        with open(os.path.join(root, "supervisor.json")) as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    # Nothing survived a reboot; whoever orders us says anew what is wanted.
    groups: dict[str, Any] = content["groups"] if content["boot"] == _boot() else {}
    return groups


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
