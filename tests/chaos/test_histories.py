"""Histories in virtual time: whatever goes wrong, in the end all is as it is wanted, and use was counted once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.node.plan import TURN

HISTORIES = os.environ.get("FREEHOLD_HISTORIES", "60")
"""Seven seconds of processor each; 10,000 for a campaign."""


def simulate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "freehold.cli", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_after_the_last_fault_every_history_ends_well() -> None:
    done = simulate("--histories", HISTORIES)
    assert done.returncode == 0, done.stderr
    assert f"{HISTORIES} histories" in done.stdout
    assert "nothing went wrong" in done.stdout


def test_a_seed_tells_the_same_history_again() -> None:
    one, again, other = (simulate("--seed", seed).stdout for seed in ("7", "7", "8"))
    assert one == again != other
    assert "the last fault is over" in one


MISTAKES = {
    "forgetful": "and is not gone",
    "counting_twice": "in its hours",
    "deaf": "is wanted started",
    "lasting": "and begins on",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_freehold_is_found(mistake: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("broken.py")), mistake, MISTAKES[mistake]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert MISTAKES[mistake] in done.stdout


def test_two_builds_without_end_keep_a_third_release_waiting_for_their_turn_and_no_longer() -> None:
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("endless.py"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert TURN <= int(done.stdout) <= TURN + 180, "a build itself takes two minutes at most"
