"""What runs to its end ended well."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from freehold.promises.base import Assessment, age


@dataclass(frozen=True)
class TaskDone:
    """A task of a plan succeeded, as it is now planned."""

    path: str
    """Where its end is noted: its digest and exit status."""
    digest: str
    log: str
    period: float = 60.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            digest, _, status = Path(self.path).read_text().strip().partition(" ")
        except OSError:
            digest, status = "", ""
        if digest != self.digest:
            return Assessment(False, f"It has not ended yet. {_tail(self.log)}".strip())
        if status != "0":
            return Assessment(False, f"It ended with status {status} and is tried again. {_tail(self.log)}".strip())
        return Assessment(True, "It succeeded.")


@dataclass(frozen=True)
class JobRan:
    """The last run of a job succeeded, and the next one is not overdue."""

    path: str
    """Where its timer notes its runs."""
    log: str
    period_of_job: float
    """Seconds from one run to the next."""
    timeout_of_job: float
    period: float = 60.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            noted = json.loads(Path(self.path).read_text())
        except (OSError, ValueError):
            return Assessment(False, "Its timer does not run yet.")
        last = noted.get("ended") or noted["since"]
        old = age(last, time.time())
        if old is None:
            return Assessment(False, f"It ended last at a time that is to come, {_moment(last)}: the clock was wrong.")
        # One run may be missed while it is made up for.
        if old > 2 * self.period_of_job + self.timeout_of_job:
            return Assessment(False, f"It is overdue: it ended last {_moment(last)}.")
        if "status" not in noted:
            return Assessment(True, f"It has not been due since {_moment(noted['since'])}.")
        if noted["status"] != 0:
            return Assessment(False, f"Its run failed with status {noted['status']}. {_tail(self.log)}".strip())
        return Assessment(True, f"It succeeded {_moment(noted['ended'])}.")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _tail(log: str) -> str:
    """Return the end of a log, for people."""
    try:
        with open(log, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 500))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
