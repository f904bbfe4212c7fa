"""The inputs of a form: each shows a value, takes what was posted, gives a value back. Pure."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from freehold.master.schemaform.html_pattern import html_pattern
from freehold.protocol import UNREADABLE, numbers

Path = tuple[str, ...]
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent", "__bool__": lambda self: False})()
"""No value at all, which is not null."""
SCALARS = ("string", "integer", "number")
MOST_ROWS = 200
_TYPES = {"email": "email", "uri": "url", "date": "date", "password": "password"}
"""Formats for which browsers have an input."""


class Posted(Protocol):
    """What was posted, as Django gives it."""

    def get(self, name: str, default: str) -> str: ...

    def getlist(self, name: str) -> list[str]: ...


class Field:
    """One input. Its name is its path, in the way of a JSON pointer."""

    template = "text"
    NOT_AN_OBJECT = _("Must be a JSON object.")

    def __init__(
        self, *, path: Path, title: str, description: str, required: bool, demanded: bool, nullable: bool, default: Any
    ) -> None:
        self.path, self.title, self.description = path, title, description
        self.required, self.demanded, self.nullable, self.default = required, demanded, nullable, default
        self.raw = ""
        self.errors: list[str | Promise] = []
        self.attributes: dict[str, str] = {"required": ""} if demanded else {}

    @property
    def name(self) -> str:
        """The input's name."""
        return "/".join(part.replace("~", "~0").replace("/", "~1") for part in self.path)

    @property
    def id(self) -> str:
        """The input's id: no space, which separates ids, and nothing that a selector would trip over."""
        return "f-" + re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", self.name)

    @property
    def described_by(self) -> str:
        """The ids of what explains it."""
        return " ".join(
            f"{self.id}-{part}"
            for part, there in (("hint", self.description or self.default_text), ("error", self.errors))
            if there
        )

    @property
    def default_text(self) -> str:
        """What applies when it is left empty, as a person reads it."""
        if self.default in (ABSENT, None, "") or self.required:
            return ""
        return self.default if isinstance(self.default, str) else json.dumps(self.default, ensure_ascii=False)

    def fits(self, value: Any) -> bool:
        """Whether this input shows that value without loss."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Fill in a value."""
        self.raw = "" if value is ABSENT or value is None else str(value)

    def take(self, posted: Posted) -> None:
        """Fill in what was posted; a form of another type may not have had this input."""
        for value in posted.getlist(self.name)[-1:]:
            self.raw = value.replace("\r\n", "\n")

    def give(self) -> Any:
        """Return the value, or ABSENT; what cannot be read becomes an error here."""
        raise NotImplementedError

    def walk(self) -> Iterator["Field"]:
        """Yield it and all inputs inside."""
        yield self

    def _nothing(self) -> Any:
        """What an empty input means."""
        return None if self.required and self.nullable else ABSENT

    def _refuse(self, why: str | Promise) -> Any:
        self.errors.append(why)
        return ABSENT


class Text(Field):
    """A text: on one line, on many, or not shown."""

    def __init__(self, *, schema: dict[str, Any], **common: Any) -> None:
        super().__init__(**common)
        self.type = _TYPES.get(schema.get("format", ""), "text")
        self.long = bool(schema.get("textarea"))
        self.template = "textarea" if self.long else "text"
        self._kept: Any = ABSENT
        if not schema.get("minLength"):
            # An empty text is a text.
            self.attributes.pop("required", None)
        for rule, attribute in (("minLength", "minlength"), ("maxLength", "maxlength")):
            if isinstance(schema.get(rule), int):
                self.attributes[attribute] = str(schema[rule])
        pattern = html_pattern(schema.get("pattern"))
        if pattern and not self.long:
            self.attributes["pattern"] = pattern
        if self.type == "password":
            self.attributes["autocomplete"] = "new-password"
        elif self.default_text and not self.long:
            self.attributes["placeholder"] = self.default_text

    @property
    def is_kept(self) -> bool:
        """There is a password already, which stays when nothing is entered."""
        return self.type == "password" and isinstance(self._kept, str)

    def keep(self, value: Any) -> None:
        """Note the present value: what a password that is left empty stays, and whether it has lines."""
        self._kept = value
        if self.is_kept:
            self.attributes.pop("required", None)
            self.attributes.pop("minlength", None)
        if isinstance(value, str) and "\n" in value and self.type != "password":
            self.template = "textarea"
            self.attributes.pop("pattern", None)

    @property
    def default_text(self) -> str:
        return "" if self.type == "password" else super().default_text

    def fits(self, value: Any) -> bool:
        if value is None:
            return self._is_nothing(None)
        return isinstance(value, str) and (value != "" or self.required or self.default in (ABSENT, ""))

    def show(self, value: Any) -> None:
        if self.type != "password":
            super().show(value)

    def give(self) -> Any:
        if self.raw:
            return self.raw
        if self.is_kept:
            return self._kept
        return "" if self.required and not self.nullable else self._nothing()

    def _is_nothing(self, value: None) -> bool:
        return self.nullable and (self.required or self.default in (ABSENT, value))


