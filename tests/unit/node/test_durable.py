"""What is told to be there is on the disk, by its name: also when who wrote it was killed before it saw to that."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.node.link.keys import signing_request
from freehold.node.partition.files import write
from freehold.node.settings import write_durably


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What was synced, each by its path at that moment."""
    paths: set[str] = set()
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        paths.add(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", note)
    return paths


def _part(path: Path) -> None:
    write(path, b"content", 0o600)


def _settings(path: Path) -> None:
    write_durably(path, b"content", 0o600)


@pytest.mark.parametrize("make", [_part, _settings, signing_request])
def test_a_file_is_synced_with_its_name_also_when_it_was_there(
    make: Callable[[Path], object], tmp_path: Path, synced: set[str]
) -> None:
    for _ in range(2):
        synced.clear()
        make(tmp_path / "file")
        assert str(tmp_path) in synced, "its name"
    assert (tmp_path / "file").read_bytes()
