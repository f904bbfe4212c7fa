"""Configuring a partition: what is as planned is not touched, what is planned no longer is gone."""

import io
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from freehold.node.errors import ConfigureError
from freehold.node.partition import layout
from freehold.node.partition.configure import run
from freehold.node.partition.layout import Layout
from freehold.node.partition.order import ConfigureOrder
from freehold.node.partition.profile import profile_text
from freehold.recipes import part
from freehold.release import ReleaseError, parts

INSTANCE = """\
import json
import msgspec
from freehold.promises import Http
from freehold.release import Context, File, Plan, Process, Release, Task, Type

class Parameters(msgspec.Struct):
    pages: list[str] = []
    shout: bool = False

class Publication(msgspec.Struct):
    pages: int

def plan(parameters: Parameters, context: Context) -> Plan:
    files = tuple(File(f"srv/{page}.html", context.title) for page in parameters.pages)
    return Plan(
        processes=tuple(Process(page, ("/bin/sleep", "9")) for page in parameters.pages),
        tasks=(Task("shout", ("/bin/echo", "it's", "$HOME"), {"A": "b c"}),) if parameters.shout else (),
        files=files,
        directories=("srv/data",),
        promises={page: Http("http://x/" + page) for page in parameters.pages},
        publication=Publication(len(files)),
    )

release = Release("tiny", "1.0", "", {"default": Type("Tiny", Parameters, Publication, plan)})
"""


@pytest.fixture
def software(tmp_path: Path) -> Path:
    release = tmp_path / "software" / "release"
    release.mkdir(parents=True)
    (release / "instance.py").write_text(INSTANCE)
    return release.parent


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    folder = tmp_path / "p0"
    folder.mkdir(mode=0o700)
    return folder


def order(partition: Path, software: Path, **parameters: Any) -> ConfigureOrder:
    return ConfigureOrder(
        "inst-1", "shop", "default", "127.0.0.9", str(partition), str(software), json.dumps(parameters)
    )


def configured(partition: Path, software: Path, **parameters: Any) -> Layout:
    return msgspec.json.decode(run(msgspec.json.encode(order(partition, software, **parameters))), type=Layout)


