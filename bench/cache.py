"""Taking a finished release of 200 MB from a cache on this machine, against copying and unpacking the same.

    .venv/bin/python bench/cache.py [ROUNDS]

A builder has it (Debian's Python and libraries of this machine, 200 MB in some thousand files) and gives it to a real
Master; then the program with which nodes take releases takes it for another node, at another place:
from the Master, and from a folder. Both ways end with everything on the disk.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clouds
import msgspec

from freehold.kit.machine import Machine, has_users
from freehold.node import settings as node_settings
from freehold.node.link.client import Link
from freehold.node.settings import Paths
from freehold.node.software import build, integrity
from freehold.protocol import archive

TARGET = 5.0
SIZE = 200_000_000
SOURCES = ("/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/x86_64-linux-gnu", "/usr/lib")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with clouds.master() as served, tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as name:
        client = served.client()
        client.add_site("bench")
        machines = [Machine(unprivileged=not has_users(), partitions=1) for _ in range(2)]
        try:
            for number, machine in enumerate(machines):
                machine.enrol(served.url, f"n{number}", client.enrol_token("bench"))
            first, second = machines
            client.change_node("n0", builder=True)
            release = client.publish(release_of(Path(name) / "release"))
            client.supply(release.product, nodes=["n0", "n1"])
            made(Paths(first.root), release.release)
            compare(first, second, release.release, served.root / "cache", Path(name), rounds)
        finally:
            for machine in machines:
                machine.remove()


def made(paths: Paths, release: str) -> None:
    """Have a node build a release, and have what it built be large; then give it to the Master."""
    settings = node_settings.load(paths.root)
    build.build(paths, settings, Link(settings.master, paths.authority, (paths.certificate, paths.key)), release)
    left = SIZE
    for source in SOURCES:
        for path in (one for one in sorted(Path(source).rglob("*")) if one.is_file() and not one.is_symlink()):
            if left > 0:
                target = paths.software / release / "parts" / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                left -= path.stat().st_size
    integrity.seal(paths.software / release)
    began = time.monotonic()
    assert build.share(paths, [release]) == ""
    print(f"packed, signed and given to the Master in {time.monotonic() - began:.1f} s")


def compare(first: Machine, second: Machine, release: str, shelf: Path, folder: Path, rounds: int) -> None:
    built = first.root / "software" / release
    size = sum(path.lstat().st_size for path in built.rglob("*") if path.is_file())
    count = sum(1 for path in built.rglob("*") if path.is_file())
    packed = folder / "plain.tar.gz"
    subprocess.run(f"tar c -C {built} . | gzip -1 > {packed}", shell=True, check=True)
    times: dict[str, list[float]] = {"plain": [], "master": [], str(shelf): []}
    for _ in range(rounds):
        times["plain"].append(plainly(packed, folder))
        for mirror in ("master", str(shelf)):
            times[mirror].append(take(second, release, mirror))
    plain = statistics.median(times["plain"])
    print(f"{size / 1e6:.0f} MB in {count} files; copied and unpacked by cp and tar, synced: {plain:.2f} s")
    for mirror, words in (("master", "a Master"), (str(shelf), "a folder")):
        median = statistics.median(times[mirror])
        print(
            f"taken from {words}: median {median:.2f} s, slowest {max(times[mirror]):.2f} s (target {TARGET:g}),"
            f" {median / plain:.1f} times"
        )


def plainly(packed: Path, folder: Path) -> float:
    """Return the seconds that copying and unpacking takes."""
    target = folder / "plain"
    target.mkdir()
    subprocess.run(["sync"], check=True)
    began = time.monotonic()
    shutil.copyfile(packed, folder / "copied.tar.gz")
    subprocess.run(["tar", "xzf", folder / "copied.tar.gz", "-C", target], check=True)
    subprocess.run(["sync"], check=True)
    seconds = time.monotonic() - began
    aside(target)
    return seconds


def aside(path: Path) -> None:
    """Put away what a round left, until the end.

    For minutes, ext4 looks through all inodes that were deleted before it gives a new file another: what is measured
    would be the deleting of the former round, some ten times over.
    """
    if path.exists():
        path.rename(Path(tempfile.mkdtemp(dir=path.parent, prefix="former-")) / path.name)


def take(machine: Machine, release: str, mirror: str) -> float:
    """Return the seconds in which a node with nothing of it has a release, by the code of its agent."""
    paths = Paths(machine.root)
    settings = msgspec.structs.replace(node_settings.load(machine.root), mirrors=[mirror])
    node_settings.save(machine.root, settings)
    aside(paths.kept)
    aside(paths.software / release)
    subprocess.run(["sync"], check=True)
    began = time.monotonic()
    build.build(paths, settings, None, release)  # type: ignore[arg-type]
    seconds = time.monotonic() - began
    assert "is taken from there" in (paths.software / f"{release}.log").read_text()
    return seconds


def release_of(folder: Path) -> bytes:
    folder.mkdir()
    (folder / "software.cfg").write_text("[buildout]\nparts =\n")
    (folder / "in.json").write_text("{}")
    kind = {"title": "data", "request": "in.json", "response": "in.json"}
    descriptor = {"name": "data", "version": "1.0", "description": "Large.", "software-type": {"default": kind}}
    (folder / "software.cfg.json").write_bytes(msgspec.json.encode(descriptor))
    return archive.pack(folder)


if __name__ == "__main__":
    main()
