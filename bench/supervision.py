"""Memory, restart delay and idle CPU of our supervisor beside supervisord, runit and s6, with the same 100 services.

    python bench/supervision.py [SERVICES]        # Debian's packages supervisor, runit, s6

A service is `sleep`. The delay is from `kill -9` until its successor runs; the CPU is of ten seconds without any event.
Memory is what the supervising processes have for themselves (PSS), their services not counted.
"""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from freehold.node.supervisor.client import Process, Supervisor

SERVICES = int(sys.argv[1]) if len(sys.argv) > 1 else 100
KILLS, IDLE = 15, 10.0
TICK = os.sysconf("SC_CLK_TCK")
SLEEP = "/bin/sleep"


def main() -> None:
    print(f"{SERVICES} services")
    found = {}
    for name, way, program in (
        ("ours", ours, "sh"),
        ("supervisord", supervisord, "supervisord"),
        ("runit", runit, "runsvdir"),
        ("s6", s6, "s6-svscan"),
    ):
        if not shutil.which(program):
            print(f"{name:12} is not installed")
            continue
        with tempfile.TemporaryDirectory(prefix="freehold-bench-") as root:
            mark = str(100_000 + len(found))
            with way(Path(root), mark) as keeper:
                found[name] = measured(name, keeper, mark)
    delay = found["ours"][1]
    others = [one[1] for name, one in found.items() if name != "ours"]
    if others:
        print(f"restart: ours {delay:.1f} ms, the quickest other {min(others):.1f} ms (target: at most 10)")
    sys.exit(delay > 10)


def measured(name: str, keeper: int, mark: str) -> tuple[float, float]:
    """Print what a supervisor costs, and return its memory in MB and its median delay in ms."""
    until = time.monotonic() + 60
    while len(living(mark)) < SERVICES and time.monotonic() < until:
        time.sleep(0.1)
    assert len(living(mark)) == SERVICES, f"{name} started {len(living(mark))}"
    # Some hold back what lived for less than a second.
    time.sleep(2)
    delays = []
    for _ in range(KILLS):
        victims = living(mark)
        os.kill(victims[0], signal.SIGKILL)
        began = time.perf_counter()
        while not set(living(mark)) - set(victims):
            if time.perf_counter() - began > 10:
                sys.exit(f"{name} does not restart")
        delays.append((time.perf_counter() - began) * 1000)
        time.sleep(0.3)
    time.sleep(1)
    pids = [keeper, *(pid for pid in descendants(keeper) if pid not in living(mark))]
    before = sum(map(cpu, pids))
    time.sleep(IDLE)
    idle = (sum(map(cpu, pids)) - before) / IDLE * 100
    memory = sum(map(pss, pids))
    print(
        f"{name:12} {memory:6.1f} MB PSS, {sum(map(rss, pids)):6.1f} MB RSS in {len(pids)} processes; restart "
        f"{statistics.median(delays):7.1f} ms median, {max(delays):7.1f} at most; idle {idle:.2f} % of a core"
    )
    return memory, statistics.median(delays)


@contextlib.contextmanager
def ours(root: Path, mark: str) -> Iterator[int]:
    supervisor = Supervisor(root / "run")
    supervisor.ensure()
    supervisor.apply(
        "p0", [Process(f"s{number}", [SLEEP, mark], str(root), f"{root}/log", "1") for number in range(SERVICES)]
    )
    try:
        yield supervisor.pid()
    finally:
        supervisor.shutdown()


@contextlib.contextmanager
def supervisord(root: Path, mark: str) -> Iterator[int]:
    programs = "".join(
        f"[program:s{number}]\ncommand={SLEEP} {mark}\nautorestart=true\nstdout_logfile={root}/log{number}\n"
        for number in range(SERVICES)
    )
    (root / "conf").write_text(f"[supervisord]\nnodaemon=true\nlogfile={root}/log\npidfile={root}/pid\n{programs}")
    with child(["supervisord", "-c", f"{root}/conf"], mark) as pid:
        yield pid


@contextlib.contextmanager
def runit(root: Path, mark: str) -> Iterator[int]:
    scripts(root / "services", mark)
    with child(["runsvdir", str(root / "services")], mark) as pid:
        yield pid


@contextlib.contextmanager
def s6(root: Path, mark: str) -> Iterator[int]:
    scripts(root / "services", mark)
    with child(["s6-svscan", str(root / "services")], mark) as pid:
        yield pid


def scripts(folder: Path, mark: str) -> None:
    for number in range(SERVICES):
        run = folder / f"s{number}" / "run"
        run.parent.mkdir(parents=True)
        run.write_text(f"#!/bin/sh\nexec {SLEEP} {mark}\n")
        run.chmod(0o755)


@contextlib.contextmanager
def child(command: list[str], mark: str) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            ending = [process.pid, *descendants(process.pid)]
            for pid in ending:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    while left := living(mark):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def living(mark: str) -> list[int]:
    """Return the services that run."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                if file.read().split(b"\0")[:2] == [SLEEP.encode(), mark.encode()]:
                    found.append(int(entry))
    return found


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for one in map(int, (thread / "children").read_text().split()):
            found += [one, *descendants(one)]
    return found


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss(pid: int) -> float:
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") / 1024


def rss(pid: int) -> float:
    return _kilobytes(f"/proc/{pid}/status", "VmRSS:") / 1024


def _kilobytes(path: str, name: str) -> int:
    return next(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(name))


if __name__ == "__main__":
    main()
