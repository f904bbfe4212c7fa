"""Each kind of item of a report has one handler, which writes what it declares."""

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from freehold.master.gateway import items
from freehold.master.gateway.database import QUERIES, DatabaseConnection
from freehold.master.gateway.metering import Meters
from freehold.master.gateway.owners import Owners
from freehold.protocol.report import Item
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms

GOLDEN = Path(__file__).parents[2] / "contract" / "v1"


def test_each_kind_of_item_writes_only_what_its_handler_declares(rooms: "Rooms") -> None:
    rooms.supply(rooms.publish(tiny_release()), rooms.node("n"))
    answer = rooms.request("a")
    connection = DatabaseConnection(rooms.url)
    kinds, written = set(), set()
    for path in GOLDEN.glob("item-*.json"):
        item = msgspec.convert({**json.loads(path.read_bytes()), "instance": answer.instance}, Item)
        rows = items.ItemRows(int(time.time() * 1000))
        with contextlib.suppress(ValueError):
            items.collect(item, items.ReportingNode(answer.node, 1, rows, Owners(connection), Meters(connection)))
        told = {name for name, values in rows.by_statement.items() if values}
        assert told <= set(items.HANDLERS[type(item)].statements), path.stem
        kinds.add(type(item))
        written |= told
    connection.close()
    assert kinds == set(items.HANDLERS), "each kind has a golden message"
    assert written == set(items.STATEMENTS) - {"add_departed"}
    assert set(items.STATEMENTS) <= set(QUERIES)


def test_a_statement_that_no_handler_declares_cannot_be_written_to(rooms: "Rooms") -> None:
    connection = DatabaseConnection(rooms.url)
    rows = items.ItemRows(1)
    with pytest.raises(KeyError, match="trim_refused"):
        items.ReportingNode("n", 1, rows, Owners(connection), Meters(connection)).add("trim_refused", node="n")
