"""A folder that looks like `/` to the programs in it: packages unpacked, links turned inward, programs wrapped."""

import concurrent.futures
import filecmp
import hashlib
import io
import os
import re
import shlex
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_MERGED = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
"""Since Debian 12 these are links into /usr everywhere, though packages still name them."""
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::[a-z0-9]+)?(?:\s*\((?P<operator><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\s*\))?"
)
_KERNEL = ("/dev", "/proc", "/sys")


class RootError(Exception):
    """Packages do not become a folder to run from; the message says why."""


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(files: Iterable[Path], root: Path) -> None:
    """Unpack Debian packages into one folder, several at a time, without root and without their scripts.

    The outcome does not depend on which ends first: a path in two packages is decided as dpkg decides it, by Replaces,
    or refused with both names. Raise RootError.
    """
    # The largest first: the last one to end should be a small one.
    by_size = sorted(files, key=lambda path: (-path.stat().st_size, path.name))
    apart = root.with_name(f".{root.name}.apart")
    shutil.rmtree(apart, ignore_errors=True)
    try:
        folders = [apart / str(number) for number in range(len(by_size))] if len(by_size) > 1 else [root]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, trouble in zip(by_size, pool.map(_extract, by_size, folders), strict=True):
                if trouble:
                    raise RootError(f"{path.name} cannot be unpacked: {trouble}")
        if len(by_size) > 1:
            root.mkdir()
            owners: dict[str, Path] = {}
            for file, folder in sorted(zip(by_size, folders, strict=True), key=lambda pair: pair[0].name):
                _join(file, folder, root, "", owners)
    finally:
        shutil.rmtree(apart, ignore_errors=True)
    for name in _MERGED:
        if not any((root / "usr" / name).iterdir()):
            (root / name).unlink()
            (root / "usr" / name).rmdir()
    _make_safe(root)


def _join(file: Path, folder: Path, root: Path, inside: str, owners: dict[str, Path]) -> None:
    """Move what a package was unpacked to into the root; `owners` says which package each path is of."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{inside}/{entry.name}"
            new = root / path[1:]
            is_folder = entry.is_dir(follow_symlinks=False)
            if not os.path.lexists(new):
                owners[path] = file
                if is_folder:
                    new.mkdir()
                else:
                    os.rename(entry.path, new)
            elif not (is_folder and new.is_dir() and not new.is_symlink()) and not _same(entry.path, new):
                if is_folder or (new.is_dir() and not new.is_symlink()):
                    raise RootError(f"{path} is a folder in one of {_name(owners[path])} and {_name(file)} only")
                if not _replaces(file, owners[path]):
                    if not _replaces(owners[path], file):
                        raise RootError(
                            f"{path} is in {_name(owners[path])} and in {_name(file)}, and neither replaces the other"
                            f"{_diverted(path, owners[path], file)}"
                        )
                    continue
                os.replace(entry.path, new)
                owners[path] = file
            if is_folder:
                _join(file, Path(entry.path), root, path, owners)


def _same(first: str, second: Path) -> bool:
    """Return whether two paths are the same link, or files of the same content and kind."""
    modes = os.lstat(first).st_mode, os.lstat(second).st_mode
    if stat.S_ISLNK(modes[0]) and stat.S_ISLNK(modes[1]):
        return os.readlink(first) == os.readlink(second)
    is_file = all(map(stat.S_ISREG, modes))
    return is_file and modes[0] & 0o111 == modes[1] & 0o111 and filecmp.cmp(first, second, shallow=False)


def _diverted(path: str, *files: Path) -> str:
    """Return words on the package whose scripts divert a path, which is why dpkg installs both."""
    for file in files:
        if any("dpkg-divert" in script and path in script for script in scripts(file)):
            return f" (a script of {_name(file)} diverts it, and scripts of packages are not run)"
    return ""


def scripts(file: Path) -> list[str]:
    """Return the texts of the scripts of a package that are run before and after it is unpacked."""
    with subprocess.Popen(["dpkg-deb", "--ctrl-tarfile", file], stdout=subprocess.PIPE) as packed:
        assert packed.stdout is not None
        content = packed.stdout.read()
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
            scripts = [tar.extractfile(members[name]) for name in ("preinst", "postinst") if name in members]
            return [each.read().decode(errors="replace") for each in scripts if each is not None]
    except tarfile.TarError:
        return []


def programs(file: Path) -> list[str]:
    """Return the paths of the programs that a package brings in its folders of programs."""
    listed = subprocess.run(
        ["dpkg-deb", "--contents", file], capture_output=True, text=True, errors="backslashreplace"
    ).stdout
    programs = re.findall(r"^-..x\S+ .* \./((?:usr/)?s?bin/[^/\n]+|usr/games/[^/\n]+)$", listed, re.MULTILINE)
    return [path if path.startswith("usr/") else f"usr/{path}" for path in programs]


def name_of(file: Path) -> str:
    """Return the name of a package."""
    return _fields(file, "Package")[0]


def _name(file: Path) -> str:
    return " ".join(_fields(file, "Package", "Version"))


def _replaces(file: Path, owner: Path) -> bool:
    """Return whether a package says that it replaces files of another (Debian policy 7.6.1)."""
    name, version = _fields(owner, "Package", "Version")
    (replaced,) = _fields(file, "Replaces")
    for clause in replaced.split(","):
        match = _RELATION.fullmatch(clause.strip())
        if match is None or match["name"] != name:
            continue
        if match["operator"] is None:
            return True
        compared = ["dpkg", "--compare-versions", version, match["operator"], match["version"]]
        if subprocess.run(compared, check=False).returncode == 0:
            return True
    return False


def _fields(file: Path, *names: str) -> list[str]:
    """Return fields of a package's control file; empty for those that it does not have."""
    done = subprocess.run(["dpkg-deb", "--field", file, *names], capture_output=True, text=True, errors="replace")
    fields = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    if len(names) == 1 and ": " not in done.stdout:
        fields = {names[0]: done.stdout.strip()}
    return [fields.get(name, "") for name in names]


