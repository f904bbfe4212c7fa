"""Which member of a cluster is changed next: a cluster in memory whose members obey, refuse or die."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from freehold.master.ordering.rollout import (
    Member,
    Policy,
    RolloutStep,
    RolloutVerb,
    Sight,
    is_settled,
    next_step,
    progress,
)

THREE = Policy(count=3, most_down=1, ready_within=60, leave_within=30)
READY, DOWN, FAILED = Sight(is_ready=True), Sight(), Sight(is_failed=True)


def standing(number: int, **more: object) -> list[Member]:
    return [replace(Member(ordinal, READY), **more) for ordinal in range(number)]  # type: ignore[arg-type]


def but(members: list[Member], ordinal: int, **more: object) -> list[Member]:
    return [replace(one, **more) if one.ordinal == ordinal else one for one in members]  # type: ignore[arg-type]


def test_a_new_cluster_is_made_all_at_once() -> None:
    assert next_step(THREE, []) == RolloutStep(RolloutVerb.ADD, (0, 1, 2))
    forming = [Member(ordinal, DOWN, is_new=True) for ordinal in range(3)]
    assert next_step(THREE, forming) is None
    assert not is_settled(THREE, forming)
    assert next_step(THREE, but(forming, 1, has_change=False)) == RolloutStep(RolloutVerb.CHANGE, (1,)), (
        "nothing is taken down by it"
    )


def test_a_change_goes_to_one_member_and_to_the_next_when_that_is_ready() -> None:
    outdated = standing(3, has_change=False)
    assert next_step(THREE, outdated) == RolloutStep(RolloutVerb.CHANGE, (0,))
    tried = but(outdated, 0, has_change=True, is_tried=True, sight=DOWN)
    assert next_step(THREE, tried) is None
    assert progress("voter", THREE, tried) == "0 of 3 of 'voter' are ready as wanted; waiting for 'voter-0'."
    there = but(tried, 0, sight=READY)
    assert next_step(THREE, there) == RolloutStep(RolloutVerb.KEEP, (0,))
    assert next_step(THREE, but(there, 0, is_tried=False)) == RolloutStep(RolloutVerb.CHANGE, (1,))
    assert is_settled(THREE, standing(3))


@pytest.mark.parametrize("how", [{"sight": FAILED}, {"told_for": 61.0}])
def test_one_that_does_not_become_ready_goes_back_and_the_others_keep_what_they_have(how: dict[str, object]) -> None:
    tried = but(standing(3, has_change=False), 0, **({"has_change": True, "is_tried": True, "sight": DOWN} | how))
    assert next_step(THREE, tried) == RolloutStep(RolloutVerb.GO_BACK, (0,))
    assert next_step(replace(THREE, is_refused=True), standing(3, has_change=False)) is None
    silent = but(tried, 0, sight=Sight(is_heard=False), told_for=10**6)
    assert next_step(THREE, silent) is None, "nobody knows what became of it"


def test_while_one_is_down_no_other_is_taken_down() -> None:
    for outdated in ({"has_change": False}, {"has_view": False}):
        assert next_step(THREE, but(standing(3, **outdated), 1, sight=DOWN, has_change=True, has_view=True)) is None
    assert next_step(replace(THREE, most_down=2), but(standing(3, has_change=False), 1, sight=DOWN)) == RolloutStep(
        RolloutVerb.CHANGE, (1,)
    ), "what is down is changed first"


def test_one_moves_when_all_others_stand() -> None:
    drained = standing(3, must_move=True)
    assert next_step(THREE, drained) == RolloutStep(RolloutVerb.MOVE, (0,))
    assert next_step(THREE, but(drained, 0, sight=DOWN, must_move=False)) is None
    assert not is_settled(THREE, drained)


def test_where_nothing_stands_all_may_be_changed() -> None:
    fallen = standing(3, has_change=False, sight=DOWN)
    assert next_step(THREE, fallen) == RolloutStep(RolloutVerb.CHANGE, (0,))
    assert next_step(THREE, but(fallen, 0, has_change=True, is_tried=True)) == RolloutStep(RolloutVerb.CHANGE, (1,))


def test_a_cluster_grows_and_shrinks_one_by_one() -> None:
    five, four = replace(THREE, count=5), [*standing(3), Member(3, DOWN, is_new=True)]
    assert next_step(five, standing(3)) == RolloutStep(RolloutVerb.ADD, (3,))
    assert next_step(five, four) is None
    assert next_step(five, but(four, 0, has_view=False)) == RolloutStep(RolloutVerb.SHOW, (0,)), (
        "the new one was never up"
    )
    assert next_step(THREE, standing(5)) == RolloutStep(RolloutVerb.LEAVE, (4,))
    leaving = but(standing(5), 4, is_leaving=True, sight=DOWN, told_for=1.0)
    assert next_step(THREE, leaving) is None
    assert next_step(THREE, but(leaving, 0, has_view=False)) is None, "one at a time"
    assert next_step(THREE, but(leaving, 4, sight=READY)) == RolloutStep(RolloutVerb.END, (4,))
    assert next_step(THREE, but(leaving, 4, told_for=31.0)) == RolloutStep(RolloutVerb.END_LATE, (4,))
    assert next_step(THREE, but(standing(4), 0, sight=DOWN)) is None
    assert next_step(THREE, [*standing(3), Member(3, DOWN, is_new=True)]) == RolloutStep(RolloutVerb.END, (3,))


@dataclass
class World:
    """A cluster whose members do what a history says: become ready, stay down, fail or die."""

    policy: Policy = THREE
    wanted: int = 0
    members: dict[int, Member] = field(default_factory=dict)
    has: dict[int, int] = field(default_factory=dict)
    former: dict[int, int] = field(default_factory=dict)
    good: set[int] = field(default_factory=lambda: {0})
    killed: set[int] = field(default_factory=set)

    def seen(self) -> list[Member]:
        return [
            replace(
                one,
                has_change=self.has[one.ordinal] == self.wanted,
                is_tried=one.ordinal in self.former,
                sight=replace(one.sight, is_ready=one.sight.is_ready and one.ordinal not in self.killed),
            )
            for one in self.members.values()
        ]

    def down(self) -> int:
        return sum(one.is_down and not one.is_leaving for one in self.seen())

    def work(self) -> None:
        """Have the Master do all that it can now."""
        for _ in range(100):
            before, step = self.down(), next_step(self.policy, self.seen())
            if step is None:
                return
            stood = any(one.is_ready and not one.is_new for one in self.seen())
            self.do(step)
            if stood and step.verb is not RolloutVerb.GO_BACK:
                assert self.down() <= max(before, self.policy.most_down), step
        raise AssertionError("it never ends")

    def do(self, step: RolloutStep) -> None:
        for ordinal in step.ordinals:
            one = self.members.get(ordinal)
            if step.verb is RolloutVerb.ADD:
                self.members[ordinal], self.has[ordinal] = Member(ordinal, DOWN, is_new=True), self.wanted
                self.show()
                self.members[ordinal] = replace(self.members[ordinal], has_view=True)
                continue
            assert one is not None
            if step.verb is RolloutVerb.KEEP:
                self.former.pop(ordinal, None)
                one = replace(one, is_new=False)
            elif step.verb is RolloutVerb.CHANGE:
                if not one.is_new:
                    self.former.setdefault(ordinal, self.has[ordinal])
                self.has[ordinal] = self.wanted
                one = replace(one, sight=DOWN, has_view=True, told_for=0.0)
            elif step.verb is RolloutVerb.SHOW:
                one = replace(one, sight=DOWN, has_view=True)
            elif step.verb is RolloutVerb.GO_BACK:
                self.has[ordinal] = self.former.pop(ordinal)
                self.policy = replace(self.policy, is_refused=True)
                one = replace(one, sight=DOWN, told_for=0.0)
            elif step.verb is RolloutVerb.LEAVE:
                one = replace(one, is_leaving=True, sight=DOWN, told_for=0.0)
            else:
                del self.members[ordinal], self.has[ordinal]
                self.former.pop(ordinal, None)
                self.show()
                continue
            self.members[ordinal] = one

    def show(self) -> None:
        for ordinal, one in self.members.items():
            self.members[ordinal] = replace(one, has_view=False)

    def pass_time(self, seconds: float, stuck: set[int]) -> None:
        """Each member that can becomes ready with what it has, and the clock goes on."""
        for ordinal, one in self.members.items():
            is_ready = self.has[ordinal] in self.good and ordinal not in stuck and ordinal not in self.killed
            self.members[ordinal] = replace(one, sight=Sight(is_ready), told_for=one.told_for + seconds)


ORDINALS = some.integers(0, 4)
HAPPENINGS = some.lists(
    some.one_of(
        some.tuples(some.just("want"), some.booleans()),
        some.tuples(some.just("size"), some.integers(1, 5)),
        some.tuples(some.just("kill"), ORDINALS),
        some.tuples(some.just("heal"), ORDINALS),
        some.tuples(some.just("time"), some.sets(ORDINALS)),
    ),
    max_size=20,
)


@settings(max_examples=300)
@given(HAPPENINGS, some.integers(1, 2))
def test_whatever_happens_no_more_are_taken_down_than_allowed_and_in_the_end_all_is_as_wanted(
    happenings: list[tuple[str, object]], most_down: int
) -> None:
    world = World(replace(THREE, most_down=most_down))
    world.work()
    for what, value in happenings:
        if what == "want":
            world.wanted += 1
            if value:
                world.good.add(world.wanted)
            world.policy = replace(world.policy, is_refused=False)
        elif what == "size":
            world.policy = replace(world.policy, count=value)
        elif what == "kill":
            world.killed.add(value)  # type: ignore[arg-type]
        elif what == "heal":
            world.killed.discard(value)  # type: ignore[arg-type]
        else:
            world.pass_time(20, value)  # type: ignore[arg-type]
        world.work()
    world.killed.clear()
    world.wanted += 1
    world.good.add(world.wanted)
    world.policy = replace(world.policy, is_refused=False)
    for _ in range(40):
        world.work()
        world.pass_time(5, set())
    world.work()
    assert is_settled(world.policy, world.seen()), progress("voter", world.policy, world.seen())
