"""Many at the same moment, over HTTP: nobody's wish is lost, nothing is counted wrong."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def shop(master: "Master") -> str:
    """A customer's token; a node with room."""
    master.publish()
    master.node("wide", partitions=80)
    master.supply("tiny", "wide")
    return master.project("shop")


def _put(master: "Master", token: str, title: str, **spec: Any) -> Any:
    return master.call("PUT", f"/api/v1/projects/shop/instances/{title}", spec, token=token)


def _together(*calls: Any) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_two_wishes_about_different_things_are_both_granted(master: "Master", shop: str) -> None:
    assert _put(master, shop, "both", product="tiny").status == 200
    for turn in range(12):
        size, state = turn % 10 + 1, ("stopped", "started")[turn % 2]
        answers = _together(
            lambda size=size: _put(master, shop, "both", parameters={"size": size}),
            lambda state=state: _put(master, shop, "both", state=state),
        )
        assert [answer.status for answer in answers] == [200, 200]
        shown = master.show("both", project="shop", token=shop)
        assert (shown["parameters"], shown["wanted"]) == ({"size": size}, state)


def test_what_is_destroyed_does_not_come_back(master: "Master", shop: str) -> None:
    for turn in range(8):
        title = f"going-{turn}"
        made = _put(master, shop, title, product="tiny").body["instance"]
        _together(
            lambda title=title: _put(master, shop, title, state="destroyed"),
            lambda title=title: _put(master, shop, title, parameters={"size": 3}),
            lambda title=title: _put(master, shop, title, state="stopped"),
        )
        assert master.sql("SELECT wanted FROM ordering_instance WHERE id = ?", made["id"]) == [("destroyed",)]


def test_facts_that_arrive_among_requests_do_not_spoil_the_count(master: "Master", shop: str) -> None:
    node = master.node("busy", partitions=40)
    master.supply("tiny", "busy")
    over = Event()

    def tell() -> None:
        while not over.is_set():
            assert node.offer(40)[0] == 200

    telling = Thread(target=tell)
    telling.start()
    try:
        spec = {"product": "tiny", "constraints": {"node": "busy"}}
        for start in range(0, 36, 12):
            answers = _together(
                *(lambda n=n: _put(master, shop, f"busy-{n}", **spec) for n in range(start, start + 12))
            )
            assert {answer.status for answer in answers} == {200}
    finally:
        over.set()
        telling.join()
    master.until(lambda: not master.sql("SELECT 1 FROM fleet_hostfactsrow"))
    assert master.node_row("busy")["free"] == 4
    assert master.cli("check").strip() == "Everything is in order."


def test_one_archive_published_many_times_at_once_is_one_release(master: "Master", shop: str) -> None:
    packed = master.release("crowded")

    def publish() -> Any:
        return master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=master.owner)

    answers = _together(*[publish] * 8)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["release"] for answer in answers}) == 1


@pytest.mark.parametrize("same_title", [True, False], ids=["one title", "many titles"])
def test_of_many_machines_with_one_token_one_becomes_a_node(master: "Master", shop: str, same_title: bool) -> None:
    secret = master.enrol_token("here").split(".")[1]
    machines = [master.pocket() for _ in range(6)]

    def enrol(number: int) -> int:
        title = f"rush-{same_title}-{0 if same_title else number}".lower()
        body = {"token": secret, "title": title, "signing_request": machines[number].signing_request()}
        return int(machines[number].call("POST", "/node/v1/enrol", body)[0])

    statuses = _together(*(lambda n=n: enrol(n) for n in range(6)))
    assert sorted(statuses) == [200] + [401] * 5


def test_machines_of_one_title_are_one_node(master: "Master", shop: str) -> None:
    tokens = [master.enrol_token("here").split(".")[1] for _ in range(5)]
    machines = [master.pocket() for _ in range(5)]

    def enrol(number: int) -> Any:
        body = {"token": tokens[number], "title": "twin", "signing_request": machines[number].signing_request()}
        return machines[number].call("POST", "/node/v1/enrol", body)

    answers = _together(*(lambda n=n: enrol(n) for n in range(5)))
    assert [status for status, _ in answers] == [200] * 5
    assert len({answer["node"] for _, answer in answers}) == 1
    assert sorted(answer["epoch"] for _, answer in answers) == [1, 2, 3, 4, 5]
    ((valid,),) = master.sql(
        "SELECT count(*) FROM fleet_certificate WHERE subject = ? AND revoked_at IS NULL", answers[0][1]["node"]
    )
    assert valid == 1


def test_operators_change_different_things_of_a_node_together(master: "Master", shop: str) -> None:
    def change(**spec: Any) -> Any:
        return master.call("PATCH", "/api/v1/projects/provider/nodes/wide", spec, token=master.owner)

    for turn in range(1, 9):
        answers = _together(
            lambda turn=turn: change(capacity=1000 + turn),
            lambda turn=turn: change(labels={"turn": str(turn)}),
            lambda turn=turn: change(open=bool(turn % 2)),
        )
        assert [answer.status for answer in answers] == [200] * 3
        row = master.node_row("wide")
        assert (row["capacity"], row["labels"], row["open"]) == (1000 + turn, {"turn": str(turn)}, bool(turn % 2))


def test_a_change_made_by_another_process_wakes_the_node_that_waits(master: "Master", shop: str) -> None:
    node = master.node("remote")
    revision = node.feed()[1]["revision"]
    answers: list[Any] = []
    waiting = Thread(target=lambda: answers.append(node.feed(revision, 30)))
    waiting.start()
    started = time.monotonic()
    ((value,),) = master.sql("UPDATE fleet_revisionclock SET value = value + 1 RETURNING value")
    master.sql("UPDATE fleet_node SET revision = ? WHERE id = ?", value, node.node)
    waiting.join(30)
    assert answers[0][0] == 200
    assert answers[0][1]["revision"] == value
    assert time.monotonic() - started < 10
