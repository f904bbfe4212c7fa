"""What 1,000 promises a minute cost, and a pass over 100 partitions in which nothing is to be done.

The real scheduler and its workers check 10 promises in each of 100 partitions (ports, files), as fast as a period of
six seconds asks; the CPU of all of them is counted and brought to 1,000 a minute. The yardstick of the same run is
the same checks made one after the other in one process, without scheduler, workers or walls.

    python bench/promises.py [SECONDS]

Targets: at most 5 % of a core for 1,000 a minute; at most 0.02 CPU seconds for a pass.
"""

import logging
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from freehold.node import plan as planning
from freehold.node.forkserver import ForkServer
from freehold.node.promises import Result, Scheduler, Watch
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.promises import FileState, Promise, TcpPort, source
from freehold.protocol.feed import Feed, Installation, WantedInstance
from freehold.protocol.states import Observed, SoftwareObserved, SoftwareWanted, Wanted

PARTITIONS, EACH, PERIOD = 100, 10, 6.0
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="freehold-bench-") as root,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        server.listen(4096)
        threading.Thread(target=lambda: _accept(server), daemon=True).start()
        promises: list[Promise] = [
            TcpPort("127.0.0.1", server.getsockname()[1], PERIOD) if number % 2 else FileState(root, period=PERIOD)
            for number in range(EACH)
        ]
        share = checked(Path(root), promises)
        alone = yardstick(promises)
        print(f"  the same checks in a row, in one process: {alone:.2f} % of a core; ratio {share / alone:.1f}")
        seconds = passed(Path(root))
        sys.exit(share > 5 or seconds > 0.02)


def checked(root: Path, promises: list[Promise]) -> float:
    """Return the share of a core, in percent, that 1,000 checks a minute cost."""
    results: list[Result] = []
    fork_server = ForkServer(root / "forkserver.log")
    scheduler = Scheduler(fork_server, results.append)
    scheduler.start()
    for number in range(PARTITIONS):
        folder = root / f"p{number}"
        (folder / "etc" / "plugin").mkdir(parents=True)
        names = tuple(f"etc/plugin/one-{place}.py" for place in range(len(promises)))
        for name, promise in zip(names, promises, strict=True):
            (folder / name).write_text(source(promise))
        scheduler.watch(Watch(f"p{number}", f"i{number}", 1, str(folder), None, None, names))
    while len(results) < PARTITIONS * EACH:
        time.sleep(0.1)
    pids = _tree(fork_server)
    before, count, began = _cpu(pids), len(results), time.monotonic()
    time.sleep(SECONDS)
    checks, elapsed, used = len(results) - count, time.monotonic() - began, _cpu(pids) - before
    assert all(one.kept for one in results)
    share = used / checks * 1000 / 60 * 100
    print(f"{checks} checks in {elapsed:.0f} s by {len(pids)} processes, {used / checks * 1000:.3f} ms CPU each")
    print(f"1,000 promises a minute: {share:.2f} % of a core (target: at most 5)")
    scheduler.stop()
    fork_server.close()
    return share


def yardstick(promises: list[Promise]) -> float:
    before = time.process_time()
    for _ in range(100):
        for promise in promises:
            promise.check()
    return (time.process_time() - before) / (100 * len(promises)) * 1000 / 60 * 100


def passed(root: Path) -> float:
    """Return the CPU seconds of a pass of the agent over partitions in which all is as wanted."""
    store = Store(Database(root / "node.sqlite"))
    release = "0" * 64
    wanted = [
        WantedInstance(f"i{number}", 1, f"p{number}", release, "default", Wanted.STARTED)
        for number in range(PARTITIONS)
    ]
    store.apply_feed(Feed(1, 0.0, 0.0, True, [Installation(release, 1, SoftwareWanted.AVAILABLE)], wanted))
    store.software.record_state(release, SoftwareObserved.AVAILABLE)
    for one in wanted:
        store.instances.record_state(one.instance, 1, Observed.STARTED)
    before = time.process_time()
    for _ in range(20):
        assert not planning.plan(store.software.planned(), store.instances.planned(), time.time())
        planning.next_moment(store.software.planned(), store.instances.planned(), time.time())
    seconds = (time.process_time() - before) / 20
    print(f"no-op pass over {PARTITIONS} partitions: {seconds:.4f} CPU seconds (target: at most 0.02)")
    return seconds


def _tree(fork_server: ForkServer) -> list[int]:
    """Return ourselves, the helper and the workers."""
    assert fork_server._process is not None
    helper = fork_server._process.pid
    children = Path(f"/proc/{helper}/task/{helper}/children").read_text().split()
    return [os.getpid(), helper, *map(int, children)]


def _cpu(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        if pid == os.getpid():
            own = resource.getrusage(resource.RUSAGE_SELF)
            total += own.ru_utime + own.ru_stime
        else:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main()
