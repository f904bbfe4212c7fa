"""The words of the field, and one name for one thing: what would bring a private dialect back fails here."""

import ast
import importlib
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "src" / "freehold"
FORBIDDEN = {
    "bury": "release_partitions", "see_off": "finish_departures", "PassingOn": "PublicationForwarder",
    "Hands": "InstanceLifecycle", "Wish": "a request or spec", "wish": "spec, or desired", "wishes": "specs",
    "obeyed": "acknowledged", "Workshop": "ForkServer", "workshop": "fork_server", "zygote": "fork server",
    "Former": "PartySnapshot", "Rolled": "MeteringCheckpoint", "Term": "SubscriptionPrice", "Share": "HostOffer",
    "Overtaken": "StaleHead", "Crowd": "BatchingPolicy", "Held": "DiskUsage", "unasked_at": "orphaned_at",
    "rehearse": "dry_run", "revive": "restore_running", "last_wishes": "run_pre_destroy_hook",
    "raise_walls": "enter_sandbox", "Walls": "SandboxSpec", "permanence": "immutability_triggers",
    "dunning": "overdue", "give_back": "free or release", "end_unasked": "end_orphans",
    "thin": "compact", "Care": "MaintenanceLoop", "Guard": "LimitEnforcer", "Measuring": "MeteringThread",
}  # fmt: skip
"""Words that only we knew, and what the field says; as names in the code."""
VAGUE = {"one", "found", "told", "said", "made", "asked", "given", "rest", "others", "what", "taken"}
"""Locals that do not say what they hold."""
STILL_VAGUE = ("kit/waiting.py",)
"""Where such locals still are; this list only gets shorter."""
ROOMS = {"utils", "helpers", "manager", "common", "misc", "hands", "walls", "care", "tidy", "workshop", "thinning"}
"""Names that no file or folder has."""
PHRASES = ("one that is none any more", "who are you?", "stumbled; going on", "last wishes")
"""Riddles, in whatever a person reads."""
SAME = {
    "Answer": "of a request, at the Master and at its client",
    "Assessment": "of a promise, measured and kept", "Certificate": "of an instance, issued and asked for by a release",
    "Child": "an instance that another requests", "Config": "of a Django app", "ForkServer": "and the simulator's",
    "GrantOut": "a grant, in two lists", "File": "what a release writes, and what is cached of it",
    "Instance": "at the Master, and at its client", "Link": "to the Master, and the simulator's",
    "Machine": "that tests run a node on", "Master": "that tests run", "Meter": "and the simulator's",
    "Node": "at the Master, its client and the simulator",
    "Cluster": "declared in a plan, and its row",
    "Offer": "at the Master, and at its client", "Partition": "at the Master, and the simulator's",
    "Process": "declared, ordered, and supervised", "Promise": "made, and declared in a profile",
    "PromiseResult": "on the node, and at the client", "Release": "its folder, its row, and at the client",
    "ReleaseType": "its row, and at the client", "Request": "for an instance, by release, profile and at the Master",
    "Site": "at the Master, and at its client", "Supply": "at the Master, and at its client",
    "Token": "for enrolment, and for the API at its client",
}  # fmt: skip
"""Public classes of one name that are one concept at two borders, and which."""


def python_files() -> Iterator[Path]:
    for path in sorted(SOURCES.rglob("*.py")):
        if not {"migrations", "template"} & set(path.parts):
            yield path


def test_no_name_is_of_a_private_dialect() -> None:
    found = [f"{path}:{word}" for path in python_files() for word in forbidden_in(path.read_text())]
    assert not found, "\n".join(found)
    assert list(forbidden_in("# obeyed\ndef bury(): pass\n")) == ["2: 'bury' is release_partitions"]


def test_locals_say_what_they_hold() -> None:
    found = [
        f"{path}:{line}"
        for path in python_files()
        if not path.relative_to(SOURCES).as_posix().startswith(STILL_VAGUE)
        for line in vague_in(path.read_text())
    ]
    assert not found, "\n".join(found)
    assert list(vague_in("def bill(said: str) -> None:\n    x = [one for one in said]\n")) == ["1: said", "2: one"]
    for room in STILL_VAGUE:
        folder = SOURCES / room
        paths = [folder] if folder.is_file() else folder.rglob("*.py")
        assert any(list(vague_in(path.read_text())) for path in paths), f"{room} has none left: take it off the list"


def vague_in(source: str) -> Iterator[str]:
    """Yield line and name of each argument or local of a function that does not say what it holds."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE:
                    yield f"{node.lineno}: {node.id}"
                elif isinstance(node, ast.arg) and node.arg in VAGUE:
                    yield f"{node.lineno}: {node.arg}"


def forbidden_in(source: str) -> Iterator[str]:
    """Yield line, name and the better one, of each name that is not of the field; comments and texts are no names."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string.lstrip("_") in FORBIDDEN:
            yield f"{token.start[0]}: '{token.string}' is {FORBIDDEN[token.string.lstrip('_')]}"


def test_no_room_is_a_drawer() -> None:
    assert not [path for path in python_files() if {path.stem, path.parent.name} & ROOMS]


def test_no_text_is_a_riddle() -> None:
    pages = [*python_files(), *SOURCES.rglob("*.html"), *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md"]
    found = [(path, phrase) for path in pages for phrase in PHRASES if phrase in path.read_text().lower()]
    assert not found


def public_classes() -> dict[str, list[Path]]:
    found = defaultdict[str, list[Path]](list)
    for path in python_files():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    return found


def test_one_name_is_one_thing() -> None:
    shared = {name for name, paths in public_classes().items() if len(paths) > 1}
    assert shared <= SAME.keys(), "two classes of one name: rename one, or say that they are one concept"
    assert not SAME.keys() - shared, "not shared any more: take it off the list"


def test_what_is_run_by_its_name_is_there() -> None:
    """Functions that another process looks up by `module:function`."""
    named = set[str]()
    for path in python_files():
        named |= set(re.findall(r'"(freehold(?:\.\w+)+:\w+)"', path.read_text()))
    assert len(named) > 5
    for target in sorted(named):
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function, None)), target


def test_no_test_stands_on_another() -> None:
    """What several tests need is in `tests/support`, which has no tests."""
    tests = REPOSITORY / "tests"
    borrowed = [
        (path.name, line)
        for path in tests.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r"\s*(from|import) (\w+\.)*test_\w+( |\.|$)|\s*from unit(\.\w+)* import test_", line)
    ]
    assert not borrowed
    assert not [path for path in (tests / "support").rglob("*.py") if re.search(r"^def test_", path.read_text(), re.M)]
