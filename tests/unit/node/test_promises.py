"""Promises: each is checked in time, and none keeps another from being checked."""

import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.kit.waiting import lives, until
from freehold.node.forkserver import ForkServer
from freehold.node.promises import Result, Scheduler, Watch, schedule, scheduler
from freehold.node.promises.schedule import PromiseState

USER = 61000 + os.getpid() % 900
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

FILE_IS_THERE = """
from pathlib import Path
from freehold.promises import Assessment

class There:
    period, timeout = {period}, 5.0
    def check(self):
        return Assessment(Path({path!r}).exists(), {message!r})

promise = There()
"""
HANGS_WHEN_THERE = """
import time
from pathlib import Path
from freehold.promises import Assessment

class Hangs:
    period, timeout = 5.0, 0.5
    def check(self):
        while Path({path!r}).exists():
            time.sleep(1000)
        return Assessment(True, "not hanging yet")

promise = Hangs()
"""
DOES = """
import json, os, sys

class Does:
    period, timeout = 5.0, 5.0
    def check(self):
        {what}

promise = Does()
"""

states = some.builds(PromiseState, some.floats(0, 1e9), some.booleans(), some.integers(0, 10**9))
periods = some.floats(1, 86400)
names = some.text(max_size=40)


@given(states, some.floats(0, 2e9), periods, names)
def test_the_next_check_is_always_soon_enough_and_never_at_once(
    state: PromiseState, now: float, period: float, name: str
) -> None:
    assert schedule.FIRST_RETRY <= schedule.pause(state, now, period, name) <= period * 1.1


@given(periods, names, some.integers(0, 40))
def test_a_fresh_promise_is_checked_eagerly_until_it_is_kept(period: float, name: str, failures: int) -> None:
    state = PromiseState(0.0)
    pauses = []
    for _ in range(failures):
        state = schedule.after(state, False)
        pauses.append(schedule.pause(state, 1.0, period, name))
    assert pauses == sorted(pauses)
    assert all(pause <= schedule.SLOWEST_RETRY for pause in pauses)
    kept = schedule.after(state, True)
    assert schedule.pause(kept, 1.0, period, name) >= 0.9 * period


@given(states, periods, names)
def test_a_promise_that_broke_is_looked_at_sooner_than_its_period(
    state: PromiseState, period: float, name: str
) -> None:
    broken = schedule.after(replace(state, ever_kept=True), False)
    assert schedule.pause(broken, state.awaited, period, name) <= min(period, schedule.BROKEN_RETRY)


@given(states, some.floats(0, 1e3), periods, names)
def test_a_minute_after_the_configuration_nobody_is_eager(
    state: PromiseState, late: float, period: float, name: str
) -> None:
    broken = schedule.after(state, False)
    pause = schedule.pause(broken, state.awaited + schedule.EAGER + late + 1, period, name)
    assert pause == min(period, schedule.BROKEN_RETRY)


@given(periods, some.lists(names, min_size=1, unique=True))
def test_checks_of_a_node_do_not_march_in_step(period: float, many: list[str]) -> None:
    state = PromiseState(0.0, ever_kept=True)
    for name in many:
        pause = schedule.pause(state, 1.0, period, name)
        assert 0.9 * period <= pause <= 1.1 * period
        assert pause == schedule.pause(state, 2.0, period, name)
    pauses = {schedule.pause(state, 1.0, 60.0, f"instance-{number}/page") for number in range(50)}
    assert len(pauses) > 40


