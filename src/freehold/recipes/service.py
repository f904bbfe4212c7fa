"""`freehold:service`: a program to keep running.

Options: `command-line` (shell words), `name` (default: the part's), `once = true` to run it once at each
configuration, `environment` (lines NAME=VALUE), `reads` (files whose change means a restart), `after` (names of
services that are ended only when this one has ended), `stop-timeout` (seconds that it may take to end),
`stop-signal` (what tells it to end, such as INT; TERM by default).
"""

import hashlib
import json
import shlex
from pathlib import Path

from freehold.recipes.file import awaited
from freehold.recipes.part import RecipePart
from freehold.release.parts import LONGEST_STOP, MOST_AFTER, STOP_SIGNALS


class Service(RecipePart):
    required = ("command-line",)
    optional = ("after", "environment", "name", "once", "reads", "stop-signal", "stop-timeout")

    def awaits(self) -> bool:
        return super().awaits() or not awaited.isdisjoint(map(Path, self.options.get("reads", "").split()))

    def make(self) -> list[str]:
        folder = "run" if self.is_true("once") else "service"
        lines = ["#!/bin/sh"]
        if options := self.supervised():
            lines.append(f"# supervised: {json.dumps(options)}")
        for path in self.options.get("reads", "").split():
            try:
                lines.append(f"# reads {hashlib.sha256(Path(path).read_bytes()).hexdigest()}")
            except OSError as error:
                raise self.mistake(f"reads: {path} cannot be read: {error.strerror}.") from None
        for variable, value in self.assignments("environment"):
            lines.append(f"export {variable}={shlex.quote(value)}")
        command = self.words("command-line")
        if not command or not command[0]:
            raise self.mistake("command-line: it names no program.")
        lines.append("exec " + shlex.join(command))
        return [self.write(self.partition / "etc" / folder / self.title(), "\n".join(lines) + "\n", 0o700)]

    def supervised(self) -> dict[str, object]:
        """Return how it is to be supervised, as its executable says it to the node."""
        options: dict[str, object] = {}
        if after := self.options.get("after", "").split():
            if len(after) > MOST_AFTER:
                raise self.mistake(f"after: {len(after)} names; at most {MOST_AFTER} are possible.")
            options["after"] = after
        if "stop-timeout" in self.options:
            options["stop_timeout"] = self.number("stop-timeout", 0, LONGEST_STOP, "seconds")
        if "stop-signal" in self.options:
            signal = self.options["stop-signal"]
            if signal not in STOP_SIGNALS:
                raise self.mistake(f"stop-signal: '{signal}' is none of {', '.join(STOP_SIGNALS)}.")
            options["stop_signal"] = signal
        return options
