"""`freehold software check`: what can be said of a release's folder without building it, in a second."""

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import msgspec

from freehold.escaping import NotText, text_of
from freehold.protocol import archive, patterns
from freehold.protocol.descriptor import DESCRIPTOR, NAME, VERSION
from freehold.recipes import locked
from freehold.release import Cluster, Context, Plan, ReleaseError, Request, Type, buildout, make_plan
from freehold.release import folder as release_folder


def check(folder: Path) -> list[str]:
    """Return what is wrong with a release, each as `FILE[, line N]: what it is and what to do`; nothing if none is."""
    if not folder.is_dir():
        return [f"{folder} is not a folder."]
    return [*_build(folder), *_configuration(folder), *_descriptor(folder), *_company(folder), *_archive(folder)]


def _build(folder: Path) -> Iterator[str]:
    """How it is built: each part has a recipe that is there or pinned, and a lock that fits."""
    path = folder / "software.cfg"
    try:
        profile = buildout.read(folder)
    except ReleaseError as error:
        yield str(error)
        return
    for name in profile.parts:
        if name not in profile.sections:
            yield f"{buildout.place(path, 'parts')}: there is no section [{name}]."
        elif (recipe := profile.sections[name].get("recipe")) is None:
            yield f"{buildout.place(path, f'[{name}]')}: [{name}] has no recipe."
        else:
            for words in _recipe(folder, name, recipe, profile):
                yield f"{buildout.place(path, f'[{name}]')}: [{name}] {words}"


def _recipe(folder: Path, part: str, recipe: str, profile: buildout.Profile) -> Iterator[str]:
    distribution, _, entry = recipe.partition(":")
    options = profile.sections[part]
    if distribution != "freehold":
        # Buildout itself asks for some distributions with ">=".
        if ">" in profile.sections.get("versions", {}).get(distribution, ">"):
            yield (
                f"recipe: {distribution} has no version; add '{distribution} = VERSION' to [versions], so that every"
                " build is the same."
            )
        return
    ours = sorted(
        entry_point.name
        for entry_point in entry_points(group="zc.buildout")
        if entry_point.value.startswith("freehold.")
    )
    if entry not in ours:
        yield f"recipe: there is no freehold:{entry}; there are {', '.join(f'freehold:{name}' for name in ours)}."
    elif entry == "debian":
        yield from _debian(folder / options.get("lock", "debian.lock"), part, set(options.get("packages", "").split()))
    elif entry == "wheel":
        yield from _wheel(folder / options.get("requirements", "requirements.txt"), options.get("packages", "").split())


def _debian(lock: Path, part: str, packages: set[str]) -> Iterator[str]:
    again = f"run `freehold software lock {lock.parent}`."
    if not lock.exists():
        yield f"lock: there is no {lock.name}; {again}"
        return
    try:
        closures = locked.read(lock).get(part, {})
    except locked.LockError as error:
        yield f"lock: {error} Remove it and {again}"
        return
    if not closures:
        yield f"lock: {lock.name} does not know this part; {again}"
    for architecture, closure in sorted(closures.items()):
        if set(closure.packages) != packages:
            yield f"packages: {lock.name} is for {', '.join(sorted(closure.packages))} on {architecture}; {again}"


def _wheel(requirements: Path, packages: list[str]) -> Iterator[str]:
    again = f"run `freehold software lock {requirements.parent}`."
    if not requirements.exists():
        yield f"requirements: there is no {requirements.name}; {again}"
        return
    try:
        text = text_of(requirements)
    except NotText as error:
        yield f"requirements: {error}."
        return
    for line in text.splitlines():
        if packages and line.startswith(locked.REQUIRED):
            known = line.removeprefix(locked.REQUIRED).split()
            if sorted(known) != sorted(packages):
                yield f"packages: {requirements.name} is for {', '.join(known)}; {again}"


