"""The workshop: work done in children, as another user, within a time, whatever happens to it."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freehold.kit.waiting import lives, until
from freehold.node.forkserver import MOST_ANSWER, MOST_ORDER, MOST_WORDS, Interrupt, Workshop, WorkshopError

USER = 62000 + os.getpid() % 900
HELPER = b"ps -o ppid= -p $PPID"
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user can write into."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def workshop(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A workshop that knows the workpieces of these tests."""
    # Copied to where every user can read it: the repository may lie in a private folder.
    shutil.copy(TESTS / "workpieces.py", root)
    (root / "workpieces.py").chmod(0o644)
    monkeypatch.setenv("PYTHONPATH", str(root))
    one = Workshop(root / "workshop.log")
    yield one
    one.close()


def helper(workshop: Workshop) -> int:
    """Return the pid of the helper process."""
    return int(workshop.call("workpieces:shell", HELPER))


def asleep(root: Path) -> list[int]:
    """Return the pids of a sleeping child and of its own child, once both are there."""
    until((root / "pids").exists)
    return [int(one) for one in (root / "pids").read_text().split()]


def test_it_returns_what_the_work_returns(workshop: Workshop) -> None:
    large = os.urandom(3_000_000)
    assert workshop.call("zlib:decompress", workshop.call("zlib:compress", large)) == large
    assert workshop.call("workpieces:say", b"nothing to return") == b""


def test_a_refusal_comes_back_in_its_own_words(workshop: Workshop) -> None:
    with pytest.raises(WorkshopError, match=r"^The port is taken\.$"):
        workshop.call("workpieces:refuse", b"The port is taken.")


def test_a_stumble_comes_back_with_its_place(workshop: Workshop) -> None:
    with pytest.raises(WorkshopError, match=r"(?s)in stumble.*RuntimeError: over a stone"):
        workshop.call("workpieces:stumble", b"over a stone")


def test_work_that_does_not_exist_is_named(workshop: Workshop) -> None:
    with pytest.raises(WorkshopError, match="nowhere"):
        workshop.call("nowhere:nothing", b"")


def test_why_it_failed_before_it_looked_at_its_work_is_told(workshop: Workshop) -> None:
    # More than fits into the stream: we are still sending when it has given up.
    with pytest.raises(WorkshopError, match="nowhere"):
        workshop.call("nowhere:nothing", b"x" * 5_000_000)


def test_a_child_that_vanishes_is_told_at_once(workshop: Workshop) -> None:
    started = time.monotonic()
    with pytest.raises(WorkshopError, match="ended suddenly"):
        workshop.call("workpieces:vanish", b"")
    assert time.monotonic() - started < 10


