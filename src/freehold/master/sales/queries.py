"""All reads of what is sold."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.master.foundation import sql
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.transactions import run
from freehold.protocol import size
from freehold.protocol.size import Size

_SQL = sql.load(Path(__file__).parent / "sql" / "sales.sql", prepared=True)


@dataclass(frozen=True)
class SoldItem:
    """What an offer is of."""

    offer: str
    """Id."""
    product: str
    type: str
    parameters: dict[str, Any]
    size: Size
    """What it names is what is sold; all else is as the type says."""


def offer(name: str, product: str | None = None) -> SoldItem:
    """Return what an offer is of: `NAME`, or `SELLER/NAME` with the code of the seller's legal entity.

    Of offers of one name the product decides, if the order names it, then who made that name first: nobody who comes
    later changes what a name means. Raise NotFound when it cannot be ordered (any more).
    """
    seller, _, short = name.rpartition("/")
    rows = run(_SQL["offer"], name=short, seller=seller, product=product or "")
    if not rows or rows[0]["retired_at"] is not None or not rows[0]["may_sell"]:
        raise NotFound(f"There is no offer '{name}'.", remedy="The page of prices names them all.")
    row = rows[0]
    return SoldItem(row["id"], row["product"], row["type"], json.loads(row["parameters"]), size.read(row["size"]))
