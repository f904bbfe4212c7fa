"""`freehold:debian` with Debian's own packages: what is built runs from where it is; what fails says why."""

import functools
import http.server
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.recipes.conftest import AS_BUILDER, DATABASE, PROFILE, Bench
from zc.buildout import UserError

from freehold.kit.waiting import until
from freehold.node.errors import BuildError
from freehold.recipes import locked, root
from freehold.recipes.debian import Debian


def run(*command: str | Path) -> str:
    done = subprocess.run([*AS_BUILDER, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def relock(folder: Path, old: str, new: str) -> None:
    """Change a lock by hand."""
    path = folder / "debian.lock"
    text = path.read_text()
    changed = re.sub(old, new, text)
    assert changed != text
    path.write_text(changed)


def refused(bench: Bench, folder: Path) -> str:
    """Build what cannot be built; nothing of it may be left."""
    said = bench.author(folder)
    assert re.search(r"Error: .*software.cfg, line \d+: \[tools\] ", said), said
    assert [path for name in ("parts", "bin") for path in sorted((folder / name).iterdir())] == [], said
    return said


def test_programs_run_from_the_release_with_the_libraries_of_their_packages(bench: Bench) -> None:
    software = bench.node(bench.release("web", PROFILE))
    assert run(software / "bin" / "hello", "-g", "bonjour") == "bonjour\n"
    assert run(software / "bin" / "jq", "-n", "1+1") == "2\n"
    # The wrapper is read by the linker's own listing of what it would load.
    wrapper = (software / "bin" / "jq").read_text()
    listing = subprocess.run(["sh", "-s"], input=wrapper.replace("exec ", "ldd "), capture_output=True, text=True)
    assert f"libjq.so.1 => {software}/parts/tools/" in listing.stdout
    assert "libc.so.6 => /lib/" in listing.stdout, "libc is the host's"


def test_a_database_server_answers_from_the_release(bench: Bench) -> None:
    profile = "[buildout]\nparts = database\n\n" + DATABASE
    software = bench.node(bench.release("database", profile))
    with bench.private_folder() as data:
        run(software / "bin" / "initdb", "-D", data / "pg", "-A", "trust", "-U", "me", "--no-sync")
        options = f"-k {data} -c listen_addresses="
        pg_ctl = (software / "bin" / "pg_ctl", "-D", data / "pg", "-l", data / "log")
        run(*pg_ctl, "-w", "-o", options, "start")
        try:
            query = "set jit_above_cost = 0; select count(*) from pg_timezone_names where name = 'Europe/Paris'"
            assert run(software / "bin" / "psql", "-h", data, "-U", "me", "-Atqc", query, "postgres") == "1\n"
            pid = int((data / "pg" / "postmaster.pid").read_text().split()[0])
            loaded = set(re.findall(r"/\S+\.so\S*", Path(f"/proc/{pid}/maps").read_text()))
        finally:
            run(*pg_ctl, "-m", "immediate", "stop")
    libraries = {Path(path).name.split(".so")[0]: path for path in loaded}
    for name in ("libssl", "libcrypto", "libxml2", "libicuuc", "libldap-2.5", "libgssapi_krb5"):
        assert libraries[name].startswith(f"{software}/"), libraries[name]


def test_the_next_version_of_a_release_downloads_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.node(bench.release("web", PROFILE))
    bench.unplug()
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    second = bench.node(bench.release("web-2", PROFILE + "\n# Another release.\n"))
    assert second != first
    assert run(second / "bin" / "jq", "-n", "1+1") == "2\n"
    bench.forget(first)
    assert run(second / "bin" / "jq", "-n", "1+1") == "2\n", "it must not lean on the first"


def test_releases_of_a_node_share_the_files_of_their_packages_until_the_last_is_gone(bench: Bench) -> None:
    first = bench.node(bench.release("web", PROFILE))
    second = bench.node(bench.release("web-2", PROFILE + "\n# Another release.\n"))
    files = [software / "parts" / "tools" / "usr" / "bin" / "hello" for software in (first, second)]
    assert files[0].samefile(files[1])
    assert files[0].stat().st_mode & 0o222 == 0
    assert len(bench.shared) == 4
    bench.forget(first)
    assert len(bench.shared) == 4
    bench.forget(second)
    assert bench.shared == []


HOSTILE = """\
import os, pathlib, sys
part = pathlib.Path({part!r})
hello = part / "usr" / "bin" / "hello"
done = []
def attempt(name, act):
    try:
        act()
        done.append(name)
    except OSError:
        pass
attempt("chmod", lambda: hello.chmod(0o777))
attempt("write", lambda: hello.write_text("#!/bin/sh\\necho hostile\\n"))
attempt("truncate", lambda: os.truncate(hello, 0))
attempt("owner", lambda: os.chown(hello, os.getuid(), -1))
attempt("link", lambda: os.link(hello, part / "hostile"))
attempt("store", lambda: (part.parents[3] / "packages" / "hostile").touch())
attempt("list", lambda: os.listdir(part.parents[3] / "packages"))
for package in {packages!r}:
    attempt("package", lambda: (pathlib.Path(package) / "usr" / "hostile").touch())
# In its own folder it may do what it likes.
attempt("unlink", hello.unlink)
attempt("replace", lambda: hello.write_text("#!/bin/sh\\necho hostile\\n"))
attempt("replace", lambda: hello.chmod(0o755))
(part.parents[1] / "done").write_text(" ".join(done))
sys.exit("enough")
"""


@pytest.mark.skipif(not AS_BUILDER, reason="without root every build is by the same user, who is the node's too")
def test_a_hostile_release_cannot_change_what_another_gets(bench: Bench) -> None:
    first = bench.node(bench.release("web", PROFILE))
    release = bench.release("hostile", PROFILE.replace("parts = tools", "parts = tools\ndevelop = release"))
    # Its code runs as the builder, when its packages are in place; it cannot know its own name before.
    script = HOSTILE.format(part="PART", packages=[str(path) for path in bench.shared])
    script = script.replace("'PART'", "os.environ['FREEHOLD_BUILD'] + '/parts/tools'")
    (release / "setup.py").write_text(script)
    with pytest.raises(BuildError, match="enough"):
        bench.node(release)
    (done,) = first.parent.glob("*/done")
    assert done.read_text() == "unlink replace replace"
    third = bench.node(bench.release("web-3", PROFILE + "\n# A third.\n"))
    for software in (first, third):
        assert run(software / "bin" / "hello") == "Hello, world!\n"


def test_a_package_with_another_hash_is_shared_with_nobody(bench: Bench) -> None:
    release = bench.release("web", PROFILE)
    relock(release, r'(name = "jq".*sha256 = ")[0-9a-f]{8}', r"\g<1>00000000")
    with pytest.raises(BuildError, match=r"jq \S+: the archive's file is not the one of debian.lock"):
        bench.node(release)
    assert len(bench.shared) == 3
    assert not [path for path in bench.shared if path.name.startswith("00000000")]


def test_what_is_in_the_cache_is_not_downloaded(bench: Bench) -> None:
    bench.warm()
    bench.unplug()
    release = bench.release("web", PROFILE)
    bench.author(release)
    assert run(release / "bin" / "hello") == "Hello, world!\n"


def test_a_file_that_was_changed_in_the_cache_is_not_used(bench: Bench) -> None:
    kept = bench.warm()
    kept[0].write_bytes(kept[1].read_bytes())
    release = bench.release("web", PROFILE)
    bench.author(release)
    assert run(release / "bin" / "jq", "-n", "1+1") == "2\n"
    assert root.sha256(kept[0]) == kept[0].name


def test_nothing_is_done_again_when_nothing_changed(bench: Bench) -> None:
    bench.warm()
    release = bench.release("web", PROFILE)
    bench.author(release)
    before = (release / "parts" / "tools").stat().st_ino
    bench.author(release)
    assert (release / "parts" / "tools").stat().st_ino == before
    (release / "software.cfg").write_text(PROFILE.replace("usr/bin/jq usr/bin/hello", "usr/bin/jq"))
    bench.author(release)
    assert [path.name for path in (release / "bin").iterdir()] == ["jq"]


def test_a_package_with_another_hash_is_refused(bench: Bench) -> None:
    release = bench.release("web", PROFILE)
    relock(release, r'(name = "jq".*sha256 = ")[0-9a-f]{8}', r"\g<1>00000000")
    said = refused(bench, release)
    assert re.search(r"jq \S+: the archive's file is not the one of debian.lock \(its sha256 differs\)", said)
    assert "freehold software lock" in said
    assert not list((bench.root / "cache").glob("debian/00000000*"))


def test_a_version_that_is_gone_from_the_archive_says_so(bench: Bench) -> None:
    release = bench.release("web", PROFILE)
    relock(release, r"(path = .*)/hello_[^_]*_", r"\g<1>/hello_1.0-1_")
    said = refused(bench, release)
    assert re.search(r"hello \S+ is gone from the archive", said)
    assert "freehold software lock" in said


def test_no_network_is_not_mistaken_for_a_version_that_is_gone(bench: Bench) -> None:
    bench.unplug()
    said = refused(bench, bench.release("web", PROFILE))
    assert "cannot be downloaded" in said
    assert "127.0.0.1" in said


def test_a_lock_that_does_not_fit_the_profile_is_refused_before_anything_is_downloaded(bench: Bench) -> None:
    missing = bench.release("missing", PROFILE)
    (missing / "debian.lock").unlink()
    broken = bench.release("broken", PROFILE)
    (broken / "debian.lock").write_text("[tools.amd64]\npackages = 3\nlocked = []\n")
    elsewhere = bench.release("elsewhere", PROFILE)
    relock(elsewhere, r"(?m)^\[tools\..*\]$", "[tools.sparc]")
    fitting = bench.release("fitting", PROFILE)
    for folder, packages, words in (
        (fitting, "jq hello tree", "packages: debian.lock does not cover tree; run `freehold software lock`"),
        (fitting, "jq", "packages: debian.lock is for hello too; run `freehold software lock`"),
        (missing, "jq hello", "lock: there is no debian.lock beside software.cfg; run `freehold software lock`"),
        (broken, "jq hello", "lock: debian.lock is not a lock:"),
        (elsewhere, "jq hello", "lock: debian.lock has packages for sparc, and this machine is"),
    ):
        before = sorted(folder.iterdir())
        buildout = {"directory": folder, "parts-directory": folder / "parts", "bin-directory": folder / "bin"}
        part = Debian({"buildout": buildout}, "tools", {"recipe": "freehold:debian", "packages": packages})
        with pytest.raises(UserError) as error:
            part.install()
        assert str(error.value).startswith(f"[tools] {words}")
        assert sorted(folder.iterdir()) == before


def test_a_program_that_no_package_has_is_told_with_the_nearest(bench: Bench) -> None:
    bench.warm()
    release = bench.release("web", PROFILE.replace("usr/bin/hello", "usr/sbin/hallo"))
    said = bench.author(release)
    assert "[tools] programs: no package has a program 'usr/sbin/hallo'. Did you mean usr/bin/hello?" in said
    assert list((release / "bin").iterdir()) == []


def test_a_failed_build_of_a_node_says_what_the_author_must_do(bench: Bench) -> None:
    release = bench.release("web", PROFILE)
    (release / "debian.lock").unlink()
    with pytest.raises(BuildError, match="run `freehold software lock` on the release's folder"):
        bench.node(release)


def test_a_build_that_was_killed_amid_a_download_leaves_nothing_that_counts(bench: Bench) -> None:
    release = bench.release("web", PROFILE)
    with stuck_proxy() as (address, asked):
        bench.environment["http_proxy"] = address
        build = bench.start(release)
        until(lambda: asked.is_set(), 30)
        os.killpg(build.pid, signal.SIGKILL)
        build.communicate()
    assert not (release / "parts" / "tools").exists()
    assert not (bench.root / "cache" / "debian").exists()
    bench.environment.clear()
    bench.author(release)
    assert run(release / "bin" / "hello") == "Hello, world!\n"
    assert sorted(path.name for path in (release / "parts").iterdir()) == ["tools"]


@contextmanager
def stuck_proxy() -> Iterator[tuple[str, threading.Event]]:
    """A proxy that begins to send each file and never ends."""
    asked, over = threading.Event(), threading.Event()

    class Half(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "50000")
            self.end_headers()
            self.wfile.write(b"!<arch>\n" * 1000)
            asked.set()
            over.wait(60)

        log_message = functools.partialmethod(lambda *arguments: None)  # type: ignore[assignment]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Half)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def packed(folder: Path, files: dict[str, tuple[int, str]], links: dict[str, str]) -> Path:
    """Make a Debian package of our own."""
    content = folder / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN" / "control").write_text(
        "Package: own\nVersion: 1\nArchitecture: all\nMaintainer: Me <me@example.org>\nDescription: ours\n"
    )
    for name, (mode, text) in files.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
        (content / name).chmod(mode)
    for name, target in links.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).symlink_to(target)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", content, folder / "own.deb"], check=True)
    return folder / "own.deb"


