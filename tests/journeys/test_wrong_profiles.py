"""What an author reads, through the Master, of each mistake in a new version; what runs of the old one goes on."""

import json
import os
import re
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from freehold.recipes import lock
from support.machines import Cloud, Machine

BUILT = "[buildout]\nparts =\n"
PROFILE = """\
[buildout]
parts = server

[parameters]
greeting = hello

[server]
recipe = freehold:service
command-line = /bin/sleep 1000000
environment = GREETING=${parameters:greeting}
"""
PLAN = """\
import msgspec
from freehold.release import Context, Plan, Process, Release, Request, Type

class Nothing(msgspec.Struct):
    pass

def plan(parameters: Nothing, context: Context) -> Plan:
    server = Process("server", ("/bin/sleep", "1000000"), environment={"GREETING": "hello"})
    return Plan(processes=(server,))

release = Release("any", "1.0", "For tests.", {"default": Type("Any", Nothing, Nothing, plan)})
"""
DEBIAN = "[buildout]\nparts = tools\n\n[tools]\nrecipe = freehold:debian\npackages = hello\n"
CHILD = "\n[child]\nrecipe = freehold:request\nproduct = {}\nreturn = url\n\n[buildout]\nparts += child\n"

IN_PROFILE = {
    "an unknown option": (
        PROFILE.replace("environment =", "enviroment ="),
        "instance.cfg, line 10: [server] enviroment: there is no such option; did you mean 'environment'?",
    ),
    **{
        f"an end after {seconds} seconds": (
            f"{PROFILE}stop-timeout = {seconds}\n",
            f"instance.cfg, line 11: [server] stop-timeout: '{seconds}' is not from 0 to 120 seconds.",
        )
        for seconds in ("nan", "inf", "-5", "1e9")
    },
    "a needed option left out": (
        PROFILE.replace("command-line = /bin/sleep 1000000\n", ""),
        "instance.cfg, line 7: [server] freehold:service needs the option 'command-line'.",
    ),
    "a parameter that is not there": (
        PROFILE.replace("parameters:greeting", "parameters:gruss"),
        "instance.cfg, line 10: [server] environment: Referenced option does not exist: parameters gruss",
    ),
    "sections that refer to each other": (
        PROFILE.replace("greeting = hello", "greeting = ${server:environment}"),
        r"instance.cfg, line \d+: \[\w+\] \w+: Circular reference in substitutions.",
    ),
    "a part that is not there": (
        PROFILE.replace("parts = server", "parts = server page"),
        "instance.cfg, line 2: [buildout] parts: The referenced section, 'page', was not defined.",
    ),
    "a recipe of ours that is not there": (
        PROFILE.replace("freehold:service", "freehold:servive"),
        "instance.cfg, line 8: [server] recipe: there is no recipe 'freehold:servive'.",
    ),
    "a recipe that the release did not build": (
        PROFILE.replace("freehold:service", "no.such.recipe"),
        "instance.cfg, line 8: [server] recipe: We don't have a distribution for no.such.recipe",
    ),
    "a line that is no option": (
        PROFILE.replace("command-line = /bin/sleep", "command-line /bin/sleep"),
        "instance.cfg, line 9: this is neither a section nor an option:",
    ),
    "a missing child": (
        PROFILE + CHILD.format("nothing-of-the-kind"),
        "'child' was not granted: .*There is no product 'nothing-of-the-kind'",
    ),
    "a value that a child is not to return": (
        PROFILE.replace("parameters:greeting", "child:connection-uri") + CHILD.format("nothing-of-the-kind"),
        "instance.cfg, line 10: [server] environment: Referenced option does not exist: child connection-uri",
    ),
    "a circular request": (
        PROFILE + CHILD.format("PRODUCT"),
        r"'child' was not granted: .*circular request: PRODUCT \(default\) → PRODUCT \(default\)",
    ),
}
IN_PLAN = {
    "a syntax error": (PLAN.replace('hello"})', 'hello")'), "instance.py, line 8: "),
    "an unknown option of a part": (
        PLAN.replace("environment=", "enviroment="),
        r"instance.py, line 8: server = Process\(.*unexpected keyword argument 'enviroment'",
    ),
    "an option of the wrong kind": (
        PLAN.replace('{"GREETING": "hello"}', '{"GREETING": 1}'),
        r"instance.py, line 8: .*Process 'server': environment GREETING must be str, not int",
    ),
    "an exception": (
        PLAN.replace("    return Plan", '    {}["port"]\n    return Plan'),
        r"instance.py, line 9: {}\[\"port\"\]: KeyError: 'port'",
    ),
    "a missing import": (
        PLAN.replace("import msgspec\n", "import msgspec\nimport nosuch\n", 1),
        "instance.py, line 2: import nosuch: ModuleNotFoundError: No module named 'nosuch'",
    ),
}
IN_BUILD = {
    "a package that is not locked": (
        DEBIAN.replace("= hello", "= hello no-such-package"),
        "software.cfg, line 6: [tools] packages: debian.lock does not cover no-such-package; run `freehold software",
    ),
    "a hash that does not fit": (DEBIAN, r"software.cfg, line \d: \[tools\] hello \S+: the archive's file is not the"),
    "a part that is not there": (
        DEBIAN.replace("parts = tools", "parts = tolls"),
        "software.cfg, line 2: [buildout] parts: The referenced section, 'tolls', was not defined.",
    ),
    "a part without a recipe": (
        DEBIAN.replace("recipe = freehold:debian\n", ""),
        r"software.cfg, line \d: \[buildout\] parts: Missing option: tools:recipe",
    ),
    "a recipe that is not there": (
        DEBIAN.replace("freehold:debian", "no.such.recipe"),
        r"software.cfg, line 5: \[tools\] recipe: .*no.such.recipe",
    ),
    "an unknown option": (
        DEBIAN + "program = usr/bin/hello\n",
        "software.cfg, line 7: [tools] program: there is no such option; did you mean 'programs'?",
    ),
}
CASES = [
    pytest.param(number, file, *case, id=f"{file}: {name}")
    for number, (file, name, case) in enumerate(
        (
            (file, name, case)
            for file, cases in (("instance.cfg", IN_PROFILE), ("instance.py", IN_PLAN), ("software.cfg", IN_BUILD))
            for name, case in cases.items()
        ),
        1,
    )
]


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    return cloud.machine(unprivileged=os.geteuid() != 0, title="workbench", partitions=len(CASES) + 2)


