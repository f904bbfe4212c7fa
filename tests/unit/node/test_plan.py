"""The plan: from wanted and found to steps. `plan/*.json` are cases, read by people; below, laws for all cases."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.node import plan as planning
from freehold.node.plan import MOST_BUILDERS, TURN, PlannedInstance, PlannedSoftware, Step, Verb, may_build, plan
from freehold.protocol.states import Observed, SoftwareObserved, SoftwareWanted, Wanted

CASES = sorted((Path(__file__).parent / "plan").glob("*.json"))
NOW = 1_000_000.0
PARTITIONS = ["p0", "p1", "p2"]
RELEASES = ["red", "green", "blue"]
LIVE = (Observed.STARTED, Observed.CONFIGURING)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = json.loads(path.read_text())
    plain = {"release": "hello", "revision": 1, "state_revision": 1}
    software = msgspec.convert(case["software"], list[PlannedSoftware])
    instances = msgspec.convert([{**plain, **one} for one in case["instances"]], list[PlannedInstance])
    steps = plan(software, instances, case["now"], lease_is_over=case.get("lease_is_over", False))
    assert [f"{step.verb} {step.subject}" for step in steps] == case["steps"], case["title"]


moments = some.just(0.0) | some.floats(NOW - 1000, NOW + 1000) | some.floats(0, 1e12)
releases = some.builds(
    PlannedSoftware,
    release=some.sampled_from(RELEASES),
    wanted=some.sampled_from(SoftwareWanted),
    state=some.none() | some.sampled_from(SoftwareObserved),
    attempts=some.integers(0, 40),
    next_try=moments,
)


@some.composite
def instances(draw: some.DrawFn) -> list[PlannedInstance]:
    """Return instances as a Master may want them: in a partition one at most is not to be destroyed."""
    found: list[PlannedInstance] = []
    for partition in PARTITIONS:
        started = False
        for former in range(draw(some.integers(0, 2))):
            state = draw(some.none() | some.sampled_from(Observed))
            if started and state in LIVE:
                state = Observed.FAILED
            started = started or state in LIVE
            found.append(_instance(draw, f"{partition}-former-{former}", partition, Wanted.DESTROYED, state))
        if draw(some.booleans()):
            state = draw(some.none() | some.sampled_from([one for one in Observed if one is not Observed.DESTROYED]))
            if started:
                state = None
            wanted = draw(some.sampled_from([Wanted.STARTED, Wanted.STOPPED]))
            found.append(_instance(draw, f"{partition}-now", partition, wanted, state))
    return draw(some.permutations(found))


def _instance(draw: some.DrawFn, name: str, partition: str, wanted: Wanted, state: Observed | None) -> PlannedInstance:
    revision = draw(some.integers(1, 5))
    return PlannedInstance(
        name,
        partition,
        draw(some.sampled_from(RELEASES)),
        wanted,
        revision,
        state,
        draw(some.integers(0, revision)),
        draw(some.integers(0, 40)),
        draw(moments),
    )


class Machine:
    """A simple node: it does steps in any order it likes, and some of them fail at first."""

    def __init__(self, software: list[PlannedSoftware], instances: list[PlannedInstance], draw: some.DrawFn) -> None:
        self.software = {one.release: one for one in software}
        self.instances = {one.instance: one for one in instances}
        self.now = NOW
        self._draw = draw
        self._failures_left = draw(some.integers(0, 4))

    def steps(self) -> list[Step]:
        return plan(self.software.values(), self.instances.values(), self.now)

    def turn(self) -> None:
        steps = self.steps()
        subjects = [step.subject for step in steps]
        assert len(set(subjects)) == len(subjects), "one step at most for each"
        # They are done side by side: any of them may be done first, and none knows of the others.
        for step in self._draw(some.permutations(steps)):
            fails = self._failures_left > 0 and self._draw(some.booleans())
            self._failures_left -= fails
            (self._do_software if step.verb in (Verb.BUILD, Verb.REMOVE) else self._do_instance)(step, fails)
            self.check()

    def check(self) -> None:
        live = [one.partition for one in self.instances.values() if one.state in LIVE]
        assert len(set(live)) == len(live), "two instances live in one partition"

    def sleep(self) -> bool:
        """Wait for the next moment at which something is due; return whether there is one."""
        moment = planning.next_moment(self.software.values(), self.instances.values(), self.now)
        if moment is None:
            return False
        assert moment > self.now
        self.now = moment
        return True

    def _do_software(self, step: Step, fails: bool) -> None:
        one = self.software[step.subject]
        if step.verb is Verb.REMOVE:
            users = [user.instance for user in self.instances.values() if user.release == one.release]
            assert all(self.instances[user].state is Observed.DESTROYED for user in users)
            state = SoftwareObserved.REMOVED
        else:
            assert one.wanted is SoftwareWanted.AVAILABLE
            state = SoftwareObserved.FAILED if fails else SoftwareObserved.AVAILABLE
        attempts = one.attempts + 1 if fails else 0
        pause = planning.build_pause(attempts)
        next_try = self.now + pause if state is SoftwareObserved.FAILED else 0.0
        self.software[one.release] = msgspec.structs.replace(one, state=state, attempts=attempts, next_try=next_try)

    def _do_instance(self, step: Step, fails: bool) -> None:
        one = self.instances[step.subject]
        if step.verb is Verb.CONFIGURE:
            assert one.wanted is Wanted.STARTED
            release = self.software.get(one.release)
            assert release is not None
            assert release.state is SoftwareObserved.AVAILABLE, "started what is not built"
        done = {
            Verb.CONFIGURE: Observed.FAILED if fails else Observed.STARTED,
            Verb.STOP: Observed.STOPPED,
            Verb.DESTROY: Observed.DESTROYED,
            Verb.WAIT: Observed.WAITING,
        }[step.verb]
        attempts = one.attempts + 1 if done is Observed.FAILED else 0
        next_try = self.now + planning.configure_pause(attempts) if done is Observed.FAILED else 0.0
        self.instances[one.instance] = msgspec.structs.replace(
            one, state=done, state_revision=one.revision, attempts=attempts, next_try=next_try
        )


@given(some.lists(releases, unique_by=lambda one: one.release), instances(), some.data())
def test_doing_the_steps_leads_to_what_is_wanted(
    software: list[PlannedSoftware], instances: list[PlannedInstance], data: some.DataObject
) -> None:
    machine = Machine(software, instances, data.draw)
    for _ in range(60):
        machine.turn()
        if not machine.steps() and not machine.sleep():
            break
    assert machine.steps() == [], "it never comes to rest"
    available = {one.release for one in machine.software.values() if one.state is SoftwareObserved.AVAILABLE}
    for release in machine.software.values():
        if release.wanted is SoftwareWanted.AVAILABLE:
            assert release.state is SoftwareObserved.AVAILABLE
    for one in machine.instances.values():
        if one.wanted is Wanted.STARTED and one.release not in available:
            assert one.state in (Observed.WAITING, *LIVE), "what runs goes on"
        else:
            assert one.state is not None
            # What waits for its children runs.
            found = Observed.STARTED if one.state is Observed.CONFIGURING else one.state
            assert found.value == one.wanted.value


@given(some.integers(0, 10_000))
def test_pauses_grow_and_end(attempts: int) -> None:
    for pause, longest in (
        (planning.build_pause, planning.LONGEST_BUILD_PAUSE),
        (planning.configure_pause, planning.LONGEST_CONFIGURE_PAUSE),
        (planning.ask_pause, planning.LONGEST_ASK_PAUSE),
    ):
        assert 0 < pause(attempts) <= pause(attempts + 1) <= longest


def test_builds_without_end_keep_a_third_release_waiting_for_their_turn_and_no_longer() -> None:
    assert may_build([TURN / 2])
    assert not may_build([TURN / 2, 1.0])
    assert may_build([TURN, 1.0])
    assert may_build([TURN, TURN])


def test_a_machine_of_nothing_but_builds_without_end_does_not_begin_ever_more() -> None:
    assert not may_build([TURN] * MOST_BUILDERS)


@given(some.lists(some.floats(0, 1000), max_size=30))
def test_a_configuration_that_may_never_end_keeps_no_other_waiting_for_longer_than_its_turn(
    running: list[float],
) -> None:
    wait = planning.configure_wait(running)
    fresh = [seconds for seconds in running if seconds < planning.CONFIGURE_TURN]
    assert (wait > 0) == (len(fresh) >= planning.CONFIGURERS)
    assert wait <= planning.CONFIGURE_TURN
    assert planning.configure_wait(seconds + wait for seconds in running) < 1e-6


def test_what_nobody_foresaw_is_tried_ever_later() -> None:
    pauses = [planning.stumble_pause(times) for times in range(1, 12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (planning.STUMBLE_PAUSE, planning.LONGEST_STUMBLE_PAUSE)