class Number(Field):
    """A number."""

    type = "number"

    def __init__(self, *, schema: dict[str, Any], whole: bool, **common: Any) -> None:
        super().__init__(**common)
        self._whole = whole
        step = schema.get("multipleOf", 1 if whole else None)
        self.attributes["step"] = "any" if step is None else json.dumps(step)
        self.attributes["inputmode"] = "numeric" if whole and schema.get("minimum", -1) >= 0 else "text"
        for attribute, closed, open_, limit in (
            ("min", "minimum", "exclusiveMinimum", 1),
            ("max", "maximum", "exclusiveMaximum", -1),
        ):
            if closed in schema:
                self.attributes[attribute] = json.dumps(schema[closed])
            elif isinstance(schema.get(open_), int) and whole:
                self.attributes[attribute] = json.dumps(schema[open_] + limit)
            elif open_ in schema:
                self.attributes[attribute] = json.dumps(schema[open_])
        if self.default_text:
            self.attributes["placeholder"] = self.default_text

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.nullable and (self.required or self.default in (ABSENT, None))
        return isinstance(value, int if self._whole else (int, float)) and not isinstance(value, bool)

    def show(self, value: Any) -> None:
        self.raw = "" if value is ABSENT or value is None else json.dumps(value)

    def give(self) -> Any:
        text = self.raw.strip()
        if not text:
            return self._refuse(_("This is needed.")) if self.required and not self.nullable else self._nothing()
        number = read_number(text, whole=self._whole)
        return (
            self._refuse(_("Must be a whole number.") if self._whole else _("Must be a number."))
            if (number is None)
            else number
        )


class Choice(Field):
    """One of some values."""

    template = "choice"

    def __init__(self, *, of: list[Any], **common: Any) -> None:
        super().__init__(**common)
        self._of = list(of)
        if self.nullable and self.default is not None and None not in self._of:
            self._of.append(None)

    @property
    def choices(self) -> list[tuple[str, Any, bool]]:
        """Value as it is posted, the value itself, whether it is chosen."""
        return [(text, value, text == self.raw) for text, value in ((json.dumps(value), value) for value in self._of)]

    @property
    def may_be_empty(self) -> bool:
        """There is a choice of none: of the default, or because nothing was chosen yet."""
        return not self.required or self.nullable or not self.raw

    def fits(self, value: Any) -> bool:
        return json.dumps(value) in [json.dumps(option) for option in self._of] or (
            value is None and self.nullable and not self.required
        )

    def show(self, value: Any) -> None:
        self.raw = "" if value is ABSENT else json.dumps(value)

    def give(self) -> Any:
        if not self.raw:
            return self._refuse(_("Choose one.")) if self.required and not self.nullable else self._nothing()
        for text, value, _chosen in self.choices:
            if text == self.raw:
                return value
        return self._refuse(_("Choose one."))


class Switch(Field):
    """Yes or no, where one of them is the default."""

    template = "switch"

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        # A box that must be ticked would not be a choice.
        self.attributes.pop("required", None)
        self.on = self.default is True

    @property
    def default_text(self) -> str:
        return ""

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)

    def show(self, value: Any) -> None:
        self.on = self.default is True if value is ABSENT else value is True

    def take(self, posted: Posted) -> None:
        # A box that is not ticked posts nothing: a hidden input beside it does.
        for value in posted.getlist(self.name)[-1:]:
            self.on = value == "on"

    def give(self) -> Any:
        return self.on if self.required or self.on is not self.default else ABSENT


class Fixed(Field):
    """The one value that is possible."""

    template = "fixed"

    def __init__(self, *, value: Any, **common: Any) -> None:
        super().__init__(**common)
        self.value = value

    def fits(self, value: Any) -> bool:
        return bool(value == self.value)

    def show(self, value: Any) -> None:
        """It is always the same."""

    def take(self, posted: Posted) -> None:
        """It is always the same."""

    def give(self) -> Any:
        return self.value


class Lines(Field):
    """A list of texts or numbers, one a line."""

    template = "lines"

    def __init__(self, *, kind: str, **common: Any) -> None:
        super().__init__(**common)
        self._kind = kind
        self.attributes.pop("required", None)

    @property
    def default_text(self) -> str:
        # It is filled in.
        return ""

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.nullable and (self.required or self.default in (ABSENT, None))
        if not isinstance(value, list) or (not value and self.nullable):
            return False
        if self._kind == "string":
            return all(isinstance(item, str) and item == item.strip() and item and "\n" not in item for item in value)
        kinds = int if self._kind == "integer" else (int, float)
        return all(isinstance(item, kinds) and not isinstance(item, bool) for item in value)

    def show(self, value: Any) -> None:
        value = self.default if value is ABSENT else value
        lines = value if isinstance(value, list) else []
        self.raw = "\n".join(item if isinstance(item, str) else json.dumps(item) for item in lines)

    def give(self) -> Any:
        values: list[Any] = []
        for line in filter(None, (line.strip() for line in self.raw.split("\n"))):
            if self._kind == "string":
                values.append(line)
                continue
            number = read_number(line, whole=self._kind == "integer")
            if number is None:
                return self._refuse(_("Each line must be a number."))
            values.append(number)
        if not values and self.nullable:
            return self._nothing()
        is_default = values == (self.default or [])
        return ABSENT if is_default and not self.required else values