def test_links_of_a_package_stay_in_its_folder(tmp_path: Path) -> None:
    links = {
        "usr/bin/absolute": "/etc/passwd",
        "usr/share/own/climbing": "../../../../../../etc/passwd",
        "usr/share/own/merged": "/lib/own/data",
        "usr/share/own/near": "../own/file",
        "usr/share/own/null": "/dev/null",
    }
    files = {"usr/share/own/file": (0o644, "near"), "lib/own/data": (0o644, "data"), "etc/passwd": (0o644, "ours")}
    root.unpack([packed(tmp_path, files, links)], tmp_path / "root")
    (tmp_path / "root").rename(tmp_path / "moved")
    here = tmp_path / "moved"
    assert (here / "usr/bin/absolute").read_text() == "ours"
    assert (here / "usr/share/own/climbing").read_text() == "ours"
    assert (here / "usr/share/own/merged").read_text() == "data"
    assert (here / "usr/share/own/near").read_text() == "near"
    assert os.readlink(here / "usr/share/own/null") == "/dev/null"
    assert not (here / "bin").exists() or (here / "bin").is_symlink()


def test_no_file_of_a_package_is_closed_to_instances_or_lends_rights(tmp_path: Path) -> None:
    files = {
        "usr/bin/lends": (0o6755, "#!/bin/sh\n"),
        "usr/share/secret": (0o600, "for a group that is not here"),
        "etc/open": (0o666, "writable by all"),
    }
    root.unpack([packed(tmp_path, files, {})], tmp_path / "root")
    modes = {name: (tmp_path / "root" / name).stat().st_mode & 0o7777 for name in files}
    assert modes == {"usr/bin/lends": 0o555, "usr/share/secret": 0o444, "etc/open": 0o444}


def test_a_script_runs_with_the_interpreter_of_its_packages(tmp_path: Path) -> None:
    files = {
        "usr/bin/own-shell": (0o755, '#!/bin/sh\necho "our shell: $*"\n'),
        "usr/bin/greet": (0o755, "#!/usr/bin/own-shell -e\n"),
    }
    here = tmp_path / "root"
    root.unpack([packed(tmp_path, files, {})], here)
    script = root.wrapper(here, here / "usr/bin/greet", {"GREETING": "it's"})
    done = subprocess.run(["sh", "-s", "two words"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout == f"our shell: -e {here}/usr/bin/greet two words\n"


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    package = locked.Package("lib+x", "1:2~3", "all", 5, "ab", 'pool/a "b"')
    lock = {"a part": {"arm64": locked.Closure(("a", "b"), (package,))}, "b": {"amd64": locked.Closure((), ())}}
    (tmp_path / "debian.lock").write_text(locked.text(lock))
    assert locked.read(tmp_path / "debian.lock") == lock
