"""The end of an instance: its pre-destroy programs, then nothing of it, and nothing of anybody else's."""

import os
from pathlib import Path

from freehold.node.host.trees import empty
from freehold.node.partition.destroy import run_pre_destroy_hook


def desired(folder: Path, name: str, script: str) -> None:
    path = folder / "etc" / "prerm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


def test_nothing_is_left_and_links_are_not_followed(tmp_path: Path) -> None:
    folder, other = tmp_path / "p0", tmp_path / "p1"
    (folder / "srv" / "deep" / "er").mkdir(parents=True)
    (folder / "srv" / "data").write_text("x")
    other.mkdir()
    (other / "precious").write_text("precious")
    (folder / "link").symlink_to(other)
    (folder / "srv" / "link").symlink_to(other)
    (folder / "file").symlink_to(other / "precious")
    (folder / "broken").symlink_to("/no/such")
    os.link(other / "precious", folder / "same")
    os.mkfifo(folder / "srv" / "pipe")
    (folder / "srv" / "deep").chmod(0)
    empty(folder)
    assert list(folder.iterdir()) == []
    assert (other / "precious").read_text() == "precious"
    empty(folder)
    empty(tmp_path / "never was")


def test_last_wishes_are_done_in_order_and_one_that_fails_hinders_nobody(tmp_path: Path) -> None:
    desired(tmp_path, "1-first", "echo first >> said")
    desired(tmp_path, "2-fails", "exit 3")
    (tmp_path / "etc" / "prerm" / "3-no-program").write_text("text")
    desired(tmp_path, "4-last", "echo last >> said")
    assert run_pre_destroy_hook(str(tmp_path).encode()) == b""
    assert (tmp_path / "said").read_text() == "first\nlast\n"


def test_who_has_no_last_wish_just_ends(tmp_path: Path) -> None:
    assert run_pre_destroy_hook(str(tmp_path).encode()) == b""
