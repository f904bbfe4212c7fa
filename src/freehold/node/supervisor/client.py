"""How the agent orders a supervisor about."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.node.errors import SupervisorError
from freehold.node.isolation.sandbox import NONE
from freehold.node.supervisor import children

if TYPE_CHECKING:
    from freehold.node.isolation.sandbox import SandboxSpec

ANSWER_TIMEOUT = 10.0
START_TIMEOUT = 20.0


@dataclass(frozen=True)
class Process:
    """A process to keep running (or, with `once`, to run to its end)."""

    name: str
    argv: list[str]
    cwd: str
    log: str
    digest: str
    """When it differs from that of the running process, the process is restarted."""
    environment: dict[str, str] = field(default_factory=dict)
    """Complete: nothing is inherited."""
    uid: int | None = None
    gid: int | None = None
    once: bool = False
    stop_timeout: float = 10.0
    """Seconds between asking it to end and killing it."""
    stop_signal: str = "TERM"
    """What asks it to end: a signal's name, without `SIG`."""
    settle: float = 1.0
    """Seconds that it lives before it counts as started, unless it ended well before."""
    after: list[str] = field(default_factory=list)
    """Processes of the group that are asked to end only when this one has ended."""
    awaits: list[str] = field(default_factory=list)
    """Those of the group that run once, and must have ended well before one that runs is ended for this one."""
    reload_signal: str = "HUP"
    reload_digest: str = ""
    """When it alone differs from that of the running process, the process gets the signal."""
    groups: list[str] = field(default_factory=list)
    """Files of the control groups it starts in."""
    track: str = ""
    """Below this control group it gets one of its own, by which it is known; empty where there are none."""
    limits: dict[str, int] = field(default_factory=dict)
    """Resource limits by the names of the module `resource`, for what no control group limits."""
    sandbox: "SandboxSpec" = field(default_factory=lambda: NONE)


@dataclass(frozen=True)
class ProcessStatus:
    """What a process does now: running, stopping, waiting (for its next start) or done."""

    name: str
    pid: int
    state: str
    digest: str
    uptime: float
    restarts: int
    exit: int | None


@dataclass(frozen=True)
class SupervisorEvent:
    """A process lives, or ran to its end as it should; or, not `well`, it died and is started again."""

    group: str
    name: str
    well: bool
    deaths: int
    """In a row."""
    exit: int | None
    version: str = ""
    """Of its configuration, as `Supervisor.apply` names it."""
    since: float = 0.0
    """When the one that lives was started, or found (monotonic); 0: none lives."""
    lived: float = 0.0
    """Seconds between the start and the end of the one that died last."""


@dataclass(frozen=True)
class GroupStatus:
    """A partition's processes, and the processor time of those that ended."""

    dead_cpu_ms: int
    processes: list[ProcessStatus]


def _event(fields_: dict[str, Any]) -> SupervisorEvent:
    """Read what a supervisor told; one of a later version may say more."""
    return SupervisorEvent(**{name: value for name, value in fields_.items() if name in _EVENT})


_EVENT = {field.name for field in fields(SupervisorEvent)}


