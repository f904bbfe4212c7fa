"""The catalogue: what may be published, and what may not."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from support.running import SCHEMA, tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms


def test_publishing_the_same_again_changes_nothing(rooms: "Rooms") -> None:
    first = rooms.publish(tiny_release())
    again = rooms.publish(tiny_release())
    from freehold.master.catalog.actions import archive_path
    from freehold.master.catalog.models import Release, ReleaseType
    from freehold.master.foundation.models import AuditRow

    assert again == first
    assert Release.objects.count() == ReleaseType.objects.count() == 1
    assert AuditRow.objects.filter(verb="release.publish").count() == 1
    assert archive_path(first.id).read_bytes() == tiny_release()


def test_a_version_once_published_never_changes(rooms: "Rooms") -> None:
    rooms.publish(tiny_release())
    with pytest.raises(Conflict, match=r"tiny 1\.0 is published already, with other content"):
        rooms.publish(tiny_release(files={"more.txt": b"more"}))
    rooms.publish(tiny_release(version="1.1", files={"more.txt": b"more"}))


def test_a_conflicting_archive_is_not_kept(rooms: "Rooms") -> None:
    from freehold.master.catalog.actions import archive_path
    from freehold.protocol import archive

    rooms.publish(tiny_release())
    other = tiny_release(files={"kept.txt": b"never"})
    with pytest.raises(Conflict):
        rooms.publish(other)
    assert not archive_path(archive.digest(other)).exists()


def test_the_newest_release_is_the_one_published_last(rooms: "Rooms") -> None:
    from freehold.master.catalog import queries

    rooms.publish(tiny_release(version="2.0"))
    rooms.publish(tiny_release(version="1.9"))
    assert queries.choose("tiny", None, "default").version == "1.9"
    assert queries.choose("tiny", "2.0", "default").version == "2.0"


def test_who_names_what_is_not_there_is_told_what_is(rooms: "Rooms") -> None:
    from freehold.master.catalog import queries

    with pytest.raises(NotFound) as caught:
        queries.find("tiny", None)
    assert caught.value.remedy == "Products here: none yet."
    rooms.publish(tiny_release(types=("large", "small")))
    with pytest.raises(NotFound) as caught:
        queries.find("other", None)
    assert caught.value.remedy == "Products here: tiny."
    with pytest.raises(NotFound) as caught:
        queries.find("tiny", "7")
    assert caught.value.remedy == "Published releases: 1.0."
    with pytest.raises(NotFound) as caught:
        queries.choose("tiny", None, "default")
    assert caught.value.remedy == "Its types are: large, small."


def test_a_customer_does_not_publish(rooms: "Rooms") -> None:
    from freehold.master.catalog import actions

    for project in ("shop", "provider", "nowhere"):
        with pytest.raises(Forbidden):
            actions.publish(tiny_release(), project, acting=rooms.customer)


def test_the_name_of_another_projects_product_is_taken(rooms: "Rooms") -> None:
    from freehold.master.catalog import actions
    from freehold.master.people import identity

    rooms.publish(tiny_release())
    with pytest.raises(Forbidden, match="belongs to another project"):
        actions.publish(tiny_release(version="2.0"), "shop", acting=identity.system())


def _tar(*members: tuple[str, bytes, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


GOOD = tiny_release()
NONSENSE = {
    "nothing": b"",
    "words": b"this is no archive",
    "cut short": GOOD[: len(GOOD) // 2],
    "damaged": GOOD[:40] + bytes(20) + GOOD[60:],
    "a zip of zeros": gzip.compress(bytes(10_000)),
    "without descriptor": _tar(("readme.txt", tarfile.REGTYPE, b"hello")),
    "a symbolic link": _tar(("software.cfg.json", tarfile.SYMTYPE, b"")),
    "a device": _tar(("null", tarfile.CHRTYPE, b"")),
    "above": _tar(("../software.cfg.json", tarfile.REGTYPE, b"{}")),
    "absolute": _tar(("/software.cfg.json", tarfile.REGTYPE, b"{}")),
    "too many files": _tar(*((f"{n}.txt", tarfile.REGTYPE, b"") for n in range(10_001))),
    "a bomb": _tar(("zeros", tarfile.REGTYPE, bytes(129 * 1024 * 1024))),
}


@pytest.mark.parametrize("packed", NONSENSE.values(), ids=list(NONSENSE))
def test_nonsense_is_not_a_release(rooms: "Rooms", packed: bytes) -> None:
    from freehold.master.catalog.models import Product

    with pytest.raises(Invalid):
        rooms.publish(packed)
    assert not Product.objects.exists()


def test_an_archive_larger_than_a_release_may_be_is_refused(rooms: "Rooms") -> None:
    with pytest.raises(TooLarge):
        rooms.publish(bytes(33 * 1024 * 1024))


def _descriptor(**changes: Any) -> dict[str, bytes]:
    told: dict[str, Any] = {
        "name": "tiny", "version": "1", "description": "",
        "software-type": {"default": {"title": "x", "request": "in.json", "response": "out.json"}},
    }  # fmt: skip
    return {"software.cfg.json": json.dumps({**told, **changes}).encode()}


def _type(**changes: Any) -> dict[str, bytes]:
    one = {"title": "x", "request": "in.json", "response": "out.json", **changes}
    return _descriptor(**{"software-type": {"default": one}})


BAD_RELEASES: dict[str, tuple[dict[str, bytes], str]] = {
    "descriptor no JSON": ({"software.cfg.json": b"{"}, "software.cfg.json"),
    "descriptor a list": ({"software.cfg.json": b"[]"}, "software.cfg.json"),
    "no name": (_descriptor(name=""), "name or version"),
    "a name with spaces": (_descriptor(name="my shop"), "name or version"),
    "a version with a slash": (_descriptor(version="1/2"), "name or version"),
    "no type": (_descriptor(**{"software-type": {}}), "no software type"),
    "weight 0": (_type(weight=0), "weight"),
    "weight above": (_type(weight=1001), "weight"),
    "a schema that is not there": (_type(request="lost.json"), "lost.json"),
    "a schema in a folder": (_type(request="sub/in.json"), "sub/in.json"),
    "schema no JSON": ({"in.json": b"{"}, "in.json is not JSON"),
    "schema a number": ({"in.json": b"7"}, "not a JSON schema"),
    "schema of a type that is not": ({"in.json": b'{"type": "strnig"}'}, "not a JSON schema"),
    "response schema invalid": ({"out.json": b'{"minimum": "1"}'}, "out.json is not a JSON schema"),
    "a schema that recurses for ever": ({"in.json": b'{"$ref": "#"}'}, "in.json"),
    "a reference to nothing": ({"in.json": b'{"$ref": "#/$defs/lost"}'}, "#/\\$defs/lost"),
    "a pattern that is not one": ({"in.json": b'{"pattern": "("}'}, "in.json"),
    "names with a zero": (_type(title="a\0b"), "zero"),
    "an index beyond numbers": (_type(index=2**40), "index"),
}


@pytest.mark.parametrize(("files", "said"), BAD_RELEASES.values(), ids=list(BAD_RELEASES))
def test_a_release_that_does_not_hold_together_is_refused(rooms: "Rooms", files: dict[str, bytes], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        rooms.publish(tiny_release(files=files))


@pytest.mark.parametrize(
    "reference",
    ["https://example.org/schema.json", "file:///etc/passwd", "other.json", "//example.org/x"],
)
@pytest.mark.parametrize("place", ["properties", "items", "$defs", "allOf", "dynamic"])
def test_the_master_fetches_nothing_for_a_schema(rooms: "Rooms", reference: str, place: str) -> None:
    inner = {"$dynamicRef" if place == "dynamic" else "$ref": reference}
    schema = {
        "properties": {"properties": {"a": inner}},
        "items": {"items": inner},
        "$defs": {"$defs": {"a": inner}},
        "allOf": {"allOf": [{}, inner]},
        "dynamic": inner,
    }[place]
    with pytest.raises(Invalid, match="refers to"):
        rooms.publish(tiny_release(schema=schema))


def test_references_within_a_schema_are_followed(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas
    from freehold.master.foundation.errors import InvalidParameters

    schema = {"properties": {"a": {"$ref": "#/$defs/word"}}, "$defs": {"word": {"type": "string"}}}
    release = rooms.publish(tiny_release(schema=schema))
    schemas.validate(release.id, "default", {"a": "x"})
    with pytest.raises(InvalidParameters):
        schemas.validate(release.id, "default", {"a": 1})


def test_a_wrong_parameter_is_named_with_its_rule_and_value(rooms: "Rooms") -> None:
    from freehold.master.catalog import schemas
    from freehold.master.foundation.errors import InvalidParameters

    release = rooms.publish(tiny_release(schema={**SCHEMA, "required": ["greeting"]}))
    with pytest.raises(InvalidParameters) as caught:
        schemas.validate(release.id, "default", {"size": 11, "colour": "x" * 500})
    errors = {error.field: error for error in caught.value.errors}
    assert errors["parameters.size"].rule == "maximum: 10"
    assert errors["parameters.size"].value == 11
    assert errors["parameters.greeting"].rule.startswith("required")
    assert len(str(errors["parameters"].value)) < 100


def test_both_components_read_an_archive_alike(tmp_path: Path) -> None:
    from freehold.protocol import archive

    (tmp_path / "here").mkdir()
    archive.unpack(GOOD, tmp_path / "here")
    assert archive.pack(tmp_path / "here") == GOOD
