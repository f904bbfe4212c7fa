"""The rules of the house that can be tried rather than read."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _child(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_resident_agent_stays_small() -> None:
    """What runs for months on a Raspberry Pi loads none of these; children may."""
    _child("""
import sys
import freehold.node.agent
heavy = {"asyncio", "cryptography", "zc", "pyroute2", "django", "setuptools", "pip"}
loaded = heavy & {name.split(".")[0] for name in sys.modules}
assert not loaded, f"the agent loads {sorted(loaded)}"
""")


def test_the_agent_needs_msgspec_and_the_standard_library() -> None:
    """Whatever is added here must come along onto every small machine."""
    _child("""
import sys
import freehold.node.agent, freehold.node.commands, freehold.node.maintenance.loop, freehold.node.upgrade
import freehold.node.software.zipapp, freehold.node.supervisor.server
standard = sys.stdlib_module_names | {"freehold", "msgspec", "typing_extensions", "_distutils_hack"}
foreign = {name.split(".")[0] for name in sys.modules} - standard
# Names with which environments hook themselves into Python.
foreign = {name for name in foreign if not name.startswith(("_virtualenv", "__", "_pytest", "sitecustomize"))}
assert not foreign, f"the agent loads {sorted(foreign)}"
""")


def test_the_contract_stands_alone() -> None:
    _child("""
import importlib, pkgutil, sys
import freehold.protocol
for module in pkgutil.iter_modules(freehold.protocol.__path__):
    importlib.import_module(f"freehold.protocol.{module.name}")
ours = {name for name in sys.modules if name.startswith("freehold.")}
foreign = {name for name in ours if not name.startswith("freehold.protocol")}
assert not foreign, foreign
assert not {"django", "cryptography", "starlette", "sqlite3", "socket"} & set(sys.modules)
""")


def test_a_customers_command_loads_neither_master_nor_node() -> None:
    _child("""
import sys
from freehold.cli import main
try:
    main(["list", "--help"])
except SystemExit:
    pass
loaded = {name.split(".")[1] for name in sys.modules if name.startswith("freehold.")}
assert not {"master", "node"} & loaded, loaded
assert "django" not in sys.modules
""")


def test_no_room_reaches_where_it_may_not() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
