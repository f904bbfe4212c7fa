"""Upgrade of the agent in place, and back by itself.

`freehold node upgrade FILE` unpacks another version beside this one, and has the agent become it: the same process,
so that whatever keeps it notices nothing, and services go on. The new one has some time to reach the Master and to
see every promise kept that was kept before. If it does not, or dies, a watcher that runs the former version's code puts
that back.

    python -m freehold.node.upgrade ROOT        # the watcher
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from freehold import durable
from freehold.node.errors import NodeError
from freehold.node.runtime import Event
from freehold.node.settings import Paths
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.upstream import Upstream
from freehold.protocol import UNREADABLE

TRYING, DONE, FAILED = "trying", "done", "failed"
GONE = 10.0
"""Seconds without any agent after which the new one counts as dead."""
_log = logging.getLogger(__name__)


class Upgrade(msgspec.Struct, frozen=True):
    """How an upgrade goes; kept in a file, which both versions and the watcher read."""

    state: str
    python: str
    """The interpreter of the new version's environment."""
    former: str
    kept: list[tuple[str, str]]
    """Instances and promises that were kept before."""
    seconds: float
    """Until when, from its start, the new one must have proved itself."""
    why: str = ""
    """When it failed."""


def read(root: Path) -> Upgrade | None:
    """Return the last upgrade of a node; None when there was none."""
    try:
        return msgspec.json.decode(_file(root).read_bytes(), type=Upgrade)
    except (FileNotFoundError, *UNREADABLE):
        return None


def begin(root: Path, python: str, agent: int | None, seconds: float) -> None:
    """Have the running agent (its process, if any runs) become another version; return at once."""
    results = Store(Database(Paths(root).store)).results
    kept_promises = [(result.instance, result.name) for result in results.all() if result.kept]
    former = read(root)
    known = former.python if former is not None and former.state == DONE else sys.executable
    _write(root, Upgrade(TRYING, python, known, kept_promises, seconds))
    with (root / "agent.log").open("ab") as log:
        watcher = [known, "-m", "freehold.node.upgrade", str(root)]
        subprocess.Popen(watcher, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
    if agent is not None:
        os.kill(agent, signal.SIGHUP)


def follow(root: Path) -> None:
    """Become the version that was chosen, unless we are it: at each start of an agent, and when told to."""
    upgrade = read(root)
    if upgrade is None or upgrade.python == sys.executable:
        return
    if upgrade.state in (TRYING, DONE) and os.access(upgrade.python, os.X_OK):
        os.execv(upgrade.python, [upgrade.python, "-m", "freehold.cli", "node", "run", "--root", str(root)])


def prove(root: Path, link: Upstream, store: Store, over: Event) -> None:
    """As the new version: note that we are well, as soon as we are. Runs in a thread of the agent."""
    upgrade = read(root)
    if upgrade is None or upgrade.state != TRYING or upgrade.python != sys.executable:
        return
    began = store.clock.now()
    while not over.wait(0.5):
        if why := _unproved(link, store, upgrade, began):
            _log.info("not proved yet: %s", why)
            continue
        _write(root, msgspec.structs.replace(upgrade, state=DONE))
        _log.info("this version of the agent stays")
        _forget_others({upgrade.python, upgrade.former})
        return


def _unproved(link: Upstream, store: Store, upgrade: Upgrade, began: float) -> str:
    try:
        link.call("GET", f"/node/v1/feed?since={store.revision}&wait=0", timeout=20)
    except NodeError as error:
        return f"the Master is not reached: {error}"
    wanted = {desired.instance for desired in store.instances.started()}
    kept_promises = {(result.instance, result.name) for result in store.results.all() if result.kept}
    if broken := [promise for promise in upgrade.kept if promise[0] in wanted and promise not in kept_promises]:
        return f"promise {broken[0][1]} of {broken[0][0]} is not kept"
    return "" if store.clock.now() - began >= min(5.0, upgrade.seconds / 2) else "promises were not all looked at yet"


def watch(root: Path) -> None:
    """As the watcher: return when the new version has proved itself, or when the former one is back."""
    first = read(root)
    if first is None:
        return
    end = time.monotonic() + first.seconds
    seen = time.monotonic()
    while (upgrade := read(root)) is not None and upgrade.state == TRYING:
        now = time.monotonic()
        seen = now if agent_pid(Paths(root)) is not None else seen
        if now > end or now - seen > GONE:
            late = f"It did not reach the Master and its promises within {first.seconds:g} s."
            _write(
                root, msgspec.structs.replace(upgrade, state=FAILED, why=late if now > end else "It ended by itself.")
            )
            break
        time.sleep(0.2)
    upgrade = read(root)
    if upgrade is not None and upgrade.state == FAILED:
        _put_back(root, upgrade)


def _put_back(root: Path, upgrade: Upgrade) -> None:
    pid = agent_pid(Paths(root))
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    # Whatever keeps the agent may be quicker than we.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        if agent_pid(Paths(root)) not in (None, pid):
            return
        time.sleep(0.1)
    with (root / "agent.log").open("ab") as log:
        command = [upgrade.former, "-m", "freehold.cli", "node", "run", "--root", str(root)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)


def agent_pid(paths: Paths) -> int | None:
    """Return the process id of the agent that runs in this folder; None when none does."""
    import fcntl

    try:
        descriptor = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode().strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None


def _forget_others(pythons: set[str]) -> None:
    """Remove the versions that are neither the present nor the former one."""
    from freehold.node.software import zipapp

    keep = {Path(python).parents[2] for python in pythons if zipapp.home() in Path(python).parents}
    for folder in zipapp.home().iterdir() if keep else ():
        if folder not in keep and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)


def _file(root: Path) -> Path:
    return Paths(root).run / "upgrade.json"


def _write(root: Path, upgrade: Upgrade) -> None:
    durable.replace(_file(root), msgspec.json.encode(upgrade), 0o600)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
