"""Moves billing toward what was ordered, became ready and was used: seller by seller.

A seller whose documents cannot be issued does not keep those of others: its run remembers why.
"""

import logging
from collections.abc import Callable

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import overdue
from freehold.master.billing.invoicing import run
from freehold.master.billing.models import Contract, Run
from freehold.master.billing.rating import consumption
from freehold.master.billing.states import RunState
from freehold.master.billing.subscriptions import actions as subscriptions
from freehold.master.foundation import clock, days
from freehold.master.foundation.errors import MasterError, explained
from freehold.master.foundation.transactions import writing

begin_ready = subscriptions.begin_ready
_log = logging.getLogger(__name__)


def add_up() -> int:
    """Add up what was used, so that costs are near the truth; return for how many sellers."""
    return _for_each_seller(_add_up)


def issue_due() -> int:
    """Issue the documents that are due; return for how many sellers there were any."""
    return _for_each_seller(_issue)


def suspend_overdue() -> int:
    """Stop what is long overdue, and start again what is not any more; return how many contracts were looked at."""
    return _for_each_seller(overdue.look)


def _for_each_seller(act: Callable[[LegalEntity], int]) -> int:
    count = 0
    for entity in LegalEntity.objects.order_by("code"):
        try:
            count += act(entity)
        except Exception as error:
            if isinstance(error, MasterError):
                _log.warning("the documents of %s cannot be issued: %s", entity.code, error)
            else:
                _log.exception("the documents of %s cannot be issued", entity.code)
            Run.objects.filter(entity=entity).exclude(state=RunState.ISSUED.value).update(trouble=explained(error))
    return count


def _add_up(entity: LegalEntity) -> int:
    with writing():
        consumption.add_up(entity)
    return 1


def _issue(entity: LegalEntity) -> int:
    today = days.of_moment(clock.now(), entity.time_zone)
    if not Contract.objects.filter(entity=entity, next_day__lte=today).exclude(aside_on=today).exists():
        return 0
    run.run_for(entity, today, "freehold")
    return 1
