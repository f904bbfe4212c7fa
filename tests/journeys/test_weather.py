"""A real pair of Master and node over a bad line, with a spy on it: nothing is lost, and the spy gets nothing.

Three packets in ten are lost (by the kernel, as root), each piece takes two seconds each way, and the line is cut again
and again. Under a minute of it; FREEHOLD_WEATHER says how many seconds in a campaign.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from freehold.kit.waiting import until
from support.machines import REPOSITORY, Cloud, Machine

SECONDS = float(os.environ.get("FREEHOLD_WEATHER", "45"))
LONGEST_CUT = min(60.0, SECONDS / 6)
LOSS = 30
DELAY = 2.0
TABLE = "freehold_weather"


class Line:
    """A proxy between a node and its Master, on a port of its own, that writes down all that passes."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.cut = False
        self.heard: list[bytearray] = []
        """What each connection carried towards the Master."""
        self.seen = bytearray()
        """All that was carried, both ways."""
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._loop.create_task(self._serve(listener))
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def cut_off(self) -> None:
        """Let nothing pass, and leave both ends in the belief that somebody is there."""
        self.cut = True

    def mend(self) -> None:
        """Let new connections pass; those that were cut are gone."""
        self.cut = False
        self._loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in self._writers])

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._join, sock=listener)
        async with server:
            await server.serve_forever()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, there_writer}
        towards = bytearray()
        self.heard.append(towards)
        await asyncio.gather(self._carry(reader, there_writer, towards), self._carry(there_reader, writer, bytearray()))
        self._writers -= {writer, there_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bytearray) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                moment, piece = await pieces.get()
                await asyncio.sleep(max(0.0, moment - time.monotonic()))
                while self.cut:
                    await asyncio.sleep(0.1)
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                note += piece
                self.seen += piece
                pieces.put_nowait((time.monotonic() + self.delay, piece))
        pieces.put_nowait((0.0, b""))
        with contextlib.suppress(OSError):
            await delivering
        writer.close()


@pytest.fixture(scope="module")
def line(cloud: Cloud) -> Line:
    return Line(cloud.master.port)


@pytest.fixture(scope="module")
def machine(cloud: Cloud, line: Line) -> Machine:
    """A node that reaches its Master over the line only."""
    made = Machine(unprivileged=os.geteuid() != 0, partitions=5)
    cloud.machines.append(made)
    cloud.master.site("mast")
    made.enrol(f"https://127.0.0.1:{line.port}", "mast", cloud.master.enrol_token("mast"))
    made.start()
    until(lambda: cloud.master.node_row("mast")["partitions"] == 5)
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("steady", parameters={"greeting": "steady"})
    return made


@contextlib.contextmanager
def lossy(port: int) -> Iterator[None]:
    """Lose packets to and from a port of this machine, when we may."""
    if os.geteuid() != 0:
        yield
        return
    rules = f"""
    table inet {TABLE} {{
      chain arriving {{
        type filter hook input priority 0;
        iifname "lo" tcp dport {port} numgen random mod 100 < {LOSS} drop
        iifname "lo" tcp sport {port} numgen random mod 100 < {LOSS} drop
      }}
    }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", TABLE], check=True)


def test_over_a_bad_line_nothing_is_lost_and_nothing_stops(cloud: Cloud, machine: Machine, line: Line) -> None:
    pids = machine.pids("steady")
    chance = random.Random(4)
    end, number = time.monotonic() + SECONDS, 0
    line.delay = DELAY
    with lossy(line.port):
        while time.monotonic() < end:
            number += 1
            cloud.master.request(f"mine-{number % 3}", "hello", parameters={"greeting": f"number {number}"})
            time.sleep(chance.uniform(1, SECONDS / 12))
            line.cut_off()
            time.sleep(chance.uniform(1, LONGEST_CUT))
            line.mend()
    line.delay = 0.0
    assert machine.pids("steady") == pids, "a bad line stops nothing"
    for title in {f"mine-{one % 3}" for one in range(1, number + 1)}:
        cloud.ready(title, seconds=150)
    until(lambda: machine.status()["reports_waiting"] == 0, 90)
    assert cloud.master.sql("SELECT count(*) FROM fleet_refuseditem") == [(0,)]
    until(lambda: cloud.master.chain("mast") == machine.chain(), 60, "each report applied once, and nothing else")
    _used_is_counted(cloud, machine)


def _used_is_counted(cloud: Cloud, machine: Machine) -> None:
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    machine.kill()
    store = Store(Database(machine.root / "node.sqlite"))
    kept = {instance: text for instance, text in store.counters.all().items() if "cpu_ms" in text}
    store.close()
    machine.start()
    least = {instance: int(json.loads(text)["used"]["cpu_ms"]) for instance, text in kept.items()}

    def told() -> bool:
        return all(_cpu(cloud, "usage_lastreading").get(instance, 0) >= used for instance, used in least.items())

    until(told, 90, "what was measured is told")
    by_hours, by_counters = _cpu(cloud, "usage_hour"), _cpu(cloud, "usage_lastreading")
    assert by_hours == by_counters


def _cpu(cloud: Cloud, table: str) -> dict[str, int]:
    rows = cloud.master.sql(f"SELECT instance_id, sum(cpu_ms) FROM {table} GROUP BY instance_id")
    return {instance: int(value) for instance, value in rows if value is not None}


def test_the_spy_reads_nothing_and_replays_nothing(cloud: Cloud, machine: Machine, line: Line) -> None:
    until(lambda: machine.status()["reports_waiting"] == 0, 60)
    machine.kill()
    assert len(line.seen) > 10_000
    for secret in (b"steady", b"greeting", b"hello", b"/node/v1", b"mast"):
        assert secret not in line.seen
    before = _books(cloud)
    for recorded in line.heard:
        with socket.create_connection(("127.0.0.1", cloud.master.port), timeout=5) as connection:
            connection.settimeout(3)
            with contextlib.suppress(OSError):
                connection.sendall(bytes(recorded))
                while connection.recv(65536):
                    pass
    assert _books(cloud) == before
    machine.start()
    cloud.order("after", parameters={"greeting": "after"})


def _books(cloud: Cloud) -> list[Any]:
    """Return what would grow if anything recorded were taken for new; tidying forgets reports, not their numbers."""
    tables = ("fleet_certificate", "fleet_node", "ordering_instance", "usage_hour", "ordering_instancerow")
    return [
        cloud.master.sql("SELECT sum(sequence) FROM fleet_chain"),
        *(cloud.master.sql(f"SELECT count(*) FROM {table}") for table in tables),
    ]
