"""The one command: it says what it can do, and loads only what the command needs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from freehold import __version__
from freehold.command_parser import GroupedParser


def cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "freehold.cli", *arguments],
        env={**os.environ, "FREEHOLD_CREDENTIALS": "/nonexistent/credentials.json"},
        capture_output=True,
        text=True,
        timeout=60,
    )


NO_GROUPS = ("options", "examples")


def _listed(group: str) -> list[str]:
    return [line.split()[0] for line in group.splitlines() if re.match(r"  \w", line)]


def test_help_names_every_command_with_examples_and_statuses() -> None:
    said = cli("--help").stdout
    groups = dict(re.findall(r"\n(\w[^\n]*):\n((?:  .*\n)+)", said))
    named = [name for title in groups if title not in NO_GROUPS for name in _listed(groups[title])]
    assert len(named) == len(set(named)), "each command is in one group"
    assert "request" in _listed(groups["services, for customers"])
    assert "billing" in _listed(groups["the books, for sales and accountants"])
    assert set(named) == {
        "login", "request", "show", "list", "start", "stop", "destroy", "supply", "release", "site", "node",
        "software", "simulate", "master", "cache", "prices", "quote", "costs", "budget", "invoices", "invoice",
        "billing", "hand-over", "tickets", "ticket", "ask", "move", "quota", "account", "people",
        "reset-password", "notifications", "webhook", "desk", "audit", "project", "logs", "events", "history",
        "restart", "run", "sign-ups", "terms",
        "whoami", "logout", "open", "completion",
    }  # fmt: skip
    assert "examples:" in said
    for status in ("0 done", "1 refused", "2 wrong usage", "3 not ready", "4 the Master cannot be reached"):
        assert status in " ".join(said.split())
    assert cli("--version").stdout == f"freehold {__version__}\n"


@pytest.mark.parametrize("command", ["request", "show", "list", "destroy", "supply", "login"])
def test_every_command_has_help_of_its_own(command: str) -> None:
    done = cli(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: freehold {command}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lst", "'lst' is not a command of freehold. Did you mean list?"),
        ("mastr init", "'mastr' is not a command of freehold. Did you mean master"),
        ("node drian x", "'drian' is not a command of freehold node. Did you mean drain"),
        ("node preprae", "'preprae' is not a command of freehold node. Did you mean prepare?"),
        ("master int", "'int' is not a command of freehold master. Did you mean init?"),
        ("site maintenance anounce", "'anounce' is not a command of freehold site maintenance. Did you mean announce?"),
        ("request shop --offr small", "--offr is not an option of freehold request. Did you mean --offer"),
        ("node drain x --dry-rn", "--dry-rn is not an option of freehold node drain. Did you mean --dry-run?"),
        ("login https://x --emial=a@b.example", "--emial is not an option of freehold login. Did you mean --email"),
        ("master serve --rot /x", "--rot is not an option of freehold master serve. Did you mean --root?"),
        ("xyzzy", "'xyzzy' is not a command of freehold. See: freehold --help"),
        ("list --xyzzy", "--xyzzy is not an option of freehold list. See: freehold list --help"),
        ("show", "the following arguments are required: title"),
        ("--project p list", "--project is not an option of freehold."),
    ],
)
def test_a_mistyped_word_names_the_nearest_that_there_is(line: str, words: str) -> None:
    done = cli(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    usage, _, said = done.stderr.partition("\nfreehold: ")
    assert usage.startswith("usage: freehold")
    assert said.startswith(words), said


def test_errors_are_json_for_who_asks_for_json() -> None:
    for line, status, kind, words in (
        ("list --json", 1, "failed", "You are not logged in."),
        ("audit --csv --json", 1, "failed", "leave --json and --field out"),
        ("lst --json", 2, "wrong-usage", "Did you mean list?"),
        ("show --json", 2, "wrong-usage", "title"),
        ("node status --root /nonexistent --json", 1, "failed", "freehold node prepare"),
    ):
        done = cli(*line.split())
        assert (done.returncode, done.stdout) == (status, "")
        document = json.loads(done.stderr)
        assert (document["type"], set(document)) == (kind, {"type", "title", "detail"}), line
        assert words in document["detail"]
    assert cli("list", "--field", "title").stderr.startswith("freehold: You are not logged in.")


def test_a_command_of_no_group_is_listed_after_those_that_have_one() -> None:
    parser = GroupedParser("tool", groups={"daily": ("eat",)})
    commands = parser.add_subparsers(metavar="COMMAND")
    commands.add_parser("rest", help="lie down")
    commands.add_parser("eat", help="have a meal")
    listed = [line.split()[0] for line in parser.format_help().splitlines() if re.search("lie down|a meal", line)]
    assert listed == ["eat", "rest"]


def test_an_option_may_be_cut_short_and_a_text_may_look_like_a_mistake() -> None:
    for line in ("show --jso shop", "show shpo", "show -- --jsno"):
        assert "You are not logged in" in cli(*line.split()).stderr, line


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh"):
        done = cli("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        (folder / shell).write_text(done.stdout)
    return {shell: folder / shell for shell in ("bash", "zsh")}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("re", {"request", "restart", "release", "reset-password"}),
        ("node dr", {"drain"}),
        ("site maintenance ", {"announce", "withdraw", "list"}),
        ("request shop --st", {"--state"}),
        ("request shop --state ", {"started", "stopped"}),
        ("completion ", {"bash", "zsh"}),
        ("master se", {"serve"}),
        ("login --authority /etc/hostn", {"/etc/hostname"}),
        ("show ", set()),
    ],
)
def test_bash_completes_what_there_is(scripts: dict[str, Path], typed: str, completed: set[str]) -> None:
    words = ["freehold", *typed.split(" ")]
    program = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "$(complete -p freehold | '
        'grep -o "_shtab[a-z_]*")" 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", str(scripts["bash"]), *words], capture_output=True, text=True, timeout=60
    )
    assert set(done.stdout.split()) == completed, done.stderr


def test_the_script_for_zsh_names_every_command_and_is_one(scripts: dict[str, Path]) -> None:
    script = scripts["zsh"].read_text()
    assert script.startswith("#compdef freehold\n")
    for words in ("whoami:", "maintenance:", "drain:", "--offered-to", "(started stopped)"):
        assert words in script
    if shutil.which("zsh"):
        done = subprocess.run(["zsh", "-n", str(scripts["zsh"])], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


CLIENT_ALONE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "freehold", "msgspec", "shtab", "_distutils_hack"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from freehold.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_where_the_client_alone_is_installed_help_tells_of_it_and_the_rest_how_to_have_it() -> None:
    def alone(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", CLIENT_ALONE, *arguments], capture_output=True, text=True, timeout=60
        )

    helped = alone("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "  request " in helped.stdout
    assert "  software " not in helped.stdout
    done = alone("software", "check", "shop")
    assert (done.returncode, done.stdout) == (1, "")
    assert "extra 'kit'" in done.stderr
    assert "Traceback" not in done.stderr
    assert alone("completion", "bash").returncode == 0
    assert alone("node", "list", "--help").returncode == 0


def test_a_customers_machine_needs_neither_master_nor_node() -> None:
    program = (
        "import sys; from freehold.cli import _parser; _parser(['list']).parse_args(['list'])\n"
        "loaded = {name for name in sys.modules if name.startswith(('freehold.master', 'freehold.node', 'django', "
        "'cryptography', 'zc.', 'shtab', 'difflib', 'webbrowser'))}\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
