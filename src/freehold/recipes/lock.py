"""`freehold software lock`: what a release's recipes may take, written down to the byte."""

import subprocess
import sys
from pathlib import Path

import msgspec

from freehold.escaping import NotText, text_of
from freehold.recipes import apt, locked
from freehold.recipes.locked import no_wheel
from freehold.release import ReleaseError, buildout

REQUIREMENTS = "requirements.txt"


def lock(folder: Path) -> dict[Path, str]:
    """Return what the locks of a release's folder should say today, by file; raise ReleaseError."""
    parts = _parts(folder)
    texts: dict[Path, str] = {}
    wheels = [part for part in parts if part["recipe"] == "freehold:wheel" and "packages" in part]
    _check_apart(wheels)
    try:
        texts |= _debian(folder, [part for part in parts if part["recipe"] == "freehold:debian"])
        texts |= dict(_wheel(folder, part) for part in wheels)
    except locked.LockError as error:
        raise ReleaseError(str(error)) from None
    return texts


def _parts(folder: Path) -> list[dict[str, str]]:
    sections = buildout.read(folder).sections
    return [{**options, "name": name} for name, options in sorted(sections.items()) if "recipe" in options]


def _check_apart(wheels: list[dict[str, str]]) -> None:
    """Raise ReleaseError for two parts whose lock would be one file: each is resolved by itself."""
    parts: dict[str, str] = {}
    for part in wheels:
        name = part.get("requirements", REQUIREMENTS)
        if name in parts:
            raise ReleaseError(
                f"[{parts[name]}] and [{part['name']}] both have their lock in {name}: give one of them another file,"
                f" such as `requirements = {part['name']}.txt`."
            )
        parts[name] = part["name"]


def _debian(folder: Path, parts: list[dict[str, str]]) -> dict[Path, str]:
    """Resolve for this machine's architecture; what is locked for others stays as it is."""
    if not parts:
        return {}
    here = apt.architecture()
    groups = [tuple(sorted(set(part.get("packages", "").split()))) for part in parts]
    resolved = apt.resolve(groups)
    files: dict[Path, dict[str, dict[str, locked.Closure]]] = {}
    for part, packages in zip(parts, groups, strict=True):
        path = folder / part.get("lock", "debian.lock")
        try:
            other_architectures = dict(locked.read(path).get(part["name"], {})) if path.exists() else {}
        except locked.LockError as error:
            raise ReleaseError(f"{error} Remove it to have it written anew.") from None
        try:
            closure = locked.Closure(packages, next(resolved))
        except locked.LockError as error:
            raise ReleaseError(f"[{part['name']}] packages: {error}") from None
        files.setdefault(path, {})[part["name"]] = other_architectures | {here: closure}
    return {path: locked.text(closures) for path, closures in files.items()}


def _wheel(folder: Path, part: dict[str, str]) -> tuple[Path, str]:
    """Resolve for this machine; a version that stays keeps the hashes of its files for other machines."""
    path = folder / part.get("requirements", REQUIREMENTS)
    try:
        hashes = _hashes(text_of(path)) if path.exists() else {}
    except NotText as error:
        raise ReleaseError(f"[{part['name']}] requirements: {error}.") from None
    packages = sorted(part["packages"].split())
    lines = [locked.HEAD, locked.REQUIRED, " ".join(packages), "\n"]
    for requirement, sha256 in sorted(_resolve(part["name"], packages).items()):
        known = sorted(hashes.get(requirement, set()) | {sha256})
        lines += [requirement, *(f" \\\n    --hash=sha256:{each}" for each in known), "\n"]
    return path, "".join(lines)


def _hashes(text: str) -> dict[str, set[str]]:
    joined = (line.split() for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#"))
    return {name: {each.removeprefix("--hash=sha256:") for each in hashes} for name, *hashes in joined}


def _resolve(part: str, packages: list[str]) -> dict[str, str]:
    """Return the hash of the file that pip would take here, by `name==version`."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--", *packages]
    done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
    if done.returncode != 0:
        if words := no_wheel(done.stderr):
            raise ReleaseError(f"[{part}] packages: {words}")
        raise ReleaseError(f"[{part}] packages: pip cannot resolve them:\n{done.stderr.strip()}")
    report = msgspec.json.decode(done.stdout, type=_Report)
    return {
        f"{each.metadata.name.lower()}=={each.metadata.version}": each.download_info.archive_info.hashes["sha256"]
        for each in report.install
    }


class _Metadata(msgspec.Struct):
    name: str
    version: str


class _Archive(msgspec.Struct):
    hashes: dict[str, str]


class _Download(msgspec.Struct):
    archive_info: _Archive


class _Installed(msgspec.Struct):
    metadata: _Metadata
    download_info: _Download


class _Report(msgspec.Struct):
    """What we read of pip's installation report."""

    install: list[_Installed]
