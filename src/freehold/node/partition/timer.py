"""The timer of a partition's jobs: one small process, by the standard library alone, copied into the partition.

    python timer.py FOLDER

`FOLDER/jobs.json` lists `{"name", "every", "daily", "timeout", "run"}`, where another `run` than before has it run at
once; `FOLDER/NAME` is the program of a job and `FOLDER/NAME.json` what is known of its runs. The list may change while
the timer runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOOK = 5.0
"""Seconds between looks at the list, when nothing is due before."""
DAY = 86400
FIRST_RETRY, LONGEST_RETRY = 60.0, 3600.0
"""Seconds after which a run that failed is made up for; twice as many after each further one."""


class Timer:
    """Starts what is due, one run of a job at a time, and notes how each ended."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.jobs: list[dict[str, Any]] = []
        self.version: tuple[int, int] | None = None
        self.running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        """Process and monotonic deadline, by job."""
        self.known: set[str] = set()
        """Jobs that this timer met. What failed under one before it says nothing of how they are now."""

    def turn(self) -> float:
        """Do what is due; return the seconds until the next look."""
        self._read_list()
        for name in list(self.running):
            self._look_at(name)
        now = time.time()
        pause = 0.2 if self.running else LOOK
        for job in self.jobs:
            if job["name"] in self.running:
                continue
            due = due_at(job, self._met(job, now), now)
            if due <= now:
                self._start(job, now)
                pause = 0.2
            pause = min(pause, max(0.05, due - now)) if due > now else pause
        return pause

    def end(self) -> None:
        """End what runs; it is noted as failed."""
        for process, _ in self.running.values():
            _kill(process, signal.SIGTERM)
        for name, (process, _) in list(self.running.items()):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                _kill(process, signal.SIGKILL)
            self._look_at(name)

    def _read_list(self) -> None:
        path = os.path.join(self.folder, "jobs.json")
        status = os.stat(path)
        if (status.st_mtime_ns, status.st_ino) != self.version:
            with open(path) as file:
                self.jobs = json.load(file)
            self.version = status.st_mtime_ns, status.st_ino

    def _start(self, job: dict[str, Any], now: float) -> None:
        name = job["name"]
        with open(os.path.join(self.folder, "..", "..", "var", "log", f"job-{name}.log"), "ab") as log:
            process = subprocess.Popen(
                [os.path.join(self.folder, name)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        self.running[name] = process, time.monotonic() + job["timeout"]
        self._note(name, started=now, run=job.get("run", ""))

    def _look_at(self, name: str) -> None:
        process, deadline = self.running[name]
        if process.poll() is None and time.monotonic() > deadline:
            _kill(process, signal.SIGKILL)
            process.wait()
        if process.returncode is not None:
            del self.running[name]
            failures = 0 if process.returncode == 0 else 1 + self._noted(name).get("failures", 0)
            self._note(name, ended=time.time(), status=process.returncode, failures=failures)

    def _met(self, job: dict[str, Any], now: float) -> dict[str, Any]:
        name = job["name"]
        # One that is new here was not run here, whoever had it run elsewhere.
        noted = self._noted(name) or self._note(name, since=now, run=job.get("run", ""))
        if name in self.known:
            return noted
        self.known.add(name)
        # One that failed, or was ended by whoever ended the timer before this one, is tried at once.
        return self._note(name, status=None, failures=0, again=now) if noted.get("status") else noted

    def _noted(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self.folder, f"{name}.json")) as file:
                noted: dict[str, Any] = json.load(file)
                return noted
        except (OSError, ValueError):
            return {}

    def _note(self, name: str, **news: float | str | None) -> dict[str, Any]:
        path = os.path.join(self.folder, f"{name}.json")
        try:
            with open(path) as file:
                noted = json.load(file)
        except (OSError, ValueError):
            noted = {"since": time.time()}
        noted = {key: value for key, value in {**noted, **news}.items() if value is not None}
        with open(path + ".new", "w") as file:
            json.dump(noted, file)
            file.flush()
            # An empty note after a power cut would have a job wait a whole turn more.
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        return dict(noted)


def due_at(job: dict[str, Any], noted: dict[str, Any], now: float) -> float:
    """Return when a job is to start next, seconds since 1970: the first time after its last start, or after it came.

    Sooner where it failed then, or is to be tried again since `again`; now when somebody had it run since then.
    """
    if job.get("run", "") not in ("", noted.get("run")):
        return now
    # A start in the future was noted by a clock that ran ahead: the next one must not wait until then.
    last = float(min(noted.get("started", noted["since"]), now))
    regular = _regular(job, last)
    if noted.get("again", -1.0) > last:
        return min(regular, float(noted["again"]))
    if noted.get("status"):
        pause = min(LONGEST_RETRY, FIRST_RETRY * (1 << min(int(noted.get("failures", 1)) - 1, 10)))
        return float(min(regular, max(last, min(noted["ended"], now)) + pause))
    return regular


def _regular(job: dict[str, Any], last: float) -> float:
    if job["every"]:
        return float(last + job["every"])
    hours, minutes = job["daily"].split(":")
    moment = last - last % DAY + int(hours) * 3600 + int(minutes) * 60
    return float(moment if moment > last else moment + DAY)


def _kill(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def main() -> None:
    """Run until told to end."""
    timer = Timer(sys.argv[1])

    def end(*_: object) -> None:
        timer.end()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        time.sleep(timer.turn())


if __name__ == "__main__":
    main()
