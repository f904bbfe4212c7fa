"""You pay for kept promises: what was not kept of a month is given back on the next invoice, unasked.

The last two complete months are looked at: results may come late, and what they show beyond what was given already is
given in another part. What was given is never taken back.
"""

import json
from pathlib import Path
from typing import Any

from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import account_for
from freehold.master.billing.queries import ORDERS
from freehold.master.catalog.rating import credit
from freehold.master.foundation import days, sql
from freehold.master.foundation.money import rounded
from freehold.master.foundation.transactions import run
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.availability import Availability, Span

_SQL = sql.load(Path(__file__).parent / "sql" / "promised.sql")
LOOK_BACK = 2


def give_back(entity: LegalEntity, day: int) -> None:
    """Write the credits of a seller's services for the months before that of a day, in a transaction of the caller."""
    account = account_for(entity.id, Purpose.SLA)
    for month in range(days.month_of(day) - LOOK_BACK, days.month_of(day)):
        span = _span(month, entity.time_zone)
        doubtful = monitoring.doubtful(span)
        rows = run(
            _SQL["promised"],
            entity=entity.id,
            month=month,
            begin=days.first_day(month),
            end=days.first_day(month + 1),
        )
        for row in rows:
            if row["instance"] in doubtful or not _is_spoken_for(row["instance"], span):
                _give_back(row, month, entity.time_zone, account)


def _give_back(row: dict[str, Any], month: int, zone: str, account: str) -> None:
    """Write what is still to be given back of a service's month."""
    begin, end = max(row["from_day"], days.first_day(month)), min(row["until_day"], days.first_day(month + 1))
    found = monitoring.available(row["instance"], (days.begins_at(begin, zone), days.begins_at(end, zone)))
    length = days.first_day(month + 1) - days.first_day(month)
    price = rounded(row["amount"] * (end - begin), length)
    steps = [(step, percent) for step, percent in json.loads(row["credits"])]
    due = credit(price, found.kept, found.counted, row["availability"], steps) + row["given"]
    if due <= 0:
        return
    run(
        ORDERS["add_charge"],
        contract=row["contract"],
        subscription=row["subscription"],
        kind="sla",
        label="",
        offer=row["offer"],
        month=month,
        day=days.first_day(month + 1) - 1,
        amount=-due,
        tax_included=bool(row["tax_included"]),
        category=row["category"],
        account=account,
        evidence=_evidence(found, price, row["availability"]),
        part=row["parts"],
    )


def _evidence(found: Availability, price: int, promised: int) -> str:
    return json.dumps({"kept_ms": found.kept, "counted_ms": found.counted, "price": price, "promised": promised})


def _is_spoken_for(instance: str, span: Span) -> bool:
    (row,) = run(_SQL["silent"], instance=instance, begin=span[0], end=span[1])
    return bool(row["results"])


def _span(month: int, zone: str) -> Span:
    return days.begins_at(days.first_day(month), zone), days.begins_at(days.first_day(month + 1), zone)
