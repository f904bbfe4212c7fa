"""Real nodes: machines with a real agent, supervisor and partitions, enrolled at a real Master."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold import kit
from freehold.kit.waiting import until
from freehold.protocol import archive

REPOSITORY = Path(__file__).parents[2]


class Machine(kit.Machine):
    """The kit's machine, with its supervisor to be seen."""

    @property
    def supervisor_pid(self) -> int:
        from freehold.node.supervisor.client import Supervisor

        return Supervisor(self.root / "run").pid()

    def chain(self) -> tuple[int, int, str]:
        """Return its epoch, and number and hash of the last report that it wrote."""
        with contextlib.closing(sqlite3.connect(f"file:{self.root / 'node.sqlite'}?mode=ro", uri=True)) as memory:
            known = dict(memory.execute("SELECT name, value FROM memory"))
        return int(known["epoch"]), int(known["sequence"]), known["hash"]


LONG = 240.0
"""Seconds that an order may take where the machine is busy: its release is built before."""


class Cloud:
    """A Master and its machines, with what customers and operators do to them."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self.machines: list[Machine] = []

    def machine(
        self,
        *,
        unprivileged: bool,
        partitions: int = 4,
        title: str = "",
        start: bool = True,
        options: tuple[str, ...] = (),
        place: Path | None = None,
    ) -> Machine:
        """Make this machine a node of the Master, of a site of its own, and run its agent."""
        machine = Machine(unprivileged=unprivileged, partitions=partitions, options=options, folder=place)
        self.machines.append(machine)
        title = title or f"machine-{len(self.machines)}"
        self.master.site(title)
        machine.enrol(self.master.url, title, self.master.enrol_token(title))
        if start:
            machine.start()
            until(lambda: self.master.node_row(title)["partitions"] == partitions)
        return machine

    def publish(self, folder: Path) -> str:
        """Publish a release from its folder and supply it to every node; return its product."""
        packed = archive.pack(folder)
        answer = self.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=self.master.owner)
        assert answer.status == 201, answer.body
        product = str(answer.body["product"])
        desired = {"product": product, "release": answer.body["version"], "all": True}
        self.master.api("PUT", "/projects/provider/supplies", desired)
        return product

    def order(self, title: str, product: str = "hello", *, seconds: float = LONG, **desired: Any) -> Any:
        """Request a service and return it when it is ready."""
        self.master.request(title, product, **desired)
        return self.ready(title, seconds=seconds)

    def ready(self, title: str, *, seconds: float = LONG) -> Any:
        """Return a service as soon as it is as wanted."""

        def look() -> Any:
            shown = self.master.show(title)
            return shown if shown["ready"] else None

        try:
            return until(look, seconds)
        except AssertionError:
            logs = "\n".join(machine.log()[-3000:] for machine in self.machines if machine.root.exists())
            pytest.fail(f"{self.master.show(title)}\n{logs}")


MODES = ["root", "unprivileged"] if os.geteuid() == 0 else ["unprivileged"]


@pytest.fixture(scope="module")
def cloud(master: Any) -> Iterator[Cloud]:
    """A Master without machines yet; those that a test makes are removed at the end of its module."""
    built = Cloud(master)
    try:
        yield built
    finally:
        for machine in built.machines:
            machine.remove()
