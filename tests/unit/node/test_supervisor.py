"""The supervisor, for real: processes live, die, are killed, and are where they should be."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import lives, until
from freehold.node.errors import SupervisorError
from freehold.node.isolation import cgroups
from freehold.node.settings import Limits
from freehold.node.supervisor import children
from freehold.node.supervisor.client import Process, ProcessStatus, Supervisor, SupervisorEvent

USER = 64000 + os.getpid() % 900
"""A user id without a name: all that runs as it was started by these tests."""


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def supervisor(root: Path) -> Iterator[Supervisor]:
    running = Supervisor(root / "run")
    running.ensure()
    yield running
    running.ensure()
    running.shutdown()


def service(root: Path, name: str, script: str = "exec sleep 1000", **more: Any) -> Process:
    """A shell script as a process; `root` is where it runs and logs."""
    desired: dict[str, Any] = {"digest": "1", "environment": {"PATH": "/usr/bin:/bin"}, **more}
    return Process(name, ["/bin/sh", "-c", script], str(root), f"{root}/{name}.log", **desired)


def status(supervisor: Supervisor, name: str, group: str = "p0") -> ProcessStatus | None:
    found = supervisor.status().get(group)
    return next((one for one in found.processes if one.name == name), None) if found else None


def pid(supervisor: Supervisor, name: str, group: str = "p0") -> int:
    """Return the pid of a process once it runs."""

    def running() -> int:
        found = status(supervisor, name, group)
        return found.pid if found is not None and found.state == "running" else 0

    return int(until(running))


def kill_supervisor(supervisor: Supervisor) -> None:
    victim = supervisor.pid()
    os.kill(victim, signal.SIGKILL)
    until(lambda: not lives(victim))


def test_a_killed_service_is_back_at_once(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web", "sleep 1.1; exec sleep 1000")])
    first = pid(supervisor, "web")
    until(lambda: b"1000" in Path(f"/proc/{first}/cmdline").read_bytes().split(b"\0"))
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: pid(supervisor, "web") != first)
    assert time.monotonic() - killed < 0.5


def test_only_the_process_with_another_digest_is_restarted(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web"), service(root, "database")])
    supervisor.apply("p1", [service(root, "other")])
    web, database, other = pid(supervisor, "web"), pid(supervisor, "database"), pid(supervisor, "other", "p1")
    supervisor.apply("p0", [service(root, "web", digest="2"), service(root, "database")])
    until(lambda: pid(supervisor, "web") != web)
    found = status(supervisor, "web")
    assert found is not None
    assert (found.digest, found.restarts) == ("2", 0)
    assert (pid(supervisor, "database"), pid(supervisor, "other", "p1")) == (database, other)


@pytest.mark.skipif(os.geteuid() != 0, reason="without root a process is known by a mark that it can lose")
@pytest.mark.parametrize(
    "script",
    [
        "exec env -i /bin/sleep 1000",
        "exec python3 -I -S -c 'import ctypes, time; ctypes.CDLL(None).prctl(15, b\"nginx\"); time.sleep(1000)'",
        "sleep 1000 & exec sleep 1000",
        "setsid sleep 1000 & exec sleep 1000",
    ],
)  # fmt: skip
def test_a_service_is_known_whatever_it_makes_of_itself(supervisor: Supervisor, root: Path, script: str) -> None:
    tag = f"test{os.getpid()}"
    groups = cgroups.create(f"{tag}/p0", Limits(memory_mb=256))
    root.chmod(0o777)
    where = {"groups": groups.services, "track": groups.tracked, "uid": USER, "gid": USER}
    try:
        supervisor.apply("p0", [service(root, "web", script, **where)])
        first = pid(supervisor, "web")
        until(lambda: b"sleep" in Path(f"/proc/{first}/cmdline").read_bytes())
        kill_supervisor(supervisor)
        supervisor.ensure()
        assert pid(supervisor, "web") == first
        before = set(cgroups.processes(f"{tag}/p0")[0])
        os.kill(first, signal.SIGKILL)
        until(lambda: pid(supervisor, "web") != first)
        until(lambda: before.isdisjoint(cgroups.processes(f"{tag}/p0")[0]), what="the end of what it left")
        second = pid(supervisor, "web")
        kill_supervisor(supervisor)
        os.kill(second, signal.SIGKILL)
        supervisor.ensure()
        until(
            lambda: pid(supervisor, "web") not in (first, second), what="a third one, though nobody saw the second end"
        )
    finally:
        supervisor.stop("p0")
        cgroups.remove_node(tag)


def test_a_supervisor_to_which_nobody_talks_reaps_orphans(supervisor: Supervisor, root: Path) -> None:
    script = "(setsid sh -c 'echo $$ > orphan; exec sleep 0.2' &); exec sleep 1000"
    supervisor.apply("p0", [service(root, "web", script)])
    orphan = int(until(lambda: (root / "orphan").exists() and (root / "orphan").read_text().strip()))
    until(lambda: not Path(f"/proc/{orphan}").exists(), what="that nobody is left as a zombie")


def test_a_process_that_is_not_listed_any_more_ends(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web"), service(root, "database")])
    web, database = pid(supervisor, "web"), pid(supervisor, "database")
    supervisor.apply("p0", [service(root, "database")])
    until(lambda: not lives(web))
    until(lambda: status(supervisor, "web") is None)
    assert pid(supervisor, "database") == database


def test_a_service_outlives_a_killed_supervisor_and_is_known_to_the_next(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web"), service(root, "database"), service(root, "cache")])
    web, database, cache = (pid(supervisor, name) for name in ("web", "database", "cache"))
    kill_supervisor(supervisor)
    os.kill(database, signal.SIGKILL)
    until(lambda: not lives(database))
    supervisor.ensure()
    assert (pid(supervisor, "web"), pid(supervisor, "cache")) == (web, cache)
    assert pid(supervisor, "database") != database
    os.kill(cache, signal.SIGKILL)
    until(lambda: pid(supervisor, "cache") != cache)
    supervisor.apply("p0", [service(root, "web", digest="2")])
    until(lambda: not lives(web))


def test_what_a_service_started_in_a_session_of_its_own_is_not_taken_for_it(supervisor: Supervisor, root: Path) -> None:
    names = [f"web-{number}" for number in range(8)]
    script = "setsid sleep 1000 & exec sleep 1000"
    supervisor.apply("p0", [service(root, name, script) for name in names])
    before = [pid(supervisor, name) for name in names]
    kill_supervisor(supervisor)
    supervisor.ensure()
    assert [pid(supervisor, name) for name in names] == before


def test_a_shutdown_ends_also_what_a_killed_supervisor_left_running(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web")])
    web = pid(supervisor, "web")
    kill_supervisor(supervisor)
    supervisor.shutdown()
    assert not lives(web)


def test_what_was_ordered_is_on_disk_before_it_is_confirmed(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web")])
    kill_supervisor(supervisor)
    saved = json.loads((root / "run" / "supervisor.json").read_text())
    assert [one["name"] for one in saved["groups"]["p0"]["processes"]] == ["web"]


def test_stopping_leaves_nothing_behind(supervisor: Supervisor, root: Path) -> None:
    daemon = "(setsid sh -c 'echo $$ > daemon; exec sleep 1000' &) ; echo $$ > leader; sleep 1000 & wait"
    supervisor.apply("p0", [service(root, "web", daemon)])
    for name in ("leader", "daemon"):
        until(lambda name=name: (root / name).exists() and (root / name).read_text())
    leader, escaped = (int((root / name).read_text()) for name in ("leader", "daemon"))
    assert os.getsid(escaped) != leader
    supervisor.stop("p0")
    assert not lives(leader)
    until(lambda: not lives(escaped))
    assert "p0" not in supervisor.status()


def test_what_is_just_being_started_does_not_escape_a_stop(supervisor: Supervisor, root: Path) -> None:
    # A chain of programs outside of the session, each of which starts the next and ends.
    chain = f"({'setsid env ' * 40} sleep 1000 &); exec sleep 1000"
    for number in range(40):
        # In a group of its own each time: a later stop would kill what escaped an earlier one.
        supervisor.apply(f"p{number}", [service(root, "web", chain, stop_timeout=1000.0)])
        time.sleep(number % 8 / 200)
        supervisor.stop(f"p{number}")
    marked = f"FREEHOLD_PROCESS={supervisor.root}".encode()
    escaped = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marked in (process / "environ").read_bytes() and lives(int(process.name)):
                escaped.append(process.name)
        except OSError:
            continue
    assert escaped == []


def test_a_stop_goes_on_when_whoever_ordered_it_is_gone(supervisor: Supervisor, root: Path) -> None:
    slow = service(root, "web", "(setsid sleep 1000 &) ; trap 'sleep 0.3; exit' TERM; echo > ready; sleep 1000 & wait")
    supervisor.apply("p0", [slow])
    until((root / "ready").exists)
    with pytest.raises(SupervisorError, match="does not answer"):
        supervisor.stop("p0", timeout=0.05)
    until(lambda: "p0" not in supervisor.status())


def test_a_service_that_does_not_want_to_end_is_killed(supervisor: Supervisor, root: Path) -> None:
    stubborn = service(root, "web", "trap '' TERM; echo > ready; while :; do sleep 1000; done", stop_timeout=0.3)
    supervisor.apply("p0", [stubborn])
    web = pid(supervisor, "web")
    until((root / "ready").exists)
    supervisor.stop("p0")
    assert not lives(web)


def test_a_service_ends_by_the_signal_that_it_chose(supervisor: Supervisor, root: Path) -> None:
    script = "trap '' TERM; trap 'echo well > ended; exit' INT; echo > ready; sleep 1000 & wait"
    supervisor.apply("p0", [service(root, "web", script, stop_timeout=1000.0, stop_signal="INT")])
    until((root / "ready").exists)
    supervisor.stop("p0")
    assert (root / "ended").read_text() == "well\n"


def test_a_service_that_dies_quickly_is_started_ever_more_slowly(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web", "date +%s.%N >> starts; exit 3")])
    until(lambda: (root / "starts").exists() and len((root / "starts").read_text().split()) >= 5)
    starts = [float(line) for line in (root / "starts").read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    for number, pause in enumerate(pauses[:4]):
        assert 0.1 * 2**number <= pause
    found = status(supervisor, "web")
    assert found is not None
    assert (found.exit, found.restarts >= 4) == (3, True)


def test_a_program_that_does_not_exist_says_so_in_its_log(supervisor: Supervisor, root: Path) -> None:
    missing = Process("web", ["/nowhere/program"], str(root), f"{root}/web.log", "1")
    supervisor.apply("p0", [missing])
    until(lambda: (root / "web.log").exists() and "/nowhere/program" in (root / "web.log").read_text())
    until(lambda: (found := status(supervisor, "web")) is not None and found.exit == 127)


def test_what_runs_once_runs_once_also_for_the_next_supervisor(supervisor: Supervisor, root: Path) -> None:
    desired = [service(root, "setup", "echo ran >> setups", once=True), service(root, "web")]
    supervisor.apply("p0", desired)
    until(lambda: (found := status(supervisor, "setup")) is not None and found.state == "done")
    until(lambda: json.loads((root / "run" / "supervisor.json").read_text())["groups"]["p0"]["done"])
    kill_supervisor(supervisor)
    supervisor.ensure()
    supervisor.apply("p0", desired)
    pid(supervisor, "web")
    found = status(supervisor, "setup")
    assert found is not None
    assert found.state == "done"
    assert (root / "setups").read_text() == "ran\n"
    supervisor.apply("p0", [service(root, "setup", "echo again >> setups", once=True, digest="2")])
    until(lambda: (root / "setups").read_text() == "ran\nagain\n")


def test_what_should_run_once_is_repeated_until_it_succeeds(supervisor: Supervisor, root: Path) -> None:
    script = "echo try >> tries; test $(wc -l < tries) -ge 3"
    supervisor.apply("p0", [service(root, "setup", script, once=True)])
    until(lambda: (found := status(supervisor, "setup")) is not None and found.state == "done")
    assert (root / "tries").read_text().split() == ["try"] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_service_runs_as_its_partitions_user(supervisor: Supervisor, root: Path) -> None:
    folder = root / "p0"
    folder.mkdir()
    os.chown(folder, USER, USER)
    script = "id -u > user; id -G > groups; (setsid env -i sleep 1000 &); exec sleep 1000"
    supervisor.apply("p0", [service(folder, "web", script, uid=USER, gid=USER)])
    until(lambda: (folder / "groups").exists() and (folder / "groups").read_text())
    assert (folder / "user").read_text() == f"{USER}\n"
    assert (folder / "groups").read_text() == f"{USER}\n"
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid(supervisor, 'web')}/status").read_text()
    supervisor.stop("p0")
    # Not even a child that threw away its environment and left its session stays.
    until(lambda: not subprocess.run(["pgrep", "-u", str(USER)], check=False, capture_output=True).stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_partition_cannot_pass_for_another(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web")])
    web = pid(supervisor, "web")
    mark = Path(f"/proc/{web}/environ").read_bytes().partition(b"FREEHOLD_PROCESS=")[2].partition(b"\0")[0]
    kill_supervisor(supervisor)
    os.kill(web, signal.SIGKILL)
    impostor = subprocess.Popen(
        ["sleep", "1000"], env={"FREEHOLD_PROCESS": mark.decode()}, user=USER, start_new_session=True
    )
    try:
        supervisor.ensure()
        assert pid(supervisor, "web") not in (web, impostor.pid)
    finally:
        impostor.kill()
        impostor.wait()


def test_a_second_supervisor_of_a_folder_refuses(supervisor: Supervisor) -> None:
    command = [sys.executable, "-m", "freehold.node.supervisor", "--root", str(supervisor.root)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert second.returncode == 1
    assert "runs already" in second.stderr


def test_a_hundred_services_killed_at_once_all_come_back(supervisor: Supervisor, root: Path) -> None:
    for number in range(100):
        supervisor.apply(f"p{number}", [service(root, f"web{number}")])
    before = {one.pid for group in supervisor.status().values() for one in group.processes}
    assert len(before) == 100
    for victim in before:
        os.kill(victim, signal.SIGKILL)

    def all_new() -> bool:
        now = {one.pid for group in supervisor.status().values() for one in group.processes if one.pid}
        return len(now) == 100 and not now & before

    until(all_new)


def test_the_supervisor_of_a_hundred_partitions_stays_small(supervisor: Supervisor, root: Path) -> None:
    for number in range(100):
        supervisor.apply(f"p{number}", [service(root, "web")])
    resident = Path(f"/proc/{supervisor.pid()}/status").read_text().partition("VmRSS:")[2].split()[0]
    assert int(resident) <= 12 * 1024


def test_a_long_folder_name_is_no_obstacle(root: Path) -> None:
    deep = root / ("a" * 100) / ("b" * 100) / "run"
    supervisor = Supervisor(deep)
    supervisor.ensure()
    try:
        supervisor.apply("p0", [service(root, "web")])
        assert pid(supervisor, "web")
    finally:
        supervisor.shutdown()


def test_after_a_shutdown_nothing_runs_and_nothing_answers(root: Path) -> None:
    supervisor = Supervisor(root / "run")
    supervisor.ensure()
    supervisor.apply("p0", [service(root, "web"), service(root, "database")])
    running = [supervisor.pid(), pid(supervisor, "web"), pid(supervisor, "database")]
    supervisor.shutdown()
    assert not any(lives(one) for one in running)
    with pytest.raises(SupervisorError, match="does not answer"):
        supervisor.status()
    supervisor.shutdown()


def test_garbage_is_refused_in_words_and_does_no_harm(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web")])
    web = pid(supervisor, "web")
    for order in (b"garbage\n", b"[]\n", b"{}\n", b'{"verb": "dance"}\n', b'{"verb": "apply"}\n'):
        with supervisor._connect() as sock:
            sock.sendall(order)
            answer = json.loads(sock.recv(65536))
            assert answer["ok"] is False
            assert answer["error"]
    assert pid(supervisor, "web") == web


def test_a_table_that_cannot_be_written_ends_nobody(supervisor: Supervisor, root: Path) -> None:
    (root / "run" / "supervisor.json.new").mkdir()
    supervisor.apply("p0", [service(root, "web", "sleep 1.1; exec sleep 1000")])
    web, before = pid(supervisor, "web"), supervisor.pid()
    until(lambda: b"1000" in Path(f"/proc/{web}/cmdline").read_bytes().split(b"\0"))
    os.kill(web, signal.SIGKILL)
    until(lambda: pid(supervisor, "web") != web)
    assert supervisor.pid() == before
    assert "cannot be written" in (root / "run" / "supervisor.log").read_text()


def test_the_time_of_ended_processes_is_kept(supervisor: Supervisor, root: Path) -> None:
    burn = f"exec {sys.executable} -S -c 'import time\nwhile time.process_time() < 0.3: pass'"
    supervisor.apply("p0", [service(root, "job", burn, once=True)])
    until(lambda: (found := status(supervisor, "job")) is not None and found.state == "done")
    assert 300 <= supervisor.status()["p0"].dead_cpu_ms < 600


def watched(supervisor: Supervisor) -> list[SupervisorEvent]:
    """Return a list to which all is added that the supervisor tells from now on."""
    told: list[SupervisorEvent] = []
    threading.Thread(target=supervisor.watch, args=(told.append,), daemon=True).start()
    return told


def test_who_watches_is_told_of_a_service_that_dies_at_its_start_and_when_it_lives(
    supervisor: Supervisor, root: Path
) -> None:
    told = watched(supervisor)
    versions = supervisor.apply("p0", [service(root, "web", "test -e mended && exec sleep 1000; exit 3")])
    until(lambda: told)
    assert (told[0].group, told[0].name, told[0].well, told[0].deaths, told[0].exit) == ("p0", "web", False, 1, 3)
    assert told[0].version == versions["web"]
    until(lambda: told[-1].deaths == 3)
    later = watched(supervisor)
    until(lambda: later, what="who comes later is told too")
    (root / "mended").touch()
    until(lambda: told[-1].well and later[-1].well, 30)


def test_a_service_counts_as_living_when_it_lived_for_its_settle_time(supervisor: Supervisor, root: Path) -> None:
    told = watched(supervisor)
    began = time.monotonic()
    supervisor.apply("p0", [service(root, "soon", settle=0.1), service(root, "late", settle=0.8)])
    until(lambda: len(told) == 2)
    assert [(one.name, one.well) for one in told] == [("soon", True), ("late", True)]
    assert time.monotonic() - began >= 0.8


@pytest.mark.parametrize("script", ["exec /nonesuch/program", "exit 1", "sleep 0.6; exit 0", "kill -9 $$"])
def test_a_service_that_dies_within_its_settle_time_never_counts_as_living(
    supervisor: Supervisor, root: Path, script: str
) -> None:
    told = watched(supervisor)
    supervisor.apply("p0", [service(root, "web", script)])
    until(lambda: len(told) > 2)
    assert not any(one.well for one in told)


def test_a_service_that_lived_and_dies_is_told_of_at_once_and_again_when_its_next_copy_lives(
    supervisor: Supervisor, root: Path
) -> None:
    told = watched(supervisor)
    supervisor.apply("p0", [service(root, "web", "test -e mended && exec sleep 1000; sleep 1.5; exit 3", settle=0.1)])
    until(lambda: len(told) >= 4)
    assert [(one.well, one.deaths) for one in told[:4]] == [(True, 0), (False, 1), (True, 1), (False, 2)]
    assert (told[1].lived, told[1].since, told[1].exit) == (1.5, 0.0, 3)
    assert told[2].since > told[0].since > 0.0
    (root / "mended").touch()
    until(lambda: told[-1].well, 30)
    assert time.monotonic() - told[-1].since >= 5.0, "after two deaths in a row it has to live for longer"


def test_what_runs_once_lives_when_it_runs_for_a_while_and_is_well_when_it_ended_well(
    supervisor: Supervisor, root: Path
) -> None:
    told = watched(supervisor)
    supervisor.apply(
        "p0",
        [
            service(root, "short", "exit 0", once=True),
            service(root, "long", once=True, settle=0.3),
            service(root, "bad", "sleep 0.5; test -e mended || exit 4", once=True, settle=0.1),
        ],
    )
    until(lambda: [one.exit for one in told if one.name == "bad" and not one.well])
    assert {one.name for one in told if one.well} == {"short", "long", "bad"}
    (root / "mended").touch()
    until(lambda: [one for one in told if one.name == "bad"][-1].well, 30)
    assert [one for one in told if one.name == "bad"][-1].exit == 0, "it is well because it ended well"


def test_another_configuration_of_a_service_has_another_version_and_the_same_one_has_not(
    supervisor: Supervisor, root: Path
) -> None:
    told = watched(supervisor)
    web, other = service(root, "web", settle=0.1), service(root, "other", settle=0.1)
    first = supervisor.apply("p0", [web, other])
    until(lambda: len(told) == 2)
    again = supervisor.apply("p0", [web, other])
    assert again == first
    changed = supervisor.apply("p0", [replace(web, digest="2"), other])
    assert changed["other"] == first["other"]
    assert changed["web"] != first["web"]
    until(lambda: len(told) == 3)
    assert (told[2].name, told[2].version, told[2].well) == ("web", changed["web"], True)
    supervisor.stop("p0")
    assert set(supervisor.apply("p0", [web, other]).values()).isdisjoint({*first.values(), *changed.values()})


def test_who_orders_hears_what_was_told_of_it_already(supervisor: Supervisor, root: Path) -> None:
    web, heard = service(root, "web", settle=0.1), list[SupervisorEvent]()
    versions = supervisor.apply("p0", [web], on_event=heard.append)
    assert heard == []
    until(lambda: (supervisor.apply("p0", [web], on_event=heard.append), heard)[1])
    assert (heard[0].name, heard[0].version, heard[0].well) == ("web", versions["web"], True)
    kill_supervisor(supervisor)
    supervisor.ensure()
    heard.clear()
    supervisor.apply("p0", [web], on_event=heard.append)
    assert [(one.name, one.well) for one in heard] == [("web", True)], "it lives on, as it did"


def test_a_new_supervisor_tells_of_what_the_former_one_started(supervisor: Supervisor, root: Path) -> None:
    processes = [service(root, "web"), service(root, "job", "exit 0", once=True), service(root, "bad", "exit 3")]
    supervisor.apply("p0", processes)
    until(lambda: (found := status(supervisor, "job")) is not None and found.state == "done")
    kill_supervisor(supervisor)
    supervisor.ensure()
    told = watched(supervisor)
    versions = supervisor.apply("p0", processes)
    until(lambda: {one.name for one in told} == {"web", "job", "bad"})
    assert {one.name: one.well for one in told} == {"web": True, "job": True, "bad": False}
    assert {one.name: one.version for one in told} == versions


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has control groups")
def test_a_group_that_forks_without_end_ends_when_it_is_stopped(supervisor: Supervisor, root: Path) -> None:
    tag = f"test{os.getpid()}"
    groups = cgroups.create(f"{tag}/p0", Limits(memory_mb=256, processes=50))
    if not groups.tracked:
        pytest.skip("no control groups can be made here")
    bomb = "import os\nwhile True:\n    try: os.fork() or os.setsid()\n    except OSError: pass\n"
    (root / "bomb.py").write_text(bomb)
    root.chmod(0o777)
    script = f"exec /usr/bin/python3 -I -S {root}/bomb.py"
    try:
        where = {"groups": groups.services, "track": groups.tracked, "uid": USER, "gid": USER}
        supervisor.apply("p0", [service(root, "bomb", script, **where)])
        until(lambda: len(cgroups.processes(f"{tag}/p0")[0]) > 20)
        supervisor.stop("p0")
        assert cgroups.processes(f"{tag}/p0") == ([], [])
    finally:
        supervisor.stop("p0")
        cgroups.remove_node(tag)


def test_what_is_lent_ends_in_time_though_nobody_orders_it(supervisor: Supervisor, root: Path) -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    supervisor.apply("p0", [service(root, "web")], until=now + 1.5)
    supervisor.apply("p1", [service(root, "database")], until=now + 1.5)
    supervisor.apply("p2", [service(root, "cache")])
    web, database, cache = pid(supervisor, "web"), pid(supervisor, "database", "p1"), pid(supervisor, "cache", "p2")
    supervisor.lend({"p1": now + 1000, "p3": now})
    kill_supervisor(supervisor)
    supervisor.ensure()
    until(lambda: not lives(web))
    until(lambda: "p0" not in supervisor.status())
    assert (pid(supervisor, "database", "p1"), pid(supervisor, "cache", "p2")) == (database, cache)
    supervisor.lend({"p1": now})
    kill_supervisor(supervisor)
    supervisor.ensure()
    until(lambda: not lives(database))
    assert lives(cache)


def noted(root: Path, name: str, **more: Any) -> Process:
    """Return a service that writes into `noted` when it starts and when it ends, which takes it a moment."""
    script = f"trap 'sleep 0.2; echo {name} ended >> noted; exit' TERM; echo {name} started >> noted; sleep 1000 & wait"
    return service(root, name, script, **more)


def notes(root: Path, count: int) -> list[str]:
    """Return what services noted, once there are so many lines."""
    until(lambda: (root / "noted").exists() and len((root / "noted").read_text().splitlines()) >= count)
    return (root / "noted").read_text().splitlines()


def chain(root: Path, **more: Any) -> list[Process]:
    """Return a front after an application after a database, named so that no other order is theirs by chance."""
    return [
        noted(root, "application", after=["database"], **more),
        noted(root, "front", after=["application"], **more),
        noted(root, "database", **more),
    ]


ENDED = ["front ended", "application ended", "database ended"]


def test_what_comes_after_others_ends_before_them(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", chain(root))
    notes(root, 3)
    supervisor.stop("p0")
    assert notes(root, 6)[3:] == ENDED


def test_a_next_supervisor_keeps_the_order(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", chain(root))
    notes(root, 3)
    kill_supervisor(supervisor)
    supervisor.ensure()
    supervisor.shutdown()
    assert notes(root, 6)[3:] == ENDED


def test_a_change_of_all_ends_them_in_their_order_and_starts_them_in_the_opposite(
    supervisor: Supervisor, root: Path
) -> None:
    supervisor.apply("p0", chain(root))
    notes(root, 3)
    supervisor.apply("p0", chain(root, digest="2"))
    # What starts is started within moments of each other; its first word may be late. What ends takes its time.
    assert notes(root, 9)[3:6] == ENDED
    found = {one.name: one for one in supervisor.status()["p0"].processes}
    assert {one.digest for one in found.values()} == {"2"}
    assert found["database"].uptime >= found["application"].uptime >= found["front"].uptime


def test_only_what_changed_is_restarted_whatever_comes_after_it(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", chain(root))
    notes(root, 3)
    before = {name: pid(supervisor, name) for name in ("database", "application", "front")}
    application, front, database = chain(root)
    supervisor.apply("p0", [application, front, replace(database, digest="2")])
    until(lambda: pid(supervisor, "database") != before["database"])
    assert (pid(supervisor, "application"), pid(supervisor, "front")) == (before["application"], before["front"])


def test_each_has_its_own_time_to_end(supervisor: Supervisor, root: Path) -> None:
    stubborn = service(root, "web", "trap '' TERM; echo > ready; while :; do sleep 1000; done", stop_timeout=0.3)
    supervisor.apply("p0", [replace(stubborn, after=["database"]), noted(root, "database", stop_timeout=60.0)])
    until((root / "ready").exists)
    notes(root, 1)
    supervisor.stop("p0")
    assert notes(root, 2)[1] == "database ended", "who came before it was still asked, and had its time"


def test_a_circle_holds_up_nobody(supervisor: Supervisor, root: Path) -> None:
    def circle(digest: str) -> list[Process]:
        return [
            service(root, "hen", after=["egg", "hen", "nobody"], digest=digest),
            service(root, "egg", after=["hen"], digest=digest),
        ]

    supervisor.apply("p0", circle("1"))
    hen, egg = pid(supervisor, "hen"), pid(supervisor, "egg")
    supervisor.apply("p0", circle("2"))
    until(lambda: pid(supervisor, "hen") != hen and pid(supervisor, "egg") != egg)
    supervisor.stop("p0")
    assert "p0" not in supervisor.status()


def test_a_table_written_before_there_was_an_order_is_taken_over(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web"), service(root, "database")])
    before = [pid(supervisor, "web"), pid(supervisor, "database")]
    # Until it has become its program nobody can tell whose it is.
    until(lambda: all(children.MARK.encode() in Path(f"/proc/{one}/environ").read_bytes() for one in before))
    kill_supervisor(supervisor)
    table = root / "run" / "supervisor.json"
    saved = json.loads(table.read_text())
    for spec in saved["groups"]["p0"]["processes"]:
        del spec["after"]
    table.write_text(json.dumps(saved))
    supervisor.ensure()
    assert [pid(supervisor, "web"), pid(supervisor, "database")] == before
    supervisor.stop("p0")
    assert not any(lives(one) for one in before)


def waiter(root: Path, digest: str, flag: str, status: int = 0) -> Process:
    """A task that waits for a file, and then ends with a status."""
    script = f"until [ -e {root}/{flag} ]; do sleep 0.02; done; exit {status}"
    return service(root, "run/migrate", script, digest=digest, once=True)


def test_what_runs_goes_on_until_what_the_next_one_awaits_has_ended_well(supervisor: Supervisor, root: Path) -> None:
    (root / "first").touch()
    names = {"awaits": ["run/migrate"]}
    supervisor.apply("p0", [service(root, "web", **names), service(root, "old"), waiter(root, "1", "first")])
    web, old = pid(supervisor, "web"), pid(supervisor, "old")
    until(lambda: (found := status(supervisor, "run/migrate")) and found.state == "done")
    wanted = [service(root, "web", digest="2", **names), service(root, "new", **names), waiter(root, "2", "second")]
    supervisor.apply("p0", wanted)
    new = pid(supervisor, "new")
    time.sleep(0.3)
    assert (pid(supervisor, "web"), pid(supervisor, "old")) == (web, old), "they serve as before"
    kill_supervisor(supervisor)
    supervisor.ensure()
    time.sleep(0.3)
    assert pid(supervisor, "web") == web, "also for a supervisor that comes after"
    supervisor.apply("p0", wanted)
    (root / "second").touch()
    until(lambda: pid(supervisor, "web") != web)
    assert pid(supervisor, "new") == new
    until(lambda: not lives(old))
    assert status(supervisor, "old") is None


def test_what_never_ends_well_leaves_the_former_one_running(supervisor: Supervisor, root: Path) -> None:
    (root / "first").touch()
    names = {"awaits": ["run/migrate"]}
    supervisor.apply("p0", [service(root, "web", **names), waiter(root, "1", "first")])
    web = pid(supervisor, "web")
    until(lambda: (found := status(supervisor, "run/migrate")) and found.state == "done")
    supervisor.apply("p0", [service(root, "web", digest="2", **names), waiter(root, "2", "first", status=1)])
    until(lambda: (found := status(supervisor, "run/migrate")) and found.restarts >= 2)
    assert pid(supervisor, "web") == web
    supervisor.apply("p0", [service(root, "web", **names), waiter(root, "1", "first")])
    until(lambda: (found := status(supervisor, "run/migrate")) and found.state == "done")
    assert pid(supervisor, "web") == web, "who goes back goes back to what runs"
    supervisor.apply("p0", [service(root, "web", digest="3", **names), waiter(root, "3", "never")])
    supervisor.stop("p0")
    assert not lives(web), "to stop waits for nothing"


def test_what_died_while_its_successor_was_awaited_is_that_successor(supervisor: Supervisor, root: Path) -> None:
    (root / "first").touch()
    names = {"awaits": ["run/migrate"]}
    supervisor.apply("p0", [service(root, "web", **names), waiter(root, "1", "first")])
    web = pid(supervisor, "web")
    until(lambda: (found := status(supervisor, "run/migrate")) and found.state == "done")
    supervisor.apply("p0", [service(root, "web", digest="2", **names), waiter(root, "2", "second")])
    os.kill(web, signal.SIGKILL)
    until(lambda: (found := status(supervisor, "web")) and found.state == "running" and found.digest == "2")
    second = pid(supervisor, "web")
    (root / "second").touch()
    until(lambda: (found := status(supervisor, "run/migrate")) and found.state == "done")
    assert pid(supervisor, "web") == second


def test_what_reads_its_files_anew_is_told_to_and_not_restarted(supervisor: Supervisor, root: Path) -> None:
    script = f"trap 'echo told >> {root}/told' USR1; while :; do sleep 0.05; done"
    reads = {"reload_signal": "USR1", "settle": 0.1}
    supervisor.apply("p0", [service(root, "web", script, reload_digest="a", **reads)])
    web = pid(supervisor, "web")
    time.sleep(0.3)
    supervisor.apply("p0", [service(root, "web", script, reload_digest="b", **reads)])
    until((root / "told").exists)
    supervisor.apply("p0", [service(root, "web", script, reload_digest="b", **reads)])
    time.sleep(0.2)
    assert (root / "told").read_text() == "told\n", "once for each change"
    assert pid(supervisor, "web") == web
    supervisor.apply("p0", [service(root, "web", script, digest="2", reload_digest="c", **reads)])
    until(lambda: pid(supervisor, "web") != web)
    assert (root / "told").read_text() == "told\n", "who is started anew reads them anyway"


def test_who_was_started_just_now_may_not_know_how_to_read_anew(supervisor: Supervisor, root: Path) -> None:
    supervisor.apply("p0", [service(root, "web", reload_digest="a", settle=30.0)])
    web = pid(supervisor, "web")
    supervisor.apply("p0", [service(root, "web", reload_digest="b", settle=30.0)])
    until(lambda: pid(supervisor, "web") != web)
