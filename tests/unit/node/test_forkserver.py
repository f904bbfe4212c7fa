"""The fork server: work done in children, as another user, within a time, whatever happens to it."""

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
from freehold.node.forkserver import MOST_ANSWER, MOST_ORDER, MOST_WORDS, ForkServer, ForkServerError, Interrupt

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
def fork_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fork server that knows the jobs of these tests."""
    # Copied to where every user can read it: the repository may lie in a private folder.
    shutil.copy(TESTS / "support" / "forkserver_jobs.py", root)
    (root / "forkserver_jobs.py").chmod(0o644)
    monkeypatch.setenv("PYTHONPATH", str(root))
    one = ForkServer(root / "forkserver.log")
    yield one
    one.close()


def helper(fork_server: ForkServer) -> int:
    """Return the pid of the helper process."""
    return int(fork_server.call("forkserver_jobs:shell", HELPER))


def asleep(root: Path) -> list[int]:
    """Return the pids of a sleeping child and of its own child, once both are there."""
    until((root / "pids").exists)
    return [int(one) for one in (root / "pids").read_text().split()]


def test_it_returns_what_the_work_returns(fork_server: ForkServer) -> None:
    large = os.urandom(3_000_000)
    assert fork_server.call("zlib:decompress", fork_server.call("zlib:compress", large)) == large
    assert fork_server.call("forkserver_jobs:say", b"nothing to return") == b""


def test_a_refusal_comes_back_in_its_own_words(fork_server: ForkServer) -> None:
    with pytest.raises(ForkServerError, match=r"^The port is taken\.$"):
        fork_server.call("forkserver_jobs:refuse", b"The port is taken.")


def test_a_stumble_comes_back_with_its_place(fork_server: ForkServer) -> None:
    with pytest.raises(ForkServerError, match=r"(?s)in stumble.*RuntimeError: over a stone"):
        fork_server.call("forkserver_jobs:stumble", b"over a stone")


def test_work_that_does_not_exist_is_named(fork_server: ForkServer) -> None:
    with pytest.raises(ForkServerError, match="nowhere"):
        fork_server.call("nowhere:nothing", b"")


def test_why_it_failed_before_it_looked_at_its_work_is_told(fork_server: ForkServer) -> None:
    # More than fits into the stream: we are still sending when it has given up.
    with pytest.raises(ForkServerError, match="nowhere"):
        fork_server.call("nowhere:nothing", b"x" * 5_000_000)


def test_a_child_that_vanishes_is_told_at_once(fork_server: ForkServer) -> None:
    started = time.monotonic()
    with pytest.raises(ForkServerError, match="ended suddenly"):
        fork_server.call("forkserver_jobs:vanish", b"")
    assert time.monotonic() - started < 10


def test_what_takes_too_long_is_killed_with_all_it_started(fork_server: ForkServer, root: Path) -> None:
    helper(fork_server)
    with pytest.raises(ForkServerError, match=r"did not end within 0\.5 s"):
        fork_server.call("forkserver_jobs:sleep", str(root / "pids").encode(), timeout=0.5)
    for pid in asleep(root):
        until(lambda pid=pid: not lives(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_work_is_done_as_the_partitions_user_without_a_way_back(fork_server: ForkServer, root: Path) -> None:
    found = fork_server.call("forkserver_jobs:whoami", b"", uid=USER, gid=USER, cwd=str(root))
    assert found.decode() == f"{USER} {USER} [] {root} 1"
    with pytest.raises(ForkServerError, match="PermissionError"):
        fork_server.call("forkserver_jobs:whoami", b"", uid=USER, gid=USER, cwd=str(root), log="/root/log")


def test_nothing_of_our_environment_reaches_the_work(fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    assert fork_server.call("forkserver_jobs:environment", b"").decode().split() == ["HOME", "LANG", "PATH", "TZ"]


def test_what_the_work_prints_is_in_its_log(fork_server: ForkServer, root: Path) -> None:
    fork_server.call("forkserver_jobs:say", b"first", log=str(root / "log"))
    fork_server.call("forkserver_jobs:say", b"second", log=str(root / "log"))
    assert (root / "log").read_text() == "first\nsecond\n"


def test_a_link_in_place_of_the_log_is_not_followed(fork_server: ForkServer, root: Path) -> None:
    (root / "precious").write_text("as it was")
    (root / "log").symlink_to(root / "precious")
    with pytest.raises(ForkServerError):
        fork_server.call("forkserver_jobs:say", b"overwritten", log=str(root / "log"))
    assert (root / "precious").read_text() == "as it was"


def test_work_is_done_side_by_side(fork_server: ForkServer, root: Path) -> None:
    # Each of the two waits for the file of the other.
    scripts = [f"touch {root}/{ours}; until [ -e {root}/{other} ]; do sleep 0.01; done" for ours, other in
               (("a", "b"), ("b", "a"))]  # fmt: skip
    with ThreadPoolExecutor(2) as threads:
        waiting = [
            threads.submit(fork_server.call, "forkserver_jobs:shell", one.encode(), timeout=20) for one in scripts
        ]
        assert [one.result() for one in waiting] == [b"", b""]


def test_a_killed_helper_is_replaced_and_its_children_end(fork_server: ForkServer, root: Path) -> None:
    victim = helper(fork_server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(fork_server.call, "forkserver_jobs:sleep", str(root / "pids").encode())
        sleeper = asleep(root)[0]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(ForkServerError, match="ended suddenly"):
            waiting.result()
    until(lambda: not lives(sleeper))
    for grandchild in asleep(root)[1:]:
        os.kill(grandchild, signal.SIGKILL)
    assert helper(fork_server) != victim


def test_the_helper_and_its_work_end_with_their_owner(root: Path) -> None:
    program = f"""
