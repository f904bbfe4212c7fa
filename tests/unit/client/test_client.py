"""The Python library of customers, with a real Master."""

from pathlib import Path

import pytest

from freehold.client import (
    Client,
    ClientError,
    Credentials,
    NotReady,
    Refused,
    Unreachable,
    load_credentials,
    save_credentials,
)
from running import OWNER, PASSWORD, Master


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
