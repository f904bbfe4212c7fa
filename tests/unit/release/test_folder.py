"""A release's folder: the descriptor says what instance.py says, and its author is told where a mistake is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from freehold.protocol.descriptor import DESCRIPTOR, Descriptor
from freehold.release import Context, ReleaseError, make_plan
from freehold.release.folder import generate, load

HELLO = Path(__file__).parents[3] / "software" / "hello"
GOOD = '''\
"""A release for tests."""
from typing import Annotated, Literal
import msgspec
from freehold.release import Context, File, Plan, Process, Release, Type

class Disk(msgspec.Struct):
    """Where it keeps things."""
    size: Annotated[int, msgspec.Meta(ge=1, le=9, description="Gigabytes.")] = 1

class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """What a customer may choose."""
    name: str
    kind: Literal["small", "large"] = "small"
    disks: list[Disk] = []

class Publication(msgspec.Struct):
    url: str

def plan(parameters: Parameters, context: Context) -> Plan:
    return Plan(files=(File("name", parameters.name),))

release = Release("tiny", "2.0", "For tests.", {
    "default": Type("Tiny", Parameters, Publication, plan, "The usual one.", 3),
    "other": Type("Other", Publication, Publication, plan),
})
'''


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "instance.py").write_text(text)
    return folder


def cli(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "freehold.cli", "software", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def context(folder: Path) -> Context:
    return Context("i", "t", "default", "127.0.0.1", folder, folder, folder)


def test_the_descriptor_of_hello_is_what_its_instance_py_says() -> None:
    assert cli("schema", "--check", HELLO).returncode == 0
    for name, text in generate(load(HELLO)).items():
        assert (HELLO / name).read_text() == text


def test_schemas_are_written_once_and_checked(tmp_path: Path) -> None:
    folder = written(tmp_path / "tiny", GOOD)
    before = cli("schema", "--check", folder)
    assert before.returncode == 1
    assert "software.cfg.json is not what instance.py says." in before.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["instance.py"], "a check writes nothing"
    assert cli("schema", folder).stdout.count("written.") == 5
    assert cli("schema", folder).stdout == ""
    assert cli("schema", "--check", folder).returncode == 0
    (folder / "instance-default-input-schema.json").write_text("{}")
    assert "instance-default-input-schema.json is not" in cli("schema", "--check", folder).stderr
    assert not list(folder.rglob("__pycache__"))


def test_the_schema_accepts_and_refuses_what_the_plan_does(tmp_path: Path) -> None:
    folder = written(tmp_path, GOOD)
    release = load(folder)
    files = generate(release)
    descriptor = msgspec.json.decode(files[DESCRIPTOR], type=Descriptor)
    assert (descriptor.name, descriptor.version, list(descriptor.types)) == ("tiny", "2.0", ["default", "other"])
    assert (descriptor.types["default"].weight, descriptor.types["default"].description) == (3, "The usual one.")
    schema = json.loads(files[descriptor.types["default"].request])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["description"] == "What a customer may choose."
    assert "#/$defs/Disk" in json.dumps(schema)
    for parameters in (
        {"name": "x"}, {"name": "x", "kind": "large", "disks": [{"size": 9}]},
        {}, {"name": 1}, {"name": "x", "kind": "huge"}, {"name": "x", "disks": [{"size": 0}]}, {"name": "x", "y": 1},
    ):  # fmt: skip
        valid = jsonschema.Draft202012Validator(schema).is_valid(parameters)
        try:
            make_plan(release, "default", json.dumps(parameters).encode(), context(folder))
            planned = True
        except ReleaseError:
            planned = False
        assert planned == valid, parameters


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("import msgspec", "import msgspek", 3, "No module named 'msgspek'"),
        ("class Disk(msgspec.Struct):", "class Disk(msgspec.Struct)", 6, "expected ':'"),
        ('"""Where it keeps things."""', "1 / 0", 7, "ZeroDivisionError: division by zero"),
        ('"""For tests."""', 'raise SystemExit("bye")', None, "SystemExit: bye"),
        ("Tiny", 'Tiny", 5, "', 23, "TypeError"),
    ],
)
def test_a_mistake_in_instance_py_is_told_with_its_file_and_line(
    old: str, new: str, line: int | None, words: str, tmp_path: Path
) -> None:
    assert old in GOOD or line is None
    folder = written(tmp_path / "tiny", GOOD.replace(old, new, 1) if line else new)
    done = cli("schema", folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{folder}/instance.py, line {line or 1}: " in done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("return Plan(files=(File('name', None),))", 20, "File 'name': content must be str or bytes, not None"),
        ("return helper(parameters)", 28, "AttributeError: 'Parameters' object has no attribute 'nome'"),
        ("return Plan(files=(File('name', msgspec.json.decode(b'{')),))", 20, "truncated"),
        ("return 5", 19, "plan returns int, not a Plan"),
    ],
)
def test_a_mistake_in_a_plan_is_told_with_its_file_and_line(body: str, line: int, words: str, tmp_path: Path) -> None:
    text = GOOD.replace('return Plan(files=(File("name", parameters.name),))', body)
    text += "\ndef helper(parameters):\n    return parameters.nome\n"
    folder = written(tmp_path, text)
    with pytest.raises(ReleaseError) as error:
        make_plan(load(folder), "default", b'{"name": "x"}', context(folder))
    assert f"{folder}/instance.py, line {line}: " in str(error.value)
    assert words in str(error.value)


def test_a_folder_that_is_no_release_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"has no instance\.py"):
        load(tmp_path)
    with pytest.raises(ReleaseError, match="does not define `release = Release"):
        load(written(tmp_path, "release = 'hello'"))


def test_a_type_that_no_schema_can_describe_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "tiny", GOOD.replace("name: str", "name: complex"))
    done = cli("schema", folder)
    assert done.returncode == 1
    assert "Parameters cannot be described as a JSON schema" in done.stderr


def test_two_releases_of_one_product_do_not_mix(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in ("one", "other"))
    shutil.copytree(HELLO, one)
    shutil.copytree(HELLO, other)
    text = (other / "instance.py").read_text()
    (other / "instance.py").write_text(text.replace('version="1.0"', 'version="2.0"').replace("8080", "9090"))
    first, second = load(one), load(other)
    assert (first.version, second.version) == ("1.0", "2.0")
    urls = [msgspec.to_builtins(make_plan(x, "default", b"{}", context(one)).publication) for x in (first, second)]
    assert urls == [{"url": "http://127.0.0.1:8080/"}, {"url": "http://127.0.0.1:9090/"}]
