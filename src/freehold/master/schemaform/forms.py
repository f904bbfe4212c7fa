"""A form made of a JSON schema (draft 2020-12, in the shape that msgspec generates): pure.

What a form cannot express is a text area for JSON. A property left empty is left out of the parameters, so that
the release's own default applies.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from freehold.master.catalog.secrets import holds_secret
from freehold.master.schemaform.fields import (
    ABSENT,
    SCALARS,
    Choice,
    Field,
    Fixed,
    Group,
    Json,
    Lines,
    Number,
    Path,
    Posted,
    Rows,
    Switch,
    Text,
)
from freehold.protocol.problem import FieldError

ROOT = ("p",)
"""The path of the parameters themselves: the first part of every input's name."""
DEEPEST = 8
"""Levels of a schema that are drawn; what is deeper is JSON."""


class Form:
    """The inputs for the parameters of one type of a release.

    `present` are the parameters as they are now: they decide what is filled in, and what a password that is
    left empty stays.
    """

    def __init__(self, schema: Mapping[str, Any], present: Mapping[str, Any], posted: Posted | None = None) -> None:
        top = _Maker(schema).make(ROOT, dict(schema), dict(present), required=True, demanded=True, name="")
        top.show(dict(present))
        if posted is not None:
            top.take(posted)
        self.top: Field = top
        self.description = str(schema.get("description", ""))

    @property
    def is_empty(self) -> bool:
        """There is nothing to choose."""
        return isinstance(self.top, Group) and not self.top.fields

    def parameters(self) -> dict[str, Any] | None:
        """Return what was entered; None when some input cannot be read, which then says so."""
        value = self.top.give()
        if any(field.errors for field in self.top.walk()):
            return None
        if value is not ABSENT and not isinstance(value, dict):
            self.top.errors.append(Field.NOT_AN_OBJECT)
            return None
        return {} if value is ABSENT else value

    def refuse(self, errors: Iterable[FieldError], say: Callable[[str], str]) -> list[FieldError]:
        """Put errors of the server at their inputs; return those that belong to none."""
        by_name = {".".join(("parameters", *field.path[1:])): field for field in self.top.walk()}
        unplaced = []
        for error in errors:
            name = error.field
            while name not in by_name and "." in name:
                name = name.rpartition(".")[0]
            field = by_name.get(name)
            if field is None or (field is self.top and isinstance(field, Group)):
                unplaced.append(error)
            else:
                field.errors.append(say(error.rule))
        return unplaced


