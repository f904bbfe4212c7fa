"""CPU seconds of configuring one instance, of all processes that take part, by the warm helper as a node does it.

    sudo .venv/bin/python bench/configure.py [ROUNDS]

Each is configured for the first time in a partition of its own, and again with nothing changed. The yardstick of the
same run is the start of this Python with nothing to do. Needs root, for a control group counts what all used.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freehold.node.forkserver import ForkServer
from freehold.node.isolation import cgroups
from freehold.node.partition.order import ConfigureOrder
from freehold.node.settings import Limits

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = 0.3
GROUP = f"bench/configure-{os.getpid()}"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with counted(), tempfile.TemporaryDirectory(prefix="freehold-bench-") as name:
        folder = Path(name)
        profile = folder / "hello-profile"
        shutil.copytree(REPOSITORY / "software" / "hello", profile)
        (profile / "instance.py").unlink()
        shutil.copytree(REPOSITORY / "tests" / "releases" / "hello-profile", profile, dirs_exist_ok=True)
        for release in (REPOSITORY / "software" / "hello", profile, REPOSITORY / "software" / "postgresql"):
            measure(folder, release, rounds)
        print(f"starting Python and ending it: {statistics.median(start() for _ in range(rounds)):.3f} CPU s")


def measure(folder: Path, release: Path, rounds: int) -> None:
    """Print the medians for one release."""
    software = folder / "software" / release.name
    shutil.copytree(release, software / "release", ignore=shutil.ignore_patterns("__pycache__"))
    is_profile = not (release / "instance.py").exists()
    fork_server = ForkServer(folder / "forkserver.log")
    try:
        cold = configure(fork_server, order(folder / f"{release.name}-cold", software), is_profile)
        orders = [order(folder / f"{release.name}-{number}", software) for number in range(rounds)]
        first, again = (
            statistics.median(configure(fork_server, one, is_profile) for one in orders) for _ in ("first", "again")
        )
    finally:
        fork_server.close()
    print(f"{release.name}: first {first:.3f} CPU s, unchanged {again:.3f} CPU s (target {TARGET})")
    print(f"  the very first, with the start of the helper: {cold:.3f} CPU s")


def order(partition: Path, software: Path) -> ConfigureOrder:
    partition.mkdir()
    return ConfigureOrder("inst-1", "shop", "default", "127.0.0.1", str(partition), str(software), "{}", seed="00" * 32)


def configure(fork_server: ForkServer, order: ConfigureOrder, is_profile: bool) -> float:
    """Return the CPU seconds of us, of the helper and of its children in one configuration."""
    processes, before = len(cgroups.processes(GROUP)), used()
    fork_server.call(
        "freehold.node.partition.configure:run",
        msgspec.json.encode(order),
        cwd=order.folder,
        warm="freehold.recipes.run" if is_profile else "",
    )
    while len(cgroups.processes(GROUP)) > max(processes, 2):
        time.sleep(0.001)
    return used() - before


def start() -> float:
    before = used()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return used() - before


def used() -> float:
    """Return the CPU seconds of all that was ever in the group."""
    used = cgroups.cpu_ms(GROUP)
    assert used is not None
    return used / 1000


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Count what we and all our children use."""
    files = [Path(one) for one in cgroups.create(GROUP, Limits(memory_mb=4096, processes=2000)).services]
    for file in files:
        file.write_text("0")
    try:
        yield
    finally:
        for file in files:
            (file.parents[3] / file.name).write_text("0")
        cgroups.remove_node("bench")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("This one needs root.")
    main()
