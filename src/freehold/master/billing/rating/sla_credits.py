"""You pay for kept promises: what was not kept of a month is given back on the next invoice, unasked.

The last two complete months are looked at: results may come late, and what they show beyond what was given already is
given in another part. What was given is never taken back: time of which a node that is silent has yet to tell is taken
as kept in the first month after it, and as not kept in the second, if nobody told by then (decision 0050).
"""

import json
from pathlib import Path
from typing import Any

from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import account_for
from freehold.master.billing.queries import ORDERS
from freehold.master.foundation import days, sql
from freehold.master.foundation.money import rounded
from freehold.master.foundation.transactions import run
from freehold.master.monitoring import queries as monitoring
from freehold.master.monitoring.availability import SPEAKS, Availability
from freehold.master.sales.models import Offer
from freehold.master.sales.rating import credit

_SQL = sql.load(Path(__file__).parent.parent / "sql" / "sla_credits.sql")
LOOK_BACK = 2


def credit_broken_promises(entity: LegalEntity, day: int) -> None:
    """Write the credits of a seller's services for the months before that of a day, in a transaction of the caller."""
    if not Offer.objects.filter(availability__gt=0).exists():
        return
    account = account_for(entity.id, Purpose.SLA)
    present = days.month_of(day)
    for month in range(present - LOOK_BACK, present):
        begin, end = days.first_day(month), days.first_day(month + 1)
        rows = run(
            _SQL["doubtful"],
            entity=entity.id,
            month=month,
            since=days.begins_at(begin, entity.time_zone) - SPEAKS,
            end=days.begins_at(end, entity.time_zone),
            begin_day=begin,
            end_day=end,
            speaks=SPEAKS,
        )
        for row in rows:
            _credit(row, month, entity.time_zone, account, is_last=month == present - 1)


def _credit(row: dict[str, Any], month: int, zone: str, account: str, *, is_last: bool) -> None:
    """Write what is still to be given back of a service's month; `is_last`: it is that before the present one."""
    begin, end = max(row["from_day"], days.first_day(month)), min(row["until_day"], days.first_day(month + 1))
    availability = monitoring.available(row["instance"], (days.begins_at(begin, zone), days.begins_at(end, zone)))
    length = days.first_day(month + 1) - days.first_day(month)
    price = rounded(row["amount"] * (end - begin), length)
    steps = [(step, percent) for step, percent in json.loads(row["credits"])]
    kept_seconds = availability.kept + (availability.unknown if is_last else 0)
    due = credit(price, kept_seconds, availability.counted, row["availability"], steps) + row["given"]
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
        from_day=row["from_day"],
        day=days.first_day(month + 1) - 1,
        amount=-due,
        tax_included=bool(row["tax_included"]),
        category=row["category"],
        account=account,
        evidence=_evidence(availability, price, row["availability"]),
        part=row["parts"],
    )


def _evidence(availability: Availability, price: int, promised: int) -> str:
    return json.dumps(
        {
            "kept_ms": availability.kept,
            "counted_ms": availability.counted,
            "unknown_ms": availability.unknown,
            "price": price,
            "promised": promised,
        }
    )
