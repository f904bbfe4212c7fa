"""What time it is: machines' clocks are wrong and jump; time passes evenly, and the Master sets it right."""

import ctypes
import time
from pathlib import Path

import msgspec
import pytest

from freehold.node.clock import Clock, Hardware, date
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.feed import Feed, WantedInstance
from freehold.protocol.report import AssessmentReport, ReportBody, UsageReport
from freehold.protocol.states import Observed, Wanted

YEAR = 365 * 86400.0
NOW = time.time()


class World(Hardware):
    """The machine's clock and its boots, to be turned."""

    def __init__(self) -> None:
        self.shown, self.up, self.name = NOW, 100.0, "boot-1"
        self.is_kept = False

    def wall(self) -> float:
        return self.shown

    def since_boot(self) -> float:
        return self.up

    def boot(self) -> str:
        return self.name

    def is_synchronised(self) -> bool:
        return self.is_kept

    def pass_(self, seconds: float) -> None:
        self.shown += seconds
        self.up += seconds

    def reboot(self, *, wall: float) -> None:
        self.name = f"{self.name}'"
        self.shown, self.up = wall, 5.0


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.sqlite"


def times(store: Store) -> list[float]:
    """Return the times of all that waits, reports and items."""
    found = []
    for report in store.outbox.hand_out(1000, 1 << 30):
        body = msgspec.json.decode(bytes(report.body), type=ReportBody)
        found += [body.at, *(item.at for item in body.items if isinstance(item, UsageReport | AssessmentReport))]
    return found


def agree(store: Store, world: World, moment: float) -> None:
    """Have the Master say for a while what time it is."""
    for passed in (0, 10, 20):
        store.clock.hear(moment + passed)
        if passed < 20:
            world.pass_(10)


def begun(path: Path, world: World) -> Store:
    store = Store(Database(path), hardware=world)
    store.begin_epoch(1)
    return store


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
def test_a_jump_of_the_machines_clock_moves_nothing(world: World, jump: float) -> None:
    clock = Clock(hardware=world)
    world.pass_(60)
    world.shown += jump
    world.pass_(60)
    assert clock.now() == pytest.approx(NOW + 120)


def test_the_agent_started_again_after_a_jump_goes_on_with_the_time_of_its_boot(world: World, path: Path) -> None:
    begun(path, world).close()
    world.shown += YEAR
    world.pass_(60)
    store = Store(Database(path), hardware=world)
    assert store.clock.now() == pytest.approx(NOW + 60)
    store.close()


def test_a_machine_whose_battery_is_empty_does_not_go_back_before_what_it_wrote(world: World, path: Path) -> None:
    store = begun(path, world)
    world.pass_(1000)
    store.outbox.add()
    store.close()
    world.reboot(wall=0.0)
    store = Store(Database(path), hardware=world)
    assert store.clock.now() == pytest.approx(NOW + 1000, abs=0.01)
    world.pass_(10)
    assert store.clock.now() == pytest.approx(NOW + 1010, abs=0.01)
    store.close()


@pytest.mark.parametrize("wrong", [-30 * 86400.0, 30 * 86400.0, -YEAR, YEAR])
def test_a_clock_that_was_wrong_for_a_month_is_set_right_and_so_is_what_was_written_by_it(
    world: World, path: Path, wrong: float
) -> None:
    world.shown = NOW + wrong
    store = begun(path, world)
    for day in range(30):
        store.counters.save({}, [UsageReport("shop", store.clock.now(), cpu_ms=day)])
        world.pass_(86400)
    agree(store, world, NOW + 30 * 86400)
    expected = [NOW + day * 86400 for day in range(30) for _ in (1, 2)]
    assert times(store) == pytest.approx(expected, abs=0.01)
    assert store.clock.now() == pytest.approx(NOW + 30 * 86400 + 20)
    store.close()
    store = Store(Database(path), hardware=world)
    assert store.clock.now() == pytest.approx(NOW + 30 * 86400 + 20), "also after another start of the agent"
    store.close()


def test_what_was_written_before_a_reboot_that_lost_the_clock_keeps_its_time(world: World, path: Path) -> None:
    store = begun(path, world)
    store.outbox.add()
    store.close()
    world.reboot(wall=0.0)
    store = Store(Database(path), hardware=world)
    world.pass_(50)
    store.outbox.add()
    agree(store, world, NOW + 86400)
    assert times(store) == pytest.approx([NOW, NOW + 86400], abs=0.01)
    store.close()


def test_a_clock_that_ran_ahead_in_earlier_boots_too_leaves_nothing_in_the_future(world: World, path: Path) -> None:
    world.shown = NOW + YEAR
    store = begun(path, world)
    store.outbox.add()
    world.pass_(3600)
    store.close()
    world.reboot(wall=world.shown)
    store = Store(Database(path), hardware=world)
    store.outbox.add()
    agree(store, world, NOW + 3600)
    assert times(store) == pytest.approx([NOW, NOW + 3600], abs=0.01)
    store.close()


