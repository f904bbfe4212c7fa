"""Who did not hear that it is a node asks again, and is; nobody else is, and nothing comes back that was taken away."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def site(master: "Master") -> str:
    master.site("here", "eu")
    return "here"


def _ask(master: "Master", pocket: Any, token: str, title: str) -> tuple[int, Any]:
    request = {"token": token.split(".")[1], "title": title, "signing_request": pocket.signing_request()}
    answer: tuple[int, Any] = pocket.call("POST", "/node/v1/enrol", request)
    return answer


def test_who_did_not_hear_the_answer_asks_again_and_is_the_same_node(master: "Master", site: str) -> None:
    pocket, token = master.pocket(), master.enrol_token(site)
    _, first = _ask(master, pocket, token, "deaf")
    status, second = _ask(master, pocket, token, "deaf")
    assert (status, second["node"], second["epoch"]) == (200, first["node"], first["epoch"])
    pocket.keep(second["certificate"])
    assert pocket.call("GET", "/node/v1/feed")[0] == 200
    assert _ask(master, master.pocket(), token, "deaf")[0] == 401, "another key"
    assert _ask(master, pocket, token, "other")[0] == 401, "another title"
    master.sql("UPDATE fleet_enroltoken SET expires_at = 1 WHERE used_by IS NOT NULL")
    assert _ask(master, pocket, token, "deaf")[0] == 401, "too late"


def test_a_used_token_gives_nothing_back_that_was_taken_away(master: "Master", site: str) -> None:
    pocket, token = master.pocket(), master.enrol_token(site)
    assert _ask(master, pocket, token, "lost")[0] == 200
    assert _ask(master, master.pocket(), master.enrol_token(site), "lost")[0] == 200, "the machine was replaced"
    assert _ask(master, pocket, token, "lost")[0] == 401
    pocket, token = master.pocket(), master.enrol_token(site)
    assert _ask(master, pocket, token, "stolen")[0] == 200
    master.api("POST", "/projects/provider/nodes/stolen/revoke")
    assert _ask(master, pocket, token, "stolen")[0] == 401