class Supervisor:
    """The supervisor of a folder. Every order opens its own connection: safe from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._child: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Start a supervisor, in its own session, unless one answers; raise SupervisorError if it cannot."""
        if self._answers():
            return
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._child is not None:
            self._child.poll()
        with (self.root / "supervisor.log").open("ab") as log:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(__file__).with_name("__main__.py")),
                    "--root",
                    str(self.root),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if time.monotonic() > deadline:
                raise SupervisorError(f"The supervisor does not start; see {self.root / 'supervisor.log'}.")
            time.sleep(0.02)

    def apply(
        self,
        group: str,
        processes: list[Process],
        *,
        until: float | None = None,
        patient: bool = False,
        on_event: Callable[[SupervisorEvent], None] | None = None,
    ) -> dict[str, str]:
        """Make a group consist of these processes; only what differs is started, restarted or ended.

        Return by name the version of each, which events name: another one whenever it is to run otherwise.

        `patient`: what runs goes on as it is, whatever these say; what does not run is started.
        `until`: the group is lent until that moment (seconds since the boot, as `CLOCK_BOOTTIME` counts), unless `lend`
        prolongs it; then it ends, whether or not anybody orders that.
        `on_event`: called with what was told already of each of these processes.
        """
        specs = [asdict(process) for process in processes]
        order = {"verb": "apply", "group": group, "processes": specs, "until": until, "patient": patient}
        answer = self._order(order)
        for event in answer.get("told", ()):
            if on_event is not None:
                on_event(_event(event))
        # One that an earlier version started names none.
        versions: dict[str, str] = answer.get("versions", dict.fromkeys((process.name for process in processes), ""))
        return versions

    def lend(self, groups: dict[str, float | None]) -> None:
        """Say until when groups are lent; None: for ever."""
        self._order({"verb": "lend", "groups": groups})

    def stop(self, group: str, timeout: float = 60.0, *, then_kill: bool = False) -> None:
        """End every process of a group; return when nothing of it lives.

        `then_kill`: what lives after `timeout` seconds is killed, whatever it asked for; else that is a
        SupervisorError.
        """
        if then_kill:
            self._order({"verb": "stop", "group": group, "within": timeout}, timeout + ANSWER_TIMEOUT)
        else:
            self._order({"verb": "stop", "group": group}, timeout)

    def restart(self, group: str, name: str) -> None:
        self._order({"verb": "restart", "group": group, "name": name})

    def status(self) -> dict[str, GroupStatus]:
        """Return every group by name."""
        groups = self._order({"verb": "status"})["groups"]
        return {
            name: GroupStatus(group["dead_cpu_ms"], [ProcessStatus(**process) for process in group["processes"]])
            for name, group in groups.items()
        }

    def pid(self) -> int:
        return int(self._order({"verb": "status"})["pid"])

    def shutdown(self, timeout: float = 120.0) -> None:
        """End every process and the supervisor itself; also what a killed supervisor left running."""
        try:
            with self._connect() as sock:
                sock.settimeout(timeout)
                sock.sendall(b'{"verb": "shutdown"}\n')
                while sock.recv(65536):
                    pass
        except TimeoutError:
            raise SupervisorError(f"The supervisor in {self.root} does not end.") from None
        except (ConnectionError, FileNotFoundError):
            # There is none, or it is killed at this moment.
            pass
        if children.running(os.path.realpath(self.root)):
            self.ensure()
            self.shutdown(timeout)
        if self._child is not None:
            self._child.wait()

    def watch(self, on_event: Callable[[SupervisorEvent], None]) -> None:
        """Hand on what the supervisor tells; return when it ends, or when there is none."""
        try:
            with self._connect() as sock, sock.makefile("rb") as lines:
                sock.settimeout(None)
                sock.sendall(b'{"verb": "watch"}\n')
                for line in lines:
                    if event := json.loads(line).get("event"):
                        on_event(_event(event))
        except OSError:
            return

    def _answers(self) -> bool:
        try:
            self._order({"verb": "status"})
        except SupervisorError:
            return False
        return True

    def _order(self, order: dict[str, Any], timeout: float = ANSWER_TIMEOUT) -> dict[str, Any]:
        try:
            with self._connect() as sock, sock.makefile("rb") as answers:
                sock.settimeout(timeout)
                sock.sendall(json.dumps(order).encode() + b"\n")
                line = answers.readline()
        except OSError as error:
            raise SupervisorError(f"The supervisor in {self.root} does not answer: {error}") from None
        if not line:
            raise SupervisorError(f"The supervisor in {self.root} ended during an order.")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise SupervisorError(f"The supervisor refused: {answer['error']}")
        return answer

    def _connect(self) -> socket.socket:
        # The folder is opened and named through /proc: a long path does not fit into a socket's address.
        folder = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(ANSWER_TIMEOUT)
            sock.connect(f"/proc/self/fd/{folder}/supervisor.sock")
        except BaseException:
            sock.close()
            raise
        finally:
            os.close(folder)
        return sock