def test_what_takes_too_long_is_killed_with_all_it_started(workshop: Workshop, root: Path) -> None:
    helper(workshop)
    with pytest.raises(WorkshopError, match=r"did not end within 0\.5 s"):
        workshop.call("workpieces:sleep", str(root / "pids").encode(), timeout=0.5)
    for pid in asleep(root):
        until(lambda pid=pid: not lives(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_work_is_done_as_the_partitions_user_without_a_way_back(workshop: Workshop, root: Path) -> None:
    found = workshop.call("workpieces:whoami", b"", uid=USER, gid=USER, cwd=str(root))
    assert found.decode() == f"{USER} {USER} [] {root} 1"
    with pytest.raises(WorkshopError, match="PermissionError"):
        workshop.call("workpieces:whoami", b"", uid=USER, gid=USER, cwd=str(root), log="/root/log")


def test_nothing_of_our_environment_reaches_the_work(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    assert workshop.call("workpieces:environment", b"").decode().split() == ["HOME", "LANG", "PATH"]


def test_what_the_work_prints_is_in_its_log(workshop: Workshop, root: Path) -> None:
    workshop.call("workpieces:say", b"first", log=str(root / "log"))
    workshop.call("workpieces:say", b"second", log=str(root / "log"))
    assert (root / "log").read_text() == "first\nsecond\n"


def test_a_link_in_place_of_the_log_is_not_followed(workshop: Workshop, root: Path) -> None:
    (root / "precious").write_text("as it was")
    (root / "log").symlink_to(root / "precious")
    with pytest.raises(WorkshopError):
        workshop.call("workpieces:say", b"overwritten", log=str(root / "log"))
    assert (root / "precious").read_text() == "as it was"


def test_work_is_done_side_by_side(workshop: Workshop, root: Path) -> None:
    # Each of the two waits for the file of the other.
    scripts = [f"touch {root}/{ours}; until [ -e {root}/{other} ]; do sleep 0.01; done" for ours, other in
               (("a", "b"), ("b", "a"))]  # fmt: skip
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(workshop.call, "workpieces:shell", one.encode(), timeout=20) for one in scripts]
        assert [one.result() for one in waiting] == [b"", b""]


def test_a_killed_helper_is_replaced_and_its_children_end(workshop: Workshop, root: Path) -> None:
    victim = helper(workshop)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(workshop.call, "workpieces:sleep", str(root / "pids").encode())
        sleeper = asleep(root)[0]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(WorkshopError, match="ended suddenly"):
            waiting.result()
    until(lambda: not lives(sleeper))
    for grandchild in asleep(root)[1:]:
        os.kill(grandchild, signal.SIGKILL)
    assert helper(workshop) != victim


def test_the_helper_and_its_work_end_with_their_owner(root: Path) -> None:
    program = f"""
import pathlib
from freehold.node.forkserver import Workshop
workshop = Workshop(pathlib.Path({str(root / "workshop.log")!r}))
helper = workshop.call("workpieces:shell", {HELPER!r})
pathlib.Path({str(root / "helper")!r}).write_bytes(helper)
workshop.call("workpieces:sleep", {str(root / "pids").encode()!r})
"""
    owner = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": str(TESTS), "PATH": "/bin"})
    sleeper, grandchild = asleep(root)
    zygote = int((root / "helper").read_text())
    assert lives(zygote)
    owner.kill()
    owner.wait()
    until(lambda: not lives(zygote))
    until(lambda: not lives(sleeper))
    os.kill(grandchild, signal.SIGKILL)


@pytest.mark.parametrize(("work", "size"), [("announce", MOST_ANSWER + 1), ("announce", 2**32 - 1),
                                            ("lament", MOST_WORDS + 1)])  # fmt: skip
def test_an_answer_beyond_what_is_read_is_refused_when_its_length_arrives(
    workshop: Workshop, work: str, size: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WorkshopError, match=f"answered with {size} bytes; at most"):
        workshop.call(f"workpieces:{work}", str(size).encode(), timeout=20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert workshop.call("workpieces:say", b"the next one") == b""


def test_an_answer_byte_by_byte_has_one_deadline(workshop: Workshop) -> None:
    helper(workshop)
    with pytest.raises(WorkshopError, match=r"did not end within 0\.5 s"):
        workshop.call("workpieces:drip", b"", timeout=0.5)


def test_work_is_interrupted_from_another_thread_with_all_it_started(workshop: Workshop, root: Path) -> None:
    interrupt = Interrupt()
    with ThreadPoolExecutor(1) as threads:
        payload = str(root / "pids").encode()
        waiting = threads.submit(workshop.call, "workpieces:sleep", payload, interrupt=interrupt)
        pids = asleep(root)
        interrupt.end()
        with pytest.raises(WorkshopError, match="interrupted"):
            waiting.result()
    for pid in pids:
        until(lambda pid=pid: not lives(pid))


def test_work_that_was_interrupted_before_it_began_does_not_begin(workshop: Workshop) -> None:
    interrupt = Interrupt()
    interrupt.end()
    with pytest.raises(WorkshopError, match="interrupted"):
        workshop.call("workpieces:sleep", b"/nowhere/pids", interrupt=interrupt)


def test_what_work_leaves_in_its_session_ends_with_its_answer(workshop: Workshop, root: Path) -> None:
    assert workshop.call("workpieces:leave", str(root / "pid").encode()) == b"done"
    until(lambda: not lives(int((root / "pid").read_text())))


def test_nothing_that_work_prints_reaches_the_helpers_log(workshop: Workshop, root: Path) -> None:
    log = root / "workshop.log"
    before = log.read_bytes() if log.exists() else b""
    workshop.call("workpieces:scribble", b"")
    workshop.call("workpieces:say", b"a word")
    with pytest.raises(WorkshopError):
        workshop.call("workpieces:stumble", b"over a stone")
    assert log.read_bytes() == before


def test_what_work_prints_is_in_the_file_that_it_may_write(workshop: Workshop, root: Path) -> None:
    mine = root / "var" / "log" / "mine.log"
    workshop.call("workpieces:say", b"a word", prints=str(mine))
    assert mine.read_text() == "a word\n"
    mine.unlink()
    os.mkfifo(mine)
    assert workshop.call("workpieces:say", b"another", prints=str(mine)) == b"", "a pipe without a reader is no log"


def test_an_order_that_cannot_be_served_harms_no_other(workshop: Workshop, root: Path) -> None:
    first = helper(workshop)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(workshop.call, "workpieces:sleep", str(root / "pids").encode(), timeout=30)
        asleep(root)
        with pytest.raises(WorkshopError):
            workshop.call("workpieces:say", b"", cwd="/" + "x" * MOST_ORDER)
        for order in (b"no JSON", b"{}", b"[]"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                workshop._send(order, theirs.fileno())
                theirs.close()
                ours.settimeout(10)
                assert ours.recv(4) == bytes(4), "nobody is to be killed for it"
        assert helper(workshop) == first
        assert not waiting.done()
        os.kill(asleep(root)[0], signal.SIGKILL)
        with pytest.raises(WorkshopError):
            waiting.result()


def test_a_fork_costs_less_than_a_start(workshop: Workshop) -> None:
    helper(workshop)
    started = time.monotonic()
    for _ in range(20):
        workshop.call("zlib:compress", b"")
    assert (time.monotonic() - started) / 20 < 0.1
