"""What a node with 100 started partitions costs when nothing happens, and what the Master costs beside it.

CPU of agent, supervisor, inits, fork server and promise workers over two minutes; resident memory of each. The
yardstick of the same run is the CPU of the 100 services themselves, which answer one check a minute each.

    .venv/bin/python bench/idle.py [PARTITIONS] [SECONDS]
"""

import sys
import time
from pathlib import Path

from clouds import cpu_seconds, master, node, rss_mb

from freehold.node.isolation.container import PROGRAM
from freehold.node.settings import load

PARTITIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 120


def main() -> None:
    with master() as served, node(served, partitions=PARTITIONS) as machine:
        client = served.client()
        machine.order(client, "s0")
        for number in range(1, PARTITIONS):
            client.request(f"s{number}", product="hello")
        for number in range(PARTITIONS):
            client.wait(f"s{number}", seconds=300)
        # What the start itself caused (certificates, first measuring) is not idleness.
        time.sleep(60)
        kinds = sort_processes(machine.root, served.pid, machine.agent)
        before = {kind: sum(map(cpu_seconds, pids)) for kind, pids in kinds.items()}
        threads = by_thread(machine.agent)
        time.sleep(SECONDS)
        print(f"{PARTITIONS} started partitions, {SECONDS:g} s without orders")
        for kind, pids in kinds.items():
            used = sum(map(cpu_seconds, pids)) - before[kind]
            print(
                f"{kind:<12} {len(pids):4} processes  {100 * used / SECONDS:6.2f} % of a core  "
                f"RSS {sum(map(rss_mb, pids)):8.1f} MiB  PSS {sum(map(pss_mb, pids)):8.1f} MiB"
                f" ({1024 * sum(map(pss_mb, pids)) / len(pids):.0f} kB each)"
            )
        spent = {name: seconds - threads.get(name, 0.0) for name, seconds in by_thread(machine.agent).items()}
        shares = [
            f"{name} {100 * used / SECONDS:.3f} %" for name, used in sorted(spent.items(), key=lambda one: -one[1])
        ]
        print(f"of the agent, by thread, without the programs that it starts: {', '.join(shares)}")


def sort_processes(root: Path, master_pid: int, agent_pid: int) -> dict[str, list[int]]:
    """Return the processes of the cloud by what they are."""
    kinds: dict[str, list[int]] = {"master": [master_pid], "agent": [agent_pid]}
    tag = load(root).tag
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        text = " ".join(command)
        if f"--root {root}/run" in text and "supervisor" in text:
            kinds.setdefault("supervisor", []).append(int(entry.name))
        elif "freehold.node.forkserver.server" in text:
            kinds.setdefault("fork server", []).append(int(entry.name))
        elif str(root) in text and "hello.py" in text:
            kinds.setdefault("services", []).append(int(entry.name))
        elif command[0] == PROGRAM and tag in (entry / "cgroup").read_text():
            kinds.setdefault("inits", []).append(int(entry.name))
    return kinds


def by_thread(pid: int) -> dict[str, float]:
    """Return the seconds of processor time of a process's threads, by their names."""
    found: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, ran = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
        found[name] = found.get(name, 0.0) + ran / 1e9
    return found


def pss_mb(pid: int) -> float:
    """Return the memory of a process, what it shares divided among those that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
