"""What the schema of a release may cost: its patterns, its size, its evaluation."""

from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Invalid, InvalidParameters
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms

CHAIN = {
    "$ref": "#/$defs/0",
    "$defs": {
        **{str(level): {"allOf": [{"$ref": f"#/$defs/{level + 1}"}] * 2} for level in range(30)},
        "30": {"type": "object"},
    },
}
"""Two references to the next, thirty times: a billion evaluations."""
DEEP: Any = {}
for _ in range(70):
    DEEP = {"not": DEEP}


def _publish(rooms: "Rooms", schema: Any) -> str:
    return str(rooms.publish(tiny_release(schema=schema)).id)


def test_a_value_that_would_stop_others_is_checked_at_once(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas

    release = _publish(rooms, {"properties": {"a": {"pattern": "^(a+)+$"}}, "patternProperties": {"^(b+)+$": False}})
    schemas.validate(release, "default", {"a": "a" * 50_000, "b" * 50_000 + "c": 1})
    with pytest.raises(InvalidParameters) as refused:
        schemas.validate(release, "default", {"a": "a" * 50_000 + "b"})
    assert [error.rule for error in refused.value.errors] == ["pattern: '^(a+)+$'"]
    with pytest.raises(InvalidParameters):
        schemas.validate(release, "default", {"bb": 1})


def test_the_end_of_a_pattern_is_the_end_of_the_text(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas

    release = _publish(
        rooms,
        {"properties": {"a": {"pattern": "^[a-z]+$"}}, "patternProperties": {"^x$": {}}, "additionalProperties": False},
    )
    schemas.validate(release, "default", {"a": "abc", "x": 1})
    for wrong in ({"a": "abc\n"}, {"x\n": 1}):
        with pytest.raises(InvalidParameters):
            schemas.validate(release, "default", wrong)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"pattern": "(?=a)"}}}, r"at character 1: look-around"),
        ({"patternProperties": {r"(a)\1": {}}}, r"at character 4: back-references"),
        ({"pattern": r"[\p{L}\p{N}]{1000}" * 100}, "the engine refuses it"),
        ({"allOf": [{"pattern": "a"}] * 501}, "501 patterns"),
        ({"description": "x" * 300_000}, "bytes of JSON"),
        (DEEP, "nested more than 64 deep"),
        (CHAIN, "more than 100000 steps"),
        (True, "is no object, but true"),
        (False, "is no object, but false"),
        ({"unevaluatedProperties": False, "allOf": [{"patternProperties": {"a": {}}}]}, "both"),
    ],
    ids=[
        "look-around",
        "back-reference",
        "too large",
        "many",
        "long",
        "deep",
        "billion",
        "true",
        "false",
        "unevaluated",
    ],
)
def test_a_schema_beyond_its_bounds_is_refused_at_publication(rooms: "Rooms", schema: Any, words: str) -> None:
    from freehold.master.catalog.models import Release

    with pytest.raises(Invalid, match=words):
        _publish(rooms, schema)
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"items": {"enum": [*range(2000), {}]}}}},
        {"properties": {"a": {"items": {"allOf": [{"maxProperties": 0}] * 50}}}},
    ],
    ids=["enum", "keywords"],
)
def test_an_evaluation_beyond_its_steps_is_refused_with_words(rooms: "Rooms", schema: Any) -> None:
    from freehold.master.catalog import schemas

    release = _publish(rooms, schema)
    schemas.validate(release, "default", {})
    with pytest.raises(InvalidParameters, match="more than 100000 steps"):
        schemas.validate(release, "default", {"a": [{}] * 20_000})


