"""What a process finds: each line of the page for authors, asserted by a release that looks."""

import json
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import until
from freehold.release.folder import generate, load
from support.machines import MODES, REPOSITORY, Cloud

PAGE = (REPOSITORY / "docs" / "authors" / "process.md").read_text()
PROBE = '''\
"""A release whose service writes down what it finds."""
import sys

import msgspec

from freehold.release import Context, File, Network, Plan, Process, Release, Type

LOOK = """
import grp, json, os, pwd, resource, socket, sys, time

def tried(act):
    try:
        return act()
    except Exception as error:
        return type(error).__name__

def written(path):
    with open(os.path.join(path, "probe"), "w") as file:
        file.write("x")
    return os.path.realpath(path)

def bound(host, port):
    with socket.socket() as sock:
        sock.bind((host, port))
        return True

def unshared():
    import ctypes
    return ctypes.CDLL(None).unshare(0x10000000)

me = pwd.getpwuid(os.getuid())
folders = ("/tmp", "/run", "/var/run", "/var/tmp", "/dev/shm", "/", "/usr", "/var", "/etc", os.getcwd())
hosts = ("127.0.0.1", "0.0.0.0", OWN)
hidden = ("/home", "/opt", "/root", "/srv", "/var/lib", "/etc/machine-id", "/etc/shadow")
found = {
    "environment": dict(os.environ),
    "cwd": os.getcwd(),
    "user": [me.pw_name, me.pw_dir, grp.getgrgid(os.getgid()).gr_name, len(os.getgroups())],
    "users": sorted(user.pw_name for user in pwd.getpwall()),
    "writes": {path: tried(lambda: written(path)) for path in folders},
    "reads": {path: bool(os.listdir(path)) for path in ("/usr", "/bin", "/lib", "/sbin")},
    "hidden": {path: os.path.exists(path) for path in hidden},
    "etc": {name: open(f"/etc/{name}").read() for name in ("hostname", "hosts", "resolv.conf")},
    "devices": sorted(os.listdir("/dev")),
    "zone": time.tzname[0],
    "binds": {f"{host}:{port}": tried(lambda: bound(host, port)) for host in hosts for port in (0, 80)},
    "localhost": sorted({entry[4][0] for entry in socket.getaddrinfo("localhost", 80)}),
    "host": [socket.gethostname(), tried(lambda: socket.gethostbyname(socket.gethostname()))],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "setuid": tried(lambda: os.setuid(os.getuid() + 1)),
    "namespace": tried(unshared),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "stdin": sys.stdin.read(),
    "address": OWN,
}
with open("srv/found.json.new", "w") as file:
    json.dump(found, file)
os.rename("srv/found.json.new", "srv/found.json")
time.sleep(1e6)
"""

class Nothing(msgspec.Struct):
    pass

def plan(parameters: Nothing, context: Context) -> Plan:
    look = File("etc/look.py", LOOK.replace("OWN", repr(context.address)))
    return Plan(
        files=(look,),
        directories=("srv",),
        processes=(Process("look", (sys.executable, "-I", look.path)),),
        network=Network(listen=(80,)),
    )

release = Release("probe", "1.0", "Looks around.", {"default": Type("Probe", Nothing, Nothing, plan)})
'''


@dataclass(frozen=True)
class Found:
    """What a process found, on which kind of node."""

    is_root: bool
    user: str
    folder: str
    it: dict[str, Any]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that is below none of those that the page speaks of, where nodes are kept; removed after them."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-probe-", dir="/srv"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=MODES)
def found(request: pytest.FixtureRequest, place: Path, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "instance.py").write_text(PROBE)
    (folder / "software.cfg").write_text("[buildout]\nparts =\n")
    for path, content in generate(load(folder)).items():
        (folder / path).write_text(content)
    is_root = request.param == "root"
    machine = cloud.machine(unprivileged=not is_root, title=request.param, place=place)
    cloud.publish(folder)
    shop = cloud.order(request.param, "probe", constraints={"node": request.param})
    report = machine.folder(shop["partition"]) / "srv" / "found.json"
    found = json.loads(until(lambda: report.exists() and report.read_text()))
    user = shop["partition"] if is_root or os.geteuid() else "root"
    return Found(is_root, user, str(report.parents[1]), found)


def rows() -> list[str]:
    """Return the first column of each table of the page."""
    cells = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell not in ("variable", "path", "what")]


def environment(name: str, value: Callable[[Found], object]) -> Callable[[Found], bool]:
    return lambda found: found.it["environment"].get(name) == value(found)


