"""A first build of `software/postgresql` against `apt-get install` of the same packages, and a second build.

    sudo .venv/bin/python bench/build.py [ROUNDS]

`apt-get` installs exactly the versions of the release's lock into a fresh Debian (made by mmdebstrap before the clock
starts), the node builds the release with the agent's own code, as its builder; in turns. "Kept" archives come from a
proxy on this machine that has them all, for both; "cold" ones from the archives. The second build is that of another
release with the same packages on the same node. Needs root, the package mmdebstrap, the package lists of a Debian of
the lock's release, and 2 GB in /var/tmp.
"""

import contextlib
import hashlib
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from clouds import REPOSITORY

from freehold.kit.machine import Machine
from freehold.node.link.client import Link
from freehold.node.settings import Paths, load
from freehold.node.software import build
from freehold.protocol import archive
from freehold.recipes import apt, locked

RELEASE = REPOSITORY / "software" / "postgresql"
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        base = folder / "base"
        bootstrap(base)
        with proxy(folder / "archives") as address:
            kept = {"http_proxy": address}
            # Once for nothing: the proxy fills.
            install(base, folder / "debian", kept)
            compare("kept archives", base, folder, kept, rounds)
        second = compare("cold archives", base, folder, {}, rounds)
    print(f"second build: median {statistics.median(second):.2f} s, slowest {max(second):.2f} s (target 2 s)")


def compare(what: str, base: Path, folder: Path, environment: dict[str, str], rounds: int) -> list[float]:
    """Print the medians of both ways; return the seconds of second builds."""
    installed, first, second = [], [], []
    for _ in range(rounds):
        installed.append(install(base, folder / "debian", environment))
        for times, took in zip((first, second), builds(folder, environment), strict=True):
            times.append(took)
    yardstick, median = statistics.median(installed), statistics.median(first)
    print(f"{what}: apt-get install {yardstick:.2f} s, first build {median:.2f} s, slowest {max(first):.2f} s")
    print(f"ratio {median / yardstick:.2f} (target 2)")
    return second


def bootstrap(base: Path) -> None:
    """Make a Debian with what is essential and apt, from this machine's sources."""
    told = ["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    sources = "\n".join(sorted(set(subprocess.check_output(told, text=True).splitlines())))
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--format=directory", "--keyring=/usr/share/keyrings"]
    subprocess.run([*command, "--skip=cleanup/apt/lists", "", base, "-"], input=sources, text=True, check=True)
    shutil.copy("/etc/resolv.conf", base / "etc" / "resolv.conf")
    # No daemon is started: a release's build starts none either.
    (base / "usr" / "sbin" / "policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (base / "usr" / "sbin" / "policy-rc.d").chmod(0o755)


def install(base: Path, root: Path, environment: dict[str, str]) -> float:
    """Return the seconds in which apt installs the lock's packages in a copy of a Debian."""
    subprocess.run(["cp", "-a", base, root], check=True)
    os.sync()
    closures = locked.read(RELEASE / "debian.lock")["postgresql"][apt.architecture()]
    packages = [f"{package.name}={package.version}" for package in closures.locked]
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" apt-get install -y -qq --no-install-recommends "$@"'
    began = time.monotonic()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, root, *packages],
        env={"PATH": os.environ["PATH"], **QUIET, **environment},
        capture_output=True,
        text=True,
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(root)
    return took


def builds(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of the first build on a fresh node, and of another release's with the same packages."""
    machine = Machine(unprivileged=False, partitions=1)
    other = folder / "other"
    shutil.copytree(RELEASE, other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "README.md").write_text("Another release.\n")
    os.environ |= environment
    try:
        return built(machine, RELEASE), built(machine, other)
    finally:
        for name in environment:
            del os.environ[name]
        shutil.rmtree(other)
        machine.remove()


def built(machine: Machine, release: Path) -> float:
    """Return the seconds of a build by the agent's code; the archive is on the node, the Master is away."""
    paths, packed = Paths(machine.root), archive.pack(release)
    name = archive.digest(packed)
    (paths.cache / f"{name}.tar.gz").write_bytes(packed)
    os.sync()
    began = time.monotonic()
    build.build(paths, load(machine.root), Link("https://127.0.0.1:1", paths.authority), name)
    return time.monotonic() - began


@contextlib.contextmanager
def proxy(kept: Path) -> Iterator[str]:
    """Serve what was once downloaded from this machine; yield the address."""
    kept.mkdir()

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = kept / hashlib.sha256(self.path.encode()).hexdigest()
            if not path.exists():
                try:
                    with urllib.request.urlopen(self.path) as answer:
                        path.write_bytes(answer.read())
                except urllib.error.HTTPError as error:
                    self.send_error(error.code)
                    return
            self.send_response(200)
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        sys.exit("This one needs root and the package mmdebstrap.")
    main()
