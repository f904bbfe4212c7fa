"""`freehold:wheel`: Python packages in an environment of their own, each file known by its hash.

Options: `requirements` (default `requirements.txt`; each line with `--hash`), `packages` (what `freehold software
lock` writes that file from), `programs` (commands of the packages to have in `bin/`), `interpreter` (name of one in
`bin/`). Others may use `${PART:python}`. See `docs/authors/recipes.md`.
"""

import difflib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from freehold.escaping import NotText, text_of
from freehold.recipes.locked import REQUIRED, no_wheel
from freehold.recipes.part import Options, RecipePart

STAMP = ".locked"
"""Written last: the digest of the requirements that an environment was made of."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ONLY_THESE = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check")
_AGAIN = "run `freehold software lock` on the release's folder"


class Wheel(RecipePart):
    optional = ("interpreter", "packages", "programs", "requirements")

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        self.folder = Path(buildout["buildout"]["parts-directory"]) / name
        options["python"] = str(self.folder / "bin" / "python")
        super().__init__(buildout, name, options)
        self.bin = Path(buildout["buildout"]["bin-directory"])
        self.offline = buildout["buildout"].get("offline", "false") == "true"
        cache = buildout["buildout"].get("download-cache")
        self.cache: Path | None = self.partition / cache / "wheels" if cache else None
        self.requirements = self.beside_profile(self.options.get("requirements", "requirements.txt"))

    def make(self) -> list[str]:
        text = self._text()
        stamp = hashlib.sha256(f"{sys.version_info[:2]} {text}".encode()).hexdigest()
        if not (self.folder / STAMP).exists() or (self.folder / STAMP).read_text() != stamp:
            self._make(stamp)
        return [str(self.folder), *self._wrappers()]

    def _text(self) -> str:
        name = self.requirements.name
        try:
            text = text_of(self.requirements)
        except FileNotFoundError:
            raise self.mistake(f"requirements: there is no {name} beside software.cfg; {_AGAIN}.") from None
        except NotText as error:
            raise self.mistake(f"requirements: {error}.") from None
        for line in text.splitlines():
            if line.startswith(REQUIRED) and "packages" in self.options:
                requirements, locked = self.options["packages"].split(), line.removeprefix(REQUIRED).split()
                if sorted(requirements) != sorted(locked):
                    raise self.mistake(f"packages: {name} is for {', '.join(locked)}; {_AGAIN}.")
        return text

    def _make(self, stamp: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(exist_ok=True)
        try:
            # The node's own packages stay unseen; pip works on it from outside, so that it need not hold one.
            venv.create(self.folder, with_pip=False, symlinks=True)
            python = str(self.folder / "bin" / "python")
            self._pip("--python", python, "install", "-r", str(self.requirements), *self._source(stamp))
            (self.folder / STAMP).write_text(stamp)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _source(self, stamp: str) -> list[str]:
        """Return pip's options for where the files are: in the cache, downloaded if need be, or in the index."""
        cached = self.cache / stamp if self.cache else None
        if cached is None or not cached.exists():
            if self.offline:
                raise self.mistake("its packages are not in the download cache, and buildout is offline.")
            if cached is None:
                return []
            new = cached.with_name(f".{stamp}.{os.getpid()}")
            try:
                self._pip("download", "-r", str(self.requirements), "--dest", str(new))
                if not cached.exists():
                    new.rename(cached)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return ["--no-index", "--find-links", str(cached)]

    def _pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", *arguments, "--quiet", *_ONLY_THESE]
        done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
        if done.returncode == 0:
            return
        output = done.stderr.strip()
        name = self.requirements.name
        if "DO NOT MATCH THE HASHES" in output:
            match = re.search(r"^\s+(\S+==\S+) from ", output, re.MULTILINE)
            which = match[1] if match else "a package"
            raise self.mistake(
                f"{which}: the index's file is not the one of {name} (its sha256 differs). If you trust the index more"
                f" than the lock, {_AGAIN}."
            )
        if "Hashes are required" in output:
            raise self.mistake(f"requirements: not every line of {name} has a --hash; {_AGAIN}.")
        if words := no_wheel(output):
            raise self.mistake(f"requirements: {words}")
        raise self.mistake(f"pip failed:\n{output}")

    def _wrappers(self) -> list[str]:
        scripts: dict[str, Path] = {}
        for name in self.options.get("programs", "").split():
            if not _NAME.fullmatch(name) or not (self.folder / "bin" / name).is_file():
                known = difflib.get_close_matches(name, os.listdir(self.folder / "bin"), n=3)
                like = f" Did you mean {' or '.join(known)}?" if known else ""
                raise self.mistake(f"programs: no package has a command '{name}'.{like}")
            scripts[name] = self.folder / "bin" / name
        if interpreter := self.options.get("interpreter"):
            if not _NAME.fullmatch(interpreter):
                raise self.mistake(f"interpreter: '{interpreter}' cannot be the name of a program.")
            scripts[interpreter] = self.folder / "bin" / "python"
        # Not links: an interpreter finds its environment by the path it was called by.
        return [
            self.write(self.bin / name, f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n', 0o755)
            for name, program in scripts.items()
        ]
