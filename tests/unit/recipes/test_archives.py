"""Archives with odd packages: what an author, or whoever builds, is told of each, and what does not matter."""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.recipes.archives import Archive
from tests.unit.recipes.conftest import Bench

from freehold import cli
from freehold.node.errors import BuildError
from freehold.node.software import build
from freehold.recipes import apt, lock, locked
from freehold.release import ReleaseError

BUILDS = int(os.environ.get("FREEHOLD_SAME_BUILDS", "3"))
"""How often one release is built to see that its bytes are the same; 60 for a campaign."""
SCRIPT = "#!/bin/sh\necho {}\n"
PROFILE = "[buildout]\nparts = tools\n\n[tools]\nrecipe = freehold:debian\npackages = {}\nprograms = {}\n"


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive that is this machine's only source."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-test-"))
    archive = Archive(folder / "archive")
    folder.chmod(0o755)
    monkeypatch.setenv("APT_CONFIG", str(archive.configuration))
    monkeypatch.setattr(build, "PASSED", (*build.PASSED, "APT_CONFIG"))
    yield archive
    shutil.rmtree(folder)


def author(folder: Path, packages: str, programs: str = "") -> Path:
    """Write a release that asks for packages, and programs of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "software.cfg").write_text(PROFILE.format(packages, programs))
    return folder


def locks(release: Path) -> dict[str, str]:
    """Lock a release; return the versions that it takes, by package."""
    for path, text in lock.lock(release).items():
        path.write_text(text)
    closure = locked.read(release / "debian.lock")["tools"][apt.architecture()]
    return {package.name: package.version for package in closure.locked}


def refused(release: Path) -> str:
    with pytest.raises(ReleaseError) as error:
        lock.lock(release)
    return str(error.value)


def test_why_packages_cannot_be_installed_together_is_told_in_the_words_of_apt(odd: Archive, tmp_path: Path) -> None:
    odd.add("one", {"usr/bin/tool": SCRIPT.format("one")})
    odd.add("rival", {"usr/bin/rival": SCRIPT.format("x")}, control="Conflicts: one\n")
    odd.add("needy", {"usr/bin/needy": SCRIPT.format("x")}, control="Depends: nonesuch (>= 2)\n")
    odd.add("deep", {"usr/bin/deep": SCRIPT.format("x")}, control="Depends: needy\n")
    odd.update()
    for packages, words in {
        "needy": "needy : Depends: nonesuch (>= 2) but it is not installable",
        "deep": "needy : Depends: nonesuch (>= 2) but it is not installable",
        "rival one": "rival : Conflicts: one",
    }.items():
        said = refused(author(tmp_path / "release", packages))
        assert said.startswith("[tools] packages: apt cannot install these packages together:\n"), packages
        assert words in said
        assert "held" not in said


def test_a_virtual_package_is_the_one_that_provides_it_or_is_told_with_all_that_do(
    odd: Archive, tmp_path: Path
) -> None:
    odd.add("single", {"usr/bin/single": SCRIPT.format("x")}, control="Provides: lone\n")
    for name in ("virt-a", "virt-b"):
        odd.add(name, {"usr/bin/virt": SCRIPT.format(name)}, control="Provides: shared-name\n")
    odd.add("asks", {}, control="Depends: virt-b | shared-name\n")
    odd.update()
    assert locks(author(tmp_path / "release", "lone")) == {"single": "1.0"}
    assert locks(author(tmp_path / "release", "asks")) == {"asks": "1.0", "virt-b": "1.0"}
    assert refused(author(tmp_path / "release", "shared-name")) == (
        "[tools] packages: 'shared-name' is a virtual package. Name one of those that provide it: "
        "virt-a 1.0, virt-b 1.0."
    )
    # Depended on, and nowhere to be had.
    odd.add("wants", {}, control="Depends: ghost | virt-a\n")
    odd.update()
    assert refused(author(tmp_path / "release", "ghost")) == (
        "[tools] packages: No source of this machine has 'ghost', though other packages there name it."
    )


def test_what_every_debian_has_is_not_locked_and_its_author_is_told(tmp_path: Path) -> None:
    said = refused(author(tmp_path / "release", "perl-base"))
    assert said == "[tools] packages: 'perl-base' comes from the host, which every Debian has; leave it out."


def built(bench: Bench, release: Path) -> str:
    """Build as the release's author does; return what went wrong."""
    bench.environment["APT_CONFIG"] = os.environ["APT_CONFIG"]
    said = bench.author(release)
    return said.rpartition("Error: ")[2].strip()


