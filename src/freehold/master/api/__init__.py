"""The public HTTP API, for people's programs: `docs/openapi.json`, served and browsable at /api/v1/docs."""

from django.db import DataError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser
from ninja.types import DictStrAny

from freehold.master.api import (
    accounts,
    audit,
    books,
    costs,
    desk,
    events,
    fleet,
    history,
    instances,
    logs,
    notifications,
    payments,
    people,
    releases,
    selling,
    sign_ups,
    statements,
    status,
    support,
    suspensions,
    tasks,
)
from freehold.master.api.auth import declare
from freehold.master.foundation.causes import failure
from freehold.master.foundation.errors import Invalid, Malformed, MasterError, Unauthenticated
from freehold.master.foundation.problem_responses import problem_response
from freehold.protocol import numbers
from freehold.protocol.problem import FieldError


class _Strict(Parser):
    """Reads bodies as nodes will: what JSON allows but UTF-8 does not (half of a character) would stop their feed."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        body: DictStrAny = numbers.decode(request.body)
        return body


api = NinjaAPI(
    title="Freehold",
    version="1",
    description="Order services, and run the fleet that keeps them. "
    "Errors are problem documents (RFC 9457) with `remedy`, `errors` and `reasons`.",
    urls_namespace="api",
    parser=_Strict(),
)
for tag, router in (
    ("people", people.router),
    ("people", suspensions.router),
    ("people", sign_ups.router),
    ("accounts", accounts.router),
    ("catalogue", releases.router),
    ("instances", instances.router),
    ("instances", logs.router),
    ("instances", events.router),
    ("instances", history.router),
    ("fleet", status.router),
    ("fleet", fleet.router),
    ("fleet", desk.router),
    ("costs", costs.router),
    ("sales", selling.router),
    ("books", books.router),
    ("books", payments.router),
    ("books", statements.router),
    ("support", support.router),
    ("notifications", notifications.router),
    ("tasks", tasks.router),
    ("audit", audit.router),
):
    declare(router)
    api.add_router("", router, tags=[tag])


@api.exception_handler(MasterError)
def _said_no(request: HttpRequest, error: MasterError) -> HttpResponse:
    return problem_response(error)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [
        FieldError(".".join(str(part) for part in detail["loc"][1:] or detail["loc"]), detail["msg"])
        for detail in error.errors
    ]
    return problem_response(Invalid(f"{errors[0].field}: {errors[0].rule}", errors=errors))


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return problem_response(Unauthenticated("No API token was sent."))


@api.exception_handler(HttpError)
def _malformed(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem_response(Malformed(str(error)))


@api.exception_handler(DataError)
@api.exception_handler(OverflowError)
def _unstorable(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem_response(
        Malformed("A value cannot be kept: a number is too large, or a text holds a zero character.")
    )


@api.exception_handler(Exception)
def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem_response(failure(error, f"{request.method} {request.path} failed"))
