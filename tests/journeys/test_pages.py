"""Every block of every page, as its reader would use it: commands are pasted, in order, into a shell in a fresh folder;
code, configurations and units go where the page says they go. A block that nothing here uses fails the test.
"""

import ast
import configparser
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import zc.buildout.configparser

from freehold.kit.master import _free_port as free_port
from freehold.kit.waiting import until
from support.machines import REPOSITORY, Cloud, Machine
from support.running import ALL_SCOPES, OWNER, PASSWORD, Master

PAGES = [
    *("README.md", "CONTRIBUTING.md"),
    *sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("docs/**/*.md")),
]
TODAY = date.today()


@dataclass(frozen=True)
class Block:
    """A block of a page: what stands indented, or between fences."""

    page: str
    line: int
    text: str
    fenced: bool = False

    def commands(self) -> Iterator[str]:
        """Yield its commands, each whole, also where it goes over several lines."""
        command = ""
        for line in self.text.splitlines():
            command += line
            if command.endswith("\\") or subprocess.run(["bash", "-n", "-c", command], capture_output=True).returncode:
                command += "\n"
            elif command.strip():
                yield command
                command = ""
        assert not command, f"{self.page}:{self.line}: bash wants more than {command!r}"


@dataclass(frozen=True)
class Pasted:
    """Commands that are run as they stand, but for what the reader is to put in."""

    fill: Mapping[str, str] = field(default_factory=dict)
    """What is put in for a text: as it is, or what a pattern `(…)` found last in what was printed so far."""
    before: tuple[str, ...] = ()
    """What the page takes for granted: run first."""
    given: str = ""
    """Typed on standard input."""
    only_parsed: Mapping[str, str] = field(default_factory=dict)
    """Commands (by how they begin) that our parser only reads, and why they cannot be run here."""
    pause: Mapping[str, Callable[["Reader"], object]] = field(default_factory=dict)
    """What a reader waits for after a command (by how it begins) before the next."""


@dataclass(frozen=True)
class Parsed:
    """Commands that our parser only reads, and why they cannot be run here."""

    why: str


@dataclass(frozen=True)
class Elsewhere:
    """Used by another test, which reads it from the page."""

    test: str


@dataclass(frozen=True)
class Checked:
    """Looked at by what is to read it; raises when that cannot."""

    check: Callable[[Block], object]


@dataclass(frozen=True)
class Shown:
    """What a reader sees, and does not put in anywhere."""

    why: str


Use = Pasted | Parsed | Elsewhere | Checked | Shown


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    lines, found, number = (REPOSITORY / page).read_text().splitlines(), [], 0
    while number < len(lines):
        begin = number
        if lines[number].startswith("```"):
            number = next(end for end in range(number + 1, len(lines)) if lines[end].startswith("```"))
            found.append(Block(page, begin + 1, "\n".join(lines[begin + 1 : number]), fenced=True))
        elif lines[number].startswith("    ") and not (begin and lines[begin - 1].strip()):
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            found.append(Block(page, begin + 1, textwrap.dedent("\n".join(lines[begin:number])).strip("\n")))
        number += 1
    return found


# The reader


