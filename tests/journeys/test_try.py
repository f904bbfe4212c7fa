"""The author's loop: a release as it is in its folder, running within seconds, and again after each change."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.client import Client, save_credentials
from freehold.kit.waiting import page, until
from support.machines import REPOSITORY, Cloud, Machine
from support.running import OWNER, PASSWORD

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    return cloud.machine(unprivileged=os.geteuid() != 0, title="bench", partitions=6)


@pytest.fixture(scope="module")
def client(master: "Master", machine: Machine) -> Client:
    url, authority = f"https://{master.host}:{master.port}", master.authority.read_text()
    return Client.log_in(url, OWNER, PASSWORD, scopes=["read", "order", "operate"], authority=authority)


@pytest.fixture
def environment(client: Client, tmp_path: Path) -> dict[str, str]:
    save_credentials(client.credentials, tmp_path / "credentials.json")
    return {**os.environ, "FREEHOLD_CREDENTIALS": str(tmp_path / "credentials.json")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of hello whose descriptor is of yesterday: a trial says what `instance.py` says today."""
    copy = Path(shutil.copytree(REPOSITORY / "software" / "hello", tmp_path / "hello"))
    (copy / "instance-default-input-schema.json").write_text("{}")
    return copy


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "hello.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def trial(folder: Path, environment: dict[str, str], *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "freehold.cli", "software", "try", str(folder), *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_what_is_in_the_folder_runs_and_after_a_change_what_is_there_then(
    client: Client, folder: Path, environment: dict[str, str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = trial(folder, environment, "mine", "--parameters", '{"greeting": "tried"}')
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    first = client.show("mine")
    assert first.release.startswith("1.0+try.")
    assert f"'mine' runs hello {first.release} after" in done.stdout
    assert f"  url = {first.publication['url']}" in done.stdout
    assert "tried" in page(first.publication["url"])
    assert {path: path.read_bytes() for path in before} == before, "the folder is the author's"
    change(folder, "<h1>", "<h1>Anew: ")
    assert trial(folder, environment, "mine").returncode == 0
    second = client.show("mine")
    assert second.release != first.release
    assert "Anew: " in page(second.publication["url"])
    assert second.parameters == {"greeting": "tried"}
    until(lambda: [supply.release for supply in client.supplies() if supply.wanted == "available"] == [second.release])
    assert trial(folder, environment, "mine").returncode == 0
    assert client.show("mine").release == second.release, "the same content is the same version"


def test_nobody_elses_order_gets_a_trial(
    master: "Master", client: Client, folder: Path, environment: dict[str, str]
) -> None:
    master.project("stranger")
    client.publish(_packed(REPOSITORY / "software" / "hello"))
    client.supply("hello", release="1.0")
    change(folder, "<h1>", "<h1>Not for all: ")
    assert trial(folder, environment).returncode == 0
    assert "+try." in client.show("try-hello").release
    token = master.person("stranger@example.org", "stranger")
    master.request("theirs", "hello", project="stranger", token=token)
    assert master.show("theirs", project="stranger", token=token)["release"] == "1.0"


def test_what_is_wrong_is_told_and_what_ran_runs_on(
    client: Client, folder: Path, environment: dict[str, str], machine: Machine
) -> None:
    assert trial(folder, environment, "steady").returncode == 0
    pids = machine.pids("steady")
    (folder / "instance.py").write_text("nonsense(")
    done = trial(folder, environment, "steady")
    assert done.returncode == 1
    assert "instance.py" in done.stderr
    assert machine.pids("steady") == pids
    shutil.copy(REPOSITORY / "software" / "hello" / "instance.py", folder)
    (folder / "hello.py").write_text("raise SystemExit('no page today')")
    done = trial(folder, environment, "steady", "--wait", "8")
    assert done.returncode == 1
    assert "no page today" in done.stdout


def test_what_cannot_be_built_is_told_at_once_with_the_words_of_the_build(
    client: Client, folder: Path, environment: dict[str, str]
) -> None:
    assert trial(folder, environment, "whole").returncode == 0
    profile = folder / "software.cfg"
    profile.write_text(profile.read_text().replace("recipe = ", "recipe = no-such-recipe-of-ours-", 1))
    done = trial(folder, environment, "whole", "--wait", "100")
    assert done.returncode == 1
    assert "It cannot be built on 'bench'" in done.stderr
    assert "no-such-recipe-of-ours-" in done.stderr


def test_a_watched_folder_is_tried_with_each_change(client: Client, folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "freehold.cli", "software", "try", str(folder), "watched", "--watch"]
    watching = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        lines = _lines(watching)
        assert "'watched' runs hello" in _line_with(lines, "'watched' runs")
        (folder / "instance.py").write_text("nonsense(")
        _line_with(lines, "instance.py")
        shutil.copy(REPOSITORY / "software" / "hello" / "instance.py", folder)
        change(folder, "<h1>", "<h1>Watched: ")
        _line_with(lines, "'watched' runs")
        until(lambda: "Watched: " in page(client.show("watched").publication["url"]), 30)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    finally:
        watching.kill()


def _packed(folder: Path) -> bytes:
    from freehold.protocol import archive

    return archive.pack(folder)


def _lines(child: "subprocess.Popen[str]") -> "queue.Queue[str]":
    lines = queue.Queue[str]()

    def read(stream: Iterator[str]) -> None:
        for line in stream:
            lines.put(line)

    stdout: Any = child.stdout
    threading.Thread(target=read, args=(stdout,), daemon=True).start()
    return lines


def _line_with(lines: "queue.Queue[str]", words: str) -> str:
    heard = []
    try:
        while words not in (line := lines.get(timeout=90)):
            heard.append(line)
    except queue.Empty:
        raise AssertionError(f"nothing about {words!r} in {heard}") from None
    return line
