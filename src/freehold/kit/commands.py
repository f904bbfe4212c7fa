"""`freehold software …`: commands for release authors."""

import argparse
import itertools
import os
import subprocess
import sys
from pathlib import Path

from freehold.protocol import archive
from freehold.recipes import lock as release_lock
from freehold.release import ReleaseError
from freehold.release import folder as release_folder

TRY_SECONDS = 60.0


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `software` and its sub-commands."""
    commands = subparsers.add_parser("software", help="for authors of releases").add_subparsers(
        dest="software_command", required=True, metavar="COMMAND"
    )

    def command(name: str, run: object, help: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=help, description=help)
        parser.set_defaults(run=run)
        return parser

    new = command("new", _new, "make the folder of a release that works, to be changed into your own")
    new.add_argument("name", help="the product's name")
    new.add_argument("--in", dest="parent", type=Path, default=Path(), metavar="FOLDER", help="where (default: here)")
    check = command("check", _check, "say what is wrong with a release, without building it")
    build = command("build", _build, "build a release as a node does, and show the log")
    test = command("test", _test, "run the tests of a release with pytest; further arguments are pytest's")
    trial = command("try", _try, "publish a release as it is, for you alone, and have a service of yours run it")
    pack = command("pack", _pack, "write a release into one file, to be carried and published elsewhere")
    schema = command("schema", _schema, "write the descriptor and schemas of a release from the types of instance.py")
    lock = command("lock", _lock, "lock the packages of a release: versions and hashes, for this architecture")
    for parser in (check, build, test, trial, pack, schema, lock):
        parser.add_argument("folder", type=Path)
    build.add_argument("--keep", action="store_true", help="keep what was built, and say where it is")
    test.add_argument(
        "--from", dest="former", type=Path, metavar="FILE", help="the packed version from which is upgraded"
    )
    test.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="such as -x or -k NAME")
    trial.add_argument("title", nargs="?", help="of the service (default: try-NAME)")
    trial.add_argument("--watch", action="store_true", help="try again with each change of the folder, until Ctrl-C")
    trial.add_argument("--type", help="its type (default: default)")
    trial.add_argument("--parameters", metavar="JSON", help="JSON object, @FILE or - for standard input")
    trial.add_argument("--wait", type=float, default=TRY_SECONDS, metavar="SECONDS", help="default: 60")
    pack.add_argument("--output", type=Path, metavar="FILE", help="default: NAME-VERSION.tar.gz, here")
    schema.add_argument("--check", action="store_true", help="write nothing; exit status 1 when they differ")
    lock.add_argument("--check", action="store_true", help="write nothing; exit status 1 when something would change")


def _new(options: argparse.Namespace) -> int:
    from freehold.kit import new

    folder = new.create(options.name, options.parent)
    print(f"{folder} is a release that works. Try it: freehold software test {folder}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from freehold.kit.check import check

    findings = check(options.folder)
    for words in findings:
        print(words, file=sys.stderr)
    if not findings:
        print(f"{options.folder}: nothing is wrong that can be seen without building it.")
    return 1 if findings else 0


def _build(options: argparse.Namespace) -> int:
    from freehold.kit.build import build

    built = build(options.folder, keep=options.keep)
    programs = " ".join(built.programs) or "nothing"
    print(f"Built in {built.seconds:.1f} s, {built.size / 1e6:.1f} MB; in bin/: {programs}")
    if options.keep:
        print(f"Kept in {built.folder}")
    return 0


def _test(options: argparse.Namespace) -> int:
    from freehold.kit import KitError
    from freehold.kit.plugin import FORMER

    # No bytecode of tests in the author's folder; that of Freehold may be kept, or each daemon compiles all of it anew.
    command = [sys.executable, "-B", "-m", "pytest", "--import-mode=importlib", "-p", "no:cacheprovider"]
    if options.former is not None and not options.former.is_file():
        raise KitError(f"There is no file {options.former}. `freehold software pack` makes one of a release.")
    former = {} if options.former is None else {FORMER: str(options.former.resolve())}
    environment = {**os.environ, **former}
    return subprocess.run([*command, str(options.folder), *options.arguments], env=environment, check=False).returncode


def _try(options: argparse.Namespace) -> int:
    from freehold.client import ClientError
    from freehold.client.terminal import json_object, open_client
    from freehold.kit import KitError, trial

    parameters = None if options.parameters is None else json_object("--parameters", options.parameters)
    client = open_client()

    def once() -> bool:
        tried = trial.pack(options.folder)
        title = options.title or f"try-{tried.product}"
        spec = {"type": options.type, "parameters": parameters}
        return trial.run(client, tried, title, seconds=options.wait, say=lambda line: print(line, flush=True), **spec)

    if not options.watch:
        return 0 if once() else 1
    for _ in itertools.chain([None], trial.changes(options.folder)):
        try:
            once()
        except (ClientError, KitError, ReleaseError) as error:
            print(error, file=sys.stderr, flush=True)
    return 0


def _pack(options: argparse.Namespace) -> int:
    packed = archive.pack(options.folder)
    descriptor = release_folder.descriptor(options.folder)
    path = options.output or Path(f"{descriptor.name}-{descriptor.version}.tar.gz")
    path.write_bytes(packed)
    print(f"{path}: {descriptor.name} {descriptor.version}, {len(packed)} bytes, sha256 {archive.digest(packed)}")
    return 0


def _schema(options: argparse.Namespace) -> int:
    files = release_folder.generate(release_folder.load(options.folder))
    return _write({options.folder / name: text for name, text in files.items()}, options.check, "what instance.py says")


def _lock(options: argparse.Namespace) -> int:
    return _write(release_lock.lock(options.folder), options.check, "what the archives have today")


def _write(files: dict[Path, str], check: bool, source: str) -> int:
    stale = 0
    for path, text in files.items():
        if path.exists() and path.read_bytes() == text.encode():
            continue
        stale += 1
        if check:
            print(f"{path} is not {source}.", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{path} written.")
    return 1 if stale and check else 0