class Reader:
    """Somebody in front of a shell, in a fresh folder, with a Master to speak to and a machine to look after."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.said = folder, ""
        self._log = (folder.parent / "said").open("w+b")
        own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder), **environment}
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, env={**os.environ, **own}
        )
        self._turns = 0

    def run(self, command: str, given: str = "") -> str:
        """Paste a command and return what it printed; it must succeed. What it sets holds for the next ones."""
        assert self._shell.stdin is not None
        self._turns += 1
        (self.folder.parent / "command").write_text(f"set -eo pipefail\n{command}\nset +e\n")
        (self.folder.parent / "given").write_text(given)
        ended = self.folder.parent / f"ended-{self._turns}"
        begin = len(self.output())
        # In this very shell, so that what it exports, and what it runs in the background, stays.
        self._shell.stdin.write(f". ../command < ../given; echo $? > {ended}.new; mv {ended}.new {ended}\n".encode())
        self._shell.stdin.flush()
        until(lambda: ended.exists() or self._shell.poll() is not None, 120, command)
        printed = self.output()[begin:]
        assert self._shell.poll() is None, f"{command}\n{printed}"
        assert ended.read_text().strip() == "0", f"{command}\n{printed}"
        self.said += printed
        return printed

    def output(self) -> str:
        return (self.folder.parent / "said").read_text()

    def close(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(30)
        self._log.close()

    def filled(self, command: str, fill: Mapping[str, str]) -> str:
        """Return a command with what the reader puts in."""
        for what, value in fill.items():
            if what in command and "(" in value:
                found = re.findall(value, self.said)
                assert found, f"nothing printed so far is {value}, to be put in for {what}"
                value = found[-1]
            command = command.replace(what, value)
        return command


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    made = cloud.machine(unprivileged=True, title="big-one", partitions=6)
    cloud.publish(REPOSITORY / "software" / "hello")
    return made


@pytest.fixture
def reader(cloud: Cloud, machine: Machine, master: Master, tmp_path: Path) -> Iterator[Reader]:
    """The owner of a Master with projects of customers, a site `home`, and this machine as a node."""
    folder = tmp_path / "reader"
    folder.mkdir()
    environment = {
        "FREEHOLD_MASTER_ROOT": str(master.root), "DATABASE_URL": master.database_url,
        "FREEHOLD_NODE_ROOT": str(machine.root),
        "MASTER": master.url, "OWNER": OWNER, "AUTHORITY": str(master.authority),
    }  # fmt: skip
    reader = Reader(folder, environment)
    (folder / "software").symlink_to(REPOSITORY / "software")
    reader.run(OWNER_LOGIN, PASSWORD)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Reader]:
    """A reader who has nothing yet: an empty folder with the checkout's releases, and a machine of their own."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "software").symlink_to(REPOSITORY / "software")
    # Partitions have users of their own, who must be able to pass through the folders above theirs.
    node = Path(tempfile.mkdtemp(prefix="freehold-", dir="/var/tmp"))
    node.chmod(0o711)
    reader = Reader(folder, {"NODE": str(node), "PORT": str(free_port()), "DATABASE_URL": f"sqlite:///{tmp_path}/db"})
    try:
        yield reader
    finally:
        reader.run("kill $(jobs -p) || true")
        reader.close()
        machine = Machine.__new__(Machine)
        machine.root, machine.environment, machine._agent = node, {}, None
        machine.remove()


@pytest.fixture(scope="module", autouse=True)
def customers(usual_grace: None, master: Master) -> None:
    for project in ("shop", "partner"):
        master.cli("project", project)
    for email in ("ann@example.org", "customer@shop.example"):
        master.cli("person", email, "--project", "shop", "--password-file", "-", secret=PASSWORD)
    master.site("home")


# What is done with each block


def _dev_knows(block: Block) -> None:
    """`./dev` has such a command, with such options, and what it is to test is there."""
    known = (REPOSITORY / "dev").read_text()
    for command in block.commands():
        words = shlex.split(command, comments=True)
        if words[0] == "./dev":
            assert re.search(rf"^    ([a-z|-]+\|)?{words[1]}(\|[a-z|-]+)?\)", known, re.MULTILINE), command
            for word in words[2:]:
                assert word in ("-k", "plan") or word in known or (REPOSITORY / word).exists(), word


def _unit(block: Block) -> None:
    """A unit for systemd, whose program our parser can read."""
    unit = configparser.ConfigParser(interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.text)
    assert set(unit["Service"]) <= {"ExecStart", "Restart", "KillMode"}
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program == "/opt/freehold/bin/freehold"
    _parse(arguments)


def _profile(block: Block) -> None:
    """A profile that buildout reads, of recipes that there are and that know each of its options."""
    from importlib.metadata import entry_points

    ours = (point for point in entry_points(group="zc.buildout") if point.value.startswith("freehold."))
    recipes = {f"freehold:{point.name}": point for point in ours}
    sections = zc.buildout.configparser.parse(io.StringIO(block.text), block.page)
    assert sections.get("buildout", {}).get("parts", "") in ("", *sections)
    for name, options in sections.items():
        if name == "buildout":
            continue
        recipe = options["recipe"]
        assert recipe in recipes, recipe
        source = Path(sys.modules[recipes[recipe].load().__module__].__file__ or "").read_text()
        pages = [(REPOSITORY / "docs" / "authors" / name).read_text() for name in ("recipes.md", "reference.md")]
        for option in options:
            known = option.partition("-")[0] + "-" if option.startswith("config-") else option
            described = known in source or any(f"`{option}" in page for page in pages)
            assert option == "recipe" or described or recipe == "freehold:publish", option


def _keys(block: Block) -> None:
    """Keys of a bucket, as a node reads them."""
    from freehold.cache.bucket import keys_for

    with tempfile.NamedTemporaryFile("w") as file:
        file.write(block.text)
        file.flush()
        assert keys_for("s3+https://store.example/builds", Path(file.name)).region == "us-east-1"


