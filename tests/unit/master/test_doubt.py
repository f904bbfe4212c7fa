"""A Master that was restored from an older copy finds out by what its nodes show, and undoes nothing."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.fleet.authority import Authority
from freehold.master.foundation.statements import ForgedError, MasterStatement, Statements

if TYPE_CHECKING:
    from support.protocol_node import Pocket
    from support.running import Master


@pytest.fixture(scope="module")
def home(master: "Master") -> "Pocket":
    """A node that knows the Master's last word."""
    master.publish()
    node = master.node("home", partitions=8)
    master.supply("tiny", "home")
    master.request("shop")
    return node


@pytest.fixture
def older(master: "Master", home: "Pocket") -> Iterator[Path]:
    """A copy of the database, before something happened; in the end the Master goes on from whatever it has."""
    yield master.back_up()
    master.cli("resume", "--accept-loss")
    go_on(master, home)


def go_on(master: "Master", node: "Pocket") -> None:
    """Have a node hear of its new epoch."""
    feed = master.until(lambda: (said := node.feed())[0] == 200 and said[1])
    node.epoch, node.sequence, node.hash = feed["epoch"], 0, "0" * 64


def refused(master: "Master", title: str, **spec: Any) -> str:
    answer = master.call("PUT", f"/api/v1/projects/provider/instances/{title}", {"product": "tiny", **spec},
                         token=master.owner)  # fmt: skip
    return str(answer.body.get("type", answer.status))


def tickets(master: "Master") -> list[str]:
    return [one["title"] for one in master.api("GET", "/projects/provider/tickets") if one["closed_at"] is None]


def test_a_master_that_is_older_than_its_nodes_orders_and_destroys_nothing_until_its_operator_decides(
    master: "Master", home: "Pocket", older: Path
) -> None:
    lost = master.request("lost")["instance"]
    known = home.feed()[1]["revision"]
    # What the gateway knows of the rest of the Master is half a second old at most.
    time.sleep(0.6)
    assert home.report()[0] == 200
    master.restore(older)
    home.close()
    status, problem = home.feed(known)
    assert (status, problem["type"]) == (503, "in-doubt")
    assert home.report()[1]["type"] == "in-doubt"
    assert refused(master, "another") == "in-doubt"
    assert refused(master, "shop", state="destroyed") == "in-doubt"
    checked = master.run("check")
    assert checked.returncode == 1
    assert "knows less than it did" in checked.stderr
    assert "master resume --accept-loss" in checked.stderr
    master.until(lambda: "This Master knows less than it did" in tickets(master))
    assert b"restored from an older copy" in master.call("GET", "/login").body
    assert "I know less than my peer" in master.log()
    # It was killed and started: it does not forget.
    master.kill()
    master.start()
    home.close()
    assert home.feed()[0] == 503
    master.cli("resume", "--accept-loss")
    go_on(master, home)
    assert home.report()[0] == 200
    assert refused(master, "shop") == "200"
    assert lost["id"] not in [one["instance"] for one in home.feed()[1]["instances"]]
    master.until(lambda: "This Master knows less than it did" not in tickets(master))
    assert master.cli("check").strip() == "Everything is in order."


def test_what_a_node_alone_says_stops_nobody_else(master: "Master", home: "Pocket") -> None:
    liar = master.node("liar")
    said = home.statement
    assert said
    data = bytearray(base64.urlsafe_b64decode(said))
    data[-10] ^= 1
    far = json.dumps([liar.node, 99, 1, 10**9, 2**62, 10**9, "f" * 64, 0]).encode()
    for shown in (said, base64.urlsafe_b64encode(data).decode(), base64.urlsafe_b64encode(b"\0" * 32 + far).decode(),
                  "A" * 1024, "nonsense", "=", "%00"):  # fmt: skip
        liar.statement = shown
        assert liar.feed()[0] == 200, "it is answered as ever"
        assert liar.report()[0] == 200
    liar.statement = "A" * 1025
    assert liar.report()[1]["type"] == "malformed"
    assert home.feed()[0] == 200
    assert refused(master, "fine") == "200"
    master.until(lambda: "Node 'liar' shows a false statement" in tickets(master))
    assert "statement that was never made to it" in master.run("check").stderr


def test_what_it_said_long_ago_is_no_news(master: "Master", home: "Pocket") -> None:
    assert home.report()[0] == 200
    old = home.statement
    master.request("newer")
    assert home.report()[0] == 200
    home.statement = old
    assert home.report()[0] == 200
    assert home.feed()[0] == 200
    assert refused(master, "newest") == "200"


def test_a_ledger_that_went_on_otherwise_is_another_masters(master: "Master", home: "Pocket", older: Path) -> None:
    """Numbers alone do not tell: the copy booked as much as was lost, and something else."""
    statements = Statements(Authority(master.root / "authority").statement_key())
    shown = statements.read(home.statement, home.node)
    other = MasterStatement(*(getattr(shown, name) for name in shown.__struct_fields__[:-3]), 1, "e" * 64, shown.at)
    home.statement = statements.issue(other)
    assert home.report()[1].get("type") == "in-doubt" or home.feed()[1]["type"] == "in-doubt"
    assert "batch 1 of its ledgers" in master.run("check").stderr


def test_a_statement_is_for_one_node_and_of_one_master() -> None:
    mine, other = Statements(b"a" * 32), Statements(b"b" * 32)
    statement = MasterStatement("node-a", 1, 2, 3, 4, 5, "ab", 6)
    assert mine.read(mine.issue(statement), "node-a") == statement
    with pytest.raises(ForgedError, match="said to node-a"):
        mine.read(mine.issue(statement), "node-b")
    with pytest.raises(ForgedError, match="not this Master's"):
        mine.read(other.issue(statement), "node-a")
