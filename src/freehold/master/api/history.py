"""For customers: how a service kept its promises and what it used, step by step."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.foundation import clock
from freehold.master.ordering import queries
from freehold.master.people.identity import Scope
from freehold.master.usage import history
from freehold.master.usage.history import Period

router = Router()


class PromisesOut(Schema):
    kept: int = Field(description="Seconds in which all promises were kept.")
    counted: int = Field(description="Seconds that count: no announced maintenance, and it was asked to run.")
    unknown: int = Field(description="Of these, seconds of which its node has yet to tell.")


class UseOut(Schema):
    processors: float | None
    memory_mb: float | None
    disk_mb: float | None
    received: float | None = Field(description="Bytes a second, as `sent`.")
    sent: float | None


class StepOut(Schema):
    at: str
    promises: PromisesOut | None = Field(description="Null: nothing counts, or it is not counted yet.")
    use: UseOut | None = Field(description="On average. Null: not known, which is not zero.")


class HistoryOut(Schema):
    step: int = Field(description="Seconds of each step.")
    steps: list[StepOut] = Field(description="The oldest first. The last is the present one, as far as it goes.")


@router.get(
    "/projects/{project}/history",
    response=HistoryOut,
    auth=in_project(Scope.READ),
    summary="How a service kept its promises and what it used, in the last day, month or quarter",
)
def read_history(request: HttpRequest, project: str, title: str, period: Period = Period.DAY) -> dict[str, Any]:
    row = queries.by_title(caller(request).project(project, Scope.READ), title)
    past = history.of_instance(row["id"], period)
    return {
        "step": period.step // 1000,
        "steps": [
            {
                "at": clock.iso(step.at),
                "promises": step.promises and {name: part // 1000 for name, part in vars(step.promises).items()},
                "use": step.use and vars(step.use),
            }
            for step in past.steps
        ],
    }
