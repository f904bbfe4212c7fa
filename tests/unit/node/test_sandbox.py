"""Walls, one by one and together: each alone keeps a process where it belongs, where this kernel has it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from freehold.node.isolation import cgroups, group, protections, sandbox
from freehold.node.settings import Limits, Settings

USER = 61000 + os.getpid() % 900
GIVEN = protections.find(Settings("test", unprivileged=os.geteuid() != 0))
PROGRAM = """
import json, os, signal, socket, sys
from freehold.node.isolation import sandbox
order = json.loads(sys.argv[1])
sandbox.enter_sandbox(order["sandbox"])
if order["uid"] is not None:
    os.setgroups([]); os.setgid(order["uid"]); os.setuid(order["uid"])
sandbox.lock(order["sandbox"])
def tried(what):
    try:
        return what() is None or "done"
    except OSError as error:
        return type(error).__name__
own, other = order["sandbox"]["folder"], order["other"]
print(json.dumps({
    "own": tried(lambda: open(f"{own}/new", "w").close()),
    "shown": tried(lambda: open(order["shown"]).read() and None),
    "temporary": tried(lambda: open("/tmp/new", "w").close()),
    "read": tried(lambda: open(f"{other}/secret").read() and None),
    "write": tried(lambda: open(f"{other}/new", "w").close()),
    "run": tried(lambda: open("/usr/bin/env", "rb").read(1) and None),
    "bind": tried(lambda: socket.create_server(("127.0.0.1", order["port"])).close()),
    "bind to any": tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
}))
"""


@pytest.fixture
def slot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sandbox")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    for name in ("own", "other"):
        (folder / name).mkdir(mode=0o777)
        (folder / name).chmod(0o777)
    (folder / "other" / "secret").write_text("secret")
    return folder


def within(slot: Path, *, mounts: bool, landlock: int, user_namespace: bool = False, shown: str = "/etc/hosts") -> Any:
    uid = USER if os.geteuid() == 0 and not user_namespace else None
    source = str(Path(sandbox.__file__).parents[3])
    order = {
        "sandbox": {
            **sandbox.NONE,
            "mounts": mounts,
            "user_namespace": user_namespace,
            "landlock": landlock,
            "links": {name: os.readlink(name) for name in ("/bin", "/lib", "/lib64") if os.path.islink(name)},
            "shows": ["/usr", "/etc", source, os.path.dirname(shown)],
            "folder": str(slot / "own"),
            "listen": [],
            "alone": user_namespace,
        },
        "uid": uid,
        "other": str(slot / "other"),
        "port": 20000 + os.getpid() % 10000,
        "shown": shown,
    }
    command = ["/usr/bin/python3", "-S", "-c", PROGRAM, json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": source}, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


REFUSED = ("FileNotFoundError", "PermissionError")


@pytest.mark.skipif(not GIVEN.mounts, reason="this kernel gives no view of one's own")
@pytest.mark.parametrize("user_namespace", [False, True] if os.geteuid() == 0 else [True])
def test_a_view_of_its_own_holds_what_is_named(slot: Path, user_namespace: bool) -> None:
    found = within(slot, mounts=True, landlock=0, user_namespace=user_namespace)
    assert (found["own"], found["run"]) == (True, True)
    assert {found["read"], found["write"]} <= set(REFUSED)


@pytest.mark.skipif(not GIVEN.mounts, reason="this kernel gives no view of one's own")
@pytest.mark.parametrize("user_namespace", [False, True] if os.geteuid() == 0 else [True])
def test_what_lies_in_the_machines_tmp_is_seen_if_it_is_named(slot: Path, user_namespace: bool) -> None:
    """Whoever tries Freehold may well keep it there, and its nodes' folders elsewhere."""
    program = slot / "program"
    program.mkdir(mode=0o755)
    (program / "ours").write_text("ours")
    with tempfile.TemporaryDirectory(prefix="freehold-", dir="/var/tmp") as elsewhere:
        Path(elsewhere).chmod(0o755)
        (Path(elsewhere) / "own").mkdir()
        (Path(elsewhere) / "own").chmod(0o777)
        shown = str(program / "ours")
        found = within(Path(elsewhere), mounts=True, landlock=0, user_namespace=user_namespace, shown=shown)
    assert (found["own"], found["shown"], found["temporary"]) == (True, True, True)


@pytest.mark.skipif(not GIVEN.landlock, reason="this kernel has no Landlock")
def test_landlock_alone_keeps_it_in_its_folder(slot: Path) -> None:
    found = within(slot, mounts=False, landlock=GIVEN.landlock)
    assert (found["own"], found["run"]) == (True, True)
    assert {found["read"], found["write"]} == {"PermissionError"}


@pytest.mark.skipif(not GIVEN.landlock, reason="this kernel has no Landlock")
@pytest.mark.parametrize("version", range(1, GIVEN.landlock + 1))
def test_older_versions_of_landlock_do_what_they_can(slot: Path, version: int) -> None:
    found = within(slot, mounts=False, landlock=version)
    assert (found["own"], found["read"]) == (True, "PermissionError")
    assert found["bind"] == ("PermissionError" if version >= 4 else True)
    assert found["bind to any"] is True, "who connects needs a port of his own, whatever it is"


def test_what_is_missing_is_said_with_what_mends_it() -> None:
    none = protections.Protections(False, False, True, 0, 0, [], False, False, False, "")
    assert set(none.holding()) == set(protections.NAMES)
    assert set(none.missing()) == set(protections.NAMES) - {"disk"}
    assert all(none.missing().values())
    every = protections.Protections(True, True, False, 7, 2, ["cpu", "memory", "pids"], True, True, True, "06")
    assert every.missing() == {}


@pytest.mark.skipif(not Path("/sys/fs/cgroup/unified/cgroup.controllers").exists(), reason="there is no version 2")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has control groups")
def test_version_2_counts_and_kills_also_where_it_limits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_ROOT", Path("/sys/fs/cgroup/unified"))
    tag = f"test{os.getpid()}-2"
    try:
        groups = cgroups.create(f"{tag}/p0", Limits(memory_mb=64))
        assert cgroups.version() == 2
        own = f"{groups.tracked}/hello"
        os.makedirs(own)
        enter = f"import os\nopen('{own}/cgroup.procs', 'w').write('0')\n"
        burn = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ntime.sleep(1000)"
        command = [sys.executable, "-S", "-c", enter + burn]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert cgroups.processes(f"{tag}/p0") == ([process.pid], [])
            assert cgroups.partitions(tag) == ["p0"]
            assert (cgroups.cpu_ms(f"{tag}/p0") or 0) > 150
            group.kill(groups.tracking)
            assert process.wait(10) == -9
        assert cgroups.end(f"{tag}/p0", 10)
        assert not Path(groups.tracking).exists()
    finally:
        cgroups.remove_node(tag)
    assert not Path("/sys/fs/cgroup/unified/freehold", tag).exists()


@pytest.mark.skipif(os.geteuid() != 0 or cgroups.version() != 1, reason="it takes root and version 1")
def test_limits_are_raised_and_lowered() -> None:
    tag = f"test{os.getpid()}-limits"
    folder = Path("/sys/fs/cgroup/memory/freehold", tag, "p0")
    try:
        for megabytes in (64, 256, 32):
            cgroups.create(f"{tag}/p0", Limits(memory_mb=megabytes, processes=megabytes))
            for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
                assert int((folder / name).read_text()) == megabytes << 20
    finally:
        cgroups.remove_node(tag)
