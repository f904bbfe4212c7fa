"""What callers may send: names that are known, and nothing else. A misspelt one is told, with the nearest."""

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from ninja import Schema
from ninja.operation import Operation
from ninja.schema import DjangoGetter
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from freehold.master.foundation.errors import Invalid
from freehold.protocol import unknown_names
from freehold.protocol.problem import FieldError


class StrictBody(Schema):
    """A body, or a part of one, all of whose fields are known."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, body: Any) -> Any:
        sent = body._obj if isinstance(body, DjangoGetter) else body
        if isinstance(sent, dict) and (words := unknown_names.words(sent, _names(cls))):
            # pydantic's own templates know braces; ours come as a value.
            raise PydanticCustomError("unknown_field", "{words}", {"words": words})
        return body


def _names(model: type[Schema]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def know_query(operation: Operation) -> None:
    """Have an operation refuse query parameters that it does not have."""
    names = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in getattr(model, "__ninja_flatten_map__", model.model_fields)
    }
    operation.view_func = _refusing(operation.view_func, names)


def _refusing(view: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    @functools.wraps(view)
    def answer(request: HttpRequest, **values: Any) -> Any:
        if words := unknown_names.words(request.GET, names):
            raise Invalid(words, errors=[FieldError("query", words)])
        return view(request, **values)

    return answer