def unbuilt(release: Path) -> None:
    """Remove what a build of the author's left in the folder of the release."""
    for made in ("parts", "bin", "eggs", "develop-eggs", "buildout.cfg", ".installed.cfg"):
        path = release / made
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def test_a_repository_that_only_the_author_has_is_not_taken_for_a_package_that_was_removed(
    odd: Archive, bench: Bench
) -> None:
    made = odd.add("tool", {"usr/bin/tool": SCRIPT.format("x")})
    odd.update()
    release = author(bench.root / "release", "tool", "usr/bin/tool")
    locks(release)
    made.unlink()
    odd.update()
    said = built(bench, release)
    assert "[tools] tool 1.0: no repository of this machine has a package 'tool'." in said
    assert "add it to this machine's apt sources and run `apt-get update`" in said
    odd.add("tool", {"usr/bin/tool": SCRIPT.format("x")}, version="2.0")
    odd.update()
    said = built(bench, release)
    assert "[tools] tool 1.0 is gone from the archive (2.0 took its place); run `freehold software lock`" in said


WHY = {
    "usr/bin/perl": "It is in perl-base, which comes from the host: call it there, and leave it out here.",
    "usr/bin/vi": "It is an alternative that a script of editor makes, and scripts of packages are not run. "
    "Its own programs: usr/bin/editor.tiny.",
    "usr/bin/other": "It is a diversion that a script of diverting makes, and scripts of packages are not run. "
    "Its own programs: usr/bin/diverting.",
    "usr/bin/editor.tini": "Did you mean usr/bin/editor.tiny",
    "usr/share/text": "There is such a file, and it is not executable.",
    "usr/share": "It is a folder.",
    "usr/bin/dangling": "It is a link to /usr/lib/nowhere/tool, which is in none of them.",
    "usr/bin/apart": "There is a package apart, which is not locked: name it in `packages`, and lock again.",
    "usr/bin/qqqqqqqq": "They bring usr/bin/diverting, usr/bin/editor.tiny.",
}


def test_a_program_that_is_not_there_is_told_with_the_reason(odd: Archive, bench: Bench) -> None:
    alternatives = (
        "#!/bin/sh\nfor name in ex vi view; do\n  update-alternatives --install /usr/bin/$name $name x 1\ndone\n"
    )
    divert = "#!/bin/sh\ndpkg-divert --package diverting --add --rename --divert /usr/bin/other.real /usr/bin/other\n"
    odd.add("editor", {"usr/bin/editor.tiny": SCRIPT.format("x"), "usr/share/text": "text"},
            scripts={"postinst": alternatives})  # fmt: skip
    odd.add("diverting", {"usr/bin/diverting": SCRIPT.format("x"), "usr/bin/dangling": "-> ../lib/nowhere/tool"},
            scripts={"preinst": divert})  # fmt: skip
    odd.add("apart", {"usr/bin/apart": SCRIPT.format("x")})
    odd.update()
    release = author(bench.root / "release", "editor diverting")
    locks(release)
    for program, why in WHY.items():
        author(release, "editor diverting", program)
        said = built(bench, release)
        assert f"[tools] programs: no package has a program '{program}'. {why}" in said, said


def test_bytes_that_are_no_text_are_nobodys_trouble_in_packages(odd: Archive, bench: Bench) -> None:
    odd.add(
        "latin",
        {
            "etc/ld.so.conf.d/latin.conf": b"# biblioth\xe8que\n/opt/latin/lib\n/opt/caf\xe9\n",
            "opt/latin/lib/x": "x",
            os.fsdecode(b"opt/caf\xe9/x"): "x",
            os.fsdecode(b"usr/share/na\xefve"): b"\xff",
            "usr/bin/latin": "#!/bin/sh\necho $LD_LIBRARY_PATH\n",
        },
        scripts={"postinst": "#!/bin/sh\n"},
    )
    odd.update()
    release = author(bench.root / "release", "latin", "usr/bin/latin")
    locks(release)
    built(bench, release)
    wrapper = (release / "bin" / "latin").read_bytes()
    assert b"/opt/latin/lib:" in wrapper
    assert b"/opt/caf\xe9" in wrapper
    unbuilt(release)
    software = bench.node(release)
    assert (software / "bin" / "latin").exists()


