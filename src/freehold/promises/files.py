"""Files and folders are as they should be."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from freehold.promises.base import Assessment


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
            found = os.stat(self.path)
        except FileNotFoundError:
            return Assessment(self.state == "absent", f"{self.path} is absent")
        except OSError as error:
            return Assessment(False, f"{self.path} cannot be looked at: {error}")
        size, age = found.st_size, time.time() - found.st_mtime
        is_so = {"present": True, "absent": False, "empty": size == 0, "not-empty": size > 0}[self.state]
        is_young = not self.newer_than or age <= self.newer_than
        return Assessment(is_so and is_young, f"{self.path} has {size} bytes and was changed {age:.0f} s ago")


@dataclass(frozen=True)
class BackupAge:
    """The newest file of a folder that fits a pattern is young enough and not empty."""

    folder: str
    pattern: str = "*"
    hours: float = 26.0
    period: float = 3600.0
    timeout: float = 30.0

    def check(self) -> Assessment:
        found = [path.stat() for path in Path(self.folder).glob(self.pattern) if path.is_file()]
        if not found:
            return Assessment(False, f"There is no {self.pattern} in {self.folder}")
        newest = max(found, key=lambda one: one.st_mtime)
        age = (time.time() - newest.st_mtime) / 3600
        return Assessment(
            age <= self.hours and newest.st_size > 0, f"The last backup is {age:.1f} hours old, {newest.st_size} bytes"
        )


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
            age, status = (time.time() - float(noted["ended"])) / 86400, int(noted["status"])
        except (OSError, ValueError, KeyError, TypeError):
            return Assessment(False, "No backup was restored for trial yet.")
        words = f"The last trial of a restore, {age:.1f} days ago, ended with status {status}"
        return Assessment(status == 0 and age <= self.days, words)


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
                ages = [time.time() - one.stat(follow_symlinks=False).st_mtime for one in entries if one.is_file()]
        except OSError as error:
            return Assessment(False, f"{self.folder} cannot be looked at: {error}")
        oldest = max(ages, default=0.0)
        in_time = not self.longest or oldest <= self.longest
        return Assessment(len(ages) <= self.most and in_time, f"{len(ages)} wait, the oldest for {oldest:.0f} s")


@dataclass(frozen=True)
class LogErrors:
    """At most so many lines of the end of a log hold one of some texts."""

    path: str
    texts: tuple[str, ...] = ("ERROR", "CRITICAL", "FATAL", "panic")
    most: int = 0
    minutes: float = 60.0
    """Only of a log that was written to within so many minutes."""
    period: float = 300.0
    timeout: float = 10.0

    def check(self) -> Assessment:
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno())
                file.seek(max(0, size.st_size - 256 * 1024))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError as error:
            return Assessment(isinstance(error, FileNotFoundError), f"{self.path} cannot be read: {error.strerror}")
        if time.time() - size.st_mtime > self.minutes * 60:
            return Assessment(True, f"{self.path} was not written to for {self.minutes:g} minutes")
        found = [line for line in lines if any(text in line for text in self.texts)]
        last = f", the last: {found[-1][:300]}" if found else ""
        return Assessment(
            len(found) <= self.most, f"{len(found)} lines of {os.path.basename(self.path)} tell of errors{last}"
        )
