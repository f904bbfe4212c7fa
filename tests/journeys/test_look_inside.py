"""Looking into a service from afar: its logs, whatever its partition put in their place; as root and without."""

import os
import subprocess
import sys
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import until
from freehold.node.settings import Paths
from support.machines import MODES, REPOSITORY, Cloud, Machine
from support.running import OWNER, PASSWORD

PASSWORD_OF_IT = "correct-horse/battery"


class Reader:
    """Somebody who reads logs by the command line."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.environment = {**os.environ, "FREEHOLD_CREDENTIALS": str(folder / "credentials.json")}
        url = f"https://{cloud.master.host}:{cloud.master.port}"
        self.run(
            "login", url, "--email", OWNER, "--password-file", "-", "--authority", str(cloud.master.authority),
            given=PASSWORD,
        )  # fmt: skip

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "freehold.cli", *arguments],
            env=self.environment, input=given, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def logs(self, *arguments: str) -> str:
        done = self.run("logs", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.run("logs", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    def follow(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "freehold.cli", "logs", "-f", *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module", params=MODES)
def machine(request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    is_root = request.param == "root"
    made = cloud.machine(unprivileged=not is_root, title=request.param, partitions=4, start=False)
    made.environment["FREEHOLD_FAILPOINTS"] = str(tmp_path_factory.mktemp("failpoints"))
    made.start()
    until(lambda: cloud.master.node_row(request.param)["partitions"] == 4)
    cloud.publish(REPOSITORY / "tests" / "releases" / "talker")
    return made


@pytest.fixture(scope="module")
def reader(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("reader"), cloud)


SAYS = r"""for n in $(seq 1 300); do echo "line $n"; done
printf 'a bell \a, a colour \033[31mred\033[0m, a title \033]0;mine\007, half a character \377.\n'
echo "I log in with correct-horse/battery"
echo "at http://me:correct-horse%2Fbattery@example.org"
exec sleep 100000"""


@pytest.fixture(scope="module")
def talker(cloud: Cloud, machine: Machine) -> Any:
    title = f"talker-{machine.unprivileged}"
    script = f"""'eval "$(echo {b64encode(SAYS.encode()).decode()} | base64 -d)"'"""
    parameters = {"script": script, "password": PASSWORD_OF_IT}
    where = {"node": "unprivileged" if machine.unprivileged else "root"}
    shown = cloud.order(title, "talker", parameters=parameters, constraints=where)
    until(lambda: b"example.org" in log_of(machine, shown).read_bytes())
    return shown


def log_of(machine: Machine, shown: Any, process: str = "speaker") -> Path:
    return machine.folder(shown["partition"]) / "var" / "log" / f"{process}.log"


def test_the_last_lines_of_one_process_are_shown(reader: Reader, talker: Any) -> None:
    said = reader.logs(talker["title"], "speaker", "--lines", "5").splitlines()
    assert said[:2] == ["line 299", "line 300"]
    assert len(said) == 5


def test_without_a_name_each_process_is_shown_below_its_own(reader: Reader, talker: Any) -> None:
    said = reader.logs(talker["title"], "--lines", "4")
    assert "==> speaker <==\nline 300\n" in said
    assert "==> neighbour <==\nthe neighbour is up\n" in said


def test_a_secret_is_not_shown_in_any_form(reader: Reader, talker: Any) -> None:
    said = reader.logs(talker["title"], "speaker")
    assert "I log in with [secret]" in said
    assert "at http://me:[secret]@example.org" in said
    assert "battery" not in said


def test_no_terminal_obeys_what_a_service_writes(reader: Reader, talker: Any) -> None:
    (line,) = [one for one in reader.logs(talker["title"], "speaker").splitlines() if "bell" in one]
    assert line == r"a bell \x07, a colour red, a title \x1b]0;mine\x07, half a character \xff."


def test_a_process_that_there_is_not_is_named_with_those_that_there_are(reader: Reader, talker: Any) -> None:
    words = reader.refused(talker["title"], "ghost")
    assert "There is no log of 'ghost'." in words
    assert "neighbour, speaker" in words
    assert "There is no log of '../../../etc/passwd'" in reader.refused(talker["title"], "../../../etc/passwd")


def test_what_a_partition_puts_in_the_place_of_a_log_does_nothing(
    reader: Reader, machine: Machine, talker: Any
) -> None:
    log = log_of(machine, talker, "trap")
    owner = log.parent.stat()
    secret = machine.root / "node.json"

    def place(make: Any) -> str:
        make()
        os.chown(log, owner.st_uid, owner.st_gid, follow_symlinks=False)
        began = time.monotonic()
        done = reader.run("logs", talker["title"], "trap")
        assert time.monotonic() - began < 10
        log.unlink()
        return done.stdout + done.stderr

    assert "There is no log of 'trap'" in place(lambda: log.symlink_to(secret))
    assert "There is no log of 'trap'" in place(lambda: os.mkfifo(log))
    if not machine.unprivileged:
        assert "There is no log of 'trap'" in place(lambda: os.mknod(log, 0o020666, os.makedev(1, 5)))

    def sparse() -> None:
        with log.open("wb") as file:
            file.truncate(2 << 30)
            file.seek(2 << 30)
            file.write(b"after a hole\n")

    assert place(sparse) == "after a hole\n"

    def one_line() -> None:
        log.write_bytes(b"x" * 3_000_000)

    assert place(one_line) == "[3000000 bytes before this are not shown]\n"
    folder, aside = log.parent, log.parent.with_name("aside")
    folder.rename(aside)
    folder.symlink_to("/etc")
    try:
        assert "There is no log of 'passwd'" in reader.refused(talker["title"], "passwd")
    finally:
        folder.unlink()
        aside.rename(folder)


def test_more_than_is_shown_at_once_is_cut_and_the_cut_is_said(reader: Reader, machine: Machine, talker: Any) -> None:
    log = log_of(machine, talker, "long")
    log.write_bytes(b"".join(b"%09d\n" % n for n in range(200_000)))
    os.chmod(log, 0o644)
    said = reader.logs(talker["title"], "long", "--lines", "5000").splitlines()
    assert (len(said), said[-1]) == (5000, "000199999")
    log.write_bytes(b"".join(b"%099d\n" % n for n in range(20_000)))
    cut, *said = reader.logs(talker["title"], "long", "--lines", "5000").splitlines()
    assert 500 < len(said) < 700
    assert cut == f"[{2_000_000 - 100 * len(said)} bytes before this are not shown]"
    log.unlink()


def test_another_projects_log_is_refused_like_one_that_does_not_exist(cloud: Cloud, talker: Any) -> None:
    stranger = cloud.master.project(f"else-{talker['title'].lower()}")
    body = {"title": talker["title"]}
    theirs = cloud.master.call("POST", "/api/v1/projects/provider/logs", body, token=stranger)
    none = cloud.master.call("POST", "/api/v1/projects/nowhere/logs", body, token=stranger)
    assert (theirs.status, theirs.body["type"]) == (none.status, none.body["type"])
    opened = cloud.master.api("POST", "/projects/provider/logs", body)["stream"]
    path = f"logs?title={talker['title']}&stream={opened}"
    assert cloud.master.call("GET", f"/api/v1/projects/provider/{path}", token=stranger).status == theirs.status
    answer = cloud.master.call("GET", f"/api/v1/projects/else-{talker['title'].lower()}/{path}", token=stranger)
    assert (answer.status, answer.body["type"]) == (404, "not-found")


def test_what_is_followed_is_seen_as_it_is_written_and_ends_with_its_reader(
    reader: Reader, cloud: Cloud, machine: Machine, talker: Any
) -> None:
    log = log_of(machine, talker, "live")
    log.write_text("before\n")
    log.chmod(0o644)
    following = reader.follow(talker["title"], "live")
    assert following.stdout is not None
    assert following.stdout.readline() == "before\n"
    with log.open("a") as file:
        file.write("while you look\n")
    assert following.stdout.readline() == "while you look\n"
    assert streams_of(machine) == 1
    following.send_signal(2)
    assert following.wait(10) == 130
    until(lambda: streams_of(machine) == 0, 60)
    log.unlink()


def agent_pid(machine: Machine) -> int:
    return int(Paths(machine.root).lock.read_text())


def streams_of(machine: Machine) -> int:
    """Return how many streams its agent sends now."""
    pid = agent_pid(machine)
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()]
    return names.count("stream")


def test_a_service_that_writes_without_end_is_followed_in_bounds(
    reader: Reader, cloud: Cloud, machine: Machine, talker: Any
) -> None:
    log = log_of(machine, talker, "flood")
    log.write_text("begin\n")
    log.chmod(0o644)
    pid = agent_pid(machine)
    before = memory(pid), memory(cloud.master.pid)
    following = reader.follow(talker["title"], "flood")
    assert following.stdout is not None
    assert following.stdout.readline() == "begin\n"
    block = b"".join(b"flood %093d\n" % n for n in range(10_000))
    slowest, used, began = 0.0, processor(pid), time.monotonic()
    with log.open("ab") as file:
        for number in range(200):
            file.write(block)
            time.sleep(0.02)
            if number % 20 == 0:
                asked = time.monotonic()
                cloud.master.show(talker["title"])
                slowest = max(slowest, time.monotonic() - asked)
    assert slowest < 2, "others are answered meanwhile"
    assert processor(pid) - used < (time.monotonic() - began) / 2
    following.send_signal(2)
    said = following.communicate(timeout=20)[0]
    assert "bytes before this are not shown]" in said
    assert len(said) < 2_000_000
    assert memory(pid) - before[0] < 40_000
    assert memory(cloud.master.pid) - before[1] < 40_000
    log.unlink()


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Return the kilobytes of a process in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_500_streams_asked_at_once_are_refused_in_words_beyond_a_few(cloud: Cloud, talker: Any) -> None:
    body = {"title": talker["title"], "follow": True}

    def ask(_: object = None) -> Any:
        return cloud.master.call("POST", "/api/v1/projects/provider/logs", body, token=cloud.master.owner)

    with ThreadPoolExecutor(50) as many:
        answers = list(many.map(ask, range(500)))
    assert sum(one.status == 201 for one in answers) <= 4
    refused = [one.body for one in answers if one.status != 201]
    assert {one["type"] for one in refused} == {"busy"}
    assert "4 logs of this service are being read at once" in refused[0]["detail"]
    # Nobody reads them: they end by themselves, and others are read again.
    until(lambda: ask().status == 201, 60)


def starts(machine: Machine, talker: Any, process: str = "speaker") -> int:
    """Return how often a process was started, by what it wrote first."""
    first = {"speaker": b"line 1\n", "neighbour": b"the neighbour is up\n"}[process]
    return log_of(machine, talker, process).read_bytes().count(first)


def test_a_restart_starts_each_process_anew_once(reader: Reader, cloud: Cloud, machine: Machine, talker: Any) -> None:
    before, pids = starts(machine, talker), machine.pids(talker["title"])
    assert reader.run("restart", talker["title"], "--wait", "60").returncode == 0
    assert not set(pids) & set(machine.pids(talker["title"]))
    assert starts(machine, talker) == before + 1
    changed = cloud.order(talker["title"], "talker", note="something else")
    assert changed["ready"]
    assert starts(machine, talker) == before + 1, "nothing is restarted again by another change"


def test_one_process_is_restarted_and_its_neighbour_goes_on(reader: Reader, machine: Machine, talker: Any) -> None:
    speaker, neighbour = starts(machine, talker), starts(machine, talker, "neighbour")
    assert reader.run("restart", talker["title"], "speaker", "--wait", "60").returncode == 0
    assert starts(machine, talker) == speaker + 1
    assert starts(machine, talker, "neighbour") == neighbour
    refused = reader.run("restart", talker["title"], "ghost")
    assert (refused.returncode, "There are: neighbour, speaker." in refused.stderr) == (1, True)


def test_a_restart_that_is_asked_for_twice_is_done_once_whoever_is_killed_meanwhile(
    cloud: Cloud, machine: Machine, talker: Any
) -> None:
    before, path = starts(machine, talker), "/projects/provider/restarts"
    asked = {"title": talker["title"], "token": f"mine-{before}"}
    # The node dies when the processes are to be started anew, before it can note that.
    killed = Path(machine.environment["FREEHOLD_FAILPOINTS"]) / "instance-applied"
    killed.touch()
    assert cloud.master.api("POST", path, asked) == {"restarted": True}
    until(lambda: not killed.exists(), 30)
    until(lambda: starts(machine, talker) == before + 1, 30)
    cloud.master.kill()
    cloud.master.start()
    machine.start()
    assert cloud.master.api("POST", path, asked) == {"restarted": False}
    cloud.ready(talker["title"])
    time.sleep(2)
    assert starts(machine, talker) == before + 1


def test_what_is_stopped_is_not_restarted_and_its_log_is_read_all_the_same(
    reader: Reader, cloud: Cloud, machine: Machine, talker: Any
) -> None:
    cloud.order(talker["title"], "talker", state="stopped")
    refused = reader.run("restart", talker["title"])
    assert refused.returncode == 1
    assert f"'{talker['title']}' is stopped: nothing of it runs." in refused.stderr
    assert "line 300" in reader.logs(talker["title"], "speaker")
    cloud.order(talker["title"], "talker", state="started")


def test_of_a_node_that_is_silent_it_is_said_at_once_since_when(
    reader: Reader, cloud: Cloud, machine: Machine, talker: Any
) -> None:
    machine.cli("stop", "--keep-services", "--yes")
    until(lambda: cloud.master.show(talker["title"])["last_heard"], 60)
    words = reader.refused(talker["title"])
    assert "has not been heard from since 20" in words
    machine.start()
    until(lambda: cloud.master.show(talker["title"])["last_heard"] is None, 60)
    assert "line 300" in reader.logs(talker["title"], "speaker")
