"""Files and folders are as they should be."""

import contextlib
import json
import os
import re
import stat
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal

from freehold.promises.base import Assessment, age


@dataclass(frozen=True)
class FileState:
    """A file is there or not, is empty or not, and was changed within so many seconds."""

    path: str
    state: Literal["present", "absent", "empty", "not-empty"] = "present"
    newer_than: float = 0.0
    """Seconds; 0: of any age."""
    period: float = 120.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return Assessment(self.state == "absent", f"{self.path} is absent")
        except OSError as error:
            return Assessment(False, f"{self.path} cannot be looked at: {error}")
        size, old = status.st_size, age(status.st_mtime, time.time())
        is_so = {"present": True, "absent": False, "empty": size == 0, "not-empty": size > 0}[self.state]
        if old is None:
            return Assessment(is_so and not self.newer_than, f"{self.path} has {size} bytes and {_AHEAD}")
        is_young = not self.newer_than or old <= self.newer_than
        return Assessment(is_so and is_young, f"{self.path} has {size} bytes and was changed {old:.0f} s ago")


@dataclass(frozen=True)
class BackupAge:
    """The newest file of a folder that fits a pattern is young enough and not empty."""

    folder: str
    pattern: str = "*"
    hours: float = 26.0
    period: float = 3600.0
    timeout: float = 30.0

    def check(self) -> Assessment:
        statuses, now = [], time.time()
        for path in Path(self.folder).glob(self.pattern):
            # One that goes away between being listed and looked at is not counted.
            with contextlib.suppress(OSError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    statuses.append(status)
        if not statuses:
            return Assessment(False, f"There is no {self.pattern} in {self.folder}")
        # Of those that are of a time to come nobody knows how old they are.
        known = [status for status in statuses if age(status.st_mtime, now) is not None]
        if not known:
            return Assessment(False, f"The last backup {_AHEAD}")
        newest = max(known, key=lambda entry: entry.st_mtime)
        hours = (age(newest.st_mtime, now) or 0.0) / 3600
        words = f"The last backup is {hours:.1f} hours old, {newest.st_size} bytes"
        if len(known) < len(statuses):
            words += f"; {len(statuses) - len(known)} others {_AHEAD}"
        return Assessment(hours <= self.hours and newest.st_size > 0, words)


@dataclass(frozen=True)
class RestoreTested:
    """A backup was restored for trial within so many days, and that went well.

    Whoever tries writes a JSON object: `ended` (seconds since 1970) and `status` (0: well), as a `Job` of a plan does.
    """

    path: str
    days: float = 8.0
    period: float = 3600.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            noted = json.loads(Path(self.path).read_text())
            old, status = age(float(noted["ended"]), time.time()), int(noted["status"])
        except (OSError, ValueError, KeyError, TypeError):
            return Assessment(False, "No backup was restored for trial yet.")
        if old is None:
            return Assessment(False, f"The last trial of a restore {_AHEAD}")
        words = f"The last trial of a restore, {old / 86400:.1f} days ago, ended with status {status}"
        return Assessment(status == 0 and old / 86400 <= self.days, words)


@dataclass(frozen=True)
class QueueDepth:
    """At most so many files wait in a folder, none for longer than so many seconds."""

    folder: str
    most: int
    longest: float = 0.0
    """Seconds; 0: any time."""
    period: float = 60.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            with os.scandir(self.folder) as entries:
                moments = [moment for entry in entries if (moment := _since(entry)) is not None]
        except OSError as error:
            return Assessment(False, f"{self.folder} cannot be looked at: {error}")
        now = time.time()
        oldest = max((now - moment for moment in moments), default=0.0)
        ahead = sum(age(moment, now) is None for moment in moments)
        in_time = not self.longest or (oldest <= self.longest and not ahead)
        words = f"{len(moments)} wait, the oldest for {max(0.0, oldest):.0f} s"
        words += f"; {ahead} {_AHEAD}" if ahead else ""
        return Assessment(len(moments) <= self.most and in_time, words)


def _since(entry: "os.DirEntry[str]") -> float | None:
    """Return since when a file waits; None for what is none, or is gone meanwhile."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


@dataclass(frozen=True)
class LogErrors:
    """At most so many lines of what was written to a log lately hold one of some texts.

    Lately: within so many minutes, by the time with which a line begins, or one before it; of a log whose lines have
    none, since this promise first looked, as far as it is not older.
    """

    path: str
    texts: tuple[str, ...] = ("ERROR", "CRITICAL", "FATAL", "panic")
    most: int = 0
    minutes: float = 60.0
    period: float = 300.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                known = _Seen.of(self.path, status, self.minutes * 60)
                file.seek(max(known, status.st_size - _MOST_OF_LOG))
                text = file.read(_MOST_OF_LOG).decode(errors="replace")
        except OSError as error:
            return Assessment(isinstance(error, FileNotFoundError), f"{self.path} cannot be read: {error.strerror}")
        written = age(status.st_mtime, time.time())
        if written is not None and written > self.minutes * 60:
            return Assessment(True, f"{self.path} was not written to for {self.minutes:g} minutes")
        matching = [line for line in self._lately(text.splitlines()) if any(text in line for text in self.texts)]
        last = f", the last: {matching[-1][:300]}" if matching else ""
        return Assessment(
            len(matching) <= self.most, f"{len(matching)} lines of {os.path.basename(self.path)} tell of errors{last}"
        )

    def _lately(self, lines: list[str]) -> list[str]:
        """Return the lines that are young enough; one without a time is of the time of those before it."""
        now, is_young, times = time.time(), True, []
        for line in lines:
            moment = _moment_of(line)
            if moment is not None:
                is_young = now - moment <= self.minutes * 60
            if is_young:
                times.append(line)
        return times


_MOST_OF_LOG = 256 * 1024
_AHEAD = "has a time that is to come: the clock was wrong, or is"
_TIME = re.compile(r"[\[(<]?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?\s?(Z|UTC|[+-]\d\d:?\d\d)?")


def _moment_of(line: str) -> float | None:
    """Return when a line was written, if it begins with a time of ISO 8601; without a zone it is this machine's."""
    match = _TIME.match(line.lstrip())
    if match is None:
        return None
    zone = {"Z": "+00:00", "UTC": "+00:00", None: ""}.get(match[3], match[3] or "")
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").timestamp()
    return None


class _Seen:
    """Where in a log this worker began to look, and how far it was at moments since: the rest is old."""

    _by_log: ClassVar[dict[str, tuple[int, list[tuple[float, int]]]]] = {}

    @classmethod
    def of(cls, path: str, status: os.stat_result, seconds: float) -> int:
        """Return the place in a log before which all was written longer ago than so many seconds, if known."""
        now = time.monotonic()
        inode, marks = cls._by_log.get(path, (status.st_ino, []))
        if inode != status.st_ino or (marks and marks[-1][1] > status.st_size):
            # It began anew: all of it is young.
            marks = [(now, 0)]
        marks = [*marks, (now, status.st_size)]
        old = [place for moment, place in marks if now - moment > seconds]
        # Of several in a second the last is enough.
        following = [*marks[1:], None]
        starts = [mark for mark, then in zip(marks, following, strict=True) if then is None or then[0] - mark[0] >= 1]
        cls._by_log[path] = (status.st_ino, [mark for mark in starts if now - mark[0] <= 2 * seconds][-200:])
        return max(old, default=0)
