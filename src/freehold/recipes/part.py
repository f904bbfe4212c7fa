"""What the recipes share: options that must be there, files written in the partition."""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

Options = MutableMapping[str, str]


class Part:
    """A part of a profile. Buildout calls `install` when it is new or changed, `update` otherwise."""

    required: tuple[str, ...] = ()

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        missing = [option for option in self.required if not options.get(option)]
        if missing:
            # Buildout prints the message of this exception without a traceback.
            from zc.buildout import UserError

            raise UserError(f"[{name}] {options['recipe']} needs the option '{missing[0]}'.")
        self.name = name
        self.options = options
        self.partition = Path(buildout["buildout"]["directory"])

    def update(self) -> list[str]:
        return self.install()

    def install(self) -> list[str]:
        """Write what the part is; return the paths, which buildout removes with the part."""
        raise NotImplementedError

    def write(self, path: Path, text: str, mode: int) -> str:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        os.replace(temporary, path)
        return str(path)