def test_items_are_compared_in_linear_time_as_the_standard_says(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas

    release = _publish(rooms, {"properties": {"a": {"uniqueItems": True}}})
    schemas.validate(release, "default", {"a": [{"n": number} for number in range(5000)]})
    schemas.validate(release, "default", {"a": [1, True, "1", [1], {"1": 1}]})
    for same in ([1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], [[], []]):
        with pytest.raises(InvalidParameters, match="non-unique"):
            schemas.validate(release, "default", {"a": same})


@pytest.mark.parametrize(
    ("step", "right", "wrong"),
    [
        (0.01, [19.99, 4.02, 1.11, 3, -0.07, 1e22, 2**70], [19.999, 1e-3]),
        (1e-9, [0.1, 123456.789000001], [1e-10]),
        (5, [10, 10.0, 1e300, 0], [1.5, 4, float("inf"), float("nan")]),
        (0.3, [0.9, 1.2, 3e10], [1.0, 0.1]),
    ],
)
def test_multiples_are_those_of_the_numbers_as_they_are_written(
    rooms: "Rooms", step: float, right: list[float], wrong: list[float]
) -> None:
    from freehold.master.catalog import schemas

    release = _publish(rooms, {"properties": {"a": {"multipleOf": step}}})
    for value in right:
        schemas.validate(release, "default", {"a": value})
    for value in wrong:
        with pytest.raises(InvalidParameters):
            schemas.validate(release, "default", {"a": value})


def test_a_whole_number_reaches_the_node_as_one_however_it_was_written(rooms: "Rooms") -> None:
    from freehold.master.ordering.models import Instance

    release = rooms.publish(tiny_release(schema={"properties": {"size": {"type": "integer"}}}))
    rooms.supply(release, rooms.node("wide"))
    for written in (3.0, 3, 30e-1):
        rooms.request("page", parameters={"size": written, "more": [{"of": -0.0}, 2.5, True]})
        assert Instance.objects.get(title="page").parameters == '{"size":3,"more":[{"of":0},2.5,true]}'
    with pytest.raises(Invalid, match="no JSON that can be kept"):
        rooms.request("page", parameters={"other": float("nan")})


BIG = 9007199254740993
"""No binary fraction of 64 bits is this number: the nearest is one less."""
LONG = "0.10000000000000000001"


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ({"maximum": BIG}, [str(BIG), str(BIG - 1)], [str(BIG + 1), f"{BIG}.5", "9007199254740994.0"]),
        ({"minimum": BIG}, [str(BIG), f"{BIG}.0"], [str(BIG - 1), "9007199254740992.0"]),
        ({"exclusiveMaximum": BIG}, [str(BIG - 1)], [str(BIG), f"{BIG}.0"]),
        ({"maximum": 1e23}, ["1e23", "1" + "0" * 23, "99999999999999999999999"], ["1" + "0" * 22 + "1"]),
        ({"const": BIG}, [str(BIG), f"{BIG}.0"], [str(BIG - 1), "9007199254740992.0"]),
        ({"const": 0.1}, ["0.1", "1e-1", "0.10"], [LONG, "0.09999999999999999999"]),
        ({"enum": [0.1, 10**30]}, ["0.1", "1e30", "1" + "0" * 30], [LONG, "1" + "0" * 29 + "1"]),
        ({"maximum": 0.1}, ["0.1", "0.09999999999999999999"], [LONG, "0.10000000000000001"]),
        ({"minimum": 0.1}, ["0.1", LONG], ["0.09999999999999999999"]),
        ({"multipleOf": 0.01}, ["19.99", "19.990000000000000000"], ["19.990000000000000001", LONG]),
        ({"type": "integer"}, ["3.0", "1e30", "3.00000000000000000000"], ["3.00000000000000000001"]),
        (
            {"uniqueItems": True},
            [f"[0.2, {LONG}]", f"[{BIG}, {BIG - 1}.0]"],
            [f"[0.1, {LONG}]", f"[{LONG}, {LONG}0]", "[1e23, 1" + "0" * 23 + "]"],
        ),
    ],
)
def test_numbers_of_any_length_are_compared_as_they_are_written(
    rooms: "Rooms", rule: Any, right: list[str], wrong: list[str]
) -> None:
    from freehold.protocol import numbers

    rooms.supply(rooms.publish(tiny_release(schema={"properties": {"a": rule}})), rooms.node("wide"))
    for text in right:
        rooms.request("page", parameters=numbers.decode(f'{{"a": {text}}}'.encode()), dry_run=True)
    for text in wrong:
        for dry_run in (True, False):
            with pytest.raises(InvalidParameters):
                rooms.request("page", parameters=numbers.decode(f'{{"a": {text}}}'.encode()), dry_run=dry_run)


def test_what_is_kept_of_a_long_number_must_fit_too_and_is_what_the_node_gets(rooms: "Rooms") -> None:
    from freehold.master.ordering.models import Instance
    from freehold.protocol import numbers

    release = rooms.publish(tiny_release(schema={"properties": {"a": {"exclusiveMaximum": 0.1}}}))
    rooms.supply(release, rooms.node("wide"))
    with pytest.raises(InvalidParameters, match=r"0\.1 is greater than or equal to the maximum of 0\.1"):
        rooms.request("page", parameters=numbers.decode(b'{"a": 0.09999999999999999999}'))
    rooms.request("page", parameters=numbers.decode(b'{"a": 0.05000000000000000001, "b": [1e23]}'))
    kept = Instance.objects.get(title="page").parameters
    assert kept == '{"a":0.05,"b":[100000000000000000000000]}'


