"""The example of the page on clusters: NATS on nodes of its own, and a client that counts what is acknowledged."""

import contextlib
import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import until
from freehold.release.folder import generate, load
from support.machines import REPOSITORY, Cloud

PAGE = REPOSITORY / "docs" / "authors" / "clusters.md"


def files() -> dict[str, str]:
    """Return the files of the release as the page says them: each stands after its name."""
    text = PAGE.read_text()
    found = re.findall(r"`([a-z]+\.[a-z]+)`[^`]*```[a-z]+\n(.*?)```\n", text, re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def racks(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    folder = tmp_path_factory.mktemp("nats")
    for path, text in files().items():
        (folder / path).write_text(text)
    for path, text in generate(load(folder)).items():
        (folder / path).write_text(text)
    freehold = Path(sys.executable).parent / "freehold"
    done = subprocess.run([freehold, "software", "lock", folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(4):
        cloud.machine(unprivileged=os.geteuid() != 0, title=f"rack-{number}", partitions=3)
    cloud.publish(folder)
    return cloud


class Client:
    """As much of a client as it takes to publish and be told that it is kept."""

    def __init__(self, publication: dict[str, Any]) -> None:
        self._publication, self._link = publication, None
        self._file: Any = None
        self._which = 0

    def call(self, subject: str, body: Any) -> Any:
        """Return the answer to a request; raise OSError when none comes."""
        try:
            if self._file is None:
                self._connect()
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self._file.write(b"PUB %s answer %d\r\n%s\r\n" % (subject.encode(), len(text), text))
            self._file.flush()
            while line := self._file.readline():
                if line.startswith(b"PING"):
                    self._file.write(b"PONG\r\n")
                    self._file.flush()
                if line.startswith(b"MSG"):
                    return json.loads(self._file.readline())
                if line.startswith(b"HMSG"):
                    raise OSError("nobody answers")
            raise OSError("the server went")
        except (OSError, ValueError) as error:
            self._file = None
            self._which += 1
            raise OSError(str(error)) from error

    def _connect(self) -> None:
        urls = self._publication["urls"]
        host, port = urls[self._which % len(urls)].removeprefix("tls://").split(":")
        plain = socket.create_connection((host, int(port)), timeout=2)
        while plain.recv(1) != b"\n":
            pass
        context = ssl.create_default_context(cadata=self._publication["authority"])
        link = context.wrap_socket(plain, server_hostname=host)
        self._file = link.makefile("rwb")
        connect = {"user": "client", "pass": self._publication["password"], "verbose": False}
        connect |= {"headers": True, "no_responders": True}
        self._file.write(b"CONNECT %s\r\nSUB answer 1\r\n" % json.dumps(connect).encode())


@contextlib.contextmanager
def publishing(publication: dict[str, Any]) -> Iterator[list[float]]:
    """Publish one message after another; yield the moments at which one was acknowledged."""
    acknowledged: list[float] = []
    over = threading.Event()

    def work() -> None:
        client = Client(publication)
        while not over.is_set():
            try:
                answer = client.call("orders", b"one more")
                if "seq" in answer:
                    acknowledged.append(time.monotonic())
            except OSError:
                time.sleep(0.02)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        thread.join()


def change(cloud: Cloud, **parameters: Any) -> Any:
    cloud.master.request("bus", "nats", parameters=parameters)
    return cloud.ready("bus", seconds=180)["publication"]


def test_nats_loses_nothing_that_it_acknowledged(racks: Cloud) -> None:
    racks.order("bus", "nats", parameters={"servers": 3}, seconds=300)
    publication = racks.master.reveal("bus")["publication"]
    client = Client(publication)

    def made() -> bool:
        with contextlib.suppress(OSError):
            stream = {"name": "orders", "subjects": ["orders"], "num_replicas": 3, "storage": "file"}
            return "error" not in client.call("$JS.API.STREAM.CREATE.orders", stream)
        return False

    until(made, 60, what="the stream is there")
    with publishing(publication) as acknowledged:
        until(lambda: len(acknowledged) > 20, 30)
        change(racks, servers=3, payload_kb=512)
        grown = change(racks, servers=4, payload_kb=512)
        assert len(grown["urls"]) == 4
        change(racks, servers=3, payload_kb=512)
        last = len(acknowledged)
        until(lambda: len(acknowledged) > last + 20, 30, what="it goes on")
    longest = max(after - before for before, after in itertools.pairwise(acknowledged))
    print(f"{len(acknowledged)} acknowledged, the longest gap {longest:.1f} s")

    def kept() -> Any:
        with contextlib.suppress(OSError):
            return client.call("$JS.API.STREAM.INFO.orders", {})
        return None

    found = until(lambda: (said := kept()) and "state" in said and said, 30)
    assert found["state"]["messages"] >= len(acknowledged)
    peers = {found["cluster"]["leader"], *(one["name"] for one in found["cluster"]["replicas"])}
    assert peers == {"server-0", "server-1", "server-2"}, "no dead peer is left"