@pytest.fixture(scope="module")
def wrong_lock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `freehold software lock` writes for DEBIAN, with a hash that somebody changed."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "software.cfg").write_text(DEBIAN)
    (text,) = lock.lock(folder).values()
    return re.sub(r'(sha256 = ")[0-9a-f]{8}', r"\g<1>00000000", text)


def publish(cloud: Cloud, folder: Path, product: str, version: str, files: dict[str, str]) -> None:
    content = {"software.cfg": BUILT, "in.json": "{}", "out.json": "{}", **files}
    if "instance.py" not in content:
        content.setdefault("instance.cfg", PROFILE)
    may = [{"product": product}, {"product": "nothing-of-the-kind"}]
    types = {"default": {"title": "Any", "request": "in.json", "response": "out.json", "requests": may}}
    content["software.cfg.json"] = json.dumps(
        {"name": product, "version": version, "description": "For tests.", "software-type": types}
    )
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    cloud.publish(folder)


@pytest.fixture(scope="module")
def products(cloud: Cloud, machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Products of a sound version each, by the file that their next versions have wrong."""
    assert machine
    named = {file: re.sub(r"[^a-z]+", "-", file) for file in ("instance.cfg", "instance.py", "software.cfg")}
    for file, sound in (("instance.cfg", PROFILE), ("instance.py", PLAN), ("software.cfg", BUILT)):
        publish(cloud, tmp_path_factory.mktemp("sound") / "release", named[file], "1.0", {file: sound})
    return named


@pytest.mark.parametrize(("number", "file", "wrong", "words"), CASES)
def test_a_mistake_is_told_where_it_is_and_what_runs_goes_on(
    number: int, file: str, wrong: str, words: str, cloud: Cloud, machine: Machine, products: dict[str, str],
    wrong_lock: str, tmp_path: Path,
) -> None:  # fmt: skip
    product, title, version = products[file], f"service-{number}", f"1.{number}"
    cloud.master.request(title, product, release="1.0", partial=True)
    cloud.ready(title)
    pids = machine.pids(title)
    assert pids
    content = {file: wrong.replace("PRODUCT", product), "debian.lock": wrong_lock}
    publish(cloud, tmp_path / "wrong", product, version, content)
    cloud.master.request(title, product, release=version, partial=True)
    # Those without a backslash or a wildcard are meant literally.
    pattern = words.replace("PRODUCT", product)
    pattern = pattern if "\\" in pattern or ".*" in pattern else re.escape(pattern)
    found = lambda: re.search(pattern, cloud.master.show(title)["message"])  # noqa: E731
    try:
        until(found, 40)
    except AssertionError:
        pytest.fail(f"{words!r} is not in {cloud.master.show(title)['message']!r}")
    said = cloud.master.show(title)
    assert "Traceback" not in said["message"]
    assert not said["ready"]
    assert machine.pids(title) == pids
