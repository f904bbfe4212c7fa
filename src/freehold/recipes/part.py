"""What the recipes share: options that must be there, values that are awaited, files written in the partition."""

import difflib
import os
import re
import shlex
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

Options = MutableMapping[str, str]
AWAITED = "<awaited by freehold:request>"
"""Stands for a value that a requested instance did not publish yet; texts made of it hold it too."""
LONGEST_NAME = 200
"""Bytes of the name of a service, task or promise."""
_NAME = re.compile(r"[^./\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r"\$+(?=\{)")


def _unescape(dollars: "re.Match[str]") -> str:
    # Buildout leaves `$${` alone, and as it is.
    return "$" * ((len(dollars[0]) + 1) // 2)


def escaped(text: str) -> str:
    """Return a text in which no dollar begins a reference; parts read it as it was."""
    return re.sub(r"\$+(?=\{)", lambda dollars: dollars[0] * 2, text)


class RecipePart:
    """A part of a profile. Buildout calls `install` when it is new or changed, `update` otherwise."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """What else it knows. Others are the author's own, unless they look like a slip of the pen."""

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        # Read here, all of them: buildout installs a part again when a value that was read so differs.
        self.options = {option: _ESCAPED.sub(_unescape, options[option]) for option in options}
        self.name = name
        self.partition = Path(buildout["buildout"]["directory"])
        missing = [option for option in self.required if not self.options.get(option)]
        if missing:
            raise self.mistake(f"{self.slip()}{options['recipe']} needs the option '{missing[0]}'.")
        if slip := self.slip():
            raise self.mistake(slip)

    def update(self) -> list[str]:
        return self.install()

    def install(self) -> list[str]:
        """Write what the part is, unless a value of it is awaited; return the paths, which buildout removes with it."""
        return [] if self.awaits() else self.make()

    def awaits(self) -> bool:
        """Return whether the part is left out for now."""
        return any(AWAITED in value for value in self.options.values())

    def make(self) -> list[str]:
        """Write what the part is; return the paths."""
        raise NotImplementedError

    def slip(self) -> str:
        """Return words on an option that looks like one of ours and is not."""
        ours = {"recipe", *self.required, *self.optional}
        for option in sorted(set(self.options) - ours):
            free = sorted(ours - set(self.options))
            if like := difflib.get_close_matches(option, free, n=1, cutoff=0.8):
                return f"{option}: there is no such option; did you mean '{like[0]}'? "
        return ""

    def mistake(self, words: str) -> Exception:
        """Return the exception whose message buildout prints without a traceback."""
        from zc.buildout import UserError

        error: Exception = UserError(f"[{self.name}] {words}")
        return error

    def title(self) -> str:
        """Return the name under which the part stands in its folder."""
        name = self.options.get("name", self.name)
        if not _NAME.fullmatch(name) or len(name.encode()) > LONGEST_NAME:
            raise self.mistake(f"name: '{name}' cannot be one.")
        return name

    def inside(self, option: str) -> Path:
        """Return the path that an option names, which must be one of the partition."""
        full = Path(os.path.normpath(self.partition / self.options[option]))
        if full == self.partition or not full.is_relative_to(self.partition):
            raise self.mistake(f"{option}: '{self.options[option]}' is not inside the partition.")
        return full

    def words(self, option: str) -> list[str]:
        """Return the shell words of an option."""
        try:
            return shlex.split(self.options[option])
        except ValueError as error:
            raise self.mistake(f"{option}: {error}.") from None

    def assignments(self, option: str) -> Iterator[tuple[str, str]]:
        """Return what the lines NAME=VALUE of an option say."""
        for line in filter(None, map(str.strip, self.options.get(option, "").splitlines())):
            variable, equals, value = line.partition("=")
            variable = variable.strip()
            if not equals:
                raise self.mistake(f"{option}: '{line}' gives no value; write it like NAME=VALUE.")
            if not _VARIABLE.fullmatch(variable):
                raise self.mistake(f"{option}: '{variable}' cannot be the name of a variable.")
            yield variable, value.strip()

    def number(self, option: str, least: float, most: float, unit: str) -> float:
        """Return the number that an option says, which must lie within bounds."""
        text = self.options[option]
        try:
            value = float(text)
        except ValueError:
            raise self.mistake(f"{option}: '{text}' is no number of {unit}.") from None
        if not least <= value <= most:
            raise self.mistake(f"{option}: '{text}' is not from {least:g} to {most:g} {unit}.")
        return value

    def is_true(self, option: str) -> bool:
        """Return whether an option, which may be left out, says `true`; it may say `false` besides."""
        text = self.options.get(option, "false")
        if text not in ("true", "false"):
            raise self.mistake(f"{option}: '{text}' is neither true nor false.")
        return text == "true"

    def beside_profile(self, path: str) -> Path:
        """Return a file of the release: a node builds beside its folder, an author within it."""
        release = self.partition / "release"
        return (release if (release / "software.cfg").exists() else self.partition) / path

    def write(self, path: Path, text: str, mode: int) -> str:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            # A path that is not text stays what it is, byte by byte.
            file.write(text.encode(errors="surrogateescape"))
        os.replace(temporary, path)
        return str(path)
