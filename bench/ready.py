"""From `freehold request` to promises kept, release built already: the whole command, as a customer runs it.

The yardstick of the same run is the time that the bare service needs to start and answer by itself.

    .venv/bin/python bench/ready.py
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from clouds import REPOSITORY, Node, master, node

ROUNDS = 15


def main() -> None:
    with master() as served, node(served, partitions=ROUNDS + 2) as machine:
        client = served.client()
        credentials = served.root / "customer.json"
        from freehold.client import save_credentials

        save_credentials(client.credentials, credentials)
        machine.order(client, "warm")
        alone = [start_alone(machine) for _ in range(5)]
        times = [order(credentials, f"shop-{number}") for number in range(ROUNDS)]
    median, yardstick = statistics.median(times), statistics.median(alone)
    print(f"order to promises kept: median {median:.3f} s, slowest {max(times):.3f} s, of {ROUNDS}")
    print(f"the bare service from start to first answer: median {yardstick:.3f} s")
    print(f"ratio {median / yardstick:.1f}")


def order(credentials: Path, title: str) -> float:
    environment = {**os.environ, "FREEHOLD_CREDENTIALS": str(credentials)}
    command = [sys.executable, "-m", "freehold.cli", "request", title, "hello", "--wait", "60", "--json"]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    shown = json.loads(done.stdout)
    assert shown["state"] == "started"
    assert shown["promises_kept"], shown
    return took


def start_alone(machine: Node) -> float:
    """Return the seconds that hello needs by itself, with the interpreter that buildout made."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        settings = {"address": "127.0.0.1", "port": 18080, "title": "alone", "parameters": {"greeting": "hi"}}
        json.dump(settings, file)
        file.flush()
        (software,) = (path for path in (machine.root / "software").iterdir() if path.is_dir())
        began = time.monotonic()
        child = subprocess.Popen([software / "bin" / "python", REPOSITORY / "software/hello/hello.py", file.name])
        try:
            while True:
                try:
                    urllib.request.urlopen("http://127.0.0.1:18080/").read()
                    return time.monotonic() - began
                except OSError:
                    time.sleep(0.005)
        finally:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
