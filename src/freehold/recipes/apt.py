"""What this machine's apt knows and can do for an ordinary user: resolve, and fetch through its own configuration.

Sources, mirrors, proxies, certificates and passwords are the host's affair; `apt-helper` honours them all.
"""

import concurrent.futures
import difflib
import os
import re
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
    r"^E: (?:Unable to locate package|Couldn't find any package by \w+|Package) '?(?P<name>[a-z0-9+.-]+?)'?"
    r"(?: has no installation candidate)?$",
    re.MULTILINE,
)
_UNFETCHED = re.compile(r"^E: Failed to fetch (?P<uri>\S+)\s+(?P<reason>.*)$", re.MULTILINE)


def architecture() -> str:
    """Return this machine's architecture, in Debian's words."""
    return _run("dpkg", "--print-architecture").strip()


def resolve(asked: Iterable[Sequence[str]]) -> Iterator[tuple[Package, ...]]:
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
        status.write_text("\n".join(f"{stanza.rstrip()}\nStatus: install ok installed\n" for stanza in host))
        for packages in asked:
            for name in packages:
                if not _NAME.fullmatch(name):
                    raise LockError(f"'{name}' cannot be the name of a package.")
            found = _show(options, _needed(options, packages))
            yield tuple(sorted(map(_package, found), key=lambda package: package.name))


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
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    failed: dict[Package, str] = {}
    for uri, reason in _UNFETCHED.findall(done.stderr):
        if uri in places:
            failed[places[uri]] = GONE if _IS_GONE.search(reason) else reason.strip()
    for package in packages:
        if not (folder / package.sha256).exists() and package not in failed:
            failed[package] = (done.stderr.strip().splitlines() or ["apt-helper did not say why"])[-1]
    return failed


def _needed(options: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Return what apt would install for packages, in the words of `apt-cache show`."""
    try:
        # Not `--simulate`, which goes through the motions of dpkg too and takes twice the time.
        printed = _run("apt-get", "--print-uris", "--yes", "-qq", *options, "install", "--", *packages)
    except LockError as error:
        unknown = [name for name in _UNKNOWN.findall(str(error)) if name]
        if not unknown:
            raise
        (name, *_) = unknown
        like = nearest(name)
        hint = f"Did you mean {' or '.join(like)}?" if like else "Are the package lists of this machine fresh?"
        raise LockError(f"There is no package '{name}' in this machine's sources. {hint}") from None
    files = [map(urllib.parse.unquote, file.split("_")) for file in _FILE.findall(printed)]
    return [f"{name}={version}" if own == "all" else f"{name}:{own}={version}" for name, version, own in files]


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
    found = re.search(rf"^{name}: (.*)$", stanza, re.MULTILINE)
    if found is None:
        raise LockError(f"The package lists do not say '{name}' of this package:\n{stanza}")
    return found[1]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        # What apt has resolved so far comes on its standard output, and is the better half of the explanation.
        raise LockError(f"{command[0]} failed:\n{done.stdout.strip()}\n{done.stderr.strip()}")
    return done.stdout
