"""Packages that lay claim to the same path: the same bytes however often they are unpacked, or both their names."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from freehold.recipes import root

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="it takes dpkg-deb")


def package(folder: Path, name: str, files: dict[str, str], *, version: str = "1.0", replaces: str = "") -> Path:
    """Make a package with these files; a text that begins with an arrow is a link, one that ends with `/` a folder."""
    content = folder / f"content-{name}-{version}"
    (content / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <a@b.example>\n"
    control += f"Replaces: {replaces}\n" if replaces else ""
    (content / "DEBIAN" / "control").write_text(f"{control}Description: for tests\n")
    for path, text in files.items():
        where = content / path
        where.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            where.symlink_to(text[3:])
        elif text.endswith("/"):
            where.mkdir()
        else:
            where.write_text(text)
    made = folder / f"{name}_{version}.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", content, made]
    subprocess.run(command, check=True, capture_output=True)
    return made


DATA = "usr/share/own/data"


def test_chance_decides_nothing(tmp_path: Path) -> None:
    one = package(tmp_path, "one", {DATA: "one", **{f"usr/share/one/{n}": "x" * 5000 for n in range(30)}})
    two = package(tmp_path, "two", {DATA: "two"}, replaces="one (<< 2.0)")
    found: Counter[str] = Counter()
    for number in range(60):
        target = tmp_path / f"root{number}"
        root.unpack([one, two] if number % 2 else [two, one], target)
        found[(target / DATA).read_text()] += 1
        assert (target / "usr/share/one/7").exists()
    assert found == {"two": 60}


@pytest.mark.parametrize(
    ("first", "second"),
    [("one", "two"), ("one", "-> elsewhere"), ("-> here", "-> there"), ("one", "folder/"), ("-> /usr", "folder/")],
)
def test_what_two_packages_claim_is_refused_with_both_names(tmp_path: Path, first: str, second: str) -> None:
    files = [package(tmp_path, "one", {DATA: first}), package(tmp_path, "two", {DATA: second}, version="2.5-1")]
    for number, order in enumerate((files, files[::-1])):
        with pytest.raises(root.RootError) as refused:
            root.unpack(order, tmp_path / f"root{number}")
        for words in (f"/{DATA}", "one 1.0", "two 2.5-1"):
            assert words in str(refused.value)


def test_the_same_content_is_no_conflict(tmp_path: Path) -> None:
    same = {DATA: "same", "usr/share/own/link": "-> data"}
    files = [package(tmp_path, name, {DATA: same[DATA], "usr/share/own/link": "-> data"}) for name in ("one", "two")]
    root.unpack(files, tmp_path / "root")
    assert (tmp_path / "root" / DATA).read_text() == "same"


@pytest.mark.parametrize(
    ("relation", "wins"), [("one", "two"), ("one (<< 2)", "two"), ("one:any (= 1.0)", "two"), ("other, one", "two")]
)
def test_who_replaces_another_wins_as_with_dpkg(tmp_path: Path, relation: str, wins: str) -> None:
    one = package(tmp_path, "one", {DATA: "one"})
    two = package(tmp_path, "two", {DATA: "two"}, replaces=relation)
    root.unpack([one, two], tmp_path / "root")
    assert (tmp_path / "root" / DATA).read_text() == wins


def test_who_replaces_other_versions_only_does_not_win(tmp_path: Path) -> None:
    one = package(tmp_path, "one", {DATA: "one"}, version="3.0")
    two = package(tmp_path, "two", {DATA: "two"}, replaces="one (<< 2), onemore")
    with pytest.raises(root.RootError, match="neither replaces the other"):
        root.unpack([one, two], tmp_path / "root")


def test_what_goes_into_the_merged_usr_by_two_ways_meets_there(tmp_path: Path) -> None:
    one = package(tmp_path, "one", {"lib/own/data": "one"})
    two = package(tmp_path, "two", {"usr/lib/own/data": "two"})
    with pytest.raises(root.RootError, match="/usr/lib/own/data"):
        root.unpack([one, two], tmp_path / "root")
