"""`freehold:service`: a program to keep running.

Options: `command-line` (shell words), `name` (default: the part's), `once = true` to run it once at each
configuration, `environment` (lines NAME=VALUE), `reads` (files whose change means a restart).
"""

import hashlib
import shlex
from pathlib import Path

from freehold.recipes.part import Part


class Service(Part):
    required = ("command-line",)

    def install(self) -> list[str]:
        name = self.options.get("name", self.name)
        folder = "run" if self.options.get("once", "false") == "true" else "service"
        lines = ["#!/bin/sh"]
        for path in self.options.get("reads", "").split():
            lines.append(f"# reads {hashlib.sha256(Path(path).read_bytes()).hexdigest()}")
        for line in self.options.get("environment", "").splitlines():
            variable, equals, value = line.strip().partition("=")
            if equals:
                lines.append(f"export {variable.strip()}={shlex.quote(value.strip())}")
        lines.append("exec " + shlex.join(shlex.split(self.options["command-line"])))
        return [self.write(self.partition / "etc" / folder / name, "\n".join(lines) + "\n", 0o700)]