def test_an_error_shows_a_number_as_it_was_written(rooms: "Rooms") -> None:
    from freehold.protocol import numbers

    rooms.supply(rooms.publish(tiny_release(schema={"properties": {"a": {"maximum": 0.1}}})), rooms.node("wide"))
    with pytest.raises(InvalidParameters, match=f"a: {LONG} is greater than the maximum of 0.1") as error:
        rooms.request("page", parameters=numbers.decode(f'{{"a": {LONG}}}'.encode()))
    assert LONG in str(error.value.problem().errors[0].value)


@pytest.mark.parametrize("number", ["0.12345678901234567890", "1.00000000000000000001"])
def test_a_schema_with_a_number_that_is_not_kept_whole_is_refused(rooms: "Rooms", number: str) -> None:
    text = f'{{"properties": {{"a": {{"maximum": {number}}}}}}}'.encode()
    with pytest.raises(Invalid, match="more digits than are kept"):
        rooms.publish(tiny_release(files={"in.json": text}))


SECRETS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "password": {"type": "string", "format": "password", "pattern": "^[^:\n]*$"},
        "login": {"type": "object", "properties": {"key": {"format": "password", "maxLength": 3}}},
        "size": {"type": "integer", "maximum": 9},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("wrong", "also", "field"),
    [
        ({"password": "hush:hush"}, {}, "parameters.password"),
        ({"login": {"key": "hush:hush"}}, {}, "parameters.login.key"),
        ({"login": "hush:hush"}, {}, "parameters.login"),
        ({"password": "hush:hush", "passwort": 1}, {"properties": {"password": {"format": "password"}}}, "parameters"),
        ({"password": "hush:hush"}, {"required": ["size"]}, "parameters.size"),
        ({"password": "hush:hush"}, {"minProperties": 2}, "parameters"),
        ({"password": "hush:hush"}, {"anyOf": [{"required": ["size"]}]}, "parameters"),
        ({"password": "hush:hush"}, {"not": {}}, "parameters"),
    ],
)
def test_a_secret_that_does_not_fit_is_not_repeated(
    rooms: "Rooms", wrong: dict[str, Any], also: dict[str, Any], field: str
) -> None:
    from freehold.master.catalog import schemas

    release = _publish(rooms, {**SECRETS, **also})
    with pytest.raises(InvalidParameters) as refused:
        schemas.validate(release, "default", wrong)
    assert field in [error.field for error in refused.value.errors]
    assert "hush" not in f"{refused.value.detail} {refused.value.errors}"


def test_what_is_no_secret_is_repeated_beside_one(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas

    with pytest.raises(InvalidParameters) as refused:
        schemas.validate(_publish(rooms, SECRETS), "default", {"password": "hush", "size": 12, "sise": 1})
    told = {error.field: (error.rule, error.value) for error in refused.value.errors}
    assert told["parameters.size"] == ("maximum: 9", 12)
    assert told["parameters"] == (
        "additionalProperties: There is no 'sise' here; do you mean 'size'?",
        {"password": "[secret]", "size": 12, "sise": 1},
    )


SIZE = {"properties": {"size": {"type": "integer"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {**SIZE, "unevaluatedProperties": False},
        {"allOf": [SIZE], "unevaluatedProperties": False},
        {"$ref": "#/$defs/a", "$defs": {"a": {"if": {}, "then": SIZE}}, "unevaluatedProperties": False},
        {"$ref": "#/$defs/a%20~1b", "$defs": {"a /b": SIZE}, "unevaluatedProperties": False},
        {"oneOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"dependentSchemas": {"sise": SIZE}}},
         "unevaluatedProperties": False},
        {"allOf": [{**SIZE, "additionalProperties": False}]},
    ],
)  # fmt: skip
def test_a_misspelt_parameter_is_told_with_the_nearest_wherever_the_schema_names_it(
    rooms: "Rooms", schema: dict[str, Any]
) -> None:
    from freehold.master.catalog import schemas

    with pytest.raises(InvalidParameters) as refused:
        schemas.validate(_publish(rooms, {"type": "object", **schema}), "default", {"sise": 1})
    assert "There is no 'sise' here; do you mean 'size'?" in refused.value.detail
