"""A cache in a folder: what is in it, what is forgotten first, what is found damaged."""

import os
from pathlib import Path

import pytest

from freehold.cache.folder import CacheError, Folder, read
from freehold.cache.packing import join, split
from freehold.protocol.cache import PIECE, BuildStatement, CacheEntry, CacheKind, File, blob_path
from freehold.protocol.cache import entries_path as path_of
from support.messages import entry

PLATFORM = "x86_64-debian-12-py3.11"


def keep(cache: Folder, release: str, *contents: bytes, builder: str = "node_1") -> CacheEntry:
    """Have a cache hold a build of these pieces."""
    made = entry(release, [cache.put(one) for one in contents], builder=builder)
    cache.keep(made)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "cache")


def test_what_was_put_is_there_under_its_hash(cache: Folder) -> None:
    piece = cache.put(b"content")
    assert (cache.blob(piece), cache.has(piece), cache.size()) == (b"content", True, 7)
    assert cache.put(b"content") == piece
    assert cache.blob("0" * 64) is None


def test_a_builder_says_one_thing_of_a_release_and_the_newest_is_told_first(cache: Folder) -> None:
    release = "a" * 64
    for builder, content in (("node_1", b"old"), ("node_2", b"other"), ("node_1", b"new")):
        keep(cache, release, content, builder=builder)
    assert [read(one).builder for one in cache.entries(CacheKind.BUILD, release, PLATFORM)] == ["node_1", "node_2"]
    assert cache.entries(CacheKind.DOWNLOADS, release, PLATFORM) == []


def test_what_was_not_used_for_longest_is_forgotten_first_and_shared_pieces_stay(cache: Folder) -> None:
    releases = [letter * 64 for letter in "abc"]
    for number, release in enumerate(releases):
        keep(cache, release, b"shared" * 100, release.encode() * 10)
        os.utime(cache.root / path_of(CacheKind.BUILD, release, PLATFORM), (number, number))
    cache.entries(CacheKind.BUILD, releases[0], PLATFORM)
    given_back = cache.prune(600 + 640 + 640)
    assert given_back == 640
    known = [bool(cache.entries(CacheKind.BUILD, release, PLATFORM)) for release in releases]
    assert known == [True, False, True], "the second was used longest ago"
    assert cache.verify().incomplete == []
    cache.prune(0)
    assert (cache.size(), list(cache.all())) == (0, [])


def test_pieces_on_their_way_stay_for_a_day(cache: Folder) -> None:
    piece = cache.put(b"on its way")
    assert (cache.prune(10**9), cache.has(piece)) == (0, True)
    os.utime(cache.root / blob_path(piece), (1, 1))
    assert (cache.prune(10**9), cache.has(piece)) == (10, False)


def test_damage_is_found_and_named(cache: Folder) -> None:
    keep(cache, "a" * 64, b"first", b"second")
    assert (cache.verify().pieces, cache.verify().damaged, cache.verify().incomplete) == (2, [], [])
    path = next(cache.root.glob("blobs/*/*"))
    path.write_bytes(b"flipped")
    found = cache.verify()
    assert (found.damaged, found.incomplete) == ([path.name], [path_of(CacheKind.BUILD, "a" * 64, PLATFORM)])
    assert not path.exists()
    next(cache.root.glob("entries/*/*/*.json")).write_bytes(b'{"entries": [')
    assert list(cache.all()) == [], "what cannot be read is nothing"


@pytest.mark.parametrize(
    "said",
    [
        b"no JSON",
        b"{}",
        *(
            msg
            for msg in (
                entry("../" + "a" * 61, []).statement,
                entry("a" * 64, ["x" * 64]).statement,
                entry("a" * 64, [], platform="../up").statement,
                entry("a" * 64, [], path="../../etc/passwd").statement,
                entry("a" * 64, [], path="/etc/passwd").statement,
            )
        ),
    ],
)
def test_an_entry_that_would_lead_elsewhere_is_refused(cache: Folder, said: bytes) -> None:
    with pytest.raises(CacheError):
        cache.keep(CacheEntry(said, "", b""))
    assert list(cache.all()) == []


def test_a_file_goes_into_pieces_and_back(cache: Folder, tmp_path: Path) -> None:
    content = os.urandom(PIECE + 1000)
    (tmp_path / "file").write_bytes(content)
    file = split(tmp_path / "file", "deb/file", cache.put)
    assert (file.size, len(file.pieces)) == (len(content), 2)
    join(file, cache.blob, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content
    with pytest.raises(CacheError, match="cannot be had"):
        join(File("x", 1, ["0" * 64]), cache.blob, tmp_path / "nothing")


def test_statements_of_a_later_version_are_still_read() -> None:
    made = entry("a" * 64, [])
    assert isinstance(read(CacheEntry(made.statement[:-1] + b',"later":1}', "", b"")), BuildStatement)
