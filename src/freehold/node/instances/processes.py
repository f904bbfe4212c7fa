"""What the supervisor is ordered to run for an instance: its services and runs, each as one process."""

import hashlib
import json
import os
from pathlib import Path

from freehold.node.partition import layout as layouts
from freehold.node.partition.layout import Executable, Layout
from freehold.node.parts import EnclosuresPart
from freehold.node.services import SETTLED, SETTLED_UNATTESTED
from freehold.node.settings import PartitionSlot
from freehold.node.state.instances import DesiredInstance
from freehold.node.supervisor.client import Process
from freehold.protocol import JOB_PROMISE


def of_layout(
    folder: Path, slot: PartitionSlot, desired: DesiredInstance, layout: Layout, enclosures: EnclosuresPart
) -> list[Process]:
    """Return the processes of a layout, in the folder of its partition and enclosed as the partition is."""
    restarts = json.loads(desired.restarts)
    # Without another user it is root, of nothing: `visible.files` gives it that name.
    user = slot.name if slot.uid is not None or os.geteuid() else "root"
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "USER": user,
        "LOGNAME": user,
    }
    groups, limits = enclosures.groups(slot), enclosures.resource_limits(slot)
    sandbox = enclosures.sandbox(slot, desired.release, layout.outcome)
    return [
        Process(
            name=f"{kind}/{program.name}",
            argv=[str(folder / where / program.name)],
            cwd=str(folder),
            log=str(folder / layouts.LOG / f"{program.name}.log"),
            digest=_digest(kind, program, desired.release, restarts),
            environment=environment,
            uid=slot.uid,
            gid=slot.gid,
            once=kind == "run",
            groups=groups.services,
            track=groups.tracked,
            limits=limits,
            sandbox=sandbox,
            after=[f"service/{predecessor}" for predecessor in program.after[: layouts.MOST_AFTER]],
            stop_timeout=stop_timeout(program),
            stop_signal=program.stop_signal,
            awaits=[f"run/{predecessor}" for predecessor in program.awaits],
            reload_signal=program.reload_signal,
            reload_digest=program.reload_digest,
            settle=SETTLED if layout.outcome.attested else SETTLED_UNATTESTED,
        )
        for kind, where, programs in (
            ("service", layouts.SERVICE, layout.services),
            ("run", layouts.RUN, layout.runs),
        )
        for program in programs
    ]


def runs(desired: DesiredInstance) -> dict[str, str]:
    """Return the token of the last time that each job was to be run at once, by job."""
    tokens: dict[str, str] = json.loads(desired.restarts)
    return {name.removeprefix(JOB_PROMISE): token for name, token in tokens.items() if name.startswith(JOB_PROMISE)}


def stop_timeout(program: Executable) -> float:
    """Return the seconds that a program may take to end, within bounds: its partition may have written anything."""
    return max(0.0, min(program.stop_timeout, layouts.LONGEST_STOP))


def _digest(kind: str, program: Executable, release: str, restarts: dict[str, str]) -> str:
    """Return what a process is known by: another one is started when that changes.

    What goes on running would stay in walls that show the former release only, and lose its programs with it. What
    runs once was done, whatever release did it, and is not done again by a restart. The token of a restart is a part of
    it: so a restart is done once, whoever is killed meanwhile, and is not forgotten.
    """
    if kind != "service":
        return program.digest
    tokens = [restarts[name] for name in ("", program.name) if name in restarts]
    restarted = f".{hashlib.sha256(json.dumps(tokens).encode()).hexdigest()[:16]}" if tokens else ""
    return f"{program.digest}.{release[:16]}{restarted}"
