"""What it costs to start a process within a partition's walls, beside bubblewrap and crun doing the same.

Each starts `/bin/true` as another user, with a view of its own of `/usr` and `/etc` and one folder it may write to.
Ours does it as the supervisor does, with control groups, Landlock and hidden processes besides. Run as root:

    python bench/sandbox.py        # Debian's packages bubblewrap and crun

Target: at most 3 ms of CPU more than plain bwrap.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from freehold.node.isolation import cgroups, protections, sandbox
from freehold.node.settings import Limits, Settings
from freehold.node.supervisor import children

STARTS = 60
TARGET_MS = 3.0
USER = 65000
TAG = f"bench{os.getpid()}"
LINKS = {path: os.readlink(path) for path in ("/bin", "/sbin", "/lib", "/lib64") if os.path.islink(path)}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as root:
        folder = Path(root) / "p0"
        (folder / "tmp").mkdir(parents=True)
        for path in (root, folder, folder / "tmp"):
            os.chmod(path, 0o755)
            os.chown(path, USER, USER)
        ways = {"plain fork and exec": plain, "ours": ours}
        if shutil.which("bwrap"):
            ways["bwrap"] = bwrap
        if shutil.which("crun"):
            ways["crun"] = crun
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(3):
            for name, way in ways.items():
                costs[name].append(measured(way, folder))
        for name, found in costs.items():
            cpu, seconds = min(found)
            print(f"{name:20} {cpu:6.2f} ms CPU, {seconds:6.2f} ms until it ended")
    cgroups.remove_node(TAG)
    if "bwrap" in costs:
        more = min(costs["ours"])[0] - min(costs["bwrap"])[0]
        print(f"ours - bwrap: {more:+.2f} ms CPU (target: at most {TARGET_MS:+.0f})")
        sys.exit(more > TARGET_MS)


def measured(way: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Return milliseconds of CPU (ours and all children's) and of time for one start."""
    start, cpu = time.perf_counter(), used()
    for _ in range(1 if way is crun else STARTS):
        way(folder)
    return (used() - cpu) / STARTS * 1000, (time.perf_counter() - start) / STARTS * 1000


def used() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def plain(folder: Path) -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)


_SPEC: dict[str, object] = {}


def ours(folder: Path) -> None:
    if not _SPEC:
        given = protections.find(Settings("bench", unprivileged=False))
        inside: sandbox.SandboxSpec = {
            **sandbox.NONE,
            "mounts": given.mounts,
            "user_namespace": given.user_namespace,
            "landlock": given.landlock,
            "links": LINKS,
            "shows": ["/usr", "/etc", "/sys/devices/system/cpu"],
            "folder": str(folder),
            "listen": [8080],
            "alone": False,
        }
        _SPEC.update(
            name="true", argv=["/bin/true"], cwd=str(folder), log=str(folder / "log"), digest="1", environment={},
            uid=USER, gid=USER, sandbox=inside, groups=cgroups.create(f"{TAG}/p0", Limits(memory_mb=128)).services,
        )  # fmt: skip
    status = os.waitpid(children.start(_SPEC, "bench", "p0"), 0)[1]
    assert status == 0, (folder / "log").read_text()


def bwrap(folder: Path) -> None:
    links = [word for path, target in LINKS.items() for word in ("--symlink", target, path)]
    views = ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--bind", str(folder), str(folder)]
    rest = [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--unshare-pid",
        "--uid",
        str(USER),
        "--unshare-user",
    ]
    command = ["bwrap", *views, *links, *rest, "/bin/true"]
    os.waitpid(os.posix_spawn("/usr/bin/bwrap", command, {"PATH": "/usr/bin:/bin"}), 0)


def crun(folder: Path) -> None:
    """Start all of them: crun refuses a machine with both versions of control groups, so it gets to see one only."""
    bundle = folder.parent / "bundle"
    if not bundle.exists():
        _make_bundle(bundle, folder)
    command = f"crun --root {folder.parent}/crun --cgroup-manager=disabled run b$i"
    loop = f"i=0; while [ $i -lt {STARTS} ]; do {command} || exit 1; i=$((i+1)); done"
    script = f"umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && {loop}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _make_bundle(bundle: Path, folder: Path) -> None:
    (bundle / "rootfs").mkdir(parents=True)
    subprocess.run(["crun", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": ["/bin/true"], "user": {"uid": USER, "gid": USER}}
    spec["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
    spec["linux"].pop("resources", None)
    spec.pop("hostname", None)
    for source, options in (("/usr", ["rbind", "ro"]), ("/etc", ["rbind", "ro"]), (str(folder), ["rbind"])):
        spec["mounts"].append({"destination": source, "type": "bind", "source": source, "options": options})
    for path, target in LINKS.items():
        (bundle / "rootfs" / path[1:]).symlink_to(target)
    spec["mounts"] = [one for one in spec["mounts"] if one["destination"] not in ("/sys", "/sys/fs/cgroup")]
    (bundle / "config.json").write_text(json.dumps(spec))


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("This one needs root.")
    main()
