"""The agent as one file: a node runs by it, becomes another version in place, and goes back when that fails."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.kit.waiting import page, until
from support.machines import REPOSITORY, Cloud, Machine

sys.path.insert(0, str(REPOSITORY / "tools"))
import pyz

MODULES = {
    path.relative_to(pyz.SOURCES).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
    for path in pyz.SOURCES.rglob("*.py")
}


@pytest.fixture(scope="module")
def versions() -> Iterator[Path]:
    """A folder with versions of the agent, which every user can read."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-versions-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def made(folder: Path, name: str, **changed: str) -> Path:
    """Return a version in one file; what is changed in its modules makes it another one."""
    path = folder / f"{name}.pyz"
    with zipfile.ZipFile(path, "w") as packed:
        for inner, content in pyz.contents().items():
            packed.writestr(inner, content + changed.get(Path(inner).stem, "").encode())
    return path


@pytest.fixture(scope="module")
def machine(cloud: Cloud, versions: Path) -> Iterator[Machine]:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, partitions=2, title="one", start=False)
    machine.environment["FREEHOLD_AGENTS"] = str(versions / "agents")
    machine.program = [sys.executable, str(made(versions, "first"))]
    machine.start()
    until(lambda: cloud.master.node_row("one")["partitions"] == 2)
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("page")
    yield machine
    # While the program that can end its supervisor is still there.
    machine.cli("stop", "--yes")


def python_of(machine: Machine) -> str:
    return Path(f"/proc/{machine.agent_pid}/cmdline").read_bytes().split(b"\0")[0].decode()


def test_whatever_its_modules_import_of_ours_is_in_the_file() -> None:
    """Also where a function imports it: `doctor` would miss it on the machine that needs it."""
    names = {Path(name).with_suffix("").as_posix().removesuffix("/__init__") for name in pyz.contents()}
    packed, missing = {name.replace("/", ".") for name in names} | {"freehold.__version__"}, set[str]()
    for name, content in pyz.contents().items():
        for node in ast.walk(ast.parse(content)) if name.endswith(".py") else []:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "freehold":
                missing |= {str(node.module)} - packed
                missing |= {f"{node.module}.{alias.name}" for alias in node.names} & MODULES - packed
    # The one command knows of the other component and of what authors have, and says that they are not here.
    others = {"freehold.simulator.commands", "freehold.master.commands", "freehold.kit.commands"}
    left_out = {f"freehold.{name.removesuffix('.py').replace('/', '.')}" for name in pyz.LEFT_OUT}
    assert missing - left_out == others


def test_what_the_file_leaves_out_no_command_of_a_node_imports() -> None:
    program = (
        "import sys; from freehold.cli import _parser; _parser(['node', 'status']).format_help(); "
        "print(*[name for name in sys.modules if name.startswith('freehold.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    imported = {f"{name.removeprefix('freehold.').replace('.', '/')}.py" for name in done.stdout.split()}
    assert "node/commands.py" in imported
    assert imported & pyz.LEFT_OUT == set()
    names = [re.split("[<>=]", one)[0] for one in pyz.needed()]
    assert {"msgspec", "cryptography"} < set(names)
    assert "shtab" not in names, "only a module that is left out needs it"


def test_the_file_is_small_and_always_the_same(tmp_path: Path) -> None:
    assert pyz.main(tmp_path / "one.pyz") == 0
    assert pyz.main(tmp_path / "two.pyz") == 0
    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
    assert (tmp_path / "one.pyz").stat().st_size <= 400_000


def test_a_node_runs_by_it_and_becomes_another_version_while_services_go_on(
    cloud: Cloud, machine: Machine, versions: Path
) -> None:
    url, pids, before = cloud.master.show("page")["publication"]["url"], machine.pids("page"), python_of(machine)
    assert str(versions) in before
    second = made(versions, "second", agent="# Another version.\n")
    assert "--dry-run" in machine.cli("upgrade", str(second), "--dry-run").stdout
    assert python_of(machine) == before
    done = machine.cli("upgrade", str(second), "--yes", "--within", "60")
    assert done.returncode == 0, done.stdout + done.stderr + machine.log()
    assert python_of(machine) not in (before, sys.executable)
    assert machine.pids("page") == pids
    assert "hello" in page(url)
    assert cloud.ready("page")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("dies", {"agent": "raise SystemExit('it dies')\n"}),
        ("deaf", {"client": "\nLink.call = lambda *_, **__: (_ for _ in ()).throw(LinkDown('deaf'))\n"}),
    ],
)
def test_a_version_that_does_not_do_is_left_again(
    cloud: Cloud, machine: Machine, versions: Path, name: str, wrong: dict[str, str]
) -> None:
    before, pids = python_of(machine), machine.pids("page")
    done = machine.cli("upgrade", str(made(versions, name, **wrong)), "--yes", "--within", "12")
    assert done.returncode == 1
    assert "The former version is back" in done.stderr
    until(lambda: machine.status()["agent"], what="the former agent")
    pid = int((machine.root / "run" / "agent.lock").read_text())
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode() == before
    assert machine.pids("page") == pids
    assert cloud.ready("page")
    assert json.loads((machine.root / "run" / "upgrade.json").read_text())["state"] == "failed"
    # What this test started by itself is the machine's again.
    machine.cli("stop", "--keep-services")
    machine.kill()
    machine.start()
