"""All reads of accounting."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from freehold.master.accounting.batches import QUERIES, digest
from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import Account, Batch, LegalEntity
from freehold.master.foundation.errors import Forbidden
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import run
from freehold.master.people.identity import Caller, Scope

_AT_ONCE = 2_000


@dataclass(frozen=True)
class Balance:
    """An account over a time, in the entity's currency; debits are positive."""

    code: str
    name: str
    kind: str
    opening: int
    debit: int
    credit: int

    @property
    def closing(self) -> int:
        return self.opening + self.debit - self.credit


def entities(caller: Caller, scope: Scope, part: ListPart | None = None) -> list[LegalEntity]:
    """Return the legal entities of the projects in which a caller may act so, by code; or a part, after a code."""
    rows = LegalEntity.objects.filter(project__in=caller.able(scope).values())
    return list(part_of(rows, ("code",), "code", part) if part else rows.order_by("code"))


def find_entity(code: str, caller: Caller, scope: Scope) -> LegalEntity:
    """Return a legal entity by its code; raise Forbidden for one that is not the caller's, or is none."""
    caller.require(scope)
    for entity in entities(caller, scope):
        if entity.code == code:
            return entity
    raise Forbidden(f"'{code}' is no legal entity of yours, or your role does not allow that.")


def account_for(entity: str, purpose: Purpose) -> str:
    """Return the code of the account that an entity uses for something."""
    return Account.objects.values_list("code", flat=True).get(entity=entity, purpose=purpose)


def trial_balance(entity: str, since: int, until: int) -> list[Balance]:
    """Return every account that ever moved, at the end of a day, with its movements since another."""
    rows = run(QUERIES["trial_balance"], entity=entity, since=since, until=until)
    return [Balance(**row) for row in rows if row["opening"] or row["debit"] or row["credit"]]


def journal(entity: str, since: int, until: int) -> Iterator[dict[str, Any]]:
    """Yield the postings of a time in the order of their days, in constant memory."""
    yield from _stream("journal", entity=entity, since=since, until=until)


def validated(entity: str, since: int, until: int) -> Iterator[dict[str, Any]]:
    """Yield the postings of a time in the order of their validation, without those that close a year."""
    yield from _stream("validated", entity=entity, since=since, until=until)


def _stream(name: str, **values: int | str) -> Iterator[dict[str, Any]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(QUERIES[name].format, values)
        names: list[str] = []
        while rows := cursor.fetchmany(_AT_ONCE):
            names = names or [column[0] for column in cursor.description]
            for row in rows:
                yield dict(zip(names, row, strict=True))


def sealed_by(source: str) -> str:
    """Return the batch that holds what was made from something, as `BATCH:DIGEST`; empty when none does."""
    rows = run(QUERIES["sealed_by"], source=source)
    return f"{rows[0]['batch']}:{rows[0]['digest']}" if rows else ""


def broken_links(entity: str) -> list[str]:
    """Check an entity's chain from its first batch: return what is not as it was sealed; empty when all is."""
    wrong, before = [], ""
    for batch in Batch.objects.filter(entity=entity).order_by("id").iterator():
        if batch.previous != before:
            wrong.append(f"batch {batch.id} ({batch.what}) does not follow the one before it")
        if digest(batch.previous, batch.first, batch.last) != batch.digest:
            wrong.append(f"batch {batch.id} ({batch.what}) is not what was sealed")
        before = batch.digest
    (row,) = run(QUERIES["unsealed"], entity=entity)
    if row["entries"]:
        wrong.append(f"{row['entries']} entries are in no sealed batch")
    return wrong