def test_what_was_handed_out_stays_as_it_is(world: World, path: Path) -> None:
    world.shown = NOW + YEAR
    store = begun(path, world)
    store.outbox.add()
    (handed,) = store.outbox.hand_out(10, 1 << 20)
    store.outbox.add()
    agree(store, world, NOW)
    assert store.outbox.hand_out(10, 1 << 20)[0] == handed
    assert times(store) == pytest.approx([NOW + YEAR, NOW], abs=0.01)
    store.close()


def test_small_differences_are_the_networks_and_change_nothing(world: World) -> None:
    clock = Clock(hardware=world)
    assert [clock.hear(NOW + late) for late in (0.0, -3.0, 2.0)] == [0.0, 0.0, 0.0]
    assert clock.now() == NOW


def test_what_was_to_be_tried_again_in_a_year_is_tried_now(world: World, path: Path) -> None:
    world.shown = NOW + YEAR
    store = begun(path, world)
    desired = WantedInstance("shop", 1, "p0", "red", "default", Wanted.STARTED, "shop")
    store.apply_feed(Feed(1, 0.0, 60.0, False, [], [desired]))
    store.instances.record_state("shop", 1, Observed.FAILED, next_try=store.clock.now() + 60, attempts=3)
    agree(store, world, NOW)
    (shop,) = store.instances.planned()
    assert shop.next_try <= store.clock.now()
    store.close()


def test_a_certificate_is_refused_when_both_clocks_say_that_it_is_over(world: World) -> None:
    clock = Clock(hardware=world)
    assert clock.believes(NOW - YEAR, NOW - 10), "nobody told the time yet: only the machine says that it is over"
    clock.hear(NOW)
    assert clock.believes(NOW - 10, NOW + 10)
    assert not clock.believes(NOW - 10, NOW - 5)
    world.shown = 0.0
    assert clock.believes(NOW - 10, NOW - 5), "the machine lost its clock, and may have heard a wrong one"


def test_a_master_that_is_ten_years_ahead_for_a_while_is_not_followed(world: World, path: Path) -> None:
    store = begun(path, world)
    store.clock.hear(NOW)
    for _ in range(100):
        world.pass_(5)
        store.clock.hear(world.shown + 10 * YEAR)
    assert store.clock.now() == pytest.approx(world.shown)
    assert store.clock.believes(NOW - 10, NOW + 3600)
    store.close()


@pytest.mark.parametrize("battery", [True, False], ids=["right clock", "no clock"])
def test_a_time_that_was_heard_wrong_is_unlearned_after_a_reboot(world: World, path: Path, battery: bool) -> None:
    store = begun(path, world)
    world.shown = 0.0
    agree(store, world, NOW + 10 * YEAR)
    store.outbox.add()
    store.outbox.acknowledge(1)
    store.close()
    world.reboot(wall=NOW if battery else 0.0)
    store = Store(Database(path), hardware=world)
    assert store.clock.believes(NOW - 10, NOW + 3600), "whoever can set the clock right is heard"
    agree(store, world, NOW)
    assert store.clock.now() == pytest.approx(NOW + 20)
    store.close()


def test_many_small_steps_make_no_large_one(world: World) -> None:
    clock = Clock(hardware=world)
    clock.hear(NOW)
    for hours in range(1, 100):
        world.pass_(1)
        clock.hear(world.shown + 3000 * hours)
    assert abs(clock.now() - world.shown) <= 3600


def test_where_the_machines_own_clock_agrees_one_answer_is_enough(world: World) -> None:
    clock = Clock(NOW - YEAR, heard=True, hardware=world)
    clock.hear(NOW)
    assert clock.now() == NOW


@pytest.mark.parametrize("header", [None, "", "yesterday", "Tue, 99 Nov 2026 10:00:00 GMT"])
def test_a_date_that_is_none_tells_no_time(header: str | None) -> None:
    assert date(header) is None


def test_a_date_of_http_is_utc() -> None:
    assert date("Thu, 01 Jan 1970 00:01:00 GMT") == 60.0


def test_a_machine_shows_its_own_clock_while_something_else_than_the_master_keeps_it_right(world: World) -> None:
    clock = Clock(hardware=world)
    assert clock.shows() is None
    world.is_kept = True
    assert clock.shows() == NOW
    agree_with(clock, world, NOW + YEAR)
    assert clock.shows() == pytest.approx(NOW + 20), "what the Master says moves it not"


def agree_with(clock: Clock, world: World, moment: float) -> None:
    for passed in (0, 10, 20):
        clock.hear(moment + passed)
        if passed < 20:
            world.pass_(10)


@pytest.mark.parametrize(("answer", "is_kept"), [(0, True), (4, True), (5, False), (-1, False)])
def test_the_kernel_is_asked_whether_its_clock_is_kept_right(
    monkeypatch: pytest.MonkeyPatch, answer: int, is_kept: bool
) -> None:
    asked: list[bytes] = []

    class Kernel:
        def adjtimex(self, timex: ctypes.Array[ctypes.c_char]) -> int:
            asked.append(timex.raw)
            return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Kernel())
    assert Hardware().is_synchronised() is is_kept
    assert asked[0][:4] == bytes(4), "nothing is to be changed"


def test_the_real_kernel_answers() -> None:
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    assert Hardware().is_synchronised() is (0 <= state < 5)