def look(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything in a folder with what a careful reader could notice of it."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns if path.is_file() else 0,
            path.stat().st_ino,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def test_a_plan_becomes_a_partition(partition: Path, software: Path) -> None:
    layout = configured(partition, software, pages=["a", "b"], shout=True)
    assert [one.name for one in layout.services] == ["a", "b"]
    assert [one.name for one in layout.runs] == ["shout"]
    assert layout.promises == ["etc/plugin/a.py", "etc/plugin/b.py", "etc/plugin/task-shout.py"]
    assert layout.published == {"pages": 2}
    assert (partition / "srv" / "a.html").read_text() == "shop"
    assert (partition / "srv" / "a.html").stat().st_mode & 0o777 == 0o600
    assert os.popen(str(partition / "etc/run/shout")).read() == "it's $HOME\n"


def test_configured_twice_nothing_changes(partition: Path, software: Path) -> None:
    first = configured(partition, software, pages=["a", "b"], shout=True)
    before = look(partition)
    assert configured(partition, software, pages=["a", "b"], shout=True) == first
    assert look(partition) == before


def test_what_is_planned_no_longer_is_gone_and_what_the_service_wrote_stays(partition: Path, software: Path) -> None:
    configured(partition, software, pages=["a", "b"], shout=True)
    (partition / "srv" / "data" / "customers").write_text("precious")
    kept = look(partition)["etc/service/b"]
    layout = configured(partition, software, pages=["b"])
    assert [one.name for one in layout.services] == ["b"]
    assert (layout.runs, layout.promises) == ([], ["etc/plugin/b.py"])
    assert not (partition / "srv" / "a.html").exists()
    assert (partition / "srv" / "data" / "customers").read_text() == "precious"
    assert look(partition)["etc/service/b"] == kept, "what goes on is not touched"


def test_what_somebody_damaged_is_mended(partition: Path, software: Path) -> None:
    configured(partition, software, pages=["a"])
    before = {name: content for name, (_, _, content) in look(partition).items()}
    (partition / "etc" / "service" / "a").write_text("#!/bin/false\n")
    (partition / "srv" / "a.html").unlink()
    (partition / "etc" / "plugin" / "a.py").chmod(0o644)
    configured(partition, software, pages=["a"])
    assert {name: content for name, (_, _, content) in look(partition).items()} == before
    assert (partition / "etc" / "plugin" / "a.py").stat().st_mode & 0o777 == 0o600


def test_what_an_interrupted_configuration_wrote_is_removed_by_the_next(partition: Path, software: Path) -> None:
    """The record of what was written names it even when nothing came after."""
    configured(partition, software, pages=["a"])
    record = partition / ".freehold" / "planned.json"
    assert set(json.loads(record.read_text())) == {"etc/plugin/a.py", "etc/service/a", "srv/a.html"}
    # Killed after a file was written and before anything else: as if the plan had had `b`.
    os.remove(partition / "etc" / "plugin" / "a.py")
    configured(partition, software)
    assert json.loads(record.read_text()) == []
    assert configured(partition, software).services == []


def test_a_plan_that_is_refused_changes_nothing(partition: Path, software: Path) -> None:
    configured(partition, software, pages=["a"])
    before = look(partition)
    with pytest.raises(ReleaseError, match="two of the process or task"):
        configured(partition, software, pages=["a", "a"])
    with pytest.raises(ReleaseError, match="do not fit"):
        configured(partition, software, pages=3)
    assert look(partition) == before


def test_a_release_without_either_way_is_refused(partition: Path, software: Path) -> None:
    (software / "release" / "instance.py").unlink()
    with pytest.raises(ReleaseError, match=r"neither instance\.py nor instance\.cfg"):
        configured(partition, software)


CHAIN = """\
import msgspec
from freehold.release import Context, Plan, Process, Release, Task, Type

class Nothing(msgspec.Struct):
    pass

def plan(parameters: Nothing, context: Context) -> Plan:
    prepare = Task("prepare", ("/bin/true",))
    database = Process("database", ("/bin/sleep", "9"), ready="srv/database.sock", stop_timeout=60, after=(prepare,))
    cache = Process("cache", ("/bin/sleep", "9"), ready=context.port("cache"), stop_signal="INT")
    web = Process("web", ("/bin/echo", "started"), after=(database, cache))
    return Plan(processes=(database, cache, web), tasks=(prepare,))

release = Release("chain", "1.0", "", {"default": Type("Chain", Nothing, Nothing, plan)})
"""


def test_a_process_waits_until_those_it_comes_after_accept(partition: Path, software: Path) -> None:
    (software / "release" / "instance.py").write_text(CHAIN)
    found = {one.name: one for one in configured(partition, software).services}
    assert (found["database"].after, found["database"].stop_timeout) == ([], 60)
    assert (found["web"].after, found["web"].stop_timeout) == (["database", "cache"], 10)
    assert (found["cache"].stop_signal, found["web"].stop_signal) == ("INT", "TERM")
    assert "stop_signal" not in (partition / "etc/service/web").read_text(), "what was written before is not restarted"
    port = json.loads((partition / ".freehold" / "ports.json").read_text())["cache"]
    web = subprocess.Popen([partition / "etc/service/web"], stdout=subprocess.PIPE, text=True, cwd=partition)
    try:
        with socket.socket(socket.AF_UNIX) as database, socket.socket() as cache:
            for listener, address in ((database, str(partition / "srv/database.sock")), (cache, ("127.0.0.9", port))):
                assert web.poll() is None, "not everything that it comes after accepts"
                listener.bind(address)
                listener.listen()
            assert web.communicate(timeout=20)[0] == "started\n"
    finally:
        web.kill()
        web.wait()


@pytest.mark.parametrize("seconds", ['"soon"', "-5", "1e9", "NaN", "Infinity"])
def test_what_says_wrongly_how_it_is_supervised_is_told_by_name(partition: Path, software: Path, seconds: str) -> None:
    configured(partition, software)
    wrapper = partition / "etc" / "service" / "own"
    wrapper.write_text(f'#!/bin/sh\n# supervised: {{"stop_timeout": {seconds}}}\n')
    wrapper.chmod(0o700)
    with pytest.raises(
        ConfigureError, match=r"own: what follows '# supervised:' is not as it must be: .*(stop_timeout|malformed)"
    ):
        configured(partition, software)


def test_authors_and_nodes_know_the_same_bounds() -> None:
    assert (parts.MOST_AFTER, parts.LONGEST_STOP) == (layout.MOST_AFTER, layout.LONGEST_STOP)
    assert part.LONGEST_NAME == layout.LONGEST_NAME


PROFILE = """\
[buildout]
parts = text json

[text]
recipe = freehold:file
output = srv/text
content = >${parameters:greeting}<

[json]
recipe = freehold:file
output = srv/json
content = ${parameters:json}
"""


@pytest.mark.parametrize(
    "greeting",
    [
        "costs ${money:here} & 50%",
        "$${freehold:partition} $$${freehold:partition} $$ $",
        "a ; b # c",
        "a\r[text]\rcontent = evil",
        "a = b\n[text]\ncontent = evil\n\n  # no comment\n; nor this\n",
        " spaces ",
    ],
)
def test_what_a_customer_wrote_is_text_in_a_profile_whatever_it_looks_like(
    greeting: str, partition: Path, software: Path
) -> None:
    (software / "release" / "instance.py").unlink()
    (software / "release" / "instance.cfg").write_text(PROFILE)
    configured(partition, software, greeting=greeting)
    assert json.loads((partition / "srv" / "json").read_text()) == {"greeting": greeting}
    shown = (partition / "srv" / "text").read_text().rstrip("\n")
    assert shown.startswith(">")
    assert shown.endswith("<")
    if "\n" not in greeting and "\r" not in greeting and ";" not in greeting:
        assert shown == f">{greeting.strip()}<"


@settings(max_examples=300)
@given(
    some.dictionaries(
        some.text(some.sampled_from("ab-_.= +<:[$"), min_size=1, max_size=4)
        | some.sampled_from(["recipe", "json", "<", "<=", "_profile", "__doc__", "directory", "eggs"]),
        some.text(some.sampled_from("ab=[]<+:;#$ {}\n\r\t\v\f\x1c\x85\u2028é"), max_size=20),
        max_size=4,
    )
)
def test_no_parameter_becomes_a_section_or_another_option(parameters: dict[str, str]) -> None:
    from zc.buildout import configparser

    text = profile_text(order(Path("/p0"), Path("/software"), **parameters), Path("/software/release"))
    sections = configparser.parse(io.StringIO(text, newline=None), "instance")
    assert set(sections) == {"buildout", "freehold", "parameters"}
    assert sections["buildout"]["directory"] == "/p0"
    assert set(sections["parameters"]) <= {"json", *parameters} - {"recipe", "<", "<=", "_profile", "__doc__"}
    doubled = sections["parameters"]["json"].replace("$$", "")
    assert "${" not in doubled, "a reference that a customer wrote"
