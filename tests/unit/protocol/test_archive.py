"""Archives of releases: the same folder is the same bytes, and a hostile archive writes nothing."""

import gzip
import io
import os
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from freehold.protocol import archive
from freehold.protocol.archive import ArchiveError, digest, pack, top_files, unpack

names = some.text(some.sampled_from("abc.é -_"), min_size=1, max_size=8).filter(lambda name: name.strip(".") != "")
folders = some.dictionaries(
    some.lists(names, min_size=1, max_size=3).map("/".join), some.binary(max_size=50), max_size=6
).filter(
    lambda files: not any(one != other and f"{one}/" in f"{other}/"[: len(one) + 1] for one in files for other in files)
)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=50)
@given(folders)
def test_a_folder_comes_back_as_it_was_and_has_one_archive(content: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as root:
        one, other, back = Path(root, "one"), Path(root, "other"), Path(root, "back")
        for folder, order in ((one, sorted(content)), (other, sorted(content, reverse=True))):
            folder.mkdir()
            fill(folder, {name: content[name] for name in order})
        for path in other.rglob("*"):
            os.utime(path, (0, 0))
        packed = pack(one)
        assert pack(other) == packed
        unpack(packed, back)
        assert files(back) == content
        assert pack(back) == packed


def test_whether_a_file_can_be_run_is_kept_and_caches_are_not(tmp_path: Path) -> None:
    fill(
        tmp_path / "release",
        {"bin/run": b"#!/bin/sh\n", "instance.py": b"", "__pycache__/x.pyc": b"x", ".git/HEAD": b""},
    )
    (tmp_path / "release" / "bin" / "run").chmod(0o775)
    (tmp_path / "release" / "instance.py").chmod(0o600)
    packed = pack(tmp_path / "release")
    unpack(packed, tmp_path / "back")
    assert sorted(files(tmp_path / "back")) == ["bin/run", "instance.py"]
    assert (tmp_path / "back" / "bin" / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "back" / "instance.py").stat().st_mode & 0o777 == 0o644
    assert digest(packed) == digest(pack(tmp_path / "back"))


def test_a_folder_with_a_link_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="passwords is neither a plain file nor a folder"):
        pack(tmp_path)
    with pytest.raises(ArchiveError, match="nowhere is not a folder"):
        pack(tmp_path / "nowhere")


def test_what_the_master_reads_of_an_archive_is_what_stands_at_its_top(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {"software.cfg.json": b"{}", "in.json": b"[]", "big.json": b"x" * 101, "deep/no.json": b"", "a.py": b""},
    )
    assert top_files(pack(tmp_path), ".json", 100) == {"software.cfg.json": b"{}", "in.json": b"[]"}


def tar(*members: tuple[str, bytes | None] | tarfile.TarInfo) -> bytes:
    """Return an archive made by somebody who does not use `pack`."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as out:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                out.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            content = member[1] or b""
            if member[1] is None:
                info.type = tarfile.DIRTYPE
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


def special(kind: bytes, target: str = "", **headers: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("odd")
    info.type, info.linkname, info.pax_headers = kind, target, headers
    return info


def sized(size: int) -> bytes:
    """Return an archive whose first header claims a size, in the number format that knows negative ones."""
    info = tarfile.TarInfo("odd")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size & ((1 << 96) - 1)).to_bytes(12, "big")
    header[124] = 0xFF if size < 0 else 0x80
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) * 4 + b"\0" * 1024)


def nameless_bomb() -> bytes:
    """Return a small archive with an extended header that is larger than everything a release may hold."""
    info = tarfile.TarInfo("odd")
    info.type, info.size = tarfile.XHDTYPE, 4 * archive.LARGEST
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = [packer.compress(info.tobuf(tarfile.USTAR_FORMAT))]
    for _ in range(4 * archive.LARGEST // (1 << 24)):
        out.append(packer.compress(b"\0" * (1 << 24)))
    return b"".join([*out, packer.flush()])


good = ("software.cfg", b"[buildout]\n")
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no gzip": lambda: b"PK\3\4" * 100,
    "no tar": lambda: gzip.compress(b"hello" * 1000),
    "cut short": lambda: tar(good, ("big", os.urandom(5000)))[:-2000],
    "bits flipped": lambda: _flipped(tar(good, ("big", os.urandom(5000)))),
    "wrong sum at the end": lambda: tar(good)[:-8] + struct.pack("<II", 1, 1),
    "absolute": lambda: tar(good, ("/tmp/evil", b"x")),
    "upwards": lambda: tar(good, ("../evil", b"x")),
    "upwards from within": lambda: tar(good, ("a/../../evil", b"x")),
    "link": lambda: tar(good, special(tarfile.SYMTYPE, "/etc")),
    "hard link": lambda: tar(good, special(tarfile.LNKTYPE, "/etc/passwd")),
    "device": lambda: tar(good, special(tarfile.CHRTYPE)),
    "pipe": lambda: tar(good, special(tarfile.FIFOTYPE)),
    "no name": lambda: tar(good, ("", b"x")),
    "the folder itself as a file": lambda: tar(good, (".", b"x")),
    "zero byte in a name": lambda: tar(good, special(tarfile.REGTYPE, path="evil\0.py")),
    "name too long": lambda: tar(good, ("x" * 300, b"x")),
    "path too long": lambda: tar(good, ("/".join(["x" * 100] * 50), b"x")),
    "file and folder at once": lambda: tar(good, ("a", b"x"), ("a/b", b"x")),
    "folder and file at once": lambda: tar(good, ("a/b", b"x"), ("a", b"x")),
    "twice the same": lambda: tar(good, ("a", b"x"), ("./a", b"y")),
    "too many": lambda: tar(*((f"f{number}", b"") for number in range(archive.MOST_FILES + 1))),
    "too large": lambda: tar(good, ("zeros", b"\0" * (archive.LARGEST + 1))),
    "says it is large": lambda: sized(1 << 50),
    "says it is smaller than nothing": lambda: sized(-512),
    "says it is much smaller than nothing": lambda: sized(-(1 << 40)),
    "a header that fills the memory": nameless_bomb,
}


def _flipped(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(byte ^ 0x55 for byte in packed[middle : middle + 20]) + packed[middle + 20 :]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_writes_nothing(name: str, tmp_path: Path) -> None:
    packed = HOSTILE[name]()
    with pytest.raises(ArchiveError) as refusal:
        unpack(packed, tmp_path / "inside")
    assert len(str(refusal.value)) > 10
    assert [path for path in tmp_path.rglob("*") if path.name != "inside"] == []
    with pytest.raises(ArchiveError):
        top_files(packed, ".json", 100)


@settings(max_examples=200)
@given(some.data())
def test_an_archive_with_wrong_bytes_is_refused_or_harmless(data: some.DataObject) -> None:
    plain = bytearray(gzip.decompress(tar(good, ("a/b", b"x" * 600))))
    for _ in range(data.draw(some.integers(1, 4))):
        plain[data.draw(some.integers(0, 2600))] = data.draw(some.integers(0, 255))
    with tempfile.TemporaryDirectory() as root:
        inside = Path(root, "inside")
        try:
            unpack(gzip.compress(bytes(plain)), inside)
        except ArchiveError:
            assert not inside.exists() or list(inside.iterdir()) == []
        assert set(os.listdir(root)) <= {"inside"}
