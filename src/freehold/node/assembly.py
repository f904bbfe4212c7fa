"""The parts of a machine's agent, made from its folder."""

import fcntl
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from freehold.node.errors import SettingsError
from freehold.node.forkserver import ForkServer
from freehold.node.host.facts import host_facts
from freehold.node.host.slots import keep_addresses
from freehold.node.identities import Identities
from freehold.node.instances.enclosure import Enclosures
from freehold.node.link import enrolment
from freehold.node.link.client import Link
from freehold.node.maintenance.loop import MaintenanceLoop
from freehold.node.metering import Meter
from freehold.node.parts import AgentParts
from freehold.node.promises import Scheduler
from freehold.node.runtime import Runtime
from freehold.node.settings import Paths, Settings, load
from freehold.node.software import build
from freehold.node.state.database import Database, put_damaged_aside
from freehold.node.state.store import Store
from freehold.node.supervisor.client import Supervisor
from freehold.protocol.report import HostFacts, HostPromise

LOCK_PATIENCE = 1.0
"""Seconds after which whoever has the lock is another agent."""


def assemble(root: Path) -> AgentParts:
    """Return the parts of the agent of a folder, and have the folder be its alone until this process ends.

    Raise SettingsError when the folder is not enrolled, or when another agent runs in it.
    """
    paths, settings = Paths(root), load(root)
    if not settings.node:
        raise SettingsError(f"{root} is not enrolled yet. Run: freehold node enrol --root {root}")
    take_lock(paths)
    put_damaged_aside(paths.store)
    store = Store(Database(paths.store), budget=settings.outbox_mb * 1024 * 1024)
    fork_server = ForkServer(paths.run / "forkserver.log")
    own_fork_server = ForkServer(paths.run / "own-forkserver.log")
    enclosures = Enclosures(paths, settings, own_fork_server.call, store.instances)
    return AgentParts(
        paths=paths,
        settings=settings,
        runtime=Runtime(),
        store=store,
        connect=partial(Link, settings.master, paths.authority, (paths.certificate, paths.key), time=store.clock),
        keep_epoch=partial(enrolment.keep_epoch, root),
        renew_certificate=partial(enrolment.renew, root),
        supervisor=Supervisor(paths.run),
        fork_server=fork_server,
        own_fork_server=own_fork_server,
        enclosures=enclosures,
        meter=Meter(settings.tag, root_mode=not settings.unprivileged),
        builder=build,
        host=Host(paths, settings),
        promises=partial(Scheduler, fork_server),
        maintenance=partial(
            MaintenanceLoop, paths, settings, store, enclosures=enclosures, fork_server=own_fork_server
        ),
        identities=Identities,
    )


@dataclass(frozen=True)
class Host:
    """The machine that this process runs on."""

    paths: Paths
    settings: Settings

    def facts(self, protections: dict[str, bool], promises: list[HostPromise], lease: float) -> HostFacts:
        return host_facts(self.paths.root, self.settings, protections, promises, lease)

    def keep_addresses(self, *, on_host: bool) -> None:
        keep_addresses(self.settings, on_host=on_host)


def take_lock(paths: Paths) -> int:
    """Return the lock that keeps a second agent away from this folder; raise SettingsError when there is one."""
    paths.run.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Whoever asks whether an agent runs (`upgrade.agent_pid`) has it for a moment.
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise SettingsError(f"An agent runs already in {paths.root}. See: freehold node status") from None
            time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