def merge(package: Path, root: Path) -> None:
    """Add what one package was unpacked to, to the root of several; its files are linked, or copied where they cannot.

    Raise RootError when something else stands where a file or link of the package belongs.
    """
    try:
        root.mkdir(mode=0o755, exist_ok=True)
    except FileExistsError:
        raise RootError(f"{root} is a folder in one package and something else in another") from None
    with os.scandir(package) as entries:
        for entry in entries:
            new = root / entry.name
            if entry.is_dir(follow_symlinks=False):
                merge(Path(entry.path), new)
            elif entry.is_symlink():
                _link_again(os.readlink(entry.path), new)
            elif entry.is_file():
                _share(entry.path, new)


def wrapper(root: Path, program: Path, environment: Mapping[str, str]) -> str:
    """Return a shell script that runs a program of the root with the root's libraries."""
    lines = ["#!/bin/sh", f"# {program.name}, with the libraries of {root}."]
    lines.append(f"LD_LIBRARY_PATH={shlex.quote(_library_path(root))}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}")
    folders = ":".join(str(root / "usr" / name) for name in ("bin", "sbin") if (root / "usr" / name).is_dir())
    lines += [f"PATH={shlex.quote(folders)}${{PATH:+:$PATH}}"] if folders else []
    lines += ["export LD_LIBRARY_PATH PATH"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines.append(f'exec {shlex.join([*_interpreter(root, program), str(program)])} "$@"')
    return "\n".join(lines) + "\n"


def missing_libraries(root: Path, program: Path) -> list[str]:
    """Return what the dynamic linker does not find for a program; it is not run."""
    with program.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": _library_path(root)}
    done = subprocess.run(["ldd", program], capture_output=True, text=True, errors="backslashreplace", env=environment)
    lines = (done.stdout + done.stderr).splitlines()
    return [line.strip().removeprefix(f"{program}: ") for line in lines if "not found" in line]


def _link_again(target: str, new: Path) -> None:
    try:
        new.symlink_to(target)
    except FileExistsError:
        # Several packages may bring the same link, and all bring those of the merged /usr.
        if not new.is_symlink() or os.readlink(new) != target:
            raise RootError(f"{new} is a link in one package and something else in another") from None


def _share(file: str, new: Path) -> None:
    try:
        os.link(file, new)
    except FileExistsError:
        if not _same(file, new):
            raise RootError(f"{new} is in two packages") from None
    except OSError:
        shutil.copyfile(file, new)
        shutil.copymode(file, new)


def _extract(file: Path, root: Path) -> str:
    """Unpack one package; return what went wrong, if something did."""
    (root / "usr").mkdir(parents=True)
    for name in _MERGED:
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as packed:
        # As dpkg itself, and unlike `dpkg-deb -x`: what goes to /lib goes through the link.
        done = subprocess.run(
            ["tar", "-x", "-C", root, "--keep-directory-symlink", "--no-same-owner", "--warning=no-timestamp"],
            stdin=packed.stdout,
            capture_output=True,
            umask=0o022,
        )
        assert packed.stderr is not None
        output = done.stderr + packed.stderr.read()
    return output.decode(errors="replace").strip() or "tar failed" if done.returncode or packed.returncode else ""


def _make_safe(root: Path) -> None:
    """Make every link stay inside, and every file readable by all and special to none.

    Instances run as users of their own, so what a package keeps for its own group would be closed to them; and
    nothing in a release may lend its owner's rights. None is writable: releases may share them.
    """
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                _turn_inward(path, str(root))
            else:
                rights = 0o755 if stat.S_ISDIR(mode) else 0o555 if mode & 0o111 else 0o444
                if stat.S_IMODE(mode) != rights:
                    os.chmod(path, rights)


def _turn_inward(link: str, root: str) -> None:
    target = os.readlink(link)
    if target.startswith(_KERNEL):
        return
    folder = os.path.dirname(link)
    if target.startswith("/"):
        inside = root + os.path.normpath(target)
    else:
        inside = os.path.normpath(os.path.join(folder, target))
        if inside.startswith(root + "/"):
            return
        # As in a real root, `..` of the root is the root.
        inside = root + os.path.normpath(os.path.join("/", os.path.relpath(folder, root), target))
    os.unlink(link)
    os.symlink(os.path.relpath(inside, folder), link)


def _library_path(root: Path) -> str:
    """Return the folders where the linker would look if the root were `/`."""
    # The linker knows bytes, and no encoding.
    folders = [
        root / os.fsdecode(line.strip().lstrip(b"/"))
        for path in sorted(root.glob("etc/ld.so.conf.d/*.conf"))
        for line in path.read_bytes().splitlines()
        if line.startswith(b"/")
    ]
    folders += sorted(path for path in root.glob("usr/lib/*-linux-gnu*") if path.is_dir())
    folders.append(root / "usr" / "lib")
    return ":".join(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))


def _interpreter(root: Path, program: Path) -> list[str]:
    """Return the interpreter of a script if the root has it; else the script's first line finds the host's."""
    with program.open("rb") as file:
        match = re.match(rb"#!\s*(/\S+)[ \t]*([^\n]*)\n", file.read(256))
    if match is None:
        return []
    interpreter = root / os.fsdecode(match[1]).lstrip("/")
    return [str(interpreter), *os.fsdecode(match[2]).split()] if interpreter.exists() else []
