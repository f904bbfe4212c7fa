"""`freehold:file`: a file of the partition.

Options: `output` (path, relative to the partition or absolute inside it), `content`, `mode` (octal, 600).
"""

from pathlib import Path
from typing import Any

from freehold.recipes.part import Options, RecipePart

awaited: set[Path] = set()
"""The files of this run of buildout that are left out for now: what reads them is left out too."""


class File(RecipePart):
    required = ("output", "content")
    optional = ("mode",)

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        super().__init__(buildout, name, options)
        if self.awaits():
            awaited.add(self.inside("output"))

    def make(self) -> list[str]:
        path = self.inside("output")
        text = self.options.get("mode", "600")
        try:
            mode = int(text, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o7777:
            raise self.mistake(f"mode: '{text}' is not octal, from 0 to 7777; write it like 600.")
        return [self.write(path, self.options["content"].strip() + "\n", mode)]
