"""Whether a finished build is still what it was."""

import os
from pathlib import Path

import pytest

from freehold.node.settings import Paths
from freehold.node.software import build, integrity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "software" / "release"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "program").write_text("program")
    (made / "link").symlink_to("bin/program")
    integrity.seal(made)
    return made


def test_a_sealed_build_is_whole(folder: Path) -> None:
    assert integrity.damaged(folder) == []


def test_every_difference_is_found(folder: Path) -> None:
    (folder / "bin" / "program").write_text("progrom")
    assert integrity.damaged(folder) == ["bin/program"]
    (folder / "bin" / "program").unlink()
    (folder / "new").touch()
    (folder / "link").unlink()
    (folder / "link").symlink_to("/elsewhere")
    assert integrity.damaged(folder) == ["bin/program", "link", "new"]
    (folder / integrity.MARK).write_text("{")
    assert integrity.damaged(folder) == [integrity.MARK]


def test_names_that_are_no_text_are_sealed_and_missed_like_others(folder: Path, tmp_path: Path) -> None:
    odd = folder / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (odd / "file").write_text("x")
    (folder / "led").symlink_to(os.fsdecode(b"/caf\xe9"))
    integrity.seal(folder)
    assert integrity.damaged(folder) == []
    (odd / "file").write_text("y")
    (folder / "led").unlink()
    (folder / "led").symlink_to("/caf%E9")
    (wrong, led) = integrity.damaged(folder)
    assert (integrity.path_of(folder, wrong), led) == (odd / "file", "led")
    (tmp_path / "packages" / "shared").mkdir(parents=True)
    os.link(odd / "file", tmp_path / "packages" / "shared" / "file")
    build.discard(Paths(tmp_path), "release", [wrong])
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_build_of_before_is_left_alone_and_one_that_is_none_too(folder: Path, tmp_path: Path) -> None:
    (folder / integrity.MARK).write_bytes(b"")
    assert integrity.damaged(folder) == []
    assert integrity.damaged(tmp_path / "nothing") == []


def test_what_shares_a_damaged_file_is_forgotten_with_it(folder: Path, tmp_path: Path) -> None:
    for name in ("shared", "other"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "file").write_text(name)
    os.link(tmp_path / "packages" / "shared" / "file", folder / "file")
    build.discard(Paths(tmp_path), "release", ["file"])
    assert [one.name for one in (tmp_path / "packages").iterdir()] == ["other"]
    assert not build.is_built(Paths(tmp_path), "release")
