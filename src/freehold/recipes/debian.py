"""`freehold:debian`: programs from Debian packages, in the release's own folder.

Options: `packages` (names), `programs` (paths in the packages, each gets a wrapper in `bin/`), `lock` (default
`debian.lock`), `environment` (lines NAME=VALUE for the wrappers). Others may use `${PART:root}`, where `/` of the
packages is. See `docs/authors/recipes.md`.
"""

import difflib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from freehold.recipes import apt, locked, root
from freehold.recipes.part import Options, RecipePart


class Debian(RecipePart):
    required = ("packages",)
    optional = ("environment", "lock", "programs")

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        self.root = Path(buildout["buildout"]["parts-directory"]) / name
        options["root"] = str(self.root)
        super().__init__(buildout, name, options)
        self.bin = Path(buildout["buildout"]["bin-directory"])
        self.offline = buildout["buildout"].get("offline", "false") == "true"
        cache = buildout["buildout"].get("download-cache")
        self.cache: Path | None = self.partition / cache / "debian" if cache else None
        self.packages = self.options["packages"].split()
        self.lock = self.beside_profile(self.options.get("lock", "debian.lock"))

    def make(self) -> list[str]:
        closure = self._closure()
        # A node makes the folder before the build, of packages that it has already.
        if not self._is(self.root, closure):
            self._make(closure)
        return [str(self.root), *self._wrappers()]

    def _closure(self) -> locked.Closure:
        again = "run `freehold software lock` on the release's folder"
        try:
            closures = locked.read(self.lock).get(self.name, {})
        except FileNotFoundError:
            raise self.mistake(f"lock: there is no {self.lock.name} beside software.cfg; {again}.") from None
        except locked.LockError as error:
            raise self.mistake(f"lock: {error} Remove it and {again}.") from None
        if not closures:
            raise self.mistake(f"lock: {self.lock.name} does not know this part; {again}.")
        here = apt.architecture()
        if here not in closures:
            known = ", ".join(sorted(closures))
            raise self.mistake(
                f"lock: {self.lock.name} has packages for {known}, and this machine is {here}; {again}, on such a"
                " machine."
            )
        closure = closures[here]
        if new := sorted(set(self.packages) - set(closure.packages)):
            raise self.mistake(f"packages: {self.lock.name} does not cover {', '.join(new)}; {again}.")
        if old := sorted(set(closure.packages) - set(self.packages)):
            raise self.mistake(f"packages: {self.lock.name} is for {', '.join(old)} too; {again}.")
        return closure

    def _make(self, closure: locked.Closure) -> None:
        new, debs = self.root.with_name(f".{self.name}.new"), self.root.with_name(f".{self.name}.debs")
        try:
            for folder in (new, debs):
                shutil.rmtree(folder, ignore_errors=True)
            debs.mkdir(parents=True)
            root.unpack(self._files(closure, debs), new)
            (new / locked.STAMP).write_text(closure.digest())
            if self.root.exists():
                shutil.rmtree(self.root)
            new.rename(self.root)
        except root.RootError as error:
            raise self.mistake(str(error)) from None
        finally:
            for folder in (new, debs):
                shutil.rmtree(folder, ignore_errors=True)

    def _is(self, folder: Path, closure: locked.Closure) -> bool:
        try:
            return (folder / locked.STAMP).read_text() == closure.digest()
        except OSError:
            return False

    def _files(self, closure: locked.Closure, debs: Path) -> list[Path]:
        """Return the packages' files, each looked at: from the cache, or downloaded."""
        files = {package: self._cached(package) for package in closure.locked}
        absent = [package for package, path in files.items() if path is None]
        if absent and self.offline:
            raise self.mistake(f"{absent[0]} is not in the download cache, and buildout is offline.")
        self._explain(apt.fetch(absent, debs))
        for package in absent:
            path = debs / package.sha256
            if root.sha256(path) != package.sha256:
                self._explain({package: "Hash Sum mismatch"})
            files[package] = self._keep(path)
        return [path for path in files.values() if path is not None]

    def _cached(self, package: locked.Package) -> Path | None:
        if self.cache is None:
            return None
        path = self.cache / package.sha256
        try:
            if root.sha256(path) == package.sha256:
                return path
            path.unlink()
        except OSError:
            pass
        return None

    def _keep(self, path: Path) -> Path:
        """Move a file into the cache, if there is one, whole or not at all."""
        if self.cache is None:
            return path
        self.cache.mkdir(parents=True, exist_ok=True)
        new = self.cache / f".{path.name}.{os.getpid()}"
        # A rename where it can be one.
        shutil.move(path, new)
        return new.replace(self.cache / path.name)

    def _explain(self, failed: dict[locked.Package, str]) -> None:
        for package, why in failed.items():
            if why == apt.GONE:
                raise self.mistake(self._gone(package))
            if "Hash Sum mismatch" in why:
                raise self.mistake(
                    f"{package}: the archive's file is not the one of {self.lock.name} (its sha256 differs). If"
                    " you trust the archive more than the lock, run `freehold software lock` on the release's folder."
                )
            raise self.mistake(f"{package} cannot be downloaded: {why}.")

    def _gone(self, package: locked.Package) -> str:
        """Return why no repository of this machine has a package."""
        known = apt.versions(package.name)
        again = "run `freehold software lock` on the release's folder"
        if not known:
            return (
                f"{package}: no repository of this machine has a package '{package.name}'. The release was locked with"
                " another one besides: add it to this machine's apt sources and run `apt-get update`."
            )
        if package.version in known:
            return (
                f"{package} is gone from the archive, though the package lists name it: run `apt-get update` on this"
                f" machine, and if that does not help {again}."
            )
        return f"{package} is gone from the archive ({', '.join(known)} took its place); {again}."

    def _wrappers(self) -> list[str]:
        programs = [self._program(name) for name in self.options.get("programs", "").split()]
        environment = dict(self.assignments("environment"))
        scripts = {path: root.wrapper(self.root, path, environment) for path in programs}
        return [self.write(self.bin / path.name, script, 0o755) for path, script in scripts.items()]

    def _program(self, name: str) -> Path:
        program = self.root / name.lstrip("/")
        if not program.is_file() or not os.access(program, os.X_OK):
            raise self.mistake(f"programs: no package has a program '{name}'.{self._why(program, name)}")
        if lacking := root.missing_libraries(self.root, program):
            raise self.mistake(f"programs: {name} cannot run: {'; '.join(lacking)}.")
        return program

    def _why(self, program: Path, name: str) -> str:
        """Return what else there is in the place of a program, and what is to be done."""
        path = f"/{program.relative_to(self.root)}"
        if program.is_symlink() and not program.exists():
            inside = os.path.normpath(program.parent / os.readlink(program)).removeprefix(str(self.root))
            return f" It is a link to {inside}, which is in none of them."
        if program.exists():
            return " It is a folder." if program.is_dir() else " There is such a file, and it is not executable."
        owners = apt.of_machine(path)
        if essential := [package for package, is_essential in owners.items() if is_essential]:
            return f" It is in {essential[0]}, which comes from the host: call it there, and leave it out here."
        if set_by_script := self._set_by_script(program):
            return set_by_script
        if like := self._like(program.name):
            return like
        if absent := sorted(set(owners) - {package.name for package in self._closure().locked}):
            return f" It is in {absent[0]}, which is not locked: name it in `packages`, and lock again."
        if program.name in apt.nearest(program.name) and program.name not in self.packages:
            return f" There is a package {program.name}, which is not locked: name it in `packages`, and lock again."
        return f" They bring {', '.join(sorted(self._brought())[:10]) or 'no program at all'}."

    def _set_by_script(self, program: Path) -> str:
        """Return words on the package whose scripts would make a program, as an alternative or by a diversion."""
        word = re.compile(rf"(?<![\w.-]){re.escape(program.name)}(?![\w-])")
        for deb in filter(None, map(self._cached, self._closure().locked)):
            for script in root.scripts(deb):
                kind = next((tool for tool in ("update-alternatives", "dpkg-divert") if tool in script), "")
                if kind and word.search(script):
                    own = ", ".join(root.programs(deb)) or "none"
                    description = "an alternative" if kind == "update-alternatives" else "a diversion"
                    return (
                        f" It is {description} that a script of {root.name_of(deb)} makes, and scripts of packages are"
                        f" not run. Its own programs: {own}."
                    )
        return ""

    def _brought(self) -> Iterator[str]:
        for path in self._executables():
            if path.parent.name in ("bin", "sbin", "games"):
                yield str(path.relative_to(self.root))

    def _like(self, name: str) -> str:
        known = {path.name: str(path.relative_to(self.root)) for path in self._executables()}
        like = difflib.get_close_matches(name, known, n=3)
        return f" Did you mean {' or '.join(known[each] for each in like)}?" if like else ""

    def _executables(self) -> Iterator[Path]:
        for folder, _, files in os.walk(self.root / "usr"):
            for name in files:
                path = Path(folder, name)
                if not path.is_symlink() and os.access(path, os.X_OK):
                    yield path
