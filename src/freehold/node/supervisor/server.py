"""The supervisor's loop: waits on process ends (pidfd), orders (unix socket) and timers; does nothing else.

What is wanted is kept in a table on disk so
that a supervisor started after us goes on where we ended.

It must stay small, and each of `argparse`, `dataclasses` and `typing` costs it more than a megabyte.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import select
import signal
import socket
import sys
import time

from freehold.failpoints import failpoint
from freehold.node.isolation import group as control
from freehold.node.isolation import sandbox
from freehold.node.supervisor import changes, children, orders, stop_order, table
from freehold.node.supervisor.table import ClientConnection, Process, ProcessGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_PAUSE = 60.0
FIRST_PAUSE = 0.1
PAUSE_WHEN_FULL = 1.0
PAUSE_BEFORE_REST = 0.01
"""Seconds between looks at what a process left behind, and which is being killed."""
PROVEN = 60.0
"""A process that lived so many seconds starts afresh: its next death is its first."""
QUICK = 1.0
"""A process that died once and then lives so many seconds is told of as well again."""
TOO_OFTEN = 2
"""After so many deaths in a row it must live longer for that."""
WELL = 5.0
"""Namely so many seconds."""


class SupervisorServer:
    """A supervisor with its table in `root/supervisor.json` and its socket in `root/supervisor.sock`."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.mark = os.path.realpath(root)
        self.groups: dict[str, ProcessGroup] = {}
        self.poll = select.epoll()
        self.listener = _listen(os.path.join(root, "supervisor.sock"))
        self.poll.register(self.listener.fileno(), select.EPOLLIN)
        self.ends = _ends_of_children()
        self.poll.register(self.ends, select.EPOLLIN)
        self.connections: dict[int, ClientConnection] = {}
        self.by_descriptor: dict[int, Process] = {}
        self.over = False
        self.unsaved = False
        self.versions = itertools.count()

    def run(self) -> None:
        """Adopt what runs already, then serve until told to shut down."""
        self._load()
        while not self.over or any(group.processes for group in self.groups.values()):
            for descriptor, _ in self.poll.poll(self._pause()):
                if descriptor == self.listener.fileno():
                    self._accept()
                elif descriptor == self.ends:
                    os.read(self.ends, 4096)
                elif descriptor in self.connections:
                    orders.read(self, self.connections[descriptor])
                elif descriptor in self.by_descriptor:
                    self._ended(self.by_descriptor[descriptor])
            children.reap_orphans({process.pid for process in self.by_descriptor.values()})
            self._timers(time.monotonic())
            if self.unsaved:
                self.save()

    # Orders

    def apply(
        self, name: str, specs: list[dict[str, Any]], until: float | None = None, *, patient: bool = False
    ) -> None:
        """Make a group consist of these processes: only differences are touched; with patience nothing that runs is.

        What runs goes on until all has ended well that the one in its place awaits.
        """
        group = self.groups.setdefault(name, ProcessGroup())
        group.until = until
        group.stopping, group.kill_at = False, None
        specs = table.shared(specs)
        wanted = {spec["name"]: spec for spec in specs}
        group.uid = next((spec.get("uid") for spec in specs), group.uid)
        group.control = next((children.folders(spec) for spec in specs), group.control)
        unwanted = [process for process in group.processes.values() if process.spec["name"] not in wanted]
        changed = []
        for spec in specs:
            process = group.processes.get(spec["name"])
            if process is None:
                group.processes[spec["name"]] = process = Process(name, spec)
                self._renew(process)
                self._start(process)
                failpoint("process-new")
                continue
            process.spec, process.leaving = spec, False
            process.postponed = process.superfluous = False
            if process.pid and patient:
                continue
            if process.digest != spec["digest"]:
                self._renew(process)
            if process.pid and process.digest != spec["digest"]:
                changed.append(process)
            elif process.pid and process.reloaded != spec.get("reload_digest", ""):
                changes.reload(self, process)
            elif not (process.pid or process.held) and (
                process.digest != spec["digest"] or not (process.done or process.next_start)
            ):
                process.quick_deaths = 0
                self._start(process)
        changes.replace(self, group, changed, [process for process in unwanted if not (patient and process.pid)])
        self._take_turns(name)
        self.save()

    def stop(self, name: str, connection: ClientConnection, within: float | None = None) -> None:
        """End everything of a group; the answer is sent when nothing of it lives.

        What lives after `within` seconds is killed, in no order, and nothing waits for another any more.
        """
        group = self.groups.setdefault(name, ProcessGroup())
        group.stopping = True
        if within is not None:
            until = time.monotonic() + within
            group.kill_at = until if group.kill_at is None else min(group.kill_at, until)
        group.waiting.append(connection)
        for process in list(group.processes.values()):
            self.end(process, leaving=True)
        self._take_turns(name)
        failpoint("group-ending")
        self.save()
        self._answer_if_empty(name)

    def _take_back(self, name: str, group: ProcessGroup) -> None:
        """End a group whose time is over: what it does may be done elsewhere by now."""
        print(f"{name} was lent until now, and nobody prolonged that", file=sys.stderr, flush=True)
        group.stopping = True
        for process in list(group.processes.values()):
            self.end(process, leaving=True)
        self._take_turns(name)
        self.save()
        self._answer_if_empty(name)

    def restart(self, name: str, process_name: str) -> bool:
        """End a process so that it is started again; return whether there is one."""
        process = self.groups.get(name, ProcessGroup()).processes.get(process_name)
        if process is None:
            return False
        process.done, process.quick_deaths = False, 0
        if process.pid:
            self.end(process, leaving=False)
            self._take_turns(name)
        else:
            self._start(process)
        return True

    # Processes

    def _start(self, process: Process) -> None:
        process.next_start, process.done, process.held = None, False, False
        try:
            if not self._is_clear(process):
                process.next_start = time.monotonic() + PAUSE_BEFORE_REST
                return
            process.pid = children.start(process.spec, self.mark, process.group)
            failpoint("process-started")
        except OSError as error:
            # The machine is full: of processes, of memory. It will not be for ever.
            _say(f"{process.group}/{process.spec['name']} cannot be started: {error}")
            process.next_start = time.monotonic() + PAUSE_WHEN_FULL
            return
        process.digest, process.reloaded = process.spec["digest"], process.spec.get("reload_digest", "")
        process.started, process.postponed = time.monotonic(), False
        self._watch_over(process)
        self._follow(process)

    def _renew(self, process: Process) -> None:
        """Know nothing of how a process lives: it is to run otherwise from now on."""
        process.version = f"{os.getpid()}-{next(self.versions)}"
        process.told, process.well_at = None, None

    def _watch_over(self, process: Process) -> None:
        """Have a process that was just started told of as well, once it lived long enough for what was told of it."""
        if process.told is None:
            seconds = process.spec.get("settle", QUICK)
        elif process.spec.get("once"):
            seconds = PROVEN
        else:
            seconds = WELL if process.quick_deaths >= TOO_OFTEN else QUICK
        process.well_at = None if process.told else process.started + seconds

    def _is_clear(self, process: Process) -> bool:
        """Return whether nothing that a former one of this process started lives; what does is being killed."""
        return all(control.end(folder, 0) for folder in children.former_groups(process.spec).values())

    def _follow(self, process: Process) -> None:
        try:
            process.descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            # It ended between being found and being followed.
            self._after_end(process)
            return
        self.by_descriptor[process.descriptor] = process
        self.poll.register(process.descriptor, select.EPOLLIN)

    def end(self, process: Process, *, leaving: bool) -> None:
        """Have a process end as soon as it is its turn."""
        process.leaving = leaving
        process.next_start = None
        if process.pid:
            process.ending, process.well_at = True, None
        elif leaving:
            self._forget(process)

    def _take_turns(self, name: str) -> None:
        """Ask those of a group to end, and start those again, that wait for no other any more."""
        group = self.groups.get(name)
        if group is None:
            return
        for process in stop_order.may_end(group):
            process.kill_at = time.monotonic() + process.spec.get("stop_timeout", 10)
            children.ask_to_end(process.pid, process.descriptor, process.spec.get("stop_signal", "TERM"))
        while ready := stop_order.may_start(group):
            self._start(ready[0])

    def _ended(self, process: Process) -> None:
        self.poll.unregister(process.descriptor)
        del self.by_descriptor[process.descriptor]
        os.close(process.descriptor)
        process.descriptor = -1
        try:
            _, status, used = os.wait4(process.pid, 0)
            process.exit = os.waitstatus_to_exitcode(status)
            self.groups[process.group].dead_cpu_ms += (used.ru_utime + used.ru_stime) * 1000
        except ChildProcessError:
            # Adopted: started by a former supervisor, so its status went to somebody else.
            process.exit = None
        # What it started and left behind in its group must not hold its port.
        children.kill_session(process.pid, signal.SIGKILL)
        for folder in children.former_groups(process.spec).values():
            control.end(folder, 0)
        failpoint("process-ended")
        self._after_end(process)
        self.unsaved = True

    def _after_end(self, process: Process) -> None:
        was_ending, process.ending, process.kill_at, process.well_at = process.ending, False, None, None
        lived = time.monotonic() - process.started
        process.pid = 0
        if process.leaving or process.superfluous:
            self._forget(process)
        elif was_ending:
            process.held = True
        elif process.spec.get("once") and process.exit == 0:
            process.done = True
            if not process.told:
                self._tell(process, well=True)
            changes.go_on(self, self.groups[process.group])
        else:
            process.restarts += 1
            process.lived = lived
            process.quick_deaths = 0 if lived >= PROVEN else process.quick_deaths + 1
            self._tell(process, well=False)
            if process.quick_deaths <= 1 and lived >= QUICK:
                self._start(process)
            else:
                pause = min(FIRST_PAUSE * 2 ** max(0, process.quick_deaths - 1), LONGEST_PAUSE)
                process.next_start = time.monotonic() + pause
        self._take_turns(process.group)

    def _forget(self, process: Process) -> None:
        self.groups[process.group].processes.pop(process.spec["name"], None)
        self._answer_if_empty(process.group)

    def _answer_if_empty(self, name: str) -> None:
        group = self.groups.get(name)
        if group is None or group.processes or not group.stopping:
            return
        children.kill_rest(self.mark, name, group.uid, group.control)
        for connection in group.waiting:
            connection.answer(ok=True, dead_cpu_ms=round(group.dead_cpu_ms))
        # What comes into this partition next starts from nothing.
        del self.groups[name]
        self.unsaved = True

    # Time

    def _pause(self) -> float:
        moments = [
            moment
            for group in self.groups.values()
            for process in group.processes.values()
            for moment in (process.next_start, process.kill_at, process.well_at)
            if moment is not None
        ]
        pauses = [moment - time.monotonic() for moment in moments]
        pauses += [group.kill_at - time.monotonic() for group in self.groups.values() if group.kill_at is not None]
        pauses += [
            group.until - _since_boot()
            for group in self.groups.values()
            if group.until is not None and not group.stopping
        ]
        return max(0.0, min(pauses)) if pauses else -1

    def _timers(self, now: float) -> None:
        for name, group in list(self.groups.items()):
            if group.until is not None and not group.stopping and group.until <= _since_boot():
                self._take_back(name, group)
            if group.kill_at is not None and group.kill_at <= now:
                group.kill_at = now + 1
                self._kill_all(name, group)
            for process in list(group.processes.values()):
                if process.well_at is not None and process.well_at <= now:
                    process.well_at = None
                    self._tell(process, well=True)
                if process.next_start is not None and process.next_start <= now:
                    self._start(process)
                if process.kill_at is not None and process.kill_at <= now:
                    children.kill_session(process.pid, signal.SIGKILL)
                    process.kill_at = now + 1

    def _kill_all(self, name: str, group: ProcessGroup) -> None:
        """Kill what lives of a group that had its time to end, whoever waits for whom."""
        children.kill_rest(self.mark, name, group.uid, group.control)
        for process in list(group.processes.values()):
            if process.pid:
                children.kill_session(process.pid, signal.SIGKILL)
            else:
                self.end(process, leaving=True)

    def _tell(self, process: Process, *, well: bool) -> None:
        """Tell those who watch that a process lives, or that it cannot."""
        process.told = well
        self.unsaved = True
        for connection in list(self.connections.values()):
            if connection.watching:
                connection.answer(ok=True, event=orders.event(process))

    # Connections

    def _accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        self.connections[sock.fileno()] = ClientConnection(sock)
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def drop(self, connection: ClientConnection) -> None:
        """Close a connection whose other end is gone, or says what cannot be an order."""
        self.poll.unregister(connection.socket.fileno())
        del self.connections[connection.socket.fileno()]
        for group in self.groups.values():
            if connection in group.waiting:
                group.waiting.remove(connection)
        connection.socket.close()

    # The table

    def save(self) -> None:
        """Write what is wanted to the table on disk, for the supervisor that is started after this one."""
        try:
            table.write(self.root, self.groups)
            self.unsaved = False
        except OSError as error:
            # A full disk must not end the one who keeps services alive.
            # Nor may saying so, to a log on the same disk.
            _say(f"the table cannot be written: {error}")

    def _load(self) -> None:
        survivors = sorted(children.find(self.mark), key=lambda survivor: (survivor.born, survivor.pid), reverse=True)
        # What a process started in a session of its own has its mark too, but is younger.
        marked = {(survivor.group, survivor.name): survivor for survivor in survivors if survivor.leads}
        # The mark of another partition can be forged; its user cannot.
        for name, saved in table.shared(table.read(self.root)).items():
            group = self.groups[name] = ProcessGroup(saved["dead_cpu_ms"], saved["uid"], saved.get("control"))
            group.until = saved.get("until")
            if group.until is not None and group.until <= _since_boot():
                # What of it lives is a stray, and ends as such.
                for folder in group.control:
                    control.kill(folder)
                continue
            for spec in saved["processes"]:
                # Of a supervisor that knew no walls: the agent orders them as soon as we are there.
                spec["sandbox"] = {**sandbox.NONE, **spec.get("sandbox", {})}
                process = group.processes[spec["name"]] = Process(name, spec)
                self._renew(process)
                survivor = marked.pop((name, spec["name"]), None)
                pid, digest = children.living(spec, survivor)
                if pid:
                    process.pid, process.digest, process.started = pid, digest, time.monotonic()
                    process.reloaded = spec.get("reload_digest", "")
                    # How long it lived already is not known, but whether it was long enough.
                    process.told = True if spec["name"] in saved.get("well", ()) else None
                    self._watch_over(process)
                    self._follow(process)
                elif spec["name"] in saved["done"]:
                    process.done, process.digest, process.told = True, spec["digest"], True
                else:
                    self._start(process)
            running = [process for process in group.processes.values() if process.pid]
            changes.replace(self, group, [each for each in running if each.digest != each.spec["digest"]], [])
            self._end_strays(group)
            self._take_turns(name)
        for stray in marked.values():
            # Started, or on its way out, when the former supervisor ended: nobody wants it.
            children.kill_session(stray.pid, signal.SIGKILL)

    def _end_strays(self, group: ProcessGroup) -> None:
        """End what runs as a process that is not wanted: it was on its way out when the former supervisor ended."""
        groups = {
            children.own_group({**process.spec, "digest": process.digest}) for process in group.processes.values()
        }
        for track in {process.spec["track"] for process in group.processes.values() if process.spec.get("track")}:
            for folder in {f"{track}/{name}" for name in os.listdir(track) if "@" in name} - groups:
                control.end(folder, 0)


