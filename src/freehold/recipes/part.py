"""What the recipes share: options that must be there, files written in the partition."""

import os
import re
import shlex
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

Options = MutableMapping[str, str]


_ESCAPED = re.compile(r"\$+(?=\{)")


def _unescape(dollars: "re.Match[str]") -> str:
    # Buildout leaves `$${` alone, and as it is.
    return "$" * ((len(dollars[0]) + 1) // 2)


class Part:
    """A part of a profile. Buildout calls `install` when it is new or changed, `update` otherwise."""

    required: tuple[str, ...] = ()

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        # Read here, all of them: buildout installs a part again when a value that was read so differs.
        self.options = {option: _ESCAPED.sub(_unescape, options[option]) for option in options}
        self.name = name
        self.partition = Path(buildout["buildout"]["directory"])
        missing = [option for option in self.required if not self.options.get(option)]
        if missing:
            raise self.mistake(f"{options['recipe']} needs the option '{missing[0]}'.")

    def update(self) -> list[str]:
        return self.install()

    def install(self) -> list[str]:
        """Write what the part is; return the paths, which buildout removes with the part."""
        raise NotImplementedError

    def mistake(self, words: str) -> Exception:
        """Return the exception whose message buildout prints without a traceback."""
        from zc.buildout import UserError

        error: Exception = UserError(f"[{self.name}] {words}")
        return error

    def title(self) -> str:
        """Return the name under which the part stands in its folder."""
        name = self.options.get("name", self.name)
        if not name or "/" in name or name.startswith("."):
            raise self.mistake(f"'{name}' cannot be a name.")
        return name

    def inside(self, path: str) -> Path:
        """Return a path of the partition."""
        full = Path(os.path.normpath(self.partition / path))
        if full == self.partition or not full.is_relative_to(self.partition):
            raise self.mistake(f"'{path}' is not inside the partition.")
        return full

    def words(self, option: str) -> list[str]:
        """Return the shell words of an option."""
        try:
            return shlex.split(self.options[option])
        except ValueError as error:
            raise self.mistake(f"{option}: {error}.") from None

    def assignments(self, option: str) -> Iterator[tuple[str, str]]:
        """Return what the lines NAME=VALUE of an option say."""
        for line in self.options.get(option, "").splitlines():
            variable, equals, value = line.strip().partition("=")
            variable = variable.strip()
            if equals and not variable.isidentifier():
                raise self.mistake(f"'{variable}' cannot be the name of a variable.")
            if equals:
                yield variable, value.strip()

    def beside_profile(self, path: str) -> Path:
        """Return a file of the release: a node builds beside its folder, an author within it."""
        release = self.partition / "release"
        return (release if (release / "software.cfg").exists() else self.partition) / path

    def write(self, path: Path, text: str, mode: int) -> str:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        os.replace(temporary, path)
        return str(path)
