"""Metering: what was used is counted, once, and for the right partition."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold import kit
from freehold.node.isolation import cgroups, disk_usage
from freehold.node.metering import Counters, Meter, MeteredPartition, Reading, accumulate
from freehold.node.settings import Limits
from freehold.protocol.meters import NAMES

USER = 63000 + os.getpid() % 900
BURN = "import time\nwhile time.process_time() < 0.5: pass\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this")

amounts = some.floats(0, 1e12)
readings = some.builds(Reading, some.dictionaries(some.sampled_from(NAMES), amounts), some.booleans())


def reading(cpu_ms: float = 0, *, exact: bool = True, network: float | None = None) -> Reading:
    counted = {} if network is None else {"network_in": network, "network_out": network}
    return Reading({"cpu_ms": cpu_ms, **counted}, exact)


def slot(
    folder: Path, partition: str = "p0", *, uid: int | None = None, sessions: list[int] | None = None
) -> MeteredPartition:
    return MeteredPartition(partition, uid, "127.0.0.1", str(folder), sessions or [], 0)


@pytest.fixture
def tag() -> Iterator[str]:
    """The tag of a node that is only here for a test."""
    name = f"test{os.getpid()}"
    yield name
    cgroups.remove_node(name)


@given(some.lists(some.tuples(readings, some.floats(-10, 1e6)), max_size=20))
def test_counters_never_decrease_and_never_disappear(story: list[tuple[Reading, float]]) -> None:
    counters = Counters()
    for one, elapsed in story:
        later = accumulate(counters, one, elapsed)
        for name, used in counters.used.items():
            assert later.used[name] >= used
        counters = later


@given(some.lists(some.tuples(some.integers(0, 10**9), some.booleans()), min_size=1))
def test_exact_counters_equal_the_truth_through_every_reset(story: list[tuple[int, bool]]) -> None:
    raw = truth = 0
    counters = accumulate(Counters(), reading(0, network=0), 1)
    for used, reset in story:
        # A reset that leaves more than was there before cannot be seen; between two readings none does.
        if reset and used < raw:
            raw = 0
        raw += used
        truth += used
        counters = accumulate(counters, reading(raw, network=raw), 1)
    assert counters.used == {"cpu_ms": truth, "network_in": truth, "network_out": truth}


@given(some.lists(some.lists(some.tuples(some.integers(0, 5), some.integers(0, 1000), some.booleans()))))
def test_a_sum_over_living_processes_never_bills_more_than_was_used(
    story: list[list[tuple[int, int, bool]]],
) -> None:
    living: dict[int, int] = {}
    used = 0
    counters = accumulate(Counters(), reading(0, exact=False), 1)
    for happened in story:
        for process, grows, ends in happened:
            living[process] = living.get(process, 0) + grows
            used += grows
            if ends:
                del living[process]
        counters = accumulate(counters, reading(sum(living.values()), exact=False), 1)
        assert counters.used["cpu_ms"] <= used


def test_a_dead_process_is_not_billed_again_when_another_grows() -> None:
    counters = Counters(is_new=True)
    for total in (500, 100, 150):
        counters = accumulate(counters, reading(total, exact=False), 1)
    assert counters.used["cpu_ms"] == 550


def test_what_was_there_before_a_lost_store_is_not_counted_again() -> None:
    counters = accumulate(Counters(), reading(5000, exact=True), 1)
    assert not counters.used["cpu_ms"], "it may have been told before"
    assert accumulate(counters, reading(5100, exact=True), 1).used["cpu_ms"] == 100


def test_values_of_two_sources_are_not_compared() -> None:
    counters = accumulate(Counters(is_new=True), reading(5000, exact=False), 1)
    counters = accumulate(counters, reading(90000, exact=True), 1)
    counters = accumulate(counters, reading(90100, exact=True), 1)
    assert counters.used["cpu_ms"] == 5100


def test_what_an_address_carried_for_its_former_instance_is_not_billed() -> None:
    counters = accumulate(Counters(), reading(network=10**9), 1)
    assert counters.used["network_in"] == 0
    assert accumulate(counters, reading(network=10**9 + 42), 1).used["network_in"] == 42


def test_what_cannot_be_measured_is_absent_not_zero() -> None:
    counters = accumulate(Counters(), Reading({"memory_mb_s": 1}), 10)
    assert counters.used == {"memory_mb_s": 10}


def test_a_machine_that_slept_a_week_bills_an_hour_of_memory() -> None:
    one = Reading({"memory_mb_s": 2, "disk_mb_s": 3})
    counters = accumulate(Counters(), one, 7 * 86400)
    assert counters.used == {"memory_mb_s": 7200, "disk_mb_s": 10800}
    assert accumulate(counters, one, -5) == counters


@given(readings, readings)
def test_counters_survive_being_stored(first: Reading, second: Reading) -> None:
    counters = accumulate(accumulate(Counters(), first, 60), second, 60)
    assert msgspec.json.decode(msgspec.json.encode(counters), type=Counters) == counters


def test_the_time_of_a_busy_session_is_measured(tmp_path: Path, tag: str) -> None:
    script = f"{BURN}print(flush=True)\ntime.sleep(1000)"
    burner = subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert burner.stdout is not None
        burner.stdout.readline()
        used = Meter(tag, root_mode=False).read([slot(tmp_path, sessions=[burner.pid])])["p0"]
    finally:
        burner.kill()
        burner.communicate()
    assert not used.exact
    assert 450 <= used.values["cpu_ms"] <= 620
    assert 3 <= used.values["memory_mb_s"] <= 30
    assert used.values["process_s"] == 1
    assert "network_in" not in used.values


@as_root
def test_the_time_of_a_user_is_measured_also_of_children_that_ended(tmp_path: Path, tag: str) -> None:
    inner = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-S', '-c', {BURN!r}])\n"
    burner = subprocess.Popen(
        ["/usr/bin/python3", "-S", "-c", f"{inner}print(flush=True)\ntime.sleep(1000)"],
        stdout=subprocess.PIPE, user=USER, start_new_session=True,
    )  # fmt: skip
    try:
        assert burner.stdout is not None
        burner.stdout.readline()
        used = Meter(tag, root_mode=True).read([slot(tmp_path, uid=USER), slot(tmp_path, "p1", uid=USER + 1)])
    finally:
        burner.kill()
        burner.communicate()
    assert 450 <= used["p0"].values["cpu_ms"] <= 650
    assert used["p1"].values["cpu_ms"] == 0
    assert (used["p0"].values["process_s"], used["p1"].values["process_s"]) == (1, 0), "who ended counts no more"


@as_root
def test_a_control_group_counts_exactly_even_what_ended_unseen(tmp_path: Path, tag: str) -> None:
    files = cgroups.create(f"{tag}/p0", Limits(memory_mb=256)).services
    if not files:
        pytest.skip("no control groups can be made here")
    enter = "; ".join(f"echo $$ > {file}" for file in files)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["/bin/sh", "-c", f"{enter}; {sys.executable} -S -c '{BURN}' & wait"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    truth = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
    used = Meter(tag, root_mode=True).read([slot(tmp_path, uid=USER)])["p0"]
    assert used.exact
    assert used.values["cpu_ms"] == pytest.approx(truth, rel=0.2)
    assert used.values["memory_mb_s"] == 0
    assert cgroups.end(f"{tag}/p0", 10)
    assert not any(Path(file).exists() for file in files)
    assert cgroups.cpu_ms(f"{tag}/p0") is None


@as_root
def test_of_a_node_that_ended_no_group_and_no_table_is_left(tmp_path: Path, tag: str) -> None:
    limits = Limits(memory_mb=256)
    files = [Path(file) for name in ("p0", "p1") for file in cgroups.create(f"{tag}/{name}", limits).services]
    Meter(tag, root_mode=True).read(
        [MeteredPartition("p0", USER, f"127.78.{os.getpid() % 250}.1", str(tmp_path), [], 0)]
    )
    cgroups.remove_node(tag)
    assert not any(file.parents[1].exists() for file in files)
    shown = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    assert tag not in shown


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    folder = tmp_path / "p0"
    (folder / "srv").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(os.urandom(8 << 20))
    (folder / "srv" / "data").write_bytes(os.urandom(2 << 20))
    (folder / "srv" / "other name").hardlink_to(folder / "srv" / "data")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    assert 2 <= disk_usage.measure(str(folder)).mb < 2.2
    assert disk_usage.measure(str(tmp_path / "nowhere")).mb == 0


def test_the_next_instance_does_not_pay_for_the_folder_of_the_last(tmp_path: Path, tag: str) -> None:
    meter = Meter(tag, root_mode=False)
    data = tmp_path / "data"
    data.write_bytes(os.urandom(4 << 20))
    last, following = (
        MeteredPartition("p0", None, "127.0.0.1", str(tmp_path), [], 0, instance) for instance in ("a", "b")
    )
    assert meter.read([last])["p0"].values["disk_mb_s"] == pytest.approx(4, abs=0.1)
    data.unlink()
    assert meter.read([last])["p0"].values["disk_mb_s"] == pytest.approx(4, abs=0.1)
    assert meter.read([following])["p0"].values["disk_mb_s"] == pytest.approx(0, abs=0.1)


def test_a_hundred_partitions_are_read_at_once(tmp_path: Path, tag: str) -> None:
    """What it costs: `bench/idle.py`."""
    sleepers = [subprocess.Popen(["sleep", "1000"], start_new_session=True) for _ in range(100)]
    try:
        slots = [slot(tmp_path, f"p{number}", sessions=[one.pid]) for number, one in enumerate(sleepers)]
        meter = Meter(tag, root_mode=False)
        kit.until(lambda: all(one.values["memory_mb_s"] > 0 for one in meter.read(slots).values()))
    finally:
        for one in sleepers:
            one.kill()
        for one in sleepers:
            one.wait()