class _Maker:
    """Chooses the input for each part of a schema."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole

    def make(self, path: Path, schema: Any, present: Any, *, required: bool, demanded: bool, name: str) -> Field:
        """Return the input for the value at a path; `demanded`: the browser insists on a value."""
        nullable, plain = self._plain(schema)
        common: dict[str, Any] = {
            "path": path,
            "title": _title(schema) or name,
            "description": str(plain.get("description", "")),
            "required": required,
            "demanded": demanded and required and not nullable,
            "nullable": nullable,
            "default": plain.get("default", ABSENT),
        }
        field = self._kind(plain, common, present)
        if present is not ABSENT and not field.fits(present):
            field = Json(**common)
        if not isinstance(field, (Text, Group, Rows)) and holds_secret(schema, self._whole):
            field = Json(**common)
            field.keep(present)
        return field

    def _kind(self, plain: dict[str, Any], common: dict[str, Any], present: Any) -> Field:
        kind = plain.get("type")
        if len(common["path"]) > DEEPEST:
            return Json(**common)
        if "const" in plain:
            return (
                Fixed(**common, value=plain["const"]) if common["required"] else Choice(**common, of=[plain["const"]])
            )
        if "enum" in plain:
            return Choice(**common, of=list(plain["enum"]))
        if kind == "boolean":
            decided = common["required"] or isinstance(common["default"], bool)
            return Choice(**common, of=[True, False]) if common["nullable"] or not decided else Switch(**common)
        if kind == "string":
            text = Text(**common, schema=plain)
            text.keep(present)
            return text
        if kind in ("integer", "number"):
            return Number(**common, schema=plain, whole=kind == "integer")
        if kind == "object":
            return self._object(plain, common, present)
        if kind == "array":
            return self._array(plain, common, present)
        return Json(**common)

    def _object(self, plain: dict[str, Any], common: dict[str, Any], present: Any) -> Field:
        properties = plain.get("properties")
        if not isinstance(properties, dict) or not (properties or plain.get("additionalProperties") is False):
            return Json(**common)
        group = Group(**common)
        shown = present if isinstance(present, dict) else group.default if isinstance(group.default, dict) else {}
        needed = set(plain.get("required", ()))
        inside = common["demanded"]
        group.fields = [
            self.make(
                (*group.path, name),
                schema,
                shown.get(name, ABSENT),
                required=name in needed,
                demanded=inside,
                name=name,
            )
            for name, schema in properties.items()
        ]
        return group

    def _array(self, plain: dict[str, Any], common: dict[str, Any], present: Any) -> Field:
        items = plain.get("items")
        nullable, item = self._plain(items)
        if not item or nullable or "prefixItems" in plain:
            return Json(**common)
        if item.get("type") in SCALARS and "format" not in item and "enum" not in item:
            return Lines(**common, kind=item["type"])
        if item.get("type") != "object" or not item.get("properties"):
            return Json(**common)
        rows = Rows(**common)

        def row(number: int) -> Field:
            value = present[number] if isinstance(present, list) and number < len(present) else {}
            # Nameless: its heading is its number.
            field = self.make((*rows.path, str(number)), items, value, required=True, demanded=True, name="")
            field.title = ""
            return field

        rows.make = row
        return rows

    def _plain(self, schema: Any) -> tuple[bool, dict[str, Any]]:
        """Return whether null is allowed, and the schema without references and the choice of null."""
        resolved = self._resolved(schema, ())
        options = resolved.get("anyOf") or resolved.get("oneOf")
        other_keywords = {key: value for key, value in resolved.items() if key not in ("anyOf", "oneOf")}
        if options:
            non_null = [option for option in options if option != {"type": "null"}]
            if len(non_null) == 1:
                nullable, inner = self._plain(non_null[0])
                return nullable or len(options) > 1, {**inner, **other_keywords}
            return False, {
                key: other_keywords[key] for key in ("title", "description", "default") if key in other_keywords
            }
        kinds = other_keywords.get("type")
        if isinstance(kinds, list):
            non_null = [kind for kind in kinds if kind != "null"]
            other_keywords["type"] = non_null[0] if len(non_null) == 1 else "anything"
            return len(non_null) < len(kinds), other_keywords
        if isinstance(other_keywords.get("enum"), list) and None in other_keywords["enum"]:
            other_keywords["enum"] = [option for option in other_keywords["enum"] if option is not None]
            return True, other_keywords
        return False, other_keywords

    def _resolved(self, schema: Any, seen: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(schema, dict):
            return {}
        every = schema.get("allOf")
        if isinstance(every, list) and len(every) == 1:
            other_keywords = {key: value for key, value in schema.items() if key != "allOf"}
            return {**self._resolved(every[0], seen), **other_keywords}
        reference = schema.get("$ref")
        if reference is None:
            return dict(schema)
        if reference in seen:
            return {}
        other_keywords = {key: value for key, value in schema.items() if key != "$ref"}
        return {**self._resolved(self._at(reference), (*seen, reference)), **other_keywords}

    def _at(self, reference: str) -> Any:
        resolved: Any = self._whole
        for part in filter(None, reference.removeprefix("#").split("/")):
            resolved = (
                resolved.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(resolved, dict) else {}
            )
        return resolved


def _title(schema: Any) -> str:
    """Return the title of a property, not of what it refers to: that says what it is, not what it is for."""
    if not isinstance(schema, dict):
        return ""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return str(schema.get("title") or (_title(options[0]) if len(options) == 1 else ""))
