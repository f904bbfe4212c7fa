"""How the Master's own tasks go, for whoever runs it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema

from freehold.master.api.auth import staff
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.desk import metrics
from freehold.master.foundation import clock
from freehold.master.foundation.paging import ListPart
from freehold.master.tasks import queries

router = Router()


class TaskOut(Schema):
    name: str
    lane: str = Field(
        description="urgent, outbound or bulk: tasks of a lane wait for each other, never for another lane."
    )
    period: float = Field(description="Seconds.")
    state: str = Field(description="ok, running, failing, late, or new when it never ran.")
    began_at: str | None = Field(description="When it was last run.")
    took_ms: int
    done: int = Field(description="How many things the last run changed.")
    failures: int = Field(description="In a row.")
    error: str = Field(description="Why the last run failed.")


@router.get(
    "/tasks",
    response=list[TaskOut],
    auth=staff,
    summary="What the Master does by itself, and how it goes",
    openapi_extra=listed("name"),
)
def list_tasks(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return [as_told(task) for task in queries.statuses(ListPart(after, limit))]


@router.get(
    "/metrics",
    auth=staff,
    summary="How this Master is, in numbers, for Prometheus",
    openapi_extra={
        "responses": {
            200: {
                "description": "The text format of Prometheus, version 0.0.4.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        }
    },
)
def read_metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(metrics.exposition(), content_type=metrics.MEDIA_TYPE)


def as_told(task: queries.TaskStatus) -> dict[str, Any]:
    """Return a task as the API tells it."""
    return {**vars(task), "began_at": clock.iso(task.began_at) if task.began_at else None}
