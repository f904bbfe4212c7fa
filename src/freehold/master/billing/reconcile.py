"""Moves billing toward what was ordered, became ready and was used."""

import logging

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import consumption, dunning, run, subscriptions
from freehold.master.billing.models import Contract, Run
from freehold.master.billing.states import RunState
from freehold.master.foundation import clock, days
from freehold.master.foundation.errors import MasterError
from freehold.master.foundation.transactions import writing

_log = logging.getLogger(__name__)


def reconcile() -> None:
    """Begin what is ready for the first time."""
    subscriptions.begin_ready()


def tidy() -> None:
    """Add up what was used, so that costs are near the truth; issue what is due; stop what is not paid for.

    A seller whose documents cannot be issued does not keep those of others: its run remembers why.
    """
    for entity in LegalEntity.objects.order_by("code"):
        try:
            _move(entity)
        except Exception as error:
            if isinstance(error, MasterError):
                _log.warning("the documents of %s cannot be issued: %s", entity.code, error)
                why = f"{error} {error.remedy or ''}".strip()
            else:
                _log.exception("the documents of %s cannot be issued", entity.code)
                why = f"An error of the Master itself ({type(error).__name__}): its operator finds it in the log."
            Run.objects.filter(entity=entity).exclude(state=RunState.ISSUED.value).update(trouble=why)


def _move(entity: LegalEntity) -> None:
    with writing():
        consumption.add_up(entity)
    today = days.of_moment(clock.now(), entity.time_zone)
    if Contract.objects.filter(entity=entity, next_day__lte=today).exclude(aside_on=today).exists():
        run.run_for(entity, today, "freehold")
    dunning.look(entity)
