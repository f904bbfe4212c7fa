"""What this machine's apt knows and can do for an ordinary user: resolve, and fetch through its own configuration.

Sources, mirrors, proxies, certificates and passwords are the host's affair; `apt-helper` honours them all.
"""

import concurrent.futures
import difflib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from freehold.recipes.locked import LockError, Package

HELPER = "/usr/lib/apt/apt-helper"
CONNECTIONS = 4
"""Downloads at a time: most of the time of a small package is waiting."""
ESSENTIAL = "?essential"
"""What every Debian has, in the words of apt-patterns(7); apt counts itself as essential."""
GONE = "no repository has it any more"
_IS_GONE = re.compile(r"404|not found", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_FILE = re.compile(r"^'\S+' (\S+)\.deb \d", re.MULTILINE)
"""What `--print-uris` would call a file: name, version, architecture, with an underscore between."""
_UNKNOWN = re.compile(
    r"^E: (?:Unable to locate package|Couldn't find any package by \w+) '?(?P<name>[a-z0-9+.-]+?)'?$", re.MULTILINE
)
_VIRTUAL = re.compile(
    r"^Package (?P<name>\S+) is a virtual package provided by:\n(?P<providers>(?: +\S.*\n)+)", re.MULTILINE
)
_NOWHERE = re.compile(r"^Package (?P<name>\S+) is not available, but is referred to by another package", re.MULTILINE)
_UNMET = re.compile(r"^The following packages have unmet dependencies:\n(?P<relations>(?: .*\n)+)", re.MULTILINE)
"""What apt says, unless it is to be very quiet, of why it does not install something."""
_UNFETCHED = re.compile(r"^E: Failed to fetch (?P<uri>\S+)\s+(?P<reason>.*)$", re.MULTILINE)


def architecture() -> str:
    """Return this machine's architecture, in Debian's words."""
    return _run("dpkg", "--print-architecture").strip()


def resolve(groups: Iterable[Sequence[str]]) -> Iterator[tuple[Package, ...]]:
    """Yield, for each asked, the packages with all they depend on, without what every Debian has; raise LockError.

    apt's own resolver says it, told that nothing is installed but the essential packages with what they need: the
    answer is the same on every machine with the same sources.
    """
    with tempfile.TemporaryDirectory() as folder:
        status = Path(folder) / "status"
        status.touch()
        # Empty, for apt says nothing of what it has downloaded before.
        (Path(folder) / "archives" / "partial").mkdir(parents=True)
        options = (
            f"-oDir::State::status={status}",
            f"-oDir::State::extended_states={folder}/extended_states",
            f"-oDir::Cache={folder}",
            # Reading the lists takes seconds; once is enough.
            "-oDir::Cache::pkgcache=pkgcache.bin",
            "-oDir::Cache::srcpkgcache=srcpkgcache.bin",
            "-oAPT::Install-Recommends=false",
        )
        host = _show(options, _needed(options, [ESSENTIAL]))
        of_host = {_field(stanza, "Package") for stanza in host}
        status.write_text("\n".join(f"{stanza.rstrip()}\nStatus: install ok installed\n" for stanza in host))
        for packages in groups:
            for name in packages:
                if not _NAME.fullmatch(name):
                    raise LockError(f"'{name}' cannot be the name of a package.")
                if name in of_host:
                    raise LockError(f"'{name}' comes from the host, which every Debian has; leave it out.")
            stanzas = _show(options, _needed(options, packages))
            yield tuple(sorted(map(_package, stanzas), key=lambda package: package.name))


def repositories() -> list[str]:
    """Return the addresses of the repositories whose lists this machine has, each once."""
    lines = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    return list(dict.fromkeys(lines))


def fetch(packages: Iterable[Package], folder: Path) -> dict[Package, str]:
    """Download packages into a folder, each named by its sha256; return why, for those that could not be had.

    Every repository is asked until one has the file: a lock names no mirror.
    """
    left = dict.fromkeys(packages, GONE)
    addresses = repositories() if left else []
    if not addresses:
        return dict.fromkeys(left, "this machine's apt has no package lists; run `apt-get update` there")
    for address in addresses:
        wanted = sorted(left, key=lambda package: -package.size)
        shares = [share for number in range(CONNECTIONS) if (share := wanted[number::CONNECTIONS])]
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            for failed in pool.map(lambda share, address=address: _fetch(address, share, folder), shares):
                # That another repository does not have a file says less than why the right one did not give it.
                left |= {package: why for package, why in failed.items() if why != GONE}
        left = {package: why for package, why in left.items() if not (folder / package.sha256).exists()}
    return left


def versions(name: str) -> list[str]:
    """Return the versions of a package that the lists of this machine know, the newest first."""
    lines = _run("apt-cache", "madison", "--", name).splitlines()
    return list(dict.fromkeys(line.split("|")[1].strip() for line in lines if "|" in line))


def of_machine(path: str) -> dict[str, bool]:
    """Return the packages of this machine that have a file of a path, and whether each is one that every Debian has."""
    merged = path.removeprefix("/usr") if path.startswith("/usr/") else f"/usr{path}"
    owned = subprocess.run(["dpkg-query", "--search", path, merged], capture_output=True, text=True, errors="replace")
    names = {
        name.split(":")[0]
        for line in owned.stdout.splitlines()
        if not line.startswith("diversion ")
        for name in line.rpartition(": ")[0].split(", ")
    }
    essential = {}
    for name in sorted(names):
        command = ["dpkg-query", "--show", "--showformat=${Essential}", "--", name]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        essential[name] = done.stdout.startswith("yes")
    return essential


def nearest(name: str) -> list[str]:
    """Return the names of packages that look most like this one."""
    # A name that begins the same is what was meant more often than one that ends the same.
    known = _run("apt-cache", "pkgnames", name[:2]).split()
    return difflib.get_close_matches(name, known, n=3, cutoff=0.7)


def _fetch(address: str, packages: Sequence[Package], folder: Path) -> dict[Package, str]:
    places: dict[str, Package] = {}
    command = [HELPER, "-oAcquire::Retries=1", "download-file"]
    for package in packages:
        uri = f"{address.rstrip('/')}/{urllib.parse.quote(package.path, safe='/~')}"
        places[uri] = package
        command += [uri, str(folder / package.sha256), f"SHA256:{package.sha256}"]
    done = _apt(*command)
    failed: dict[Package, str] = {}
    for uri, reason in _UNFETCHED.findall(done.stderr):
        if uri in places:
            failed[places[uri]] = GONE if _IS_GONE.search(reason) else reason.strip()
    for package in packages:
        _own(folder / package.sha256)
        if not (folder / package.sha256).exists() and package not in failed:
            failed[package] = (done.stderr.strip().splitlines() or ["apt-helper did not say why"])[-1]
    return failed


def _own(path: Path) -> None:
    """Have a file of its own where apt made a link into a repository on this machine, which may change or go."""
    if path.is_symlink():
        new = path.with_name(f"{path.name}.own")
        shutil.copyfile(path, new)
        new.replace(path)


def _needed(options: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Return what apt would install for packages, in the words of `apt-cache show`."""
    try:
        # Not `--simulate`, which goes through the motions of dpkg too and takes twice the time.
        printed = _run("apt-get", "--print-uris", "--yes", "-qq", *options, "install", "--", *packages)
    except LockError:
        # Asked again, to hear why: very quiet apt says that something is wrong, and not what.
        done = _apt("apt-get", "--print-uris", "--yes", "--quiet=1", *options, "install", "--", *packages)
        raise LockError(_reason(f"{done.stdout}\n{done.stderr}")) from None
    files = [map(urllib.parse.unquote, file.split("_")) for file in _FILE.findall(printed)]
    return [f"{name}={version}" if own == "all" else f"{name}:{own}={version}" for name, version, own in files]


def _reason(output: str) -> str:
    """Return why apt does not install something, from what it says of that."""
    if unknown := _UNKNOWN.search(output):
        like = nearest(unknown["name"])
        hint = f"Did you mean {' or '.join(like)}?" if like else "Are the package lists of this machine fresh?"
        return f"There is no package '{unknown['name']}' in this machine's sources. {hint}"
    if virtual := _VIRTUAL.search(output):
        providers = sorted({" ".join(line.split()[:2]) for line in virtual["providers"].splitlines()})
        return f"'{virtual['name']}' is a virtual package. Name one of those that provide it: {', '.join(providers)}."
    if nowhere := _NOWHERE.search(output):
        return f"No source of this machine has '{nowhere['name']}', though other packages there name it."
    if unmet := _UNMET.search(output):
        relations = "\n".join(f"  {' '.join(line.split())}" for line in unmet["relations"].splitlines())
        return f"apt cannot install these packages together:\n{relations}"
    return f"apt-get failed:\n{output.strip()}"


def _show(options: Sequence[str], versions: Sequence[str]) -> list[str]:
    """Return what the lists say of exactly these versions, a stanza for each."""
    if not versions:
        return []
    stanzas = _run("apt-cache", *options, "show", "--", *versions).strip().split("\n\n")
    # A version that several repositories have is told of several times.
    return list({(_field(each, "Package"), _field(each, "Architecture")): each for each in stanzas}.values())


def _package(stanza: str) -> Package:
    values = [_field(stanza, name) for name in ("Package", "Version", "Architecture", "Size", "SHA256", "Filename")]
    name, version, architecture, size, sha256, path = values
    return Package(name, version, architecture, int(size), sha256, path.removeprefix("./"))


def _field(stanza: str, name: str) -> str:
    match = re.search(rf"^{name}: (.*)$", stanza, re.MULTILINE)
    if match is None:
        raise LockError(f"The package lists do not say '{name}' of this package:\n{stanza}")
    return match[1]


def _apt(*command: str) -> "subprocess.CompletedProcess[str]":
    # Descriptions and names of packages may be in any encoding.
    return subprocess.run(
        command, capture_output=True, text=True, errors="backslashreplace", env={**os.environ, "LC_ALL": "C"}
    )


def _run(*command: str) -> str:
    done = _apt(*command)
    if done.returncode != 0:
        # What apt has resolved so far comes on its standard output, and is the better half of the explanation.
        raise LockError(f"{command[0]} failed:\n{done.stdout.strip()}\n{done.stderr.strip()}")
    return done.stdout
