"""Problem documents from Django's side: the one place where errors become answers there."""

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from freehold.master.foundation.causes import failure
from freehold.master.foundation.errors import MasterError, MethodNotAllowed, NotFound
from freehold.protocol.problem import MEDIA_TYPE


def problem_response(error: MasterError) -> HttpResponse:
    """Return the answer that says no."""
    return HttpResponse(msgspec.json.encode(error.problem()), status=error.status, content_type=MEDIA_TYPE)


def is_for_programs(request: HttpRequest) -> bool:
    """Whether programs ask at this path, not people with a browser."""
    return request.path.startswith(("/api/", "/node/"))


class ProblemsForPrograms:
    """Middleware: what Django itself refuses below the doors of programs is a problem document too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if is_for_programs(request):
            if response.status_code == 404 and response["Content-Type"] != MEDIA_TYPE:
                return problem_response(NotFound("There is nothing at this path.", remedy="See /api/v1/docs."))
            if response.status_code == 405:
                allowed = response.get("Allow", "")
                response = problem_response(MethodNotAllowed(f"{request.method} is not possible here, only {allowed}."))
                response["Allow"] = allowed
        return response


def with_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Make a view answer our errors with problem documents, and any other with one that hides its cause."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        try:
            return view(request, *arguments, **named)
        except MasterError as error:
            return problem_response(error)
        except Exception as error:
            return problem_response(failure(error, f"{request.method} {request.path} failed"))

    return wrapped