def _configuration(folder: Path) -> Iterator[str]:
    """How instances are configured: each type that needs no parameters is planned."""
    path = folder / "instance.py"
    if not path.exists():
        if not (folder / "instance.cfg").exists():
            yield f"{folder}: it has neither instance.py nor instance.cfg; one says how to configure an instance."
        return
    try:
        release = release_folder.load(folder)
        generated = release_folder.generate(release)
    except ReleaseError as error:
        yield str(error)
        return
    for name, text in generated.items():
        file = folder / name
        if not file.exists() or file.read_bytes() != text.encode():
            yield f"{file}: it is not what instance.py says; run `freehold software schema {folder}`."
    for name, kind in release.types.items():
        if isinstance(kind, Type) and not _needed(kind.parameters):
            try:
                plan = make_plan(release, name, b"{}", _context(folder, name))
            except ReleaseError as error:
                yield str(error)
            else:
                words = [*_silent(plan), *_undeclared(kind, plan)]
                yield from (f"{path}: type '{name}': {message}" for message in words)


def _needed(parameters: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(parameters) if field.required]


def _silent(plan: Plan) -> Iterator[str]:
    if plan.processes and not plan.promises:
        yield "it has processes and no promise, so that nobody is told when it does not work."


def _undeclared(kind: Type, plan: Plan) -> Iterator[str]:
    requested: tuple[Request | Cluster, ...] = (*plan.requests, *plan.clusters)
    for request in requested:
        if not any(declared.allows(request) for declared in kind.requests):
            yield (
                f"it requests {request.product} ({request.type}), which a Master refuses: add"
                f" RequestType({request.product!r}, {request.type!r}) to its requests."
            )


def _context(folder: Path, name: str) -> Context:
    return Context(
        instance="inst-1",
        title="check",
        type=name,
        address="127.0.0.1",
        partition=Path("/partition"),
        software=Path("/software"),
        release=folder,
        seed="00" * 32,
        surviving_seed="00" * 32,
    )


def _descriptor(folder: Path) -> Iterator[str]:
    """What the Master reads: the descriptor, and schemas that are schemas."""
    path = folder / DESCRIPTOR
    if not path.exists():
        if not (folder / "instance.py").exists():
            yield f"{path}: it is missing; it names the types of the release and their schemas."
        return
    try:
        descriptor = release_folder.descriptor(folder)
    except ReleaseError as error:
        yield str(error)
        return
    if not NAME.fullmatch(descriptor.name):
        yield f"{path}: '{descriptor.name}' cannot be a product's name: a to z, 0 to 9 and dashes, 63 at most."
    if not VERSION.fullmatch(descriptor.version):
        yield f"{path}: '{descriptor.version}' cannot be a version: letters, digits and . + _ -, 63 at most."
    for described in descriptor.types.values():
        for name in (described.request, described.response):
            yield from _schema(folder / name)


def _schema(path: Path) -> Iterator[str]:
    try:
        schema = json.loads(path.read_bytes())
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=jsonschema.FormatChecker(()))
        for pattern in patterns.patterns_of(schema):
            patterns.translate(pattern)
    except patterns.PatternError as error:
        yield f"{path}: the pattern {pattern!r} cannot be used: {error}."
    except FileNotFoundError:
        yield f"{path}: it is missing; {DESCRIPTOR} names it."
    except ValueError as error:
        yield f"{path}: not JSON: {error}"
    except jsonschema.SchemaError as error:
        yield f"{path}: not a JSON schema: {error.message}"


def _company(folder: Path) -> Iterator[str]:
    """What others need: to understand it, and to trust it."""
    if not (folder / "README.md").exists():
        yield f"{folder / 'README.md'}: it is missing; customers read there what they order."
    if not any(folder.glob("test_*.py")):
        yield f"{folder}: it has no test_*.py; the fixture `cloud` gives a Master and a Node for one."


def _archive(folder: Path) -> Iterator[str]:
    try:
        size = len(archive.pack(folder))
    except archive.ArchiveError as error:
        yield str(error)
        return
    if size > archive.LARGEST_PACKED:
        yield f"{folder}: packed, it has {size} bytes; a Master takes {archive.LARGEST_PACKED}."
