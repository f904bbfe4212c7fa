"""`freehold:promise`: a check that must hold.

Options: `kind` (a class of `freehold.promises`, such as Http), `name` (default: the part's), and the fields of
that class, such as `url`.
"""

import dataclasses
from typing import Any

import freehold.promises
from freehold.recipes.part import Part


class Promise(Part):
    required = ("kind",)

    def install(self) -> list[str]:
        name = self.options.get("name", self.name)
        promise = self._promise()
        path = self.partition / "etc" / "plugin" / f"{name}.py"
        return [self.write(path, freehold.promises.source(promise), 0o600)]

    def _promise(self) -> freehold.promises.Promise:
        from zc.buildout import UserError

        kind: Any = getattr(freehold.promises, self.options["kind"], None)
        known: bool = dataclasses.is_dataclass(kind)
        if not known:
            raise UserError(f"[{self.name}] there is no promise '{self.options['kind']}'.")
        values = {}
        for field in dataclasses.fields(kind):
            if field.name in self.options and field.name not in ("name", "kind", "recipe"):
                text = self.options[field.name]
                convert: Any = field.type if field.type in (int, float) else str
                values[field.name] = convert(text)
        try:
            promise: freehold.promises.Promise = kind(**values)
        except TypeError as error:
            raise UserError(f"[{self.name}] {self.options['kind']}: {error}") from None
        return promise
