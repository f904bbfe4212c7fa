"""The Python library of customers, with a real Master."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.cli import main
from freehold.client import (
    Client,
    ClientError,
    Credentials,
    NotReady,
    Refused,
    Unreachable,
    instance_commands,
    load_credentials,
    save_credentials,
)
from support.proxy import Proxy
from support.running import OWNER, PASSWORD, Master


@pytest.fixture(scope="module")
def client(master: Master) -> Client:
    url = f"https://{master.host}:{master.port}"
    logged_in = Client.log_in(
        url, OWNER, PASSWORD, scopes=["read", "order", "operate"], authority=master.authority.read_text()
    )
    logged_in.publish(master.release())
    master.node("cellar")
    logged_in.supply("tiny", nodes=["cellar"])
    return logged_in


def test_a_request_says_what_it_did_and_the_same_again_does_nothing(client: Client) -> None:
    trial = client.request("shop", product="tiny", dry_run=True)
    assert (trial.created, trial.instance) == (True, None)
    first = client.request("shop", product="tiny", parameters={"greeting": "bonjour"})
    assert (first.created, first.changed) == (True, True)
    assert first.instance is not None
    again = client.request("shop", product="tiny", parameters={"greeting": "bonjour"})
    assert (again.created, again.changed) == (False, False)
    shown = client.show("shop")
    assert (shown.parameters, shown.wanted, shown.ready) == ({"greeting": "bonjour"}, "started", False)
    assert [one.id for one in client.instances()] == [shown.id]


def test_by_a_proxy_a_customer_reaches_the_master_and_the_proxy_reads_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:se%20same@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert [node.title for node in Client(client.credentials).nodes()] == ["cellar"]
    assert len(proxy.asked) == 1
    assert client.credentials.token.encode() not in proxy.passed
    proxy.close()
    with pytest.raises(Unreachable, match="cannot be reached"):
        Client(client.credentials).nodes()
    monkeypatch.setenv("HTTPS_PROXY", "ftp://there:1")
    with pytest.raises(ClientError, match="HTTPS_PROXY does not name a proxy"):
        Client(client.credentials).nodes()


def test_a_note_is_said_and_read_and_a_field_that_is_none_is_refused(client: Client) -> None:
    answer = client.request("noted", product="tiny", note="Ada's")
    assert answer.instance is not None
    assert (answer.instance.note, client.show("noted").note) == ("Ada's", "Ada's")
    assert "  note        Ada's" in instance_commands._describe(client.show("noted"))
    with pytest.raises(Refused) as refused:
        client.request("noted", note="x" * 201)
    assert "note" in str(refused.value)
    with pytest.raises(TypeError, match="colour"):
        client.request("noted", colour="red")


def test_a_certificate_that_is_published_stays_below_its_name(client: Client) -> None:
    client.request("signed", product="tiny")
    shown = msgspec.structs.replace(
        client.show("signed"), publication={"ca": "-----BEGIN\nMIIB\n-----END\n", "port": 1}
    )
    lines = instance_commands._describe(shown).splitlines()
    begin = lines.index("  publication ca = ")
    expected = ["      -----BEGIN", "      MIIB", "      -----END", "  publication port = 1"]
    assert lines[begin + 1 : begin + 5] == expected


def test_a_title_is_any_text_that_the_master_takes_and_never_another_address(client: Client) -> None:
    for title in ("../../releases", "a/b", "shop?dry_run=true", "shop%2e", "shop#x"):
        with pytest.raises(Refused):
            client.show(title)


def test_who_waits_in_vain_is_told_what_it_was(client: Client) -> None:
    client.request("slow", product="tiny")
    looks: list[str] = []
    with pytest.raises(NotReady, match=r"'slow' is \w+ after 0\.2 s"):
        client.wait("slow", seconds=0.2, watch=lambda instance: looks.append(instance.state))
    assert len(looks) > 1


def test_who_waits_is_told_at_once_why_it_fails_also_behind_a_program(
    client: Client, master: Master, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node = master.node("attic")
    client.supply("tiny", nodes=["attic"])
    instance = client.request("unlucky", product="tiny", constraints={"node": "attic"}).instance
    assert instance is not None
    words = "'base' was not granted: No partition fits."
    failed = {"kind": "instance", "instance": instance.id, "revision": instance.revision, "state": "failed"}
    assert node.report({**failed, "message": words})[0] == 200
    monkeypatch.setenv("FREEHOLD_CREDENTIALS", str(tmp_path / "mine.json"))
    save_credentials(client.credentials)
    assert main(["show", "unlucky", "--wait", "0.5"]) == 3
    told = capsys.readouterr().err
    assert told.startswith(f"unlucky: failed: {words}\n")
    assert told.count(f"unlucky: failed: {words}") == 1


def test_a_refusal_carries_its_document(client: Client) -> None:
    with pytest.raises(Refused) as error:
        client.request("wrong", product="tiny", parameters={"size": 11})
    (wrong,) = error.value.problem.errors
    assert (wrong.field, wrong.value) == ("parameters.size", 11)
    assert "10" in wrong.rule
    assert error.value.problem.status == 422


def test_a_client_goes_on_when_the_master_was_restarted(client: Client, master: Master) -> None:
    before = client.sites()
    master.kill()
    with pytest.raises(Unreachable, match="cannot be reached"):
        client.sites()
    master.start()
    assert client.sites() == before
    master.kill()
    master.start()
    assert client.sites() == before, "the connection that was kept is opened again"


def test_credentials_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "credentials.json"
    credentials = Credentials("https://x", "secret", "mine")
    leftover = path.with_name(".credentials.json.new")
    leftover.parent.mkdir()
    leftover.write_text("open")
    leftover.chmod(0o666)
    assert save_credentials(credentials, path) == path
    assert (load_credentials(path), path.stat().st_mode & 0o777) == (credentials, 0o600)
    assert [one.name for one in path.parent.iterdir()] == ["credentials.json"]
    with pytest.raises(ClientError, match="not logged in"):
        load_credentials(tmp_path / "none")


# Which projects a login opens


@pytest.fixture(scope="module")
def partner(master: Master) -> str:
    """The address of a person with roles in two projects."""
    email = "partner@shop.example"
    master.cli("project", "friends")
    master.person(email, "provider", "operator")
    master.cli("person", email, "--project", "friends", "--role", "customer")
    return email


def log_in(master: Master, email: str, **spec: Any) -> Client:
    url = f"https://{master.host}:{master.port}"
    return Client.log_in(url, email, PASSWORD, authority=master.authority.read_text(), **spec)


def test_who_has_several_projects_is_told_their_names_and_how_to_choose(master: Master, partner: str) -> None:
    wide = log_in(master, partner, all_projects=True)
    before = len(wide.ask_all("/me/tokens", "id"))
    for spec in ({}, {"project": "elsewhere", "all_projects": True}):
        with pytest.raises(ClientError, match="friends, provider") as error:
            log_in(master, partner, **spec)
        assert "--project NAME" in str(error.value)
        assert "--all-projects" in str(error.value)
    assert len(wide.ask_all("/me/tokens", "id")) == before, "no token is left of a login that nobody keeps"


def test_a_login_for_one_project_opens_no_other(master: Master, partner: str) -> None:
    narrow = log_in(master, partner, project="friends")
    assert narrow.instances() == []
    with pytest.raises(Refused, match="not a project of yours"):
        narrow.instances(project="provider")


def test_a_login_for_all_projects_opens_each_and_means_the_one_that_was_named(master: Master, partner: str) -> None:
    wide = log_in(master, partner, all_projects=True, project="friends")
    assert wide.credentials.project == "friends"
    assert [one["name"] for one in wide.ask("GET", "/me")["projects"]] == ["friends", "provider"]
    assert wide.instances(project="provider") is not None
    unnamed = log_in(master, partner, all_projects=True)
    assert unnamed.credentials.project == ""
    with pytest.raises(ClientError, match="Say which project: --project NAME"):
        unnamed.instances()
    assert unnamed.instances(project="friends") == []


def test_staff_with_several_projects_act_as_staff_by_a_login_for_all_of_them(master: Master, partner: str) -> None:
    master.cli("person", OWNER, "--project", "friends", "--role", "customer")
    try:
        with pytest.raises(ClientError, match="all-projects one for all of them, with what you may as staff"):
            log_in(master, OWNER)
        narrow = log_in(master, OWNER, project="provider", scopes=["read", "operate"])
        with pytest.raises(Refused, match="Only staff of this Master"):
            narrow.ask("POST", "/projects", {}, {"name": "of-staff"})
        staff = log_in(master, OWNER, all_projects=True, project="provider", scopes=["read", "operate"])
        assert staff.ask("POST", "/projects", {}, {"name": "of-staff"})["name"] == "of-staff"
    finally:
        master.cli("person", OWNER, "--project", "friends", "--role", "none")


def test_who_has_no_project_is_told_whom_to_ask_or_goes_in_without_one(master: Master, partner: str) -> None:
    master.person("nobody@shop.example", "friends")
    master.cli("person", "nobody@shop.example", "--project", "friends", "--role", "none")
    with pytest.raises(ClientError, match="ask whoever runs this Master to give you a role"):
        log_in(master, "nobody@shop.example")
    assert log_in(master, "nobody@shop.example", all_projects=True).ask("GET", "/me")["projects"] == []