def _chain(block: Block) -> None:
    """How reports are chained, computed as the page says it."""
    from freehold.protocol.report import GENESIS, link

    assert "32 zero bytes" in block.text
    assert "SHA-256( hash(n-1) as 32 bytes" in block.text
    assert bytes(32).hex() == GENESIS
    assert link(GENESIS, b"body") == hashlib.sha256(bytes(32) + b"body").hexdigest()


def _code(block: Block) -> dict[str, Any]:
    """Python that runs below what the page has before it."""
    from freehold.release import Context

    names: dict[str, Any] = {}
    exec("from freehold.release import *", names)
    names["bin"] = Path("/software/bin")
    names["context"] = Context("i", "t", "default", "127.0.0.1", Path("/p"), Path("/s"), Path("/r"))
    exec(compile(block.text, f"{block.page}:{block.line}", "exec"), names)
    return names


def _plugin(block: Block) -> None:
    """A promise in a plug-in file, which looks at a folder of its partition."""
    names: dict[str, Any] = {}
    exec(compile(block.text, block.page, "exec"), names)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as partition:
        os.chdir(partition)
        try:
            Path("srv/inbox").mkdir(parents=True)
            assert names["promise"].check().kept
        finally:
            os.chdir(before)


def _tested(block: Block) -> None:
    """A test of a release: put into the folder of one, with its name, and run as its author does."""
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "hello"
        shutil.copytree(REPOSITORY / "software" / "hello", folder, ignore=shutil.ignore_patterns("test_*.py"))
        (folder / "test_page.py").write_text(block.text.replace('"web"', '"hello"'))
        done = subprocess.run(
            [sys.executable, "-m", "freehold.cli", "software", "test", str(folder)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout


def _order(block: Block) -> None:
    """Three processes, each after the one before, of which a plan can be made."""
    from freehold.release import Plan

    made = _code(block)
    plan = Plan(processes=(made["database"], made["application"], made["front"]))
    assert [[one.name for one in process.after] for process in plan.processes] == [[], ["database"], ["application"]]


def _supervised(block: Block) -> None:
    from freehold.node.partition import layout

    said = layout._SUPERVISED.search(block.text.encode())
    assert said is not None
    assert json.loads(said[1]) == {"after": ["database"], "stop_timeout": 60}


def _declared(block: Block) -> None:
    """What a type declares to request; the page leaves out what else a type has."""
    tree = ast.parse(block.text.replace("…", "'Server', None, None, None"))
    call = tree.body[0].value  # type: ignore[attr-defined]
    assert call.func.id == "Type"
    names = _code(Block(block.page, block.line, f"made = {ast.unparse(call.keywords[0].value)}"))
    assert [(one.product, one.number, one.apart) for one in names["made"]] == [
        ("hello", 1, None), ("postgresql", 1, None), ("worker", 4, None), ("replica", "replicas", None),
        ("voter", 3, "node"),
    ]  # fmt: skip


def _descriptor(block: Block) -> None:
    """The same in a descriptor, as a Master reads it."""
    import msgspec

    from freehold.protocol.descriptor import RequestDescriptor

    said = json.loads("{" + block.text + "}")["requests"]
    found = [msgspec.convert(one, RequestDescriptor) for one in said]
    assert [(one.product, one.type, one.shared, one.number) for one in found] == [
        ("hello", "default", False, 1), ("postgresql", "database", True, 1), ("replica", "default", False, "replicas")
    ]  # fmt: skip


def _parse(arguments: list[str]) -> None:
    from freehold import cli

    try:
        cli._parser(arguments).parse_args(arguments)
    except SystemExit:
        pytest.fail(f"there is no such command: {shlex.join(arguments)}")


def _substituted(block: Block) -> None:
    """Each command whose output a shell takes can be read."""
    commands = re.findall(r"freehold [^)#\n]+", block.text)
    assert commands
    for command in commands:
        _parse(shlex.split(command)[1:])


def _serves(reader: Reader) -> object:
    return until(lambda: "Serving" in reader.output() or "running on" in reader.output(), 30, "The Master's start")


def _is_seen(reader: Reader) -> object:
    """The Master has heard what the machine offers."""
    return until(lambda: '"partitions": 8' in reader.run("freehold node list --json"), 30, "The node's first report")


LOGIN = "freehold login $MASTER --password-file - --authority $AUTHORITY"
OWNER_LOGIN = f"{LOGIN} --email $OWNER --scopes {' '.join(ALL_SCOPES)}"
CUSTOMER_LOGIN = f"{LOGIN} --email customer@shop.example"
SELLER_ABROAD = """freehold billing entity '{"code": "CHE", "name": "Hosting AG", "address": "Bern", "country": "CH",
    "currency": "CHF", "time_zone": "Europe/Zurich"}'"""
SERVES, IS_SEEN = {"freehold master serve": _serves}, {"freehold node run": _is_seen}
OTHER_YEAR = {
    "2027-01-01": TODAY.isoformat(), "2027-12-31": (TODAY + timedelta(days=365)).isoformat(), '"2027"': f'"{TODAY}"',
}  # fmt: skip
OWN_MACHINE = {
    "/var/lib/freehold-master": "$PWD/master", "/srv/freehold": "$NODE", "8443": "$PORT", "0.0.0.0": "127.0.0.1",
    "freehold node prepare": "freehold node prepare" + ("" if os.geteuid() == 0 else " --unprivileged"),
}  # fmt: skip
"""Where a reader's own machine has what this one must not be given."""
CUSTOMER = {"cust-…": r"(cust-\w+)"}

CHECKS: dict[str, dict[str, Use]] = {
    "README.md": {
        "./dev up        # installs": Checked(_dev_knows),
        "Master and panel   https://127.0.0.1:8443/": Shown("what `./dev up` prints"),
        "./dev freehold request shop hello": Pasted({"./dev freehold": "freehold"}),
        "./dev freehold show shop": Pasted({"./dev freehold": "freehold"}),
    },
    "CONTRIBUTING.md": {
        "./dev setup ": Checked(_dev_knows),
    },
    "docs/authors/clusters.md": {
        'RequestType("nats"': Elsewhere("tests/journeys/test_nats.py"),
        "```": Elsewhere("tests/journeys/test_nats.py"),
    },
    "docs/authors/first-release.md": {
        "```": Elsewhere("tests/journeys/test_walk.py"),
        "./dev setup": Checked(_dev_knows),
        "freehold release publish redis": Parsed("it needs what the walk makes; reference.md runs the same"),
    },
    "docs/authors/promises.md": {
        "[room]": Elsewhere("tests/unit/recipes/test_recipes.py"),
        "from pathlib import Path": Checked(_plugin),
        "import os": Elsewhere("tests/unit/node/test_promises.py"),
        "#!/bin/sh": Elsewhere("tests/unit/node/test_promises.py"),
    },
    "docs/authors/recipes.md": {
        "[buildout]": Checked(_profile),
        "freehold software lock FOLDER": Parsed("it asks the archives of Debian; the walk locks a release"),
    },
    "docs/authors/reference.md": {
        "from typing import Annotated": Elsewhere("tests/unit/test_documents.py"),
        "import msgspec": Elsewhere("tests/unit/test_documents.py"),
        'database = Process("database"': Checked(_order),
        "# supervised: ": Checked(_supervised),
        "Type(…, requests=(": Checked(_declared),
        '"requests": [{"product"': Checked(_descriptor),
        "[page]": Checked(_profile),
        "freehold release publish FOLDER": Pasted({"FOLDER": "software/hello", "NAME": "hello"}),
    },
    "docs/authors/testing.md": {
        "from pathlib import Path": Checked(_tested),
    },
    "docs/billing.md": {
        "freehold billing grant ": Pasted(),
        "freehold billing entity ": Pasted(OTHER_YEAR),
        "freehold billing customer ": Pasted(CUSTOMER),
        "freehold billing payment-events FR ": Pasted(CUSTOMER),
        "freehold quote small": Pasted({"HASH": r"--quote ([0-9a-f]{64})"}, before=(CUSTOMER_LOGIN,), given=PASSWORD),
        "freehold billing terms FR ": Pasted(before=(OWNER_LOGIN,), given=PASSWORD),
        "freehold billing tax-rule CHE ": Pasted(OTHER_YEAR, before=(SELLER_ABROAD,)),
        "freehold billing documents FR ": Pasted(before=(OWNER_LOGIN,), given=PASSWORD),
        "freehold invoice FR-2027-000001 --pdf ": Parsed("tests/unit/master/test_document_pdf.py fetches them"),
        "freehold billing statement FR ": Parsed("a bank makes the file; test_statements.py reads some"),
        "freehold billing report FR ": Pasted(OTHER_YEAR),
        "freehold billing site-cost ": Pasted(
            {**OTHER_YEAR, "SHA-256 of the bill": hashlib.sha256(b"the bill").hexdigest()}
        ),
    },
    "docs/command-line.md": {
        "URL=$(freehold request shop": Checked(_substituted),
        'eval "$(freehold completion bash)"': Checked(_substituted),
    },
    "docs/notifications.md": {
        "freehold notifications show": Parsed("test_account_commands.py runs the same"),
        "freehold webhook add ": Parsed("test_account_commands.py runs the same"),
        "```": Elsewhere("tests/unit/master/test_webhooks.py"),
    },
    "docs/operators.md": {
        "[Service]": Checked(_unit),
        "freehold master person ann@example.org ": Pasted(given=PASSWORD),
        "freehold master resume ": Pasted(),
        "freehold master status ": Pasted(),
        "freehold node orphans ": Pasted(
            only_parsed={"freehold node orphans --destroy": "nothing was forgotten; test_takeover.py ends what was"}
        ),
        "freehold node letter write ": Pasted(),
        "freehold node builder ": Pasted(),
        "freehold node cache ": Pasted({"/media/disk": "$PWD/disk", "KEY": "00" * 32}, before=("mkdir disk",)),
        "freehold cache export ": Pasted(
            {"/media/disk": "$PWD/disk", "/srv/freehold/kept": "$FREEHOLD_NODE_ROOT/kept"},
            only_parsed={"freehold cache export s3": "there is no such bucket; tests/unit/cache has one of its own"},
        ),
        "[store.example]": Checked(_keys),
        "freehold quota ": Pasted(),
    },
    "docs/protocol.md": {
        "hash(0) = 32 zero bytes": Checked(_chain),
    },
    "docs/tutorial.md": {
        "(umask 077; head -c 12 /dev/urandom | base64 > owner.password)": Pasted(OWN_MACHINE, pause=SERVES),
        "freehold login ": Pasted(OWN_MACHINE),
        "freehold release publish ": Pasted(),
        "freehold site add ": Pasted(),
        "freehold node prepare ": Pasted(OWN_MACHINE, pause=IS_SEEN),
        "freehold supply hello --all": Pasted(),
        "freehold request shop hello ": Pasted(),
        "(umask 077; head -c 12 /dev/urandom | base64 > ann.password)": Pasted(OWN_MACHINE),
        "freehold destroy shop ": Pasted(OWN_MACHINE),
    },
}  # fmt: skip
"""By page, and the beginning of a block (or "```": of any between fences): what is done with it."""


@pytest.mark.parametrize("page", PAGES)
def test_each_block_of_a_page_is_used_by_a_test(page: str) -> None:
    for block in blocks(page):
        assert _use(block), f"{page}:{block.line} is a block that nothing tests: say in CHECKS what is done with it"
    used = {begin for block in blocks(page) for begin in [_known(block)] if begin}
    assert set(CHECKS.get(page, {})) == used, "blocks that the page has no more"


@pytest.mark.parametrize("page", sorted(CHECKS))
def test_a_page_does_what_it_says(page: str, request: pytest.FixtureRequest) -> None:
    for block in blocks(page):
        match _use(block):
            case Pasted() as pasted:
                who = "newcomer" if page == "docs/tutorial.md" else "reader"
                _paste(request.getfixturevalue(who), block, pasted)
            case Parsed():
                for command in block.commands():
                    _parse(shlex.split(command, comments=True)[1:])
            case Elsewhere(test):
                assert Path(page).name in (REPOSITORY / test).read_text(), f"{test} does not read {page}"
            case Checked(check):
                check(block)


def test_a_new_block_without_a_way_to_be_checked_is_noticed() -> None:
    assert _use(Block("docs/billing.md", 1, "freehold billing levitate FR")) is None
    assert _use(Block("docs/billing.md", 1, "freehold billing terms FR '{}'")) is not None


def _known(block: Block) -> str | None:
    """Return the entry of the table for a block: the longest with which it begins."""
    known = CHECKS.get(block.page, {})
    fitting = [begin for begin in known if block.text.startswith(begin)]
    return max(fitting, key=len) if fitting else "```" if block.fenced and "```" in known else None


def _use(block: Block) -> Use | None:
    begin = _known(block)
    return CHECKS[block.page][begin] if begin else None


def _paste(reader: Reader, block: Block, pasted: Pasted) -> None:
    for command in pasted.before:
        reader.run(command, pasted.given)
    for command in block.commands():
        begin = next((begin for begin in pasted.only_parsed if command.startswith(begin)), None)
        if begin is not None:
            _parse(shlex.split(command, comments=True)[1:])
            continue
        reader.run(reader.filled(command, pasted.fill), pasted.given)
        for start, wait in pasted.pause.items():
            if command.startswith(start):
                wait(reader)