class House:
    """A scheduler with a folder for each partition, and what it found."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results: list[Result] = []
        self.fork_server = ForkServer(root / "forkserver.log")
        self.scheduler = Scheduler(self.fork_server, self.results.append)
        self.scheduler.start()
        self.revision = 0

    def plugin(self, name: str, text: str, partition: str = "p0") -> str:
        return self._write(f"etc/plugin/{name}.py", text, partition, 0o644)

    def executable(self, name: str, script: str, partition: str = "p0") -> str:
        return self.program(name, f"#!/bin/sh\n{script}\n", partition)

    def program(self, name: str, text: str, partition: str = "p0") -> str:
        """An executable with exactly this content."""
        return self._write(f"etc/promise/{name}", text, partition, 0o755)

    def there(self, name: str, path: Path, message: str = "looked", period: float = 1.0, **more: str) -> str:
        """A promise that a file is there."""
        text = FILE_IS_THERE.format(path=str(path), message=message, period=period)
        return self.plugin(name, text, **more)

    def watch(self, *plugins: str, partition: str = "p0", uid: int | None = None) -> int:
        """Have these promises checked; return the revision that their results will carry."""
        self.revision += 1
        folder = str(self.root / partition)
        self.scheduler.watch(Watch(partition, f"instance-{partition}", self.revision, folder, uid, uid, plugins))
        return self.revision

    def last(self, promise: str, partition: str = "p0") -> Result | None:
        found = [one for one in self.results if (one.promise, one.partition) == (promise, partition)]
        return found[-1] if found else None

    def kept(self, promise: str, partition: str = "p0") -> bool:
        found = self.last(promise, partition)
        return found is not None and found.kept

    def broken(self, promise: str, partition: str = "p0") -> bool:
        found = self.last(promise, partition)
        return found is not None and not found.kept

    def workers(self) -> list[int]:
        """Return the pids of living workers: children of the helper."""
        process = self.fork_server._process
        assert process is not None
        done = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split() if lives(int(pid))]

    def _write(self, path: str, text: str, partition: str, mode: int) -> str:
        file = self.root / partition / path
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        new.write_text(text)
        new.chmod(mode)
        new.rename(file)
        return path


@pytest.fixture
def house() -> Iterator[House]:
    root = Path(tempfile.mkdtemp(prefix="freehold-test-"))
    root.chmod(0o777)
    one = House(root)
    yield one
    one.scheduler.stop()
    one.fork_server.close()
    shutil.rmtree(root)


def test_a_promise_is_seen_to_be_kept_as_soon_as_it_is(house: House) -> None:
    file = house.root / "file"
    revision = house.watch(house.there("page", file, "look here"))
    until(lambda: house.broken("page"))
    file.touch()
    made = time.monotonic()
    until(lambda: house.kept("page"))
    assert time.monotonic() - made < 1.2
    found = house.last("page")
    assert found is not None
    assert (found.instance, found.revision, found.message) == ("instance-p0", revision, "look here")


def test_a_promise_that_breaks_is_seen_and_so_is_its_repair(house: House) -> None:
    file = house.root / "file"
    file.touch()
    house.watch(house.there("page", file))
    until(lambda: house.kept("page"))
    file.unlink()
    until(lambda: house.broken("page"))
    file.touch()
    until(lambda: house.kept("page"))


def test_a_changed_plugin_is_used_at_once(house: House) -> None:
    here, nowhere = house.root, house.root / "nowhere"
    house.watch(house.there("page", here, "as first written"))
    until(lambda: house.kept("page"))
    house.there("page", nowhere, "as written later")
    house.scheduler.look_again("p0")
    until(lambda: house.broken("page"))
    found = house.last("page")
    assert found is not None
    assert found.message == "as written later"


def test_what_was_checked_before_a_moment_is_checked_again_since_it(house: House) -> None:
    slow = house.executable("slow", f"test -e {house.root}/seen && exit 0; touch {house.root}/seen; sleep 0.5")
    assert house.scheduler.measured("p0") == math.inf, "what is not there needs no check"
    house.watch(slow, house.there("page", house.root))
    until(lambda: house.kept("page"))
    assert house.scheduler.measured("p0") == 0.0, "one of them has no result yet"
    moment = time.monotonic()
    house.scheduler.look_again("p0", moment)
    until(lambda: house.scheduler.measured("p0") >= moment)
    assert len([one for one in house.results if one.promise == "slow"]) == 2, "what was under way says nothing of it"
    seen = len(house.results)
    house.scheduler.look_again("p0", moment)
    time.sleep(0.2)
    assert len(house.results) == seen, "each was checked since"


def test_a_check_that_hangs_is_broken_and_others_go_on(house: House) -> None:
    trigger = house.root / "trigger"
    stuck = [f"stuck{number}" for number in range(10)]
    plugins = [house.plugin(name, HANGS_WHEN_THERE.format(path=str(trigger))) for name in stuck]
    house.watch(*plugins, house.there("page", house.root))
    house.watch(house.there("page", house.root, partition="p1"), partition="p1")
    until(lambda: all(house.kept(name) for name in (*stuck, "page")))
    trigger.touch()
    house.scheduler.look_again("p0")
    seen = len(house.results)
    until(lambda: any(one.promise == "page" for one in house.results[seen:]))
    until(lambda: all(house.broken(name) for name in stuck))
    assert {found.message for name in stuck if (found := house.last(name))} == {"It did not answer within 0.5 s."}
    seen = len(house.results)
    until(lambda: {one.partition for one in house.results[seen:] if one.promise == "page"} == {"p0", "p1"})
    assert all(one.kept for one in house.results if one.promise == "page")
    until(lambda: len(house.workers()) == 1)


def test_a_promise_may_be_a_program(house: House) -> None:
    good = house.executable("good", "test -f etc/promise/good && echo all is well")
    bad = house.executable("bad", "echo something is missing >&2; exit 3")
    house.watch(good, bad)
    until(lambda: house.kept("good") and house.broken("bad"))
    messages = {one.promise: one.message for one in house.results}
    assert messages == {"good": "all is well", "bad": "something is missing"}


PAGE = (Path(__file__).parents[3] / "docs" / "authors" / "promises.md").read_text()
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
MESSAGES = {"python": ["0 wait", r"\d+ MB are free", "srv is there"], "sh": ["nothing to read"]}


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_example_of_a_check_in_the_documentation_is_kept_as_it_is_printed(house: House, kind: str) -> None:
    texts = [text for language, text in EXAMPLES if language == kind]
    (house.root / "p0" / "srv").mkdir(parents=True)
    write = {"python": house.plugin, "sh": house.program}[kind]
    paths = [write(f"example{number}", text) for number, text in enumerate(texts)]
    house.watch(*paths)
    for number, words in enumerate(MESSAGES[kind]):
        until(lambda name=f"example{number}": house.last(name))  # type: ignore[misc]
        found = house.last(f"example{number}")
        assert found is not None
        assert found.kept, found.message
        assert re.fullmatch(words, found.message), found.message
    assert len(texts) == len(MESSAGES[kind]), "each example has its message here"


def test_every_example_of_the_documentation_is_one_that_a_test_runs() -> None:
    # Those in ini are run by the tests of the recipes.
    assert {language for language, _ in EXAMPLES} == {*MESSAGES, "ini"}
    assert PAGE.count("```") == 2 * len(EXAMPLES)
    without = re.sub(r"^```(\w+)\n(.*?)^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"^ {4}\S.*$", without, re.MULTILINE), "an example without its language is run by nobody"


def test_a_check_starts_in_the_folder_of_its_partition(house: House) -> None:
    where = "import os\nfrom freehold.promises import Assessment, every\n\n@every(5)\ndef promise():\n    "
    where += "return Assessment(True, f'{os.getcwd()} {os.environ[\"HOME\"]}')\n"
    for partition in ("p0", "p1"):
        house.watch(house.plugin("where", where, partition=partition), partition=partition)
    until(lambda: house.kept("where", "p0") and house.kept("where", "p1"))
    for partition in ("p0", "p1"):
        found = house.last("where", partition)
        assert found is not None
        assert found.message == f"{house.root / partition} {house.root / partition}"


def test_what_a_check_raises_is_its_message(house: House) -> None:
    house.watch(
        house.plugin("raises", DOES.format(what="raise RuntimeError('the disk is full')")),
        house.plugin("nothing", "x = 1\n"),
        house.plugin("garbage", "this is no python\n"),
        "etc/plugin/missing.py",
    )
    until(lambda: all(house.broken(name) for name in ("raises", "nothing", "garbage", "missing")))
    messages = {one.promise: one.message for one in house.results}
    assert messages["raises"] == "RuntimeError: the disk is full"
    assert "defines neither `promise`" in messages["nothing"]
    assert "SyntaxError" in messages["garbage"]
    assert "missing.py" in messages["missing"]


def test_what_is_forgotten_is_checked_no_more_and_its_worker_ends(house: House) -> None:
    counted = house.executable("counted", f"echo >> {house.root}/count")
    house.watch(counted)
    until(lambda: house.kept("counted"))
    until(lambda: len(house.workers()) == 1)
    house.scheduler.forget("p0")
    until(lambda: not house.workers())
    before = (house.root / "count").read_text()
    house.scheduler.look_again("p0")
    house.watch(house.there("page", house.root, partition="p1"), partition="p1")
    until(lambda: house.kept("page", "p1"))
    assert (house.root / "count").read_text() == before


def test_only_the_newest_configuration_speaks(house: House) -> None:
    house.watch(house.there("old", house.root), house.there("page", house.root))
    until(lambda: house.kept("old") and house.kept("page"))
    revision = house.watch(house.there("page", house.root))
    seen = len(house.results)
    until(lambda: len(house.results) > seen + 1)
    assert {(one.promise, one.revision) for one in house.results[seen + 1 :]} == {("page", revision)}


def test_a_check_that_ends_its_process_harms_nobody_else(house: House) -> None:
    house.watch(house.plugin("deadly", DOES.format(what="os._exit(1)")))
    until(lambda: house.broken("deadly"))
    house.watch(house.there("page", house.root, partition="p1"), partition="p1")
    until(lambda: house.kept("page", "p1"))
    found = house.last("deadly")
    assert found is not None
    assert "ended the process" in found.message


def test_a_killed_workshop_is_only_a_hiccup(house: House) -> None:
    file = house.root / "file"
    house.watch(house.there("page", file))
    until(lambda: house.broken("page"))
    assert house.fork_server._process is not None
    house.fork_server._process.kill()
    file.touch()
    until(lambda: house.kept("page"))


@pytest.mark.parametrize("answer", ["nonsense", "[]", "{}", '{"id": 0}', '{"id": 10000, "kept": 1}', "x" * 2_000_000])
def test_a_partition_that_answers_nonsense_fools_only_itself(house: House, answer: str) -> None:
    # The worker's stream is in the hands of the partition's own code: descriptors above 2 that are sockets.
    speak = (
        f"[os.write(n, {answer!r}.encode()[i:i + 60000] + (b'' if len({answer!r}) > 60000 else b'\\n'))"
        f" for n in range(3, 30) for i in range(0, len({answer!r}), 60000)"
        " if os.path.exists(f'/proc/self/fd/{n}') and 'socket' in os.readlink(f'/proc/self/fd/{n}')]"
    )
    house.watch(house.plugin("liar", DOES.format(what=f"{speak}; import time; time.sleep(3)")))
    until(lambda: house.broken("liar"))
    found = house.last("liar")
    assert found is not None
    assert "answered nonsense" in found.message
    house.watch(house.there("page", house.root, partition="p1"), partition="p1")
    asked = time.monotonic()
    until(lambda: house.kept("page", "p1"))
    assert time.monotonic() - asked < 2


NOT_AS_IT_MUST_BE = """
from freehold.promises import Assessment

