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
    leaving = [member for member in members if member.is_leaving]
    staying = sorted((member for member in members if not member.is_leaving), key=lambda member: member.ordinal)
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
        member.is_ready and member.has_change and member.has_view and not (member.is_leaving or member.must_move)
        for member in members
    )


def progress(name: str, policy: Policy, members: Sequence[Member]) -> str:
    """Return in words how far a cluster is that is not settled."""
    changed = sum(member.has_change and not member.is_leaving and member.is_ready for member in members)
    words = [f"{changed} of {policy.count} of '{name}' are ready as wanted"]
    if leaving := [f"'{name}-{member.ordinal}'" for member in members if member.is_leaving]:
        words.append(f"{', '.join(leaving)} leaves")
    if down := [f"'{name}-{member.ordinal}'" for member in members if not member.is_ready and not member.is_leaving]:
        words.append(f"waiting for {', '.join(down)}")
    return "; ".join(words) + "."


def _judge(policy: Policy, staying: Sequence[Member]) -> RolloutStep | None:
    """What was told is kept, or goes back."""
    for member in staying:
        if member.is_ready and member.has_change and (member.is_new or member.is_tried):
            return RolloutStep(RolloutVerb.KEEP, (member.ordinal,))
    for member in staying:
        is_over = member.sight.is_failed or member.told_for > policy.ready_within
        if member.is_tried and member.has_change and not member.is_ready and member.sight.is_heard and is_over:
            return RolloutStep(RolloutVerb.GO_BACK, (member.ordinal,))
    return None


def _end(policy: Policy, leaving: Sequence[Member]) -> RolloutStep | None:
    for member in leaving:
        if member.is_ready:
            return RolloutStep(RolloutVerb.END, (member.ordinal,))
        if member.told_for > policy.leave_within:
            return RolloutStep(RolloutVerb.END_LATE, (member.ordinal,))
    return None


def _form(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """While none was ever ready all are made at once: nothing is lost, and they may need each other to start."""
    missing = tuple(_missing(policy, staying, leaving))
    return RolloutStep(RolloutVerb.ADD, missing) if missing and all(member.is_new for member in staying) else None


def _change(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    down = [member for member in staying if member.is_down]
    may_go_down = len(down) < policy.most_down and not leaving
    nothing_stands = not any(member.is_ready for member in staying if not member.is_new)
    wanted = [member for member in staying if member.ordinal < policy.count]
    # What is down already is no further down for what it is told.
    for member in sorted(wanted, key=lambda member: member.is_ready):
        if not member.has_change and not policy.is_refused:
            others_are_tried = any(sibling.is_tried for sibling in staying if sibling is not member)
            may_try = not others_are_tried or len(down) <= policy.most_down
            if member.is_new or nothing_stands or (may_go_down if member.is_ready else may_try):
                return RolloutStep(RolloutVerb.CHANGE, (member.ordinal,))
        if not member.has_view and (may_go_down or not member.is_ready):
            return RolloutStep(RolloutVerb.SHOW, (member.ordinal,))
        if member.must_move and (may_go_down or not member.is_ready):
            return RolloutStep(RolloutVerb.MOVE, (member.ordinal,))
    return None


def _shrink(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """The highest goes first, when all that stay stand; one that never was ready has nothing to leave."""
    if leaving or not staying or staying[-1].ordinal < policy.count:
        return None
    highest = staying[-1]
    if highest.is_new:
        return RolloutStep(RolloutVerb.END, (highest.ordinal,))
    stands = all(member.is_ready for member in staying if member.ordinal < policy.count)
    return RolloutStep(RolloutVerb.LEAVE, (highest.ordinal,)) if stands or not highest.is_ready else None


def _grow(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> RolloutStep | None:
    """One by one: the next when all that are there are as wanted."""
    missing = _missing(policy, staying, leaving)
    is_done = all(member.is_ready and member.has_change and member.has_view for member in staying)
    return RolloutStep(RolloutVerb.ADD, (missing[0],)) if missing and is_done and not leaving else None


def _missing(policy: Policy, staying: Sequence[Member], leaving: Sequence[Member]) -> list[int]:
    there = {member.ordinal for member in (*staying, *leaving)}
    return [ordinal for ordinal in range(policy.count) if ordinal not in there]
