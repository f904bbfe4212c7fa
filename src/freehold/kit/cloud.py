"""A cloud on this machine for tests: a Master and its nodes, with what customers and operators do to them."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from freehold.client import NotReady
from freehold.client.messages import Instance
from freehold.kit.machine import Machine, has_users
from freehold.kit.master import Master
from freehold.kit.waiting import KitError, gone, until
from freehold.protocol import JOB_PROMISE, archive

LONG = 300.0
"""Seconds that a first order may take: the release is built before."""


class Cloud:
    """A Master without nodes yet. Everything is done as its owner, who is also the customer."""

    def __init__(self, root: Path) -> None:
        """Make and serve a Master in an empty folder."""
        self.master = Master(root, f"sqlite:///{root / 'master.sqlite'}")
        self.client = self.master.client()
        """The public API: `freehold.client.Client`."""
        self.machines: list[Machine] = []
        self._newest: dict[str, str] = {}
        """Of each product, the version that was published last."""

    def add_node(self, title: str = "", *, partitions: int = 6, unprivileged: bool | None = None) -> Machine:
        """Make this machine a node, of a site of its own, and return it when it can be ordered from.

        As root its partitions have users of their own; `unprivileged` does without, as nodes without root do.
        """
        title = title or f"node-{len(self.machines) + 1}"
        machine = Machine(unprivileged=not has_users() if unprivileged is None else unprivileged, partitions=partitions)
        self.machines.append(machine)
        self.client.add_site(title)
        machine.enrol(self.master.url, title, self.client.enrol_token(title))
        machine.start()
        until(lambda: any(node.title == title and node.partitions for node in self.client.nodes()), 30, "The node")
        return machine

    def publish(self, folder: Path) -> str:
        """Publish a release, from its folder or packed in a file, and supply it to every node; return its product."""
        release = self.client.publish(archive.pack(folder) if folder.is_dir() else folder.read_bytes())
        self.client.supply(release.product, release=release.version)
        self._newest[release.product] = release.version
        return release.product

    def newest(self, product: str) -> str:
        """Return the version of a product that was published last."""
        return self._newest[product]

    def upgrade(self, title: str, *, seconds: float = LONG) -> Instance:
        """Have a service run the release of its product that was published last; return it when it is ready.

        Raise KitError with what the node said when it is not ready within so many seconds.
        """
        self.client.request(title, release=self.newest(self.show(title).product))
        return self.ready(title, seconds=seconds)

    def run_job(self, title: str, job: str, *, seconds: float = 60.0) -> None:
        """Have a job of a service run now, and return when it has ended well."""
        path = self.partition(title) / ".freehold" / "jobs" / f"{job}.json"
        began = time.time()
        self.client.restart(title, process=f"{JOB_PROMISE}{job}")

        def ran() -> bool:
            noted: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
            is_over = noted.get("ended", 0.0) >= noted.get("started", 0.0) >= began - 1.0
            return is_over and noted["status"] == 0

        until(ran, seconds, f"A run of '{job}' that ends well")

    def order(self, title: str, product: str, *, seconds: float = LONG, **spec: Any) -> Instance:
        """Request a service, or a change of it (`type`, `parameters`, `state`), and return it when it is ready.

        Raise KitError with what the node said when it is not ready within so many seconds.
        """
        self.client.request(title, product=product, **spec)
        return self.ready(title, seconds=seconds)

    def ready(self, title: str, *, seconds: float = LONG) -> Instance:
        """Return a service as soon as it is as wanted; started, that is with every promise kept."""
        try:
            self.client.wait(title, seconds=seconds)
        except NotReady as error:
            raise KitError(f"{error}\n{self._explanation(title)}") from None
        return self.show(title)

    def show(self, title: str) -> Instance:
        """Return a service as it is, with its secrets."""
        return self.client.show(title, reveal=True)

    def stop(self, title: str) -> Instance:
        return self._change(title, "stopped")

    def start(self, title: str) -> Instance:
        return self._change(title, "started")

    def destroy(self, title: str) -> Instance:
        self.client.request(title, state="destroyed", now=True)
        return self.ready(title)

    def partition(self, title: str) -> Path:
        """Return the folder of a service, to look at its files and logs."""
        instance = self.show(title)
        machine = self._machine(title)
        return machine.folder(instance.partition)

    def pids(self, title: str) -> list[int]:
        """Return the processes of a service."""
        return [pid for machine in self.machines for pid in machine.pids(title)]

    def kill(self, title: str) -> None:
        """End each process of a service with SIGKILL, and return when they are gone."""
        pids = self.pids(title)
        if not pids:
            raise KitError(f"'{title}' has no process that could be killed.")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(gone(pids), what="The processes' end")

    def remove(self) -> None:
        """End everything and leave no trace."""
        for machine in self.machines:
            machine.remove()
        self.master.stop()

    def _change(self, title: str, state: str) -> Instance:
        self.client.request(title, state=state)
        return self.ready(title)

    def _machine(self, title: str) -> Machine:
        for machine in self.machines:
            if any(instance["title"] == title for instance in machine.status()["instances"]):
                return machine
        raise KitError(f"No node has '{title}'.")

    def _explanation(self, title: str) -> str:
        """Return what an author needs to see: promises, logs of the service, the agent's last words."""
        broken = [
            f"promise {promise.name}: {promise.message}"
            for promise in self.show(title).promises
            if promise.kept is False
        ]
        for machine in self.machines:
            for instance in machine.status()["instances"]:
                if instance["title"] == title:
                    for log in sorted((machine.folder(instance["partition"]) / "var/log").glob("*.log")):
                        broken.append(f"── {log.name}\n{log.read_text(errors='replace')[-2000:]}")
            broken.append(f"── the agent's log\n{machine.log()[-2000:]}")
        return "\n".join(broken)