CHECKS: dict[str, Callable[[Found], object]] = {
    "`PATH`": environment("PATH", lambda found: "/usr/local/bin:/usr/bin:/bin"),
    "`HOME`, working folder": lambda found: (
        found.it["environment"]["HOME"] == found.it["cwd"] == found.it["user"][1] == found.folder
    ),
    "`TMPDIR`": environment("TMPDIR", lambda found: f"{found.folder}/tmp"),
    "`LANG`": environment("LANG", lambda found: "C.UTF-8"),
    "`TZ`": lambda found: found.it["zone"] == found.it["environment"]["TZ"] == "UTC",
    "`USER`, `LOGNAME`": lambda found: (
        found.it["environment"]["USER"] == found.it["environment"]["LOGNAME"] == found.user
    ),
    "`FREEHOLD_PROCESS`": lambda found: (
        found.it["environment"].keys() - {"PWD", *([] if found.is_root else ["FREEHOLD_PROCESS"])} == NAMES
    ),
    "standard input": lambda found: found.it["stdin"] == "",
    "the partition's folder": lambda found: found.it["writes"][found.folder] == found.folder,
    "`/tmp`": lambda found: os.path.exists(f"{found.folder}/tmp/probe"),
    "`/run`, `/var/run`": lambda found: found.it["writes"]["/run"] == found.it["writes"]["/var/run"] == "/tmp",
    "`/var/tmp`": lambda found: found.it["writes"]["/var/tmp"] == "/tmp",
    "`/dev/shm`": lambda found: found.it["writes"]["/dev/shm"] == "/dev/shm",
    "`/usr`, `/bin`, `/lib`, `/sbin`": lambda found: (
        all(found.it["reads"].values()) and found.it["writes"]["/usr"] in REFUSED
    ),
    "`/etc`": lambda found: (
        found.it["writes"]["/etc"] in REFUSED
        and found.it["etc"]["hostname"].strip() in found.it["etc"]["hosts"]
        and "nameserver" in found.it["etc"]["resolv.conf"]
    ),
    "`/proc`": lambda found: found.it["processes"] < 10 or not found.is_root,
    "`/home`, `/opt`, `/root`, `/srv`, `/var/lib`, `/etc/machine-id`, `/etc/shadow`": lambda found: (
        not (
            # The node of this test is kept below one of them.
            any(is_there for path, is_there in found.it["hidden"].items() if path != "/srv")
        )
    ),
    "everything else": lambda found: {found.it["writes"]["/"], found.it["writes"]["/var"]} <= REFUSED,
    "user and group": lambda found: (
        found.it["user"][0] == found.it["user"][2] == found.user
        and set(found.it["users"]) == {"root", "nobody", found.user}
    ),
    "another user, setuid programs": lambda found: found.it["setuid"] in {"PermissionError", "OSError"},
    "namespaces (`unshare`, `setns`)": lambda found: found.it["namespace"] == -1,
    "devices": lambda found: set(re.findall("`([a-z]+)`", line("devices"))) == set(found.it["devices"]),
    "open files": lambda found: found.it["nofile"] == list(resource.getrlimit(resource.RLIMIT_NOFILE)),
    "core files": lambda found: found.it["core"] == [0, 0],
    "name of the machine": lambda found: found.it["host"] == [found.it["etc"]["hostname"].strip(), found.it["address"]],
    "`localhost`": lambda found: found.it["localhost"] == ["127.0.0.1", "::1"],
    "`127.0.0.1`, `0.0.0.0` and `context.address`, port 0": lambda found: all(
        done is True for where, done in found.it["binds"].items() if where.endswith(":0")
    ),
    "ports below 1024": lambda found: not found.is_root or all(done is True for done in found.it["binds"].values()),
    "names of others": lambda found: (
        os.path.exists("/etc/resolv.conf") and bool(re.search(r"^nameserver", found.it["etc"]["resolv.conf"], re.M))
    ),
}
REFUSED = {"OSError", "PermissionError", "FileNotFoundError"}
NAMES = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "USER", "LOGNAME"}


def line(name: str) -> str:
    """Return the line of the page about something."""
    return next(text for text in PAGE.splitlines() if text.startswith(f"| {name}"))


def test_each_line_of_the_page_has_a_check() -> None:
    assert rows() == list(CHECKS)


@pytest.mark.parametrize("row", CHECKS)
def test_a_process_finds_what_the_page_says(found: Found, row: str) -> None:
    assert CHECKS[row](found), found.it
