"""A finished build in pieces: the same again, here or elsewhere; and nothing that could be led out of its folder."""

import gzip
import io
import os
import py_compile
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.folder import CacheError, Folder
from freehold.cache.packing import PACKED, Packed, pack, unpack
from freehold.protocol.cache import File


@pytest.fixture
def cache(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "cache")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build with programs, links, compiled Python and an empty folder."""
    folder = tmp_path / "here" / "build"
    (folder / "bin").mkdir(parents=True)
    (folder / "empty").mkdir()
    program = folder / "bin" / "say"
    program.write_text(f"#!/bin/sh\ncat {folder}/words\n")
    program.chmod(0o755)
    (folder / "words").write_text("good morning\n")
    (folder / "inside").symlink_to(folder / "words")
    (folder / "outside").symlink_to("/usr/bin/env")
    (folder / "binary").write_bytes(bytes(range(256)) * 100)
    (folder / "module.py").write_text("def where():\n    pass\n")
    py_compile.compile(str(folder / "module.py"))
    os.link(folder / "words", folder / "same")
    return folder


def again(packed: Packed, cache: Folder, folder: Path, place: Path) -> Path:
    unpack(packed.file, cache.blob, folder, place=str(place), mentions=packed.mentions)
    return folder


def look(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
        else:
            found[name] = None
    return found


def test_a_build_comes_back_as_it_was(build: Path, cache: Folder) -> None:
    before, packed = look(build), pack(build, cache.put)
    assert (packed.mentions, packed.fixed, packed.needs) == (["bin/say"], False, [])
    build.rename(build.with_name("away"))
    assert look(again(packed, cache, build, build)) == before


def test_names_and_contents_that_are_no_text_come_back_as_they_were(build: Path, cache: Folder) -> None:
    odd = build / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (odd / os.fsdecode(b"na\xefve")).write_bytes(b"\xff")
    (build / "led").symlink_to(os.fsdecode(b"caf\xe9"))
    before, packed = look(build), pack(build, cache.put)
    assert (packed.mentions, packed.fixed) == (["bin/say"], False)
    build.rename(build.with_name("away"))
    assert look(again(packed, cache, build, build)) == before
    (odd / "where").write_text(f"{build}\n")
    assert pack(build, cache.put).fixed, "what names its place and cannot be put right stays there"


def test_at_another_place_it_works_and_knows_nothing_of_the_first(build: Path, cache: Folder, tmp_path: Path) -> None:
    packed = pack(build, cache.put)
    build.rename(build.with_name("away"))
    other = again(packed, cache, tmp_path / "there", build)
    said = subprocess.run([other / "bin" / "say"], capture_output=True, text=True)
    assert said.stdout == "good morning\n"
    assert os.readlink(other / "inside") == f"{other}/words"
    assert os.readlink(other / "outside") == "/usr/bin/env"
    program = [sys.executable, "-v", "-c", "import module; print(module.where.__code__.co_filename)"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=other)
    assert str(other) in done.stdout
    assert f"code object from '{other}/module.py'" not in done.stderr, "what was compiled is used"


def test_a_program_that_names_its_place_binds_it_and_python_that_is_named_is_needed(build: Path, cache: Folder) -> None:
    (build / "program").write_bytes(b"\x7fELF\0" + str(build).encode() + b"/lib\0")
    (build / "bin" / "python").symlink_to(f"{sys.prefix}/bin/python")
    packed = pack(build, cache.put)
    assert packed.fixed
    assert packed.needs == [sys.prefix]


def test_a_piece_that_cannot_be_had_or_was_changed_ends_it(build: Path, cache: Folder, tmp_path: Path) -> None:
    packed = pack(build, cache.put)
    with pytest.raises(CacheError, match="cannot be had"):
        unpack(packed.file, lambda _: None, tmp_path / "one", place="", mentions=[])
    with pytest.raises(CacheError, match="cannot be unpacked"):
        unpack(packed.file, lambda _: b"garbage", tmp_path / "two", place="", mentions=[])


def packed(*members: tuple[str, bytes, bytes]) -> bytes:
    """Return a tar of (name, type, content or link) as it should not be."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o7777
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content.decode()
                content = b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


@pytest.mark.parametrize(
    "members",
    [
        [("../out", tarfile.REGTYPE, b"x")],
        [("/tmp/out", tarfile.REGTYPE, b"x")],
        [("a", tarfile.SYMTYPE, b".."), ("a/out", tarfile.REGTYPE, b"x")],
        [("a", tarfile.SYMTYPE, b"../out"), ("a", tarfile.REGTYPE, b"x")],
        [("a", tarfile.DIRTYPE, b""), ("a/../../out", tarfile.REGTYPE, b"x")],
        [("a", tarfile.LNKTYPE, b"/etc/passwd")],
        [("a", tarfile.CHRTYPE, b"")],
        [("a", tarfile.FIFOTYPE, b"")],
        [("a/b", tarfile.REGTYPE, b"x")],
    ],
)
def test_nothing_is_led_out_of_its_folder(members: list[tuple[str, bytes, bytes]], tmp_path: Path) -> None:
    content = packed(*members)
    with pytest.raises(CacheError):
        unpack(File(PACKED, 1, ["x"]), lambda _: content, tmp_path / "build", place="", mentions=[])
    assert not (tmp_path / "out").exists()


def test_no_file_lends_its_owners_rights(tmp_path: Path) -> None:
    content = packed(("su", tarfile.REGTYPE, b"x"))
    unpack(File(PACKED, 1, ["x"]), lambda _: content, tmp_path / "build", place="", mentions=[])
    assert (tmp_path / "build" / "su").stat().st_mode & 0o7777 == 0o755


@given(st.binary(max_size=300), st.booleans())
def test_whatever_comes_it_is_a_build_or_refused(content: bytes, compressed: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        given = gzip.compress(content) if compressed else content
        try:
            unpack(File(PACKED, 1, ["x"]), lambda _: given, Path(folder) / "b", place="", mentions=[])
        except CacheError:
            pass
        assert {one.name for one in Path(folder).iterdir()} <= {"b"}
