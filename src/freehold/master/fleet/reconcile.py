"""Moves the fleet's tables toward what nodes told."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
from django.db import DataError, IntegrityError
from django.db.models import Exists, OuterRef

from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import (
    Certificate,
    EnrolToken,
    HostFactsRow,
    Node,
    Partition,
    RefusedItem,
    SoftwareRow,
    Supply,
)
from freehold.master.foundation import clock
from freehold.master.foundation.transactions import writing
from freehold.protocol.report import HostFacts

BATCH = 500
TOKEN_DAYS = 30
CERTIFICATE_DAYS = 2 * 365
"""After its end; of a subject that has a newer one. A node may have a former one: the answer with the last was lost."""
REFUSED_DAYS = 90
_log = logging.getLogger(__name__)


def take_over() -> int:
    """Take over host facts and software states that arrived, oldest first; return how many."""
    count = 0
    for rows in _batches(HostFactsRow):
        count += len(rows)
        for row in rows:
            try:
                with writing():
                    _take_over_facts(row)
            except (ValueError, OverflowError, DataError, IntegrityError) as error:
                # The gateway lets nothing impossible through; if it ever does, one node must not stop all.
                _set_aside(row, error)
    for rows in _batches(SoftwareRow):
        count += len(rows)
        with writing():
            for row in rows:
                _take_over_software(row)
    return count


def _batches(model: Any) -> Iterator[list[Any]]:
    """Yield what arrived, oldest first; who asks takes each batch away before the next."""
    while rows := list(model.objects.order_by("id")[:BATCH]):
        yield rows
        if len(rows) < BATCH:
            return


def clean_up() -> int:
    """Forget enrolment tokens and certificates that are over for long, and what was refused long ago.

    Return how many rows went.
    """
    now, count = clock.now(), 0
    with writing():
        count += EnrolToken.objects.filter(expires_at__lt=now - TOKEN_DAYS * clock.DAY).delete()[0]
    newer = Certificate.objects.filter(subject=OuterRef("subject"), issued_at__gt=OuterRef("issued_at"))
    with writing():
        # The last of each stays: a node that was away for years may still renew it.
        over = Certificate.objects.filter(Exists(newer), not_after__lt=now - CERTIFICATE_DAYS * clock.DAY)
        count += Certificate.objects.filter(fingerprint__in=over.values("fingerprint")).delete()[0]
    with writing():
        count += RefusedItem.objects.filter(received_at__lt=now - REFUSED_DAYS * clock.DAY).delete()[0]
    return count


def _take_over_facts(row: HostFactsRow) -> None:
    # Whoever deletes the row has the right to apply it: two Masters never do it twice.
    if not HostFactsRow.objects.filter(id=row.id).delete()[0]:
        return
    # Whoever places an instance here meanwhile waits, so that what is counted is what is.
    node = Node.objects.select_for_update().get(id=row.node_id)
    facts = msgspec.json.decode(row.facts, type=HostFacts)
    known = {partition.name: partition for partition in Partition.objects.filter(node=node)}
    for number, offered in enumerate(facts.partitions):
        partition = known.pop(offered.name, None)
        if partition is None:
            Partition.objects.create(
                id=f"{node.id}:{offered.name}",
                node=node,
                name=offered.name,
                number=number,
                address=offered.address,
            )
        elif (partition.number, partition.address, partition.present) != (number, offered.address, True):
            partition.number, partition.address, partition.present = number, offered.address, True
            partition.save(update_fields=["number", "address", "present"])
    Partition.objects.filter(id__in=[partition.id for partition in known.values()]).update(present=False)
    Node.objects.filter(id=node.id).update(
        cpus=facts.cpus,
        memory_mb=facts.memory_mb,
        disk_mb=facts.disk_mb,
        architecture=facts.architecture,
        system=facts.system,
        agent=facts.agent,
        protections=json.dumps(facts.protections),
        acknowledged_lease=round(facts.lease),
        promises=json.dumps(_with_since(facts, json.loads(node.promises), row.received_at)),
        free=Partition.objects.filter(node=node, present=True, instance=None).count(),
    )
    sync_supplies(node.id)


def _with_since(facts: HostFacts, before: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """Return a machine's promises, each with the moment since which it is kept, or is not, as far as that is known."""
    known = {promise["name"]: promise for promise in before}
    lost = []
    for promise in msgspec.to_builtins(facts.promises):
        former = known.get(promise["name"], {})
        lost.append({**promise, "since": former.get("since") if former.get("kept") == promise["kept"] else at})
    return lost


def _set_aside(row: HostFactsRow, error: Exception) -> None:
    _log.error("the facts of %s cannot be taken over", row.node_id, exc_info=error)
    with writing():
        if HostFactsRow.objects.filter(id=row.id).delete()[0]:
            RefusedItem.objects.create(
                node_id=row.node_id,
                sequence=0,
                reason=f"not taken over: {error}",
                item=row.facts,
                received_at=row.received_at,
            )


def _take_over_software(row: SoftwareRow) -> None:
    if not SoftwareRow.objects.filter(id=row.id).delete()[0]:
        return
    supplies = Supply.objects.filter(node=row.node_id, release=row.release)
    if row.state == "removed":
        supplies.filter(wanted="removed").delete()
    supplies.update(observed=row.state, message=row.message, observed_at=row.at)
