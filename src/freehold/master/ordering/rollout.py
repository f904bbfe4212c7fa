"""Which member of a cluster is changed next: pure.

No more of its members are down at a time than its author allows, as far as the Master can say: what is ready is
changed only when so few are not, the next only when that is ready again, and what does not become ready goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Policy:
    """What is wanted of a cluster."""

    count: int
    most_down: int
    ready_within: float
    """Seconds that a member may take to be ready with a change."""
    leave_within: float
    """Seconds that a member may take to leave."""
    is_refused: bool = False
    """A member did not become ready with what is wanted of each, and went back."""


@dataclass(frozen=True)
class Sight:
    """What is known of an instance, with all below it."""

    is_ready: bool = False
    is_failed: bool = False
    """It cannot be configured, or built, as it is wanted now."""
    is_heard: bool = True
    message: str = ""
    """Why it is not ready."""


@dataclass(frozen=True)
class Member:
    """A member of a cluster, with what it was told last."""

    ordinal: int
    sight: Sight
    is_new: bool = False
    """It was never ready."""
    has_change: bool = True
    """It was told what is wanted of each."""
    has_view: bool = True
    """It was told who its siblings are."""
    is_tried: bool = False
    """It has what it was told before to go back to."""
    is_leaving: bool = False
    must_move: bool = False
    """The node where it is is drained."""
    told_for: float = 0.0
    """Seconds since it was told what is wanted of it, or to leave."""

    @property
    def is_ready(self) -> bool:
        return self.sight.is_ready

    @property
    def is_down(self) -> bool:
        return not self.is_ready and not self.is_new


class RolloutVerb(StrEnum):
    """What is done next."""

    ADD = "add"
    KEEP = "keep"
    """It is ready with what it was told: that is what it goes back to from now on."""
    CHANGE = "change"
    """Tell it what is wanted of each, and who its siblings are."""
    SHOW = "show"
    """Tell it who its siblings are."""
    MOVE = "move"
    """Place it on another node."""
    GO_BACK = "go-back"
    LEAVE = "leave"
    END = "end"
    END_LATE = "end-late"
    """It did not leave in time, and goes all the same."""


@dataclass(frozen=True)
class RolloutStep:
    """What is done to members, by their ordinals."""

    verb: RolloutVerb
    ordinals: tuple[int, ...]


def next_step(policy: Policy, members: Sequence[Member]) -> RolloutStep | None:
    """Return what is to be done now; None when there is nothing to do, or something to wait for."""
    leaving = [one for one in members if one.is_leaving]
    staying = sorted((one for one in members if not one.is_leaving), key=lambda one: one.ordinal)
    return (
        _judge(policy, staying)
        or _end(policy, leaving)
        or _form(policy, staying, leaving)
        or _change(policy, staying, leaving)
        or _shrink(policy, staying, leaving)
        or _grow(policy, staying, leaving)
    )


def is_settled(policy: Policy, members: Sequence[Member]) -> bool:
    """Whether a cluster is what is wanted of it."""
    return len(members) == policy.count and all(
        one.is_ready and one.has_change and one.has_view and not (one.is_leaving or one.must_move) for one in members
    )


def progress(name: str, policy: Policy, members: Sequence[Member]) -> str:
    """Return in words how far a cluster is that is not settled."""
    changed = sum(one.has_change and not one.is_leaving and one.is_ready for one in members)
    words = [f"{changed} of {policy.count} of '{name}' are ready as wanted"]
    if leaving := [f"'{name}-{one.ordinal}'" for one in members if one.is_leaving]:
        words.append(f"{', '.join(leaving)} leaves")
    if down := [f"'{name}-{one.ordinal}'" for one in members if not one.is_ready and not one.is_leaving]:
        words.append(f"waiting for {', '.join(down)}")
    return "; ".join(words) + "."


def _judge(policy: Policy, staying: Sequence[Member]) -> RolloutStep | None:
    """What was told is kept, or goes back."""
    for one in staying:
        if one.is_ready and one.has_change and (one.is_new or one.is_tried):
            return RolloutStep(RolloutVerb.KEEP, (one.ordinal,))
    for one in staying:
        is_over = one.sight.is_failed or one.told_for > policy.ready_within
        if one.is_tried and one.has_change and not one.is_ready and one.sight.is_heard and is_over:
            return RolloutStep(RolloutVerb.GO_BACK, (one.ordinal,))
    return None


def _end(policy: Policy, leaving: Sequence[Member]) -> RolloutStep | None:
    for one in leaving:
        if one.is_ready:
            return RolloutStep(RolloutVerb.END, (one.ordinal,))
        if one.told_for > policy.leave_within:
            return RolloutStep(RolloutVerb.END_LATE, (one.ordinal,))
    return None


def _form(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """While none was ever ready all are made at once: nothing is lost, and they may need each other to start."""
    missing = tuple(_missing(policy, staying, leaving))
    return RolloutStep(RolloutVerb.ADD, missing) if missing and all(one.is_new for one in staying) else None


def _change(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    down = [one for one in staying if one.is_down]
    may_go_down = len(down) < policy.most_down and not leaving
    nothing_stands = not any(one.is_ready for one in staying if not one.is_new)
    wanted = [one for one in staying if one.ordinal < policy.count]
    # What is down already is no further down for what it is told.
    for one in sorted(wanted, key=lambda one: one.is_ready):
        if not one.has_change and not policy.is_refused:
            others_are_tried = any(other.is_tried for other in staying if other is not one)
            may_try = not others_are_tried or len(down) <= policy.most_down
            if one.is_new or nothing_stands or (may_go_down if one.is_ready else may_try):
                return RolloutStep(RolloutVerb.CHANGE, (one.ordinal,))
        if not one.has_view and (may_go_down or not one.is_ready):
            return RolloutStep(RolloutVerb.SHOW, (one.ordinal,))
        if one.must_move and (may_go_down or not one.is_ready):
            return RolloutStep(RolloutVerb.MOVE, (one.ordinal,))
    return None


def _shrink(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """The highest goes first, when all that stay stand; one that never was ready has nothing to leave."""
    if leaving or not staying or staying[-1].ordinal < policy.count:
        return None
    highest = staying[-1]
    if highest.is_new:
        return RolloutStep(RolloutVerb.END, (highest.ordinal,))
    stands = all(one.is_ready for one in staying if one.ordinal < policy.count)
    return RolloutStep(RolloutVerb.LEAVE, (highest.ordinal,)) if stands or not highest.is_ready else None


def _grow(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """One by one: the next when all that are there are as wanted."""
    missing = _missing(policy, staying, leaving)
    is_done = all(one.is_ready and one.has_change and one.has_view for one in staying)
    return RolloutStep(RolloutVerb.ADD, (missing[0],)) if missing and is_done and not leaving else None


def _missing(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> list[int]:
    there = {one.ordinal for one in (*staying, *leaving)}
    return [ordinal for ordinal in range(policy.count) if ordinal not in there]
