"""The recipes, in real runs of buildout: what a profile says is what stands in the partition."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zc.buildout import UserError

from freehold.node.partition.layout import scan
from freehold.promises import Command, DiskSpace, Http, TcpPort
from freehold.recipes.file import File
from freehold.recipes.promise import Promise
from freehold.recipes.request import Request
from freehold.recipes.service import Service

PROFILE = """\
[buildout]
parts = file service once promise publish
offline = true

[file]
recipe = freehold:file
output = etc/conf/web.json
content =
    {"greeting": "hello",
     "price": "$${money}"}

[service]
recipe = freehold:service
name = web
command-line = /bin/echo "two words" 'it''s' $HOME
environment =
    GREETING=a "b" $c
    EMPTY=
reads = ${buildout:directory}/${file:output}

[once]
recipe = freehold:service
command-line = /bin/true
once = true
after = web database
stop-timeout = 2.5
stop-signal = QUIT

[promise]
recipe = freehold:promise
name = page
kind = Http
url = http://127.0.0.1:8080/
status = 204
contains = it's
timeout = 2.5

[publish]
recipe = freehold:publish
url = http://127.0.0.1:8080/
password = s3cret
"""


def buildout(folder: Path, profile: str) -> "subprocess.CompletedProcess[str]":
    (folder / "buildout.cfg").write_text(profile)
    return subprocess.run(
        [sys.executable, "-m", "freehold.recipes.run", "buildout.cfg"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def built(folder: Path, profile: str = PROFILE) -> None:
    done = buildout(folder, profile)
    assert done.returncode == 0, done.stdout + done.stderr


def plugin(path: Path) -> object:
    names: dict[str, object] = {}
    exec(path.read_text(), names)
    return names["promise"]


def test_a_profile_becomes_what_it_says(tmp_path: Path) -> None:
    built(tmp_path)
    configuration = tmp_path / "etc" / "conf" / "web.json"
    assert json.loads(configuration.read_text()) == {"greeting": "hello", "price": "${money}"}
    assert configuration.stat().st_mode & 0o777 == 0o600
    assert plugin(tmp_path / "etc/plugin/page.py") == Http(
        "http://127.0.0.1:8080/", status=204, contains="it's", timeout=2.5
    )
    published = json.loads((tmp_path / ".freehold" / "published.json").read_text())
    assert published == {"url": "http://127.0.0.1:8080/", "password": "s3cret"}
    assert (tmp_path / ".freehold" / "published.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/run/once").stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.rglob(".*.new"))
    (once,) = scan(tmp_path).runs
    assert (once.after, once.stop_timeout, once.stop_signal) == (["web", "database"], 2.5, "QUIT")


def test_a_service_gets_its_words_and_its_environment_as_written(tmp_path: Path) -> None:
    shown = PROFILE.replace(
        """/bin/echo "two words" 'it''s' $HOME""",
        sys.executable + """ -c "import json,os,sys; print(json.dumps([sys.argv[1:], os.environ['GREETING']]))" """
        """"two words" '$HOME' 'a;b'""",
    )
    built(tmp_path, shown)
    printed = subprocess.run([tmp_path / "etc/service/web"], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [["two words", "$HOME", "a;b"], 'a "b" $c']


def test_each_profile_in_the_page_of_promises_makes_a_promise_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "authors" / "promises.md").read_text()
    examples = re.findall(r"^```ini\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "srv").mkdir()
    monkeypatch.chdir(tmp_path)
    for example in examples:
        (part,) = re.findall(r"^\[(.*)\]$", example, re.MULTILINE)
        built(tmp_path, f"[buildout]\nparts = {part}\n\n{example}")
        promise = plugin(tmp_path / f"etc/plugin/{part}.py")
        assert isinstance(promise, DiskSpace)
        assert promise.period == 300
        assert promise.check().kept
    assert len(examples) == 1


@pytest.mark.parametrize("seconds", ["0", "120", "2.5", " 1e1 "])
def test_a_service_may_take_from_no_time_to_two_minutes_to_end(tmp_path: Path, seconds: str) -> None:
    built(tmp_path, PROFILE.replace("stop-timeout = 2.5", f"stop-timeout = {seconds}"))
    assert scan(tmp_path).runs[0].stop_timeout == float(seconds)


def test_the_bounds_of_a_query_are_numbers(tmp_path: Path) -> None:
    part = "[it]\nrecipe = freehold:promise\nkind = SqlValue\ndriver = sqlite3\ndatabase = x\nquery = q\nleast = -2.5\n"
    built(tmp_path, f"[buildout]\nparts = it\n\n{part}")
    assert plugin(tmp_path / "etc/plugin/it.py").least == -2.5  # type: ignore[attr-defined]


def test_nothing_changes_until_something_is_changed(tmp_path: Path) -> None:
    built(tmp_path)
    service = (tmp_path / "etc/service/web").read_bytes()
    built(tmp_path)
    assert (tmp_path / "etc/service/web").read_bytes() == service
    built(tmp_path, PROFILE.replace('"hello"', '"bonjour"'))
    assert (tmp_path / "etc/service/web").read_bytes() != service, "what it reads changed: it must restart"


def test_what_a_profile_says_no_longer_is_gone(tmp_path: Path) -> None:
    built(tmp_path)
    built(tmp_path, PROFILE.replace("parts = file service once promise publish", "parts = file"))
    assert (tmp_path / "etc/conf/web.json").exists()
    for gone in ("etc/service/web", "etc/run/once", "etc/plugin/page.py", ".freehold/published.json"):
        assert not (tmp_path / gone).exists(), gone


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("recipe = freehold:file\noutput = x", "[it] freehold:file needs the option 'content'."),
        ("recipe = freehold:file\ncontent = x", "[it] freehold:file needs the option 'output'."),
        ("recipe = freehold:file\noutput = ../x\ncontent = x", "[it] output: '../x' is not inside the partition"),
        (
            "recipe = freehold:file\noutput = /var/tmp/freehold-x\ncontent = x",
            "'/var/tmp/freehold-x' is not inside the partition",
        ),
        ("recipe = freehold:file\noutput = x\ncontent = x\nmode = rwx", "[it] mode: 'rwx' is not octal"),
        ("recipe = freehold:service", "[it] freehold:service needs the option 'command-line'."),
        ("recipe = freehold:service\ncommand-line = a 'b", "command-line: No closing quotation"),
        (
            "recipe = freehold:service\ncommand-line = a\nstop-timeout = soon",
            "stop-timeout: 'soon' is no number of seconds",
        ),
        ("recipe = freehold:service\ncommand-line = a\nname = ../x", "[it] name: '../x' cannot be one"),
        ("recipe = freehold:service\ncommand-line = a\nreads = /no/such", "/no/such cannot be read"),
        (
            "recipe = freehold:service\ncommand-line = a\nenvironment = A-B=1",
            "[it] environment: 'A-B' cannot be the name of a variable",
        ),
        (
            "recipe = freehold:service\ncommand-line = a\nenviroment = A=1",
            "[it] enviroment: there is no such option; did you mean 'environment'?",
        ),
        (
            "recipe = freehold:file\nouput = x\ncontent = x",
            "[it] ouput: there is no such option; did you mean 'output'?",
        ),
        (
            "recipe = freehold:promise\nkind = Http\nurl = x\nstatuz = 1",
            "[it] statuz: there is no such option; did you mean 'status'?",
        ),
        ("recipe = freehold:request", "[it] freehold:request needs the option 'product'."),
        ("recipe = freehold:request\nproduct = x\ntitle = a/b", "a title has 1 to 100 letters"),
        ("recipe = freehold:request\nproduct = x\nparameters = {", "[it] parameters: this is not JSON"),
        ("recipe = freehold:request\nproduct = x\nparameters = []", "[it] parameters: this must be a JSON object"),
        ("recipe = freehold:request\nproduct = x\nstate = on", "[it] state must be started or stopped"),
        ("recipe = freehold:promise", "[it] freehold:promise needs the option 'kind'."),
        ("recipe = freehold:promise\nkind = Magic", "[it] kind: there is no promise 'Magic'."),
        ("recipe = freehold:promise\nkind = Assessment", "[it] kind: there is no promise 'Assessment'."),
        ("recipe = freehold:promise\nkind = Http", "url"),
        ("recipe = freehold:promise\nkind = TcpPort\nhost = x\nport = http", "'http' is not a whole number"),
        ("recipe = freehold:promise\nkind = TcpPort\nhost = x\nport = 0", "[it] port: it must be from 1 to 65535"),
        ("recipe = freehold:promise\nkind = DiskSpace\npath = x\nperiod = nan", "[it] period: it must be from 1 to"),
        ("recipe = freehold:promise\nkind = DiskSpace\npath = x\ntimeout = inf", "[it] timeout: it must be from 0.1"),
        ("recipe = freehold:promise\nkind = DiskSpace\npath = x\nfree_mb = -1", "[it] free_mb: it must be a number"),
        (
            "recipe = freehold:promise\nkind = FileState\npath = x\nstate = gone",
            "[it] state: 'gone' is none of present",
        ),
        (
            "recipe = freehold:promise\nkind = SqlValue\ndriver = d\ndatabase = x\nquery = q\nleast = few",
            "[it] least: 'few' is not a number",
        ),
        ("recipe = freehold:service\ncommand-line = ''", "[it] command-line: it names no program"),
        ("recipe = freehold:service\ncommand-line = a\nonce = yes", "[it] once: 'yes' is neither true nor false"),
        ("recipe = freehold:service\ncommand-line = a\nenvironment = A", "[it] environment: 'A' gives no value"),
        ("recipe = freehold:service\ncommand-line = a\nstop-signal = KILL", "[it] stop-signal: 'KILL' is none of TERM"),
        (f"recipe = freehold:service\ncommand-line = a\nafter = {'b ' * 17}", "[it] after: 17 names; at most 16"),
        (f"recipe = freehold:service\ncommand-line = a\nname = {'n' * 201}", "cannot be one"),
        ("recipe = freehold:file\noutput = x\ncontent = x\nmode = -1", "[it] mode: '-1' is not octal, from 0 to 7777"),
        ("recipe = freehold:file\noutput = x\ncontent = x\nmode = 77777", "[it] mode: '77777' is not octal"),
        *(
            (
                f"recipe = freehold:service\ncommand-line = a\nstop-timeout = {value}",
                f"stop-timeout: '{value}' is not from",
            )
            for value in ("nan", "inf", "-inf", "-5", "1e9", "120.5")
        ),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_part(part: str, words: str, tmp_path: Path) -> None:
    partition = tmp_path / "partition"
    partition.mkdir()
    options = dict(line.split(" = ", 1) for line in part.splitlines())
    recipe = {"file": File, "service": Service, "promise": Promise, "request": Request}[
        options["recipe"].removeprefix("freehold:")
    ]
    with pytest.raises(UserError) as error:
        recipe({"buildout": {"directory": str(partition)}}, "it", options).install()
    assert str(error.value).startswith("[it] ")
    assert words in str(error.value)
    assert (os.listdir(tmp_path), os.listdir(partition)) == (["partition"], [])


def test_buildout_tells_a_mistake_without_a_traceback(tmp_path: Path) -> None:
    done = buildout(tmp_path, "[buildout]\nparts = it\n\n[it]\nrecipe = freehold:promise\nkind = Magic\n")
    assert done.returncode != 0
    assert "buildout.cfg, line 6: [it] kind: there is no promise 'Magic'." in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_values_of_a_promise_have_their_types(tmp_path: Path) -> None:
    parts = "[buildout]\nparts = port command\n"
    parts += "[port]\nrecipe = freehold:promise\nkind = TcpPort\nhost = ::1\nport = 80\n"
    parts += "[command]\nrecipe = freehold:promise\nkind = Command\nargv = /bin/test -d 'a b'\ntimeout = 3\n"
    built(tmp_path, parts)
    assert plugin(tmp_path / "etc/plugin/port.py") == TcpPort("::1", 80)
    assert plugin(tmp_path / "etc/plugin/command.py") == Command(("/bin/test", "-d", "a b"), timeout=3)
