"""What is told to be there is on the disk, by its name: also when who wrote it was killed before it saw to that."""

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freehold import durable
from freehold.client.credentials import Credentials, save_credentials
from freehold.node.link.keys import signing_request
from freehold.node.partition.files import write
from freehold.node.settings import Settings, save

SOURCES = Path(durable.__file__).parent


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order, each by its path at that moment."""
    paths: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", note)
    return paths


def _part(path: Path) -> None:
    write(path, b"content", 0o600)


def _replaced(path: Path) -> None:
    durable.replace(path, b"content", 0o600)


def _made_once(path: Path) -> None:
    if not path.exists():
        durable.create(path, b"content", 0o600)
    else:
        with pytest.raises(FileExistsError):
            durable.create(path, b"another", 0o600)


@pytest.mark.parametrize("make", [_part, _replaced, _made_once, signing_request])
def test_a_file_is_synced_with_its_name_also_when_it_was_there(
    make: Callable[[Path], object], tmp_path: Path, synced: list[str]
) -> None:
    for _ in range(2):
        synced.clear()
        make(tmp_path / "file")
        assert synced[-1] == str(tmp_path), "its name, after all else"
    assert (tmp_path / "file").read_bytes() not in (b"", b"another")
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left beside it"


def test_folders_that_are_made_for_a_file_are_synced_with_their_names(tmp_path: Path, synced: list[str]) -> None:
    durable.replace(tmp_path / "a" / "b" / "file", b"content", 0o640)
    assert synced[:2] == [str(tmp_path), str(tmp_path / "a")]
    assert synced[-1] == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o640


def test_a_token_of_a_login_and_the_settings_of_a_node_are_synced(tmp_path: Path, synced: list[str]) -> None:
    for make, name in ((_log_in, "token.json"), (_prepare, "node.json")):
        synced.clear()
        made = make(tmp_path)
        assert made.exists(), name
        assert len(synced) == 2, "the file, then its name"


def _log_in(folder: Path) -> Path:
    return save_credentials(Credentials("https://m", "t", "shop"), folder / "token.json")


def _prepare(folder: Path) -> Path:
    from freehold.node.settings import Paths

    save(folder, Settings("n", unprivileged=True))
    return Paths(folder).settings


def test_who_writes_the_same_file_at_once_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between what one wrote and its place, another writes the same file, whole."""
    whole = os.replace

    def another_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", whole)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        durable.replace(target, b"same", 0o600, apart=True)
        whole(source, target)

    monkeypatch.setattr(os, "replace", another_first)
    durable.replace(tmp_path / "release", b"same", 0o600, apart=True)
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.replace(tmp_path / "file", b"before", 0o600)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.replace(tmp_path / "file", b"after", 0o600)
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_master_whose_making_was_cut_short_is_made_whole(tmp_path: Path) -> None:
    """The key is there and its certificate is not: that key has signed nothing. With one, both are left alone."""
    from freehold.master.fleet import authority

    (tmp_path / "authority.key").write_bytes(b"")
    made = authority.create_authority(tmp_path, "Freehold")
    (tmp_path / "server.key").write_bytes(b"")
    made.sign_server(["localhost"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["authority.key", "authority.pem", "server.key", "server.pem"]
    assert all(before.values())
    with pytest.raises(FileExistsError):
        authority.create_authority(tmp_path, "Freehold")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# Every other write of a file

_ON_ITS_WAY = "is part of a build or a configuration, which counts only after all of its file system was synced"
_TO_THE_KERNEL = "is a setting of the kernel's, or no file of a disk"
_MADE_AGAIN = "is made again when it is gone or not what it should be"
_LOCK = "is a lock: what counts is who holds it"
_LOG = "is a log: what a power cut takes of it is no state of anything"
_OF_PEOPLE = "is made for whoever asked, who sees whether it is there"

ALLOWED = {
    "durable.py": "is what all others use",
    "cache/folder.py:Folder": "is a piece that is known by its hash: a damaged one is fetched again",
    "cache/packing.py:join": _ON_ITS_WAY,
    "cache/packing.py:pack": "goes through a pipe",
    "cache/packing.py:_write": _ON_ITS_WAY,
    "cli.py:_run": "is /dev/null",
    "client/billing.py:_save": "is fetched again, and is the same bytes",
    "kit/": "is on an author's own machine, in a folder that is made for one test or by an editor",
    "master/commands.py:_serve": _LOCK,
    "node/assembly.py:take_lock": _LOCK,
    "node/runtime.py:NamedThread": _TO_THE_KERNEL,
    "node/maintenance/support_bundle.py:write": _OF_PEOPLE,
    "node/isolation/cgroups.py": _TO_THE_KERNEL,
    "node/host/trees.py:_move": "is about to be removed",
    "node/isolation/": _TO_THE_KERNEL,
    "node/software/zipapp.py": "counts only after all of its file system was synced",
    "node/state/database.py:_open": "is SQLite's to sync",
    "node/state/database.py:put_damaged_aside": "is damaged, and is put aside again when a power cut brings it back",
    "node/partition/logs.py": _LOG,
    "node/partition/profile.py:_run_and_exit": _LOG,
    "node/partition/timer.py:Timer": "syncs its file itself: it is copied into partitions, alone",
    "node/partition/visible.py:files": _MADE_AGAIN,
    "node/software/build.py:_make": _ON_ITS_WAY,
    "node/software/build.py:_save_packages": "is known by its hash",
    "node/software/build.py:_take": _LOG,
    "node/software/packages.py": _ON_ITS_WAY,
    "node/supervisor/children.py": _TO_THE_KERNEL,
    "node/supervisor/server.py:main": _LOCK,
    "node/supervisor/table.py:write": "is of this boot: after a power cut nothing of it runs, and it is not read",
    "node/maintenance/cleanup.py:clean_up": _LOG,
    "node/isolation/sandbox.py": _TO_THE_KERNEL,
    "node/forkserver/server.py": _LOG,
    "promises/history.py:Samples": "is a measurement: a lost one is measured again",
    "promises/slapos.py:GenericPromise": "is a measurement: a lost one is measured again",
    "protocol/archive.py:pack": "is in memory",
    "protocol/archive.py:unpack": _ON_ITS_WAY,
    "recipes/": "is part of a build or a configuration, or a download that is known by its hash",
    "simulator/": "is a Master for one history, in a folder that is removed after it",
}
"""Who may write a file without `durable`, and why what is written need not outlive a power cut."""


def _may(place: str) -> str | None:
    """Return the entry by which a place (`file:function`) may write; None when there is none."""
    module = place.partition(":")[0]
    folders = [entry for entry in ALLOWED if entry.endswith("/") and place.startswith(entry)]
    return next((entry for entry in (place, module, *folders) if entry in ALLOWED), None)


def test_every_file_that_must_outlive_a_power_cut_is_written_by_one_function() -> None:
    places = [place for path in sorted(SOURCES.rglob("*.py")) for place in _writes(path)]
    bare = sorted({f"{place} ({what})" for place, what in places if _may(place) is None})
    assert not bare, "use freehold.durable, or say in ALLOWED why what is written need not outlive a power cut"
    unused = set(ALLOWED) - {_may(place) for place, _ in places}
    assert not unused, "nothing is written there any more"


@pytest.mark.parametrize(
    "line",
    ["os.replace(a, b)", "a.replace(b)", "a.rename(b)", "a.write_text('x')", "a.write_bytes(x)", "open(a, 'w')",
     "a.open(mode='xb')", "os.open(a, os.O_WRONLY)", "shutil.copyfile(a, b)", "tempfile.mkstemp()", "open(a, 'r+')"],
)  # fmt: skip
def test_each_way_to_write_a_file_is_seen(line: str) -> None:
    assert [place for place, _ in _found(ast.parse(f"def f():\n    {line}"), "m.py")] == ["m.py:f"]


@pytest.mark.parametrize(
    "line", ["open(a)", "open(a, 'rb')", "a.open('ab')", "os.open(a, os.O_RDONLY)", "'ab'.replace('a', 'b')"]
)
def test_what_writes_no_file_anew_is_not(line: str) -> None:
    assert not list(_found(ast.parse(line), "m.py"))


def _writes(path: Path) -> Iterator[tuple[str, str]]:
    yield from _found(ast.parse(path.read_text()), path.relative_to(SOURCES).as_posix())


def _found(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Yield where a module writes, moves or copies files itself (`file:function`, of the outermost), and how."""
    for top in tree.body:
        for node in ast.walk(top):
            if isinstance(node, ast.Call) and (how := _how(node)):
                yield f"{module}:{getattr(top, 'name', '')}", how


def _how(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(ast.Name("os"), "replace" | "rename" | "renames" | "link" as name):
            return f"os.{name}"
        case ast.Attribute(ast.Name("os"), "open"):
            flags = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
            return "os.open" if flags & {"O_WRONLY", "O_RDWR", "O_CREAT"} else ""
        case ast.Attribute(ast.Name("shutil"), "move" | "copy" | "copy2" | "copyfile" | "copytree" as name):
            return f"shutil.{name}"
        case ast.Attribute(ast.Name("tempfile"), "NamedTemporaryFile" | "mkstemp" as name):
            return f"tempfile.{name}"
        case ast.Attribute(_, "write_text" | "write_bytes" | "rename" | "touch" | "hardlink_to" | "extractall" as name):
            return name
        case ast.Attribute(_, "replace") if len(call.args) == 1 and not call.keywords:
            return "Path.replace"
        case ast.Name("open") | ast.Attribute(_, "open") if _opens_anew(call):
            return "open"
    return ""


def _opens_anew(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return any(set(text) <= set("rwxab+t|") and set(text) & set("wx+") for text in texts)
