"""The command line as people and their programs use it, with a real Master and a real machine."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import lives, page, shows
from support.machines import REPOSITORY, Cloud, Machine
from support.running import OWNER, PASSWORD, Master


class Person:
    """Somebody at a terminal or behind a program, with credentials of their own."""

    def __init__(self, folder: Path, master: Master) -> None:
        self.folder, self.master = folder, master
        self.url = f"https://{master.host}:{master.port}"
        self.credentials = folder / "mine" / "credentials.json"
        self.environment = {**os.environ, "FREEHOLD_CREDENTIALS": str(self.credentials)}

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "freehold.cli", *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def says(self, *arguments: str, given: str = "") -> str:
        """Run a command, which must succeed without a word of trouble, and return what it printed."""
        done = self.run(*arguments, given=given)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.says(*arguments, "--json"))

    def log_in(self, *more: str, email: str = OWNER) -> str:
        return self.says(
            "login", self.url, "--email", email, "--password-file", "-", "--authority", str(self.master.authority),
            *more, given=PASSWORD + "\n",
        )  # fmt: skip


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    return cloud.machine(unprivileged=True, title="home", partitions=6)


@pytest.fixture(scope="module")
def owner(master: Master, tmp_path_factory: pytest.TempPathFactory) -> Person:
    person = Person(tmp_path_factory.mktemp("owner"), master)
    person.log_in("--scopes", "read", "order", "operate")
    return person


@pytest.fixture(scope="module")
def hello(owner: Person, machine: Machine) -> Any:
    """Hello, published and supplied by the commands that operators use."""
    said = owner.says("release", "publish", str(REPOSITORY / "software" / "hello"))
    assert said.startswith("hello 1.0 is published as ")
    (supply,) = owner.json("supply", "hello", "--node", "home")
    assert (supply["product"], supply["node"], supply["wanted"]) == ("hello", "home", "available")
    return supply


@pytest.fixture(scope="module")
def shop(owner: Person, hello: Any) -> Any:
    """A service that others only look at."""
    return owner.json("request", "shop", "hello", "--parameters", '{"greeting": "bonjour"}', "--wait", "90")


@pytest.fixture
def stranger(master: Master, tmp_path: Path) -> Person:
    return Person(tmp_path, master)


# Logging in


def test_a_password_comes_from_standard_input_or_a_file_and_the_token_is_kept_for_oneself(stranger: Person) -> None:
    said = stranger.log_in()
    assert f"Logged in to {stranger.url}, project 'provider'. Token kept in {stranger.credentials}." in said
    assert stranger.credentials.stat().st_mode & 0o777 == 0o600
    assert stranger.credentials.parent.stat().st_mode & 0o777 == 0o700
    token = json.loads(stranger.credentials.read_text())["token"]
    assert token not in said
    assert PASSWORD not in stranger.credentials.read_text()
    secret = stranger.folder / "password"
    secret.write_text(PASSWORD + "\n")
    again = ("login", stranger.url + "/", "--email", OWNER, "--password-file", str(secret))
    stranger.says(*again, "--authority", str(stranger.master.authority))
    assert json.loads(stranger.credentials.read_text())["token"] != token
    assert stranger.says("list")


def test_a_wrong_password_leaves_the_login_that_was_there(stranger: Person) -> None:
    stranger.log_in()
    before = stranger.credentials.read_bytes()
    authority = str(stranger.master.authority)
    done = stranger.run(
        "login", stranger.url, "--email", OWNER, "--password-file", "-", "--authority", authority, given="wrong\n"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "wrong\n" not in done.stderr
    assert stranger.credentials.read_bytes() == before


def test_who_is_not_logged_in_is_told_how(stranger: Person) -> None:
    done = stranger.run("list")
    assert done.returncode == 1
    assert done.stderr == "freehold: You are not logged in. Run: freehold login URL --email YOU\n"


def test_a_master_with_another_authority_is_not_believed(stranger: Person, tmp_path: Path) -> None:
    login = ("login", stranger.url, "--email", OWNER, "--password-file", "-")
    done = stranger.run(*login, given=PASSWORD)
    assert done.returncode == 4
    assert "did not prove to be your Master" in done.stderr
    assert "--authority FILE" in done.stderr
    assert not stranger.credentials.exists()


def test_one_sees_as_whom_one_is_logged_in_and_logs_out(stranger: Person) -> None:
    stranger.log_in("--scopes", "read", "order")
    expected = {
        "master": stranger.url,
        "email": OWNER,
        "project": "provider",
        "roles": {"provider": "owner"},
        "scopes": ["order", "read"],
    }
    assert stranger.json("whoami") == expected
    words = stranger.says("whoami")
    for part in (OWNER, stranger.url, "owner of provider", "order read"):
        assert part in words
    saved = stranger.credentials.read_bytes()
    assert stranger.says("logout").startswith(f"Logged out of {stranger.url}; {stranger.credentials} is removed.")
    assert not stranger.credentials.exists()
    for command in ("whoami", "logout"):
        done = stranger.run(command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "You are not logged in." in done.stderr
    # Who kept a copy holds nothing.
    stranger.credentials.write_bytes(saved)
    done = stranger.run("whoami")
    assert (done.returncode, "was revoked" in done.stderr) == (1, True)
    assert stranger.json("logout") == {"master": stranger.url, "token_ended": True}, "it had ended before"


def test_a_login_of_an_older_version_is_removed_and_its_token_named(stranger: Person) -> None:
    stranger.log_in()
    saved = json.loads(stranger.credentials.read_text())
    del saved["token_id"]
    stranger.credentials.write_text(json.dumps(saved))
    assert stranger.json("whoami")["email"] == OWNER
    words = stranger.says("logout")
    assert "older Freehold" in words
    assert f"{stranger.url}/account/tokens" in words
    assert not stranger.credentials.exists()


def test_the_panel_and_the_page_of_a_service_have_an_address(stranger: Person, shop: Any) -> None:
    stranger.log_in()
    assert stranger.says("open") == f"{stranger.url}/\n"
    assert stranger.json("open", "shop") == {"url": f"{stranger.url}/services/provider/shop"}
    done = stranger.run("open", "nothing-like-it")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("display", "opened"), [(":7", True), ("", False)])
def test_a_browser_is_opened_on_a_terminal_with_a_display_only(
    stranger: Person, tmp_path: Path, display: str, opened: bool
) -> None:
    stranger.log_in()
    browser, visited = tmp_path / "browser", tmp_path / "visited"
    browser.write_text(f'#!/bin/sh\necho "$1" > {visited}\n')
    browser.chmod(0o755)
    stranger.environment |= {"BROWSER": f"{browser} %s", "DISPLAY": display, "WAYLAND_DISPLAY": ""}
    stranger.says("open")
    assert not visited.exists(), "a program reads the address, and wants no browser"
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "freehold.cli", "open"], env=stranger.environment, stdout=theirs, check=True, timeout=60
    )
    os.close(theirs)
    assert os.read(ours, 1000).decode().strip() == f"{stranger.url}/"
    os.close(ours)
    assert (visited.read_text().strip() if visited.exists() else "") == (f"{stranger.url}/" if opened else "")


# A service, from request to destruction


def test_a_request_waits_until_the_page_answers(shop: Any, owner: Person) -> None:
    assert (shop["state"], shop["ready"], shop["promises_kept"]) == ("started", True, True)
    assert "bonjour" in page(shop["publication"]["url"])
    shown = owner.says("show", "shop")
    for line in (
        "shop: started",
        'parameter   greeting = "bonjour"',
        f"publication url = {shop['publication']['url']}",
    ):
        assert line in shown
    assert "promise     page: kept" in shown
    assert owner.json("show", "shop")["id"] == shop["id"]
    listed = owner.says("list").splitlines()
    assert listed[0].split() == ["TITLE", "PRODUCT", "STATE", "PROMISES", "NODE", "URL"]
    assert any(line.split()[:5] == ["shop", "hello", "1.0", "started", "kept"] for line in listed)


def test_parameters_come_from_a_file_or_standard_input(owner: Person, hello: Any, tmp_path: Path) -> None:
    desired = tmp_path / "wish.json"
    desired.write_text('{"greeting": "from a file"}')
    answer = owner.json("request", "files", "hello", "--parameters", f"@{desired}", "--dry-run")
    assert answer["created"]
    said = owner.says("request", "files", "hello", "--parameters", "-", "--dry-run", given='{"greeting": "piped"}')
    assert said.startswith("Would create it, on node ")
    assert owner.run("show", "files").returncode == 1, "a dry run keeps nothing"


def test_one_parameter_is_changed_and_the_others_stay(owner: Person, hello: Any, tmp_path: Path) -> None:
    secret = tmp_path / "greeting"
    secret.write_text("from a file\n")
    owner.says("request", "piece", "hello", "--parameters", '{"greeting": "first"}')
    assert owner.json("request", "piece", "--set", "greeting=good morning")["parameters"]["greeting"] == "good morning"
    assert owner.json("request", "piece", "--set", f"greeting=@{secret}")["parameters"]["greeting"] == "from a file"
    refused = owner.run("request", "piece", "--set", "greeting=42")
    assert (refused.returncode, "42" in refused.stderr) == (1, True), "what is JSON is taken as such"
    assert owner.json("request", "piece", "--set", 'greeting="42"')["parameters"] == {"greeting": "42"}
    assert owner.json("request", "piece", "--unset", "greeting")["parameters"] == {}
    for wrong, words in (
        (("--set", "greeting"), "NAME=VALUE"),
        (("--set", "=x"), "NAME=VALUE"),
        (("--set", "greeting=a", "--unset", "greeting"), "named twice"),
        (("--set", "greeting=@/no/such"), "cannot be read"),
        (("--set", "greting=a"), "There is no 'greting' here; do you mean 'greeting'?"),
    ):
        done = owner.run("request", "piece", *wrong)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert owner.json("show", "piece")["parameters"] == {}
    created = owner.json("request", "made", "hello", "--set", "greeting=NaN", "--dry-run")
    assert created["created"], "of a new service there is nothing to keep"


def test_stop_start_and_destroy_end_when_they_are_done(owner: Person, hello: Any, machine: Machine) -> None:
    url = owner.json("request", "brief", "hello", "--wait", "90")["publication"]["url"]
    assert owner.says("stop", "brief", "--wait", "30").startswith("brief: stopped")
    assert not shows(url, "hello")()
    assert owner.json("start", "brief", "--wait", "30")["state"] == "started"
    assert shows(url, "hello")()
    assert "Would destroy 'brief' and its data, on node home." in owner.says("destroy", "brief", "--dry-run")
    assert "brief: would run on, unheard of" in owner.says("node", "revoke", "home", "--dry-run")
    moved = owner.run("move", "brief", "--dry-run")
    assert (moved.returncode, "no node has a free partition" in moved.stderr) == (1, True), "there is one machine only"
    assert owner.json("show", "brief")["state"] == "started", "nothing of that was done"
    asked = owner.run("destroy", "brief")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "say --yes" in asked.stderr
    assert shows(url, "hello")(), "what was not confirmed was not done"
    assert owner.json("destroy", "brief", "--yes", "--wait", "30")["state"] == "destroyed"
    assert not shows(url, "hello")()
    assert "brief" not in owner.says("list")


def test_who_waits_too_short_gets_status_3_and_the_service_comes_anyway(owner: Person, hello: Any) -> None:
    done = owner.run("request", "later", "hello", "--wait", "0")
    assert done.returncode == 3
    assert done.stderr.startswith("freehold: 'later' is ")
    assert owner.json("show", "later", "--wait", "60")["ready"]
    owner.says("destroy", "later", "--yes", "--wait", "30")


def test_a_wrong_parameter_is_told_with_field_rule_value_and_remedy(owner: Person, hello: Any) -> None:
    done = owner.run("request", "wrong", "hello", "--parameters", json.dumps({"greeting": 42}))
    assert (done.returncode, done.stdout) == (1, "")
    head, *lines = done.stderr.splitlines()
    assert head.startswith("freehold: ")
    assert any("parameters.greeting" in line and "string" in line and "42" in line for line in lines)
    assert len(lines) >= 2, "and what to do"
    assert owner.run("show", "wrong").returncode == 1
    nowhere = owner.run("request", "wrong", "hello", "--constraints", '{"node": "elsewhere"}')
    assert nowhere.returncode == 1
    assert "elsewhere" in nowhere.stderr


def test_a_script_reads_one_field_and_errors_as_problem_documents(owner: Person, shop: Any) -> None:
    assert owner.says("show", "shop", "--field", "publication.url") == shop["publication"]["url"] + "\n"
    assert "shop" in owner.says("list", "--field", "title").splitlines()
    done = owner.run("show", "shop", "--field", "publication.ulr")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Fields there: " in done.stderr
    assert "url" in done.stderr.partition("Fields there: ")[2]
    done = owner.run("show", "no-such-shop", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    document = json.loads(done.stderr)
    assert (document["type"], document["status"]) == ("not-found", 404)
    done = owner.run("request", "odd", "hello", "--parameters", '{"greetin": 1}', "--json")
    (wrong,) = json.loads(done.stderr)["errors"]
    assert "greetin" in wrong["field"] + wrong["rule"]
    done = owner.run("request", "slow", "hello", "--wait", "0", "--json")
    assert (done.returncode, json.loads(done.stderr)["type"]) == (3, "not-ready")
    owner.says("destroy", "slow", "--now", "--yes", "--wait", "60")


def test_progress_is_for_terminals_only(owner: Person, shop: Any) -> None:
    command = [sys.executable, "-m", "freehold.cli", "request", "shop", "--parameters"]
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*command, '{"greeting": "on a terminal"}', "--wait", "60", "--json"],
            env=owner.environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=90,
        )  # fmt: skip
        written = os.read(ours, 65536).decode() if select.select([ours], [], [], 5)[0] else ""
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0
    assert json.loads(done.stdout)["ready"]
    assert "shop: started" in written
    quiet = owner.run("request", "shop", "--parameters", '{"greeting": "bonjour"}', "--wait", "60")
    assert (quiet.returncode, quiet.stderr) == (0, "")


# The fleet


def test_the_fleet_is_listed_labelled_closed_and_opened(owner: Person, hello: Any) -> None:
    assert owner.says("site", "add", "attic", "--region", "eu") == "Site 'attic' is there.\n"
    assert owner.json("site", "change", "attic", "--expected-silence", "3600")["expected_silence"] == 3600
    assert {"name": "attic", "region": "eu", "nodes": 0, "expected_silence": 3600} in owner.json("site", "list")
    assert owner.says("site", "list").splitlines()[0].split() == ["SITE", "REGION", "NODES", "EXPECTED", "SILENCE"]
    assert owner.says("node", "token", "--site", "attic").startswith("fh1.")
    (node,) = owner.json("node", "list")
    assert (node["title"], node["open"], node["partitions"]) == ("home", True, 6)
    assert owner.says("node", "label", "home", "disk=ssd", "room=a b") == "Node 'home': disk=ssd, room=a b\n"
    assert owner.says("node", "close", "home") == "Node 'home' is closed for new services.\n"
    refused = owner.run("request", "closed", "hello")
    assert refused.returncode == 1
    assert "close" in refused.stderr
    assert owner.json("node", "open", node["id"])["open"]
    assert owner.says("node", "label", "home") == "Node 'home': no labels\n"
    listed = owner.says("supply").splitlines()
    assert listed[0].split() == ["PRODUCT", "RELEASE", "NODE", "WANTED", "OBSERVED"]
    (release,) = owner.json("release", "list", "hello")
    assert (release["version"], release["types"][0]["name"]) == ("1.0", "default")
    assert "hello" in owner.says("release", "list")
    assert "Say where" in owner.run("supply", "hello").stderr


def test_a_revoked_node_is_nobody(owner: Person, master: Master) -> None:
    pocket = master.node("stolen", site="street")
    assert pocket.call("GET", "/node/v1/feed?since=0&wait=0")[0] == 200
    asked = owner.run("node", "revoke", "stolen")
    assert (asked.returncode, "say --yes" in asked.stderr) == (1, True)
    assert owner.says("node", "revoke", "stolen", "--yes") == "Node 'stolen' is nobody here any more.\n"
    assert pocket.call("GET", "/node/v1/feed?since=0&wait=0")[0] in (401, 403)


def test_a_node_tells_what_runs_and_stops_with_or_without_its_services(
    shop: Any, owner: Person, machine: Machine
) -> None:
    said = machine.cli("status").stdout
    assert f"node 'home' of {owner.url}" in said
    assert "agent runs, supervisor runs" in said
    assert f"{shop['partition']}: shop started (wanted started) page kept" in said
    pids, agent = machine.pids("shop"), machine.agent_pid
    done = machine.cli("stop", "--keep-services")
    assert (done.returncode, done.stdout) == (0, "The agent has ended; its services go on.\n")
    machine.kill()
    assert not lives(agent)
    assert machine.pids("shop") == pids
    assert "agent does NOT run, supervisor runs" in machine.cli("status").stdout
    assert machine.cli("stop", "--keep-services").returncode == 0, "twice does no harm"
    machine.start()
    assert machine.pids("shop") == pids
    second = machine.cli("run")
    assert second.returncode == 1
    assert "An agent runs already" in second.stderr


# Mistakes and secrets

MISTAKES: dict[str, tuple[str, int, str]] = {
    "no command": ("", 2, "usage"),
    "no such command": ("dance", 2, "is not a command of freehold"),
    "no title": ("request", 2, "title"),
    "no such state": ("request shop --state destroyed", 2, "invalid choice"),
    "wait for how long": ("show shop --wait long", 2, "is not a number of seconds"),
    "wait less than nothing": ("show shop --wait -5", 2, "is not a number of seconds"),
    "wait for a nan": ("show shop --wait nan", 2, "is not a number of seconds"),
    "unknown product": ("request new nothing", 1, "nothing"),
    "unknown service": ("show nobody", 1, "nobody"),
    "unknown release": ("request new hello --release 99", 1, "99"),
    "unknown type": ("request new hello --type huge", 1, "huge"),
    "unknown project": ("list --project elsewhere", 1, "elsewhere"),
    "odd title": ("request ../x hello", 1, "title"),
    "empty title": ("show @EMPTY@", 1, "title"),
    "title that is no text": ("show \udcff", 1, "text"),
    "parameters are no json": ("request new hello --parameters {", 1, "--parameters is not JSON"),
    "parameters are a list": ("request new hello --parameters []", 1, "must be a JSON object"),
    "parameters with nan": ('request new hello --parameters {"a":NaN}', 1, "--parameters is not JSON"),
    "parameters with half a letter": ('request new hello --parameters {"a":"\\ud800"}', 1, "--parameters is not JSON"),
    "parameters very deep": ("request new hello --parameters " + '{"a":' * 3000 + "1" + "}" * 3000, 1, "JSON"),
    "parameters with a huge number": ('request new hello --parameters {"a":' + "9" * 6000 + "}", 1, "--parameters"),
    "parameters in no file": ("request new hello --parameters @/no/such", 1, "/no/such cannot be read"),
    "parameters in a folder": ("request new hello --parameters @/etc", 1, "/etc cannot be read"),
    "parameters in no text": ("request new hello --parameters @@BINARY@", 1, "cannot be read"),
    "constraints are no json": ("request new hello --constraints x", 1, "--constraints is not JSON"),
    "unknown constraint": ('request new hello --constraints {"moon":"full"}', 1, "moon"),
    "release in no folder": ("release publish /no/such", 1, "/no/such is not a folder"),
    "release without a descriptor": ("release publish @FOLDER@", 1, "software.cfg.json"),
    "label without a value": ("node label home ssd", 1, "NAME=VALUE"),
    "unknown node": ("node close nowhere", 1, "nowhere"),
    "unknown site": ("node token --site nowhere", 1, "nowhere"),
    "site without a name": ("site add", 2, "name"),
    "supply of nothing": ("supply nothing --all", 1, "nothing"),
    "login to no url": ("login master --email a@b.example --password-file @SECRET@", 1, "is not a Master's URL"),
    "login without tls": ("login http://x --email a@b.example --password-file @SECRET@", 1, "is not a Master's URL"),
    "login to an odd port": ("login https://x:port --email a@b.example --password-file @SECRET@", 1, "Master's URL"),
    "login to an odd host": ("login https://[x --email a@b.example --password-file @SECRET@", 1, "Master's URL"),
    "login to nobody": ("login https://127.0.0.1:1 --email a@b.example --password-file @SECRET@", 4, "be reached"),
    "login without a password": ("login https://x --email a@b.example --password-file /no/such", 1, "cannot be read"),
    "login with no authority": (
        "login https://x --email a@b.example --password-file @SECRET@ --authority @SECRET@", 1, "authority",
    ),
    "node that is none": ("node status --root @FOLDER@", 1, "freehold node prepare"),
    "node to run that is none": ("node run --root @FOLDER@", 1, "freehold node prepare"),
    "no partitions": ("node prepare --unprivileged --root @FOLDER@/n --partitions -1", 1, "partition"),
    "odd network": ("node prepare --unprivileged --root @FOLDER@/n --network moon", 1, "--network"),
    "node below a file": ("node prepare --unprivileged --root @SECRET@/n", 1, "--root"),
    "enrol with a token that is none": (
        "node enrol --root @FOLDER@ --master https://x --token-file @BINARY@", 1, "does not hold a token",
    ),
    "enrol without a token": ("node enrol --root @FOLDER@ --master https://x --token-file /no/such", 1, "/no/such"),
    "software of no folder": ("software schema /no/such", 1, "has no instance.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained_and_never_a_traceback(name: str, owner: Person, hello: Any, tmp_path: Path) -> None:
    line, status, words = MISTAKES[name]
    (tmp_path / "secret").write_text(PASSWORD)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    places = {"@EMPTY@": ""} | {f"@{one.upper()}@": str(tmp_path / one) for one in ("secret", "binary", "folder")}
    arguments = line.split()
    for mark, place in places.items():
        arguments = [one.replace(mark, place) for one in arguments]
    done = owner.run(*arguments)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert (done.returncode, done.stdout) == (status, ""), done.stderr[-2000:]
    assert words in done.stderr
    assert len(done.stderr) < 3000
    assert PASSWORD not in done.stderr


def test_broken_credentials_are_explained(stranger: Person) -> None:
    stranger.credentials.parent.mkdir()
    for content in (
        b"",
        b"{}",
        b"\xff",
        b'{"master": "https://x", "token": "t", "project": "p", "authority": "no pem"}',
    ):
        stranger.credentials.write_bytes(content)
        done = stranger.run("list")
        assert done.returncode == 1
        assert done.stderr.startswith("freehold: ")
        assert "Log in again" in done.stderr
    stranger.credentials.unlink()
    stranger.credentials.mkdir()
    done = stranger.run("list")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    done = stranger.run(
        "login", stranger.url, "--email", OWNER, "--password-file", "-", "--authority", str(stranger.master.authority),
        given=PASSWORD,
    )  # fmt: skip
    assert (done.returncode, "cannot be written" in done.stderr) == (1, True), done.stderr


def test_what_reads_our_output_may_stop_reading(owner: Person, shop: Any) -> None:
    done = subprocess.run(
        f"{sys.executable} -m freehold.cli show shop --json | true; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", env=owner.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_no_secret_is_seen_by_others(owner: Person, shop: Any, machine: Machine, master: Master) -> None:
    """Neither in the list of processes, nor in a log, while a command works and after it."""
    token = json.loads(owner.credentials.read_text())["token"]
    fresh = owner.says("node", "token", "--site", "home").strip()
    secrets = [PASSWORD, token, fresh.split(".")[1]]
    waiting = subprocess.Popen(
        [sys.executable, "-m", "freehold.cli", "login", owner.url, "--email", OWNER, "--password-file", "-",
         "--authority", str(master.authority)],
        env=Person(machine.root, master).environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert waiting.stdin is not None
    seen = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert f"login {owner.url}" in seen
    waiting.stdin.write(PASSWORD.encode() + b"\n")
    waiting.stdin.close()
    assert waiting.wait(30) == 0
    logs = [path for root in (machine.root, master.root) for path in root.rglob("*.log")]
    assert len(logs) > 3
    texts = {"ps": seen, **{str(path): path.read_text(errors="replace") for path in logs}}
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name


def test_a_master_that_is_away_is_status_4_and_stops_nothing(owner: Person, shop: Any, master: Master) -> None:
    url = owner.json("show", "shop")["publication"]["url"]
    master.stop()
    try:
        for command in (["list"], ["show", "shop"], ["request", "new", "hello"], ["stop", "shop"], ["node", "list"]):
            done = owner.run(*command)
            assert (done.returncode, done.stdout) == (4, "")
            assert f"{owner.url} cannot be reached" in done.stderr
            assert "Traceback" not in done.stderr
        assert "bonjour" in page(url)
        done = owner.run("whoami", "--json")
        assert (done.returncode, json.loads(done.stderr)["type"]) == (4, "unreachable")
        saved = owner.credentials.read_bytes()
        words = owner.says("logout")
        assert "cannot be reached" in words
        assert f"valid until you end it: {owner.url}/account/tokens" in words
        assert not owner.credentials.exists()
        owner.credentials.write_bytes(saved)
    finally:
        master.start()
    assert owner.json("show", "shop")["state"] == "started"
