"""A node starts without network after a loss of power: how long until 20 services answer.

    .venv/bin/python bench/reboot.py [ROUNDS]

Twenty of `hello`, each in a partition of its own. Everything of the node and the Master is ended; then the agent is
started, as the machine's start would, and each page is asked for until it answers. Beside it, in the same run: 20 of
the same web server started bare, all at once. The difference is our own time.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import clouds

from freehold.kit.waiting import gone, shows, until
from freehold.node.supervisor.client import Supervisor

SERVICES, TARGET = 20, 5.0


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with clouds.master() as served, clouds.node(served, SERVICES) as node:
        client = served.client()
        node.order(client, "s0")
        for number in range(1, SERVICES):
            client.request(f"s{number}", product="hello")
        shown = [client.wait(f"s{number}", seconds=300) for number in range(SERVICES)]
        urls = [str(one.publication["url"]) for one in shown]
        folders = [node.root / "partitions" / one.partition for one in shown]
        served.stop()
        agent = node.agent
        ours, bare = [], []
        for _ in range(rounds):
            end(node.root, agent)
            bare.append(start_bare(folders, urls))
            began = time.monotonic()
            agent = start(node.root)
            for url in urls:
                until(shows(url, ""), 60)
            ours.append(time.monotonic() - began)
        end(node.root, agent)
    own = statistics.median(ours) - statistics.median(bare)
    print(
        f"{SERVICES} services after a start without network: median {statistics.median(ours):.2f} s, slowest"
        f" {max(ours):.2f} s; bare {statistics.median(bare):.2f} s; our own {own:.2f} s (target {TARGET:g}),"
        f" {statistics.median(ours) / statistics.median(bare):.1f} times"
    )


def end(root: Path, agent: int) -> None:
    """End everything of a node, as a loss of power does."""
    os.kill(agent, 9)
    Supervisor(root / "run").shutdown()
    until(gone([agent]), 30)


def start(root: Path) -> int:
    with (root / "agent.log").open("ab") as log:
        command = [sys.executable, "-m", "freehold.cli", "node", "run", "--root", str(root)]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True).pid


def start_bare(folders: list[Path], urls: list[str]) -> float:
    """Return the seconds until twenty of the same servers answer that nobody looks after."""
    began = time.monotonic()
    servers = [subprocess.Popen([folder / "etc" / "service" / "hello"], cwd=folder) for folder in folders]
    for url in urls:
        until(shows(url, ""), 60)
    seconds = time.monotonic() - began
    for one in servers:
        one.kill()
        one.wait()
    return seconds


if __name__ == "__main__":
    main()
