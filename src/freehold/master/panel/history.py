"""Pictures of a service's past: how it kept its promises, and what it used."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.monitoring.availability import kept_percent
from freehold.master.ordering import queries
from freehold.master.panel import charts
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people.identity import Caller, Scope
from freehold.master.usage import history
from freehold.master.usage.history import Period, ServiceHistory
from freehold.protocol.problem import FieldError

_PERIODS = {
    Period.DAY: gettext_lazy("24 hours"),
    Period.MONTH: gettext_lazy("30 days"),
    Period.QUARTER: gettext_lazy("90 days"),
}
_LINES = (
    ("processors", gettext_lazy("Processor"), gettext_lazy("processors"), 1),
    ("memory_mb", gettext_lazy("Memory"), "MB", 1),
    ("disk_mb", gettext_lazy("Disk"), "MB", 1),
    ("received", gettext_lazy("Network, received"), "kB/s", 1000),
    ("sent", gettext_lazy("Network, sent"), "kB/s", 1000),
)
"""What is drawn: measure, title, unit, and how many of the measure one of the unit is."""


@require_GET
@for_members
def pictures(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """What was in a period: the promises as bars, what was used as lines."""
    row, past = _read(request, caller, project, title)
    context = {
        "row": row,
        "periods": [(period.value, words, period is past.period) for period, words in _PERIODS.items()],
        "period": past.period.value,
        "begin": clock.iso(past.steps[0].at),
        "end": clock.iso(min(past.end, clock.now())),
        "bars": charts.bars([None if step.promises is None else step.promises.shares for step in past.steps]),
        "kept": kept_percent(step.promises for step in past.steps if step.promises is not None),
        "lines": list(_lines(past)),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }
    return draw(request, caller, "pictures", context)


@require_GET
@for_members
def as_csv(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """The same for a spreadsheet."""
    _row, past = _read(request, caller, project, title)
    text = io.StringIO()
    csv.writer(text).writerows(history.rows(past))
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="history-{past.period.value}.csv"'
    return answer


def _read(request: HttpRequest, caller: Caller, project: str, title: str) -> tuple[dict[str, Any], ServiceHistory]:
    row = queries.by_title(caller.project(project, Scope.READ), title)
    wanted = request.GET.get("period", Period.DAY.value)
    if wanted not in list(Period):
        errors = [FieldError("period", ", ".join(Period), wanted)]
        raise Invalid(_("There is no such period."), errors=errors)
    return row, history.of_instance(row["id"], Period(wanted))


def _lines(past: ServiceHistory) -> Iterator[dict[str, Any]]:
    """Yield what is drawn of each measure."""
    for name, title, unit, size in _LINES:
        values = [getattr(step.use, name, None) for step in past.steps]
        scaled = [None if value is None else value / size for value in values]
        known = [value for value in scaled if value is not None]
        yield {
            "title": title,
            "unit": unit,
            "line": charts.line(scaled),
            "most": max(known, default=None),
            "last": known[-1] if known else None,
        }
