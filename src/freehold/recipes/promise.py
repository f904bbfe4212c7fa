"""`freehold:promise`: a check that must hold.

Options: `kind` (a class of `freehold.promises`, such as Http), `name` (default: the part's), and the fields of
that class, such as `url`.
"""

import dataclasses
from typing import Any

import freehold.promises
from freehold.promises.bounds import check_fields, read
from freehold.recipes.part import RecipePart


class Promise(RecipePart):
    required = ("kind",)

    def make(self) -> list[str]:
        promise = self._promise()
        path = self.partition / "etc" / "plugin" / f"{self.title()}.py"
        return [self.write(path, freehold.promises.source(promise), 0o600)]

    def _promise(self) -> freehold.promises.Promise:
        kind: Any = getattr(freehold.promises, self.options["kind"], None)
        known: bool = dataclasses.is_dataclass(kind) and hasattr(kind, "check")
        if not known:
            raise self.mistake(f"kind: there is no promise '{self.options['kind']}'.")
        self.optional = ("name", *(field.name for field in dataclasses.fields(kind)))
        if slip := self.slip():
            raise self.mistake(slip)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(kind):
            if field.name in self.options and field.name not in ("name", "kind", "recipe"):
                values[field.name] = self._value(field)
        try:
            promise: freehold.promises.Promise = kind(**values)
            check_fields(promise)
        except TypeError as error:
            raise self.mistake(f"{self.options['kind']}: {error}") from None
        except ValueError as error:
            raise self.mistake(f"{error}.") from None
        return promise

    def _value(self, field: "dataclasses.Field[Any]") -> Any:
        if field.type == tuple[str, ...]:
            return tuple(self.words(field.name))
        try:
            return read(field, self.options[field.name])
        except ValueError as error:
            raise self.mistake(f"{error}.") from None