import pathlib
from freehold.node.forkserver import ForkServer
fork_server = ForkServer(pathlib.Path({str(root / "forkserver.log")!r}))
helper = fork_server.call("forkserver_jobs:shell", {HELPER!r})
pathlib.Path({str(root / "helper")!r}).write_bytes(helper)
fork_server.call("forkserver_jobs:sleep", {str(root / "pids").encode()!r})
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(TESTS / "support"), "PATH": "/bin"}
    )
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
    fork_server: ForkServer, work: str, size: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ForkServerError, match=f"answered with {size} bytes; at most"):
        fork_server.call(f"forkserver_jobs:{work}", str(size).encode(), timeout=20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert fork_server.call("forkserver_jobs:say", b"the next one") == b""


def test_an_answer_byte_by_byte_has_one_deadline(fork_server: ForkServer) -> None:
    helper(fork_server)
    with pytest.raises(ForkServerError, match=r"did not end within 0\.5 s"):
        fork_server.call("forkserver_jobs:drip", b"", timeout=0.5)


def test_work_is_interrupted_from_another_thread_with_all_it_started(fork_server: ForkServer, root: Path) -> None:
    interrupt = Interrupt()
    with ThreadPoolExecutor(1) as threads:
        payload = str(root / "pids").encode()
        waiting = threads.submit(fork_server.call, "forkserver_jobs:sleep", payload, interrupt=interrupt)
        pids = asleep(root)
        interrupt.end()
        with pytest.raises(ForkServerError, match="interrupted"):
            waiting.result()
    for pid in pids:
        until(lambda pid=pid: not lives(pid))


def test_work_that_was_interrupted_before_it_began_does_not_begin(fork_server: ForkServer) -> None:
    interrupt = Interrupt()
    interrupt.end()
    with pytest.raises(ForkServerError, match="interrupted"):
        fork_server.call("forkserver_jobs:sleep", b"/nowhere/pids", interrupt=interrupt)


def test_what_work_leaves_in_its_session_ends_with_its_answer(fork_server: ForkServer, root: Path) -> None:
    assert fork_server.call("forkserver_jobs:leave", str(root / "pid").encode()) == b"done"
    until(lambda: not lives(int((root / "pid").read_text())))


def test_nothing_that_work_prints_reaches_the_helpers_log(fork_server: ForkServer, root: Path) -> None:
    log = root / "forkserver.log"
    before = log.read_bytes() if log.exists() else b""
    fork_server.call("forkserver_jobs:scribble", b"")
    fork_server.call("forkserver_jobs:say", b"a word")
    with pytest.raises(ForkServerError):
        fork_server.call("forkserver_jobs:stumble", b"over a stone")
    assert log.read_bytes() == before


def test_what_work_prints_is_in_the_file_that_it_may_write(fork_server: ForkServer, root: Path) -> None:
    mine = root / "var" / "log" / "mine.log"
    fork_server.call("forkserver_jobs:say", b"a word", prints=str(mine))
    assert mine.read_text() == "a word\n"
    mine.unlink()
    os.mkfifo(mine)
    assert fork_server.call("forkserver_jobs:say", b"another", prints=str(mine)) == b"", (
        "a pipe without a reader is no log"
    )


def test_an_order_that_cannot_be_served_harms_no_other(fork_server: ForkServer, root: Path) -> None:
    first = helper(fork_server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(fork_server.call, "forkserver_jobs:sleep", str(root / "pids").encode(), timeout=30)
        asleep(root)
        with pytest.raises(ForkServerError):
            fork_server.call("forkserver_jobs:say", b"", cwd="/" + "x" * MOST_ORDER)
        for order in (b"no JSON", b"{}", b"[]"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                fork_server._send(order, theirs.fileno())
                theirs.close()
                ours.settimeout(10)
                assert ours.recv(4) == bytes(4), "nobody is to be killed for it"
        assert helper(fork_server) == first
        assert not waiting.done()
        os.kill(asleep(root)[0], signal.SIGKILL)
        with pytest.raises(ForkServerError):
            waiting.result()


def test_a_fork_costs_less_than_a_start(fork_server: ForkServer) -> None:
    helper(fork_server)
    started = time.monotonic()
    for _ in range(20):
        fork_server.call("zlib:compress", b"")
    assert (time.monotonic() - started) / 20 < 0.1
