"""The author's kit: what an author is told of a release before it is published."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.kit import new
from freehold.kit.check import check
from freehold.kit.waiting import page, shows, until
from freehold.protocol import archive
from freehold.release import ReleaseError

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release fresh from `freehold software new`."""
    return new.create("notes", tmp_path)


def software(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "freehold.cli", "software", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("product", ["hello", "postgresql", "website"])
def test_our_own_releases_have_nothing_wrong(product: str) -> None:
    assert check(REPOSITORY / "software" / product) == []


def test_a_new_release_has_nothing_wrong_and_bears_its_name_throughout(folder: Path) -> None:
    assert check(folder) == []
    assert not [path for path in folder.iterdir() if "myservice" in path.read_text()]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == []


@pytest.mark.parametrize("name", ["Notes", "no tes", "", "../notes", "-notes", "n" * 64])
def test_a_name_that_no_master_takes_makes_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="cannot be a product's name"):
        new.create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_release_overwrites_nothing(folder: Path) -> None:
    (folder / "instance.py").write_text("mine")
    with pytest.raises(ReleaseError, match="is there already"):
        new.create("notes", folder.parent)
    assert (folder / "instance.py").read_text() == "mine"


def _in(name: str, old: str, fresh: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, fresh, 1))

    return change


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


DEBIAN = "parts = python db\n[db]\nrecipe = freehold:debian\npackages = jq\n[more]"
MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "part without section": (
        _in("software.cfg", "parts = python", "parts = python db"),
        r"software.cfg, line 3: there is no section \[db\]",
    ),
    "part without recipe": (
        _in("software.cfg", "recipe = zc.recipe.egg", "recipee = x"),
        r"software.cfg, line 5: \[python\] has no recipe",
    ),
    "recipe that is none of ours": (
        _in("software.cfg", "recipe = zc.recipe.egg", "recipe = freehold:debain"),
        r"software.cfg, line 5: \[python\] recipe: there is no freehold:debain; there are freehold:debian, ",
    ),
    "recipe without version": (
        _in("software.cfg", "zc.recipe.egg = 6.0.0", ""),
        r"software.cfg, line 5: \[python\] recipe: zc.recipe.egg has no version; add 'zc.recipe.egg = VERSION'",
    ),
    "option that is missing": (
        _in("software.cfg", "parts = python", DEBIAN.replace("packages", "pakages")),
        r"software.cfg, line 4: \[db\] pakages: there is no such option; did you mean 'packages'\?",
    ),
    "packages without lock": (
        _in("software.cfg", "parts = python", DEBIAN),
        r"software.cfg, line 4: \[db\] lock: there is no debian.lock; run `freehold software lock",
    ),
    "substitution of nothing": (
        _in("software.cfg", "parts = python", DEBIAN.replace("jq", "${nowhere:packages}")),
        r"software.cfg: .*nowhere",
    ),
    "no software.cfg": (_without("software.cfg"), "has no software.cfg"),
    "no instance.py": (_without("instance.py"), "neither instance.py nor instance.cfg"),
    "syntax": (_in("instance.py", "def plan(", "def plan(("), r"instance.py, line \d+: "),
    "exception in the plan": (
        _in("instance.py", "context.address", "context.adress"),
        r"instance.py, line \d+: .*AttributeError: .*adress",
    ),
    "schema of before": (
        _in("instance.py", "What the page says.", "What is said."),
        r"instance-default-input-schema.json: it is not what instance.py says; run `freehold software schema",
    ),
    "no promise": (
        _in("instance.py", 'promises={"page": Http(url, contains=greeting)},', ""),
        r"instance.py: type 'default': it has processes and no promise",
    ),
    "request that is not declared": (
        _in(
            "instance.py",
            "return Plan(",
            'from freehold.release import Request\n    return Plan(requests=(Request("page", "hello"),), ',
        ),
        r"instance.py: type 'default': it requests hello \(default\), which a Master refuses: add RequestType\('hello'",
    ),
    "version that no master takes": (
        _in("software.cfg.json", '"0.1"', '"0 1"'),
        r"software.cfg.json: '0 1' cannot be a version",
    ),
    "schema that is none": (
        _in("instance-default-input-schema.json", '"object"', '"thing"'),
        r"instance-default-input-schema.json: not a JSON schema",
    ),
    "no README": (_without("README.md"), r"README.md: it is missing"),
    "link": (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "neither a plain file nor a folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_file_and_what_to_do(mistake: str, folder: Path) -> None:
    change, words = MISTAKES[mistake]
    change(folder)
    found = check(folder)
    assert any(re.search(words, each) for each in found), found


def test_looking_at_a_release_leaves_nothing_in_it(folder: Path) -> None:
    before = archive.pack(folder)
    check(folder)
    assert software("lock", "--check", folder).returncode == 0
    assert archive.pack(folder) == before


def test_a_release_is_built_as_a_node_builds_it_and_says_what_came_out(folder: Path) -> None:
    done = software("build", folder, "--keep")
    assert done.returncode == 0, done.stderr
    assert "Installing python." in done.stderr, "the log is shown"
    assert "in bin/: python" in done.stdout
    kept = Path(done.stdout.rpartition("Kept in ")[2].strip())
    said = subprocess.run([kept / "bin" / "python", "-c", "print(6 * 7)"], capture_output=True, text=True)
    assert said.stdout == "42\n"
    subprocess.run(["rm", "-r", kept.parent.parent], check=True)


def test_a_build_that_fails_says_why_and_leaves_nothing(folder: Path) -> None:
    before = set(Path("/var/tmp").glob("freehold-build-*"))
    _in("software.cfg", "parts = python", DEBIAN)(folder)
    done = software("build", folder)
    assert done.returncode == 1
    assert "[db] lock: there is no debian.lock" in done.stderr
    assert set(Path("/var/tmp").glob("freehold-build-*")) == before


def test_a_packed_release_is_what_its_folder_is(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.tar.gz"
    done = software("pack", folder, "--output", file)
    assert file.read_bytes() == archive.pack(folder)
    assert f"notes 0.1, {file.stat().st_size} bytes, sha256 {archive.digest(file.read_bytes())}" in done.stdout


def test_a_test_that_waits_in_vain_shows_what_the_service_said(folder: Path) -> None:
    _in("instance.py", '"--bind"', '"--bnid"')(folder)
    _in("test_service.py", '"bonjour"})', '"bonjour"}, seconds=12)')(folder)
    done = software("test", folder, "-q", "-k", "page_says")
    assert done.returncode == 1
    assert "unrecognized arguments: --bnid" in done.stdout, done.stdout + done.stderr


def test_a_page_that_ends_in_its_middle_is_waited_for() -> None:
    torn, content = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"Hello"
    heads = [torn, torn, b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for head in heads:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(head + content)

        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(OSError, match="does not answer whole"):
            page(url)
        assert until(shows(url, "Hello"), 10)
        server.join()