def _say(words: str) -> None:
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        # Our log may be on the disk that is full.
        pass


def main(arguments: list[str]) -> int:
    """Run a supervisor in the foreground."""
    if len(arguments) != 2 or arguments[0] != "--root":
        print("usage: freehold-supervisor --root FOLDER  (of its socket and table)", file=sys.stderr)
        return 2
    root = arguments[1]
    os.makedirs(root, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(root, "supervisor.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"A supervisor runs already in {root}.", file=sys.stderr)
        return 1
    children.become_subreaper()
    children.raise_descriptor_limit()
    # Without us nobody ends what was lent, and nobody starts again what was killed in our place.
    children.spare(-900)
    # Signals meant for a terminal or an agent are not for services: `shutdown` is the way to end us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    SupervisorServer(root).run()
    return 0


def _ends_of_children() -> int:
    """Return a descriptor that tells when a child ended: also an orphan that is only to be reaped."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _listen(path: str) -> socket.socket:
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    # A long folder name does not fit into a socket's address (108 bytes); a relative one does.
    here = os.getcwd()
    os.chdir(os.path.dirname(path))
    try:
        listener.bind(os.path.basename(path))
    finally:
        os.chdir(here)
        os.umask(old)
    listener.listen(64)
    return listener


def _since_boot() -> float:
    """Return the seconds since the machine started, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
