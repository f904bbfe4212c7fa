"""An order: what is said of an instance that should exist. Each field is declared here, and only here.

A field of `OrderSpec` is a declaration. The API's bodies, the command line, the client, requests of instances and the
writes of ordering derive from it. What is free text derives whole: its column, its check, and where it is shown.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, get_type_hints

import msgspec

from freehold.protocol.states import Wanted


class OfferedTo(StrEnum):
    """Who may have shared instances on a host."""

    PROJECT = "project"
    EVERYONE = "everyone"


@dataclass(frozen=True)
class OrderField:
    """What is known of a field, beside its name and type."""

    says: str
    """What it means, for readers of the API."""
    help: str
    """The same for users of the command line, in a few words."""
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    """Those of its values that the command line offers; others have commands of their own."""
    is_of_people: bool = False
    """Only people say it: an instance that requests others cannot."""
    title: str = ""
    """Of free text: what people read before it, in English; the panel translates it."""
    longest: int = 0
    """Of free text: how many characters it has at most. It is kept with the instance, shown, and never read by us."""


class OrderSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is None stays as it is, or takes its default for a new instance: the newest release that some node offers,
    type `default`, no parameters, no constraints, started, offered to its own project."""

    product: Annotated[
        str | None, OrderField("Needed for a new instance, unless an offer says it.", "needed for a new one")
    ] = None
    release: Annotated[
        str | None,
        OrderField(
            "Version. A new instance takes the newest supplied; an existing one changes only when named.",
            "a new one takes the newest; an existing one changes only when named",
            "VERSION",
        ),
    ] = None
    type: Annotated[str | None, OrderField("Flavour of the product.", "flavour of the product (default: default)")] = (
        None
    )
    parameters: Annotated[
        dict[str, Any] | None,
        OrderField(
            "Must fit the JSON schema of the release's type.", "JSON object, or @FILE, or - for standard input", "JSON"
        ),
    ] = None
    constraints: Annotated[
        dict[str, Any] | None,
        OrderField(
            "Where it may go: node, site, region, labels, cpus, memory_mb, disk_mb, architecture, placement (spread or "
            "pack).",
            'where it may go, such as {"site": "home", "placement": "pack"}',
            "JSON",
        ),
    ] = None
    size: Annotated[
        dict[str, Any] | None,
        OrderField(
            "What it may use, and its node keeps for it: cpus, memory_mb, disk_mb, processes, open_files. What is not "
            "named is as its type says. With an offer, that says it.",
            'what it may use, such as {"cpus": 2, "memory_mb": 4096}',
            "JSON",
        ),
    ] = None
    state: Annotated[
        Wanted | None, OrderField("What is wanted of it.", "what is wanted of it", choices=("started", "stopped"))
    ] = None
    offered_to: Annotated[
        OfferedTo | None,
        OrderField(
            "For an instance that serves shared ones: its own project (as at first), or everyone (this takes the role "
            "of an operator).",
            "who may have shared instances on it (everyone: for operators)",
            choices=("project", "everyone"),
            is_of_people=True,
        ),
    ] = None
    offer: Annotated[
        str | None,
        OrderField(
            "What is ordered at its price: says product, type and its parameters.",
            "what is ordered at its price; says the product",
            is_of_people=True,
        ),
    ] = None
    quote: Annotated[
        str | None,
        OrderField(
            "The quote to be held to; see quotes.",
            "the quote to be held to (freehold quote)",
            "HASH",
            is_of_people=True,
        ),
    ] = None
    protected: Annotated[
        bool | None,
        OrderField(
            "It is not destroyed, and its data is not given up by a move, before this is taken off again.",
            "yes: it cannot be destroyed before this is taken off again",
            choices=("yes", "no"),
            is_of_people=True,
        ),
    ] = None
    note: Annotated[
        str | None,
        OrderField(
            "Own words about it, of at most 200 characters in one line; empty: none any more.",
            "own words about it, shown with it (empty: none any more)",
            "TEXT",
            is_of_people=True,
            title="Note",
            longest=200,
        ),
    ] = None


def _declared() -> dict[str, OrderField]:
    hints = get_type_hints(OrderSpec, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in OrderSpec.__struct_fields__}


FIELDS: dict[str, OrderField] = _declared()
"""Every field by its name."""
TYPES: dict[str, Any] = {name: hint for name, hint in get_type_hints(OrderSpec).items() if name in FIELDS}
"""The type of each, with None."""
OF_PEOPLE = tuple(name for name, field in FIELDS.items() if field.is_of_people)
FREE_TEXT = tuple(name for name, field in FIELDS.items() if field.longest)
