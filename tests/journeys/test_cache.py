"""Vanished sources: what one node built, others take; what upstream has no more is built all the same."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import page, until
from freehold.protocol import archive
from support.machines import REPOSITORY, Cloud, Machine

PRIVILEGED = os.geteuid() == 0


class Server:
    """A small web server that counts what it is asked for."""

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                content = answer(self.path)
                self.send_response(200 if content is not None else 404)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    """Where the release's build takes a profile from; it vanishes in the middle of this module."""
    profile = (REPOSITORY / "software" / "hello" / "software.cfg").read_bytes()
    server = Server(lambda path: profile if path == "/hello.cfg" else None)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def release(cloud: Cloud, upstream: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """`hello`, with a build that needs what upstream has."""
    folder = tmp_path_factory.mktemp("release") / "hello"
    shutil.copytree(REPOSITORY / "software" / "hello", folder)
    (folder / "software.cfg").write_text(f"[buildout]\nextends = {upstream.url}/hello.cfg\n")
    packed = archive.pack(folder)
    answer = cloud.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=cloud.master.owner)
    assert answer.status == 201, answer.body
    return str(answer.body["release"])


@pytest.fixture(scope="module")
def first(cloud: Cloud, release: str, upstream: Server) -> Machine:
    """The node that builds, and whose builds the operator has others take."""
    machine = cloud.machine(unprivileged=not PRIVILEGED, title="first")
    cloud.master.api("PATCH", "/projects/provider/nodes/first", {"builder": True})
    _supply(cloud, "first")
    assert upstream.asked, "it was built from upstream"
    shelf = cloud.master.root / "cache"
    until(lambda: len(list(shelf.glob("entries/*/*/*.json"))) == 2, 60, "the build at the Master")
    return machine


def _supply(cloud: Cloud, node: str, state: str = "available") -> Any:
    """Have a node have the release; return what came of it."""
    cloud.master.supply("hello", node)

    def look() -> Any:
        rows = cloud.master.api("GET", "/projects/provider/supplies")
        return next((row for row in rows if row["node"] == node and row["observed"] == state), None)

    return until(look, 60, f"{node}: {cloud.master.api('GET', '/projects/provider/supplies')}")


def _log(machine: Machine, release: str) -> str:
    return (machine.root / "software" / f"{release}.log").read_text()


