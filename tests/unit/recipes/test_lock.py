"""`freehold software lock`: what is locked, when it changes, and what an author is told."""

from pathlib import Path

import pytest
from tests.unit.recipes.conftest import PROFILE, Bench

from freehold import cli
from freehold.recipes import apt, lock, locked
from freehold.release import ReleaseError

JQ = "[buildout]\nparts = tools\n\n[tools]\nrecipe = freehold:debian\npackages = jq\n"


def test_a_lock_has_what_was_asked_for_with_what_it_needs_and_nothing_that_every_debian_has(locks: Path) -> None:
    parts = locked.read(locks / "debian.lock")
    tools, database = parts["tools"][apt.architecture()], parts["database"][apt.architecture()]
    assert tools.packages == ("hello", "jq")
    assert {"hello", "jq", "libjq1", "libonig5"} == {package.name for package in tools.locked}
    names = {package.name for package in database.locked}
    assert {"postgresql-15", "postgresql-client-15", "libpq5", "libssl3"} <= names
    assert not {"libc6", "dpkg", "bash", "zlib1g"} & names


def test_check_says_whether_something_would_change_and_changes_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bench.release("web", JQ)
    before = (folder / "debian.lock").read_text()
    assert cli.main(["software", "lock", "--check", str(folder)]) == 1
    assert "debian.lock is not what the archives have today" in capsys.readouterr().err
    assert (folder / "debian.lock").read_text() == before
    # What another architecture's author locked stays.
    other = locked.Closure(("jq",), (locked.Package("jq", "1", "arm64", 1, "00", "pool/jq.deb"),))
    (folder / "debian.lock").write_text(locked.text({"tools": {"arm64": other}, "gone": {"arm64": other}}))
    assert cli.main(["software", "lock", str(folder)]) == 0
    now = locked.read(folder / "debian.lock")
    assert set(now) == {"tools"}
    assert now["tools"]["arm64"] == other
    assert {package.name for package in now["tools"][apt.architecture()].locked} == {"jq", "libjq1", "libonig5"}
    assert cli.main(["software", "lock", "--check", str(folder)]) == 0


def test_a_package_that_does_not_exist_is_told_with_the_nearest(bench: Bench) -> None:
    folder = bench.release("web", PROFILE.replace("jq hello", "postgresql-1S"))
    with pytest.raises(ReleaseError, match=r"\[tools\] packages: '\S+' cannot be the name of a package"):
        lock.lock(folder)
    (folder / "software.cfg").write_text(PROFILE.replace("jq hello", "postgresq-15"))
    with pytest.raises(ReleaseError) as error:
        lock.lock(folder)
    assert str(error.value).startswith("[tools] packages: There is no package 'postgresq-15'")
    assert "postgresql-15" in str(error.value).partition("Did you mean")[2]


def test_wheels_keep_the_hashes_of_other_machines_as_long_as_the_version_stays(locks: Path, bench: Bench) -> None:
    profile = "[buildout]\nparts = python\n\n[python]\nrecipe = freehold:wheel\npackages = tabulate\n"
    folder = bench.release("tables", profile)
    path = folder / "requirements.txt"
    same = path.read_text()
    other = f"\\\n    --hash=sha256:{'0' * 64} \\\n    --hash"
    path.write_text(same.replace("\\\n    --hash", other))
    assert lock.lock(folder) == {path: path.read_text()}
    path.write_text(path.read_text().replace("tabulate==", "tabulate==0.0."))
    assert lock.lock(folder) == {path: same}


def test_two_parts_of_wheels_have_their_locks_in_two_files(tmp_path: Path) -> None:
    profile = (
        "[buildout]\nparts = one two\n\n[one]\nrecipe = freehold:wheel\npackages = tabulate\n\n"
        "[two]\nrecipe = freehold:wheel\npackages = idna\n"
    )
    (tmp_path / "software.cfg").write_text(profile)
    with pytest.raises(ReleaseError, match=r"\[one\] and \[two\] both have their lock in requirements\.txt"):
        lock.lock(tmp_path)
    assert not (tmp_path / "requirements.txt").exists()
    (tmp_path / "software.cfg").write_text(f"{profile}requirements = two.txt\n")
    assert {path.name for path in lock.lock(tmp_path)} == {"requirements.txt", "two.txt"}


def test_a_package_of_which_there_are_sources_only_is_told_so(tmp_path: Path) -> None:
    profile = "[buildout]\nparts = python\n\n[python]\nrecipe = freehold:wheel\npackages = docopt\n"
    (tmp_path / "software.cfg").write_text(profile)
    with pytest.raises(ReleaseError, match=r"no index has a wheel of docopt .* it may only have sources"):
        lock.lock(tmp_path)


def test_a_profile_that_buildout_cannot_read_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"has no software\.cfg"):
        lock.lock(tmp_path)
    (tmp_path / "software.cfg").write_text(JQ + "programs = ${nowhere:program}\n")
    with pytest.raises(ReleaseError, match=r"software\.cfg.*'nowhere', was not defined"):
        lock.lock(tmp_path)