class Odd:
    period, timeout = {period}, {timeout}
    def check(self):
        {what}
        return Assessment(True, {message!r})

promise = Odd()
"""


@pytest.mark.parametrize(
    ("changed", "kept", "message"),
    [
        ({"message": "waiting: caf\udce9"}, True, "waiting: caf\\udce9"),
        ({"what": "raise ValueError('caf' + chr(0xdce9))"}, False, "ValueError: caf\\udce9"),
        ({"what": "raise SystemExit(3)"}, False, "SystemExit: 3"),
        ({"period": "float('nan')"}, False, "Its period and timeout must be numbers of seconds, not nan and 5.0."),
        ({"timeout": "float('inf')"}, False, "Its period and timeout must be numbers of seconds, not 5.0 and inf."),
        ({"what": "return None"}, False, "AttributeError: 'NoneType' object has no attribute 'kept'"),
        ({"message": "x" * 100_000 + " the end"}, True, "x" * 3992 + " the end"),
    ],
)
def test_whatever_a_plugin_does_it_has_a_result_and_no_other_gets_the_blame(
    house: House, changed: dict[str, str], kept: bool, message: str
) -> None:
    odd = {"period": "5.0", "timeout": "5.0", "what": "pass", "message": "well"} | changed
    house.watch(house.plugin("odd", NOT_AS_IT_MUST_BE.format(**odd)), house.there("page", house.root))
    until(lambda: house.last("odd") is not None)
    found = house.last("odd")
    assert found is not None
    assert (found.kept, found.message) == (kept, message)
    until(lambda: house.kept("page"))
    assert not [one for one in house.results if one.promise == "page" and not one.kept]


def test_what_an_executable_prints_that_is_no_text_is_shown_by_its_bytes(house: House) -> None:
    house.watch(house.executable("page", "printf 'waiting: caf\\351'; exit 1"))
    until(lambda: house.broken("page"))
    found = house.last("page")
    assert found is not None
    found.message.encode()
    assert found.message.startswith("waiting: caf")


def test_a_result_that_cannot_be_noted_is_not_lost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "TOLD_AGAIN", 0.05)
    failures = ["the disk is full"] * 3

    def note(result: Result) -> None:
        if failures:
            raise OSError(failures.pop())
        house.results.append(result)

    house.scheduler._on_result = note
    house.watch(house.there("page", house.root, period=3600.0))
    until(lambda: house.kept("page"))
    assert not [one for one in house.results if "nonsense" in one.message]


@as_root
def test_checks_run_as_the_partitions_user(house: House) -> None:
    house.watch(house.executable("whoami", "id -u; id -G"), uid=USER)
    until(lambda: house.kept("whoami"))
    found = house.last("whoami")
    assert found is not None
    assert found.message.split() == [str(USER), str(USER)]


def test_a_hundred_partitions_are_checked_within_seconds(house: House) -> None:
    for number in range(100):
        partition = f"p{number}"
        house.watch(house.there("page", house.root, partition=partition), partition=partition)
    until(lambda: len({one.partition for one in house.results if one.kept}) == 100)