@pytest.mark.parametrize("name", ["software.cfg", "more.cfg"])
def test_a_profile_that_is_no_text_is_told_with_its_file_and_line(bench: Bench, name: str) -> None:
    release = bench.root / "release"
    release.mkdir()
    (release / "software.cfg").write_text("[buildout]\nextends = more.cfg\nparts =\n")
    (release / "more.cfg").write_text("[buildout]\nversions = versions\n")
    words = f"{name}, line 4: this is not text in UTF-8: # biblioth\\xe8que"
    lines = (release / name).read_bytes()
    padding = b"" if name == "software.cfg" else b"\n"
    (release / name).write_bytes(lines + padding + b"# biblioth\xe8que\n")
    with pytest.raises(ReleaseError) as error:
        lock.lock(release)
    assert words in str(error.value)
    with pytest.raises(BuildError) as failed:
        bench.node(release)
    assert words in str(failed.value)
    assert "codecs" not in str(failed.value)


READ = {
    "check": ["software.cfg", "requirements.txt", "debian.lock", "in.json", "software.cfg.json"],
    "lock": ["software.cfg", "requirements.txt", "debian.lock"],
    "build": ["software.cfg", "requirements.txt", "debian.lock"],
}


@pytest.mark.parametrize(("verb", "name"), [(verb, name) for verb, names in READ.items() for name in names])
def test_no_file_of_a_release_that_is_no_text_ends_a_command_with_a_traceback(
    bench: Bench, locks: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    release = bench.root / "release"
    release.mkdir()
    python = "[python]\nrecipe = freehold:wheel\npackages = tabulate\n"
    tools = PROFILE.format("jq hello", "usr/bin/jq").replace("parts = tools", "parts = tools python")
    (release / "software.cfg").write_text(f"{tools}\n{python}")
    for each in ("debian.lock", "requirements.txt"):
        shutil.copy(locks / each, release)
    (release / "instance.cfg").write_text("[buildout]\nparts =\n")
    (release / "in.json").write_text("{}")
    described = '{"name": "x", "version": "1", "description": "x", "software-type": '
    described += '{"default": {"title": "x", "request": "in.json", "response": "in.json"}}}'
    (release / "software.cfg.json").write_text(described)
    (release / name).write_bytes((release / name).read_bytes() + b"# caf\xe9\n")
    assert cli.main(["software", verb, str(release)]) != 0
    said = "".join(capsys.readouterr())
    assert name in said
    assert "Traceback" not in said
    assert "codecs" not in said


def fingerprint(folder: Path) -> str:
    """Return a hash of everything in a folder: paths, kinds, rights, content, links."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        found.update(f"{path.relative_to(folder)} {stat.S_IFMT(mode):o} {stat.S_IMODE(mode):o} ".encode())
        if stat.S_ISLNK(mode):
            found.update(os.readlink(path).encode())
        elif stat.S_ISREG(mode):
            found.update(path.read_bytes())
    return found.hexdigest()


def test_one_release_built_again_and_again_has_the_same_bytes(odd: Archive, bench: Bench) -> None:
    many = {f"usr/share/{{}}/{number}": "x" * 3000 for number in range(40)}
    odd.add("base", {"usr/share/common/data": "base", **{path.format("base"): text for path, text in many.items()}})
    odd.add("newer", {"usr/share/common/data": "newer", "usr/bin/newer": SCRIPT.format("x")},
            control="Depends: base\nReplaces: base\n")  # fmt: skip
    odd.add("again", {"usr/share/common/same": "same", "usr/lib/again": "-> again.1", "usr/lib/again.1": "x"})
    odd.add("twin", {"usr/share/common/same": "same", **{path.format("twin"): text for path, text in many.items()}})
    odd.update()
    release = author(bench.root / "release", "newer again twin", "usr/bin/newer")
    assert set(locks(release)) == {"base", "newer", "again", "twin"}
    found, roots = set(), set()
    for number in range(BUILDS):
        software = bench.node(release)
        part = software / "parts" / "tools"
        assert (part / "usr/share/common/data").read_text() == "newer"
        found.add((software.name, fingerprint(part), fingerprint(software / "bin")))
        bench.forget(software)
        if number % 2:
            # From nothing, too: what is shared on the node is unpacked anew.
            assert not bench.shared
        # Alone, without what the node shares.
        shutil.rmtree(release / "parts", ignore_errors=True)
        built(bench, release)
        roots.add(fingerprint(release / "parts" / "tools"))
        unbuilt(release)
    assert len(found) == 1
    assert len(roots) == 1
    assert re.fullmatch(r"[0-9a-f]{64}", next(iter(found))[0])