def _cache(command: str, folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    full = [sys.executable, "-m", "freehold.cli", "cache", command, "--folder", folder, *arguments]
    return subprocess.run([str(one) for one in full], capture_output=True, text=True, timeout=60)


def test_a_second_node_takes_the_build_and_builds_nothing(
    cloud: Cloud, first: Machine, release: str, upstream: Server
) -> None:
    asked = len(upstream.asked)
    second = cloud.machine(unprivileged=not PRIVILEGED, title="second")
    _supply(cloud, "second")
    assert len(upstream.asked) == asked, "no build ran"
    assert "is taken from there" in _log(second, release)
    assert str(first.root) not in "".join(
        path.read_text(errors="replace")
        for path in (second.root / "software" / release).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ), "it was made for another folder, and is changed for this one"
    shop = cloud.order("second", parameters={"greeting": "taken"}, constraints={"node": "second"})
    assert "taken" in page(shop["publication"]["url"])


def test_a_tampered_build_is_refused_and_built_anew_though_upstream_is_gone(
    cloud: Cloud, first: Machine, release: str, upstream: Server
) -> None:
    upstream.stop()
    shelf = cloud.master.root / "cache"
    (path,) = shelf.glob("entries/build/*/*.json")
    (entry,) = json.loads(path.read_text())["entries"]
    (piece,) = json.loads(base64.b64decode(entry["statement"]))["files"][0]["pieces"]
    blob = shelf / "blobs" / piece[:2] / piece
    whole = blob.read_bytes()
    try:
        blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        third = cloud.machine(unprivileged=not PRIVILEGED, title="third")
        _supply(cloud, "third")
    finally:
        blob.write_bytes(whole)
    log = _log(third, release)
    assert "is of no use here" in log, "what was tampered with is not taken"
    assert "downloaded by" in log, "what upstream no longer has is"
    assert "Installing python" in log, "it was built"
    shop = cloud.order("third", parameters={"greeting": "rebuilt"}, constraints={"node": "third"})
    assert "rebuilt" in page(shop["publication"]["url"])


def test_a_damaged_file_of_a_build_is_found_and_the_build_taken_anew(
    cloud: Cloud, first: Machine, release: str
) -> None:
    machine = cloud.machines[1]
    program = machine.root / "software" / release / "release" / "hello.py"
    whole = program.read_bytes()
    machine.kill()
    program.write_bytes(whole[:-1] + b"?")
    machine.start()
    until(lambda: program.exists() and program.read_bytes() == whole, 60, "the file as it was")
    until(lambda: (machine.root / "software" / release / ".complete").exists(), 30)
    assert "is damaged in 1 files, and built anew" in machine.log()
    assert "taken" in page(cloud.ready("second")["publication"]["url"]), "its service went on"


def test_mirrors_that_are_down_or_lie_are_skipped(cloud: Cloud, first: Machine, release: str) -> None:
    liar = Server(lambda path: b'{"entries": [{"statement": ""}]}' if path.endswith(".json") else b"lies")
    path = next((cloud.master.root / "cache").glob("entries/build/*/*.json"))
    half_liar = Server(lambda asked: path.read_bytes() if asked.endswith(".json") else b"lies")
    machine = cloud.machine(unprivileged=not PRIVILEGED, title="fourth", start=False)
    urls = ["http://127.0.0.1:1", liar.url, "/no/such/disk", half_liar.url, "master"]
    done = machine.cli("cache", *(word for url in urls for word in ("--mirror", url)))
    assert done.returncode == 0, done.stderr
    try:
        machine.start()
        until(lambda: cloud.master.node_row("fourth")["partitions"] == 4)
        _supply(cloud, "fourth")
    finally:
        liar.stop()
        half_liar.stop()
    log = _log(machine, release)
    assert liar.asked
    assert half_liar.asked
    assert "is taken from there" in log
    assert "is something else" in log
    assert "no/such/disk: the folder is not there" in log


def test_a_builder_that_is_none_any_more_is_believed_by_nobody_and_one_is_trusted_by_its_key_from_a_disk(
    cloud: Cloud, first: Machine, release: str, tmp_path: Path
) -> None:
    cloud.master.api("PATCH", "/projects/provider/nodes/first", {"builder": False})
    disk = tmp_path / "disk"
    done = _cache("export", first.root / "kept", disk, "--release", release)
    assert done.returncode == 0, done.stderr
    # Nobody vouches for what is on this disk.
    for path in disk.glob("entries/*/*/*.json"):
        found = json.loads(path.read_text())
        for entry in found["entries"]:
            entry.pop("voucher", None)
        path.write_text(json.dumps(found))
    machine = cloud.machine(unprivileged=not PRIVILEGED, title="fifth", start=False)
    kept = machine.root / "kept"
    done = _cache("import", kept, disk)
    assert (done.returncode, "2 entries" in done.stdout) == (0, True), done.stderr
    machine.start()
    until(lambda: cloud.master.node_row("fifth")["partitions"] == 4)
    row = _supply(cloud, "fifth", "failed")
    assert "hello.cfg" in row["message"], "upstream is gone, and nobody believed has it"
    assert "nobody here trusts its builder" in row["message"]
    shown = json.loads(_cache("show", kept, "--json").stdout)
    assert {one["kind"] for one in shown} == {"build", "downloads"}
    machine.kill()
    done = machine.cli("cache", "--trust", shown[0]["key"])
    assert done.returncode == 0, done.stderr
    machine.start()
    _supply(cloud, "fifth")
    assert "is taken from there" in _log(machine, release)
    assert _cache("verify", kept).returncode == 0
    assert _cache("prune", kept).returncode == 0
    assert list(kept.glob("blobs/*/*")) == []