class Group(Field):
    """An object: a frame around its properties."""

    template = "group"

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self.fields: list[Field] = []
        self.attributes = {}
        self.has_switch = self.nullable or (not self.required and self.default is ABSENT)
        self.on = not self.has_switch

    @property
    def default_text(self) -> str:
        return ""

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.nullable
        return isinstance(value, dict) and value.keys() <= {field.path[-1] for field in self.fields}

    def show(self, value: Any) -> None:
        if self.has_switch:
            self.on = isinstance(self.default if value is ABSENT else value, dict)
        shown = value if isinstance(value, dict) else self.default if isinstance(self.default, dict) else {}
        for field in self.fields:
            field.show(shown.get(field.path[-1], ABSENT))

    def take(self, posted: Posted) -> None:
        for value in posted.getlist(f"{self.name}/?")[-1:]:
            self.on = value == "on"
        for field in self.fields:
            field.take(posted)

    def give(self) -> Any:
        if not self.on:
            return None if self.nullable and (self.required or self.default is not None) else ABSENT
        pairs = [(field.path[-1], field.give()) for field in self.fields]
        fields = {name: value for name, value in pairs if value is not ABSENT}
        if self.required or self.has_switch:
            return fields
        return ABSENT if not fields or fields == self.default else fields

    def walk(self) -> Iterator[Field]:
        yield self
        # What is inside of an object that is left out is not looked at.
        for field in self.fields if self.on else ():
            yield from field.walk()


class Rows(Field):
    """A list of objects: frames that can be added and removed."""

    template = "rows"

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self.attributes = {}
        self.rows: list[Field] = []
        self.make: Callable[[int], Field] = lambda number: self

    @property
    def default_text(self) -> str:
        return ""

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.nullable and (self.required or self.default in (ABSENT, None))
        if not isinstance(value, list) or len(value) > MOST_ROWS or (not value and self.nullable):
            return False
        return all(isinstance(item, dict) and isinstance(self.make(number), Group) for number, item in enumerate(value))

    def show(self, value: Any) -> None:
        value = self.default if value is ABSENT else value
        self.rows = []
        for number, item in enumerate(value if isinstance(value, list) else []):
            row = self.make(number)
            row.show(item)
            self.rows.append(row)

    def take(self, posted: Posted) -> None:
        texts = posted.getlist(f"{self.name}/#")
        if not texts:
            return
        numbers = [int(text) for text in texts if re.fullmatch(r"\d{1,6}", text, re.ASCII)]
        removed = posted.get("remove-row", "")
        if posted.get("add-row", "") == self.name:
            numbers.append(max(numbers, default=-1) + 1)
        numbers, beyond = numbers[:MOST_ROWS], numbers[MOST_ROWS:]
        if beyond:
            self._refuse(_("These are more rows than this form takes; the last ones are left out."))
        self.rows = []
        for number in dict.fromkeys(numbers):
            row = self.make(number)
            row.take(posted)
            if row.name != removed:
                self.rows.append(row)

    def give(self) -> Any:
        items = [row.give() for row in self.rows]
        if not items and self.nullable:
            return self._nothing()
        is_default = items == (self.default or [])
        return ABSENT if is_default and not self.required else items

    def walk(self) -> Iterator[Field]:
        yield self
        for row in self.rows:
            yield from row.walk()


class Json(Field):
    """Whatever no other input expresses, written as JSON."""

    template = "json"
    is_secret = False
    """Its value is not shown."""
    _kept: Any = ABSENT

    @property
    def is_kept(self) -> bool:
        """There is a secret already, which stays when nothing is entered."""
        return self._kept is not ABSENT

    def keep(self, value: Any) -> None:
        """Note the present value, which is secret."""
        self.is_secret, self._kept = True, value
        if self.is_kept:
            self.attributes.pop("required", None)

    def fits(self, value: Any) -> bool:
        return True

    def show(self, value: Any) -> None:
        self.raw = "" if value is ABSENT or self.is_secret else json.dumps(value, indent=2, ensure_ascii=False)

    def give(self) -> Any:
        if not self.raw.strip():
            if self.is_kept:
                return self._kept
            return self._refuse(_("This is needed.")) if self.required and not self.nullable else self._nothing()
        try:
            return msgspec.json.decode(self.raw.encode())
        except (UnicodeError, *UNREADABLE):
            return self._refuse(_("This is not JSON."))


def read_number(text: str, *, whole: bool) -> int | float | None:
    """Return the number that a text is; None when it is none."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return None if whole else numbers.read(text)
    except ValueError:
        return None
