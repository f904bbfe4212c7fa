"""`freehold cache …`: what a cache holds, whether it is sound, and carrying it on a disk."""

import argparse
import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from freehold import json_output
from freehold.cache.bucket import KEYS_FILE, Bucket, is_bucket, keys_for
from freehold.cache.folder import CacheError, Folder, pieces_of, read
from freehold.protocol.cache import CacheEntry

Subparsers = argparse._SubParsersAction
MEGA = 1024 * 1024


class CacheLine(msgspec.Struct, frozen=True):
    """An entry, as it is shown."""

    kind: str
    release: str
    platform: str
    builder: str
    key: str
    """SHA-256 of the builder's public key."""
    vouched: bool
    """Whether a Master vouches for its builder; which one is looked at when it is used."""
    at: str
    size: int
    files: int


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `cache` and its sub-commands."""
    help = "finished builds and downloads: what is kept, whether it is sound, and to carry it"
    cache = subparsers.add_parser("cache", help=help, description=help).add_subparsers(
        dest="cache_command", required=True, metavar="COMMAND"
    )
    show = _command(cache, "show", _show, "list what is kept, those used last first")
    json_output.add_options(show)
    _command(cache, "verify", _verify, "look at every byte; exit status 1 when something was damaged or is missing")
    prune = _command(cache, "prune", _prune, "forget what was not used for longest, and what nothing needs")
    prune.add_argument("--keep", type=int, default=0, metavar="MB", help="how much may stay (default: %(default)s)")
    for name, run, help in (
        ("export", _export, "copy it into another folder, such as a disk to be carried, or into a bucket"),
        ("import", _import, "copy another folder into it; what it says is believed, or not, when it is used"),
    ):
        parser = _command(cache, name, run, help)
        place = "FOLDER | s3+https://HOST/BUCKET" if run is _export else "FOLDER"
        parser.add_argument("other", metavar=place)
        if run is _export:
            keys = f"file with the bucket's keys (default: {KEYS_FILE}, or AWS_ACCESS_KEY_ID … in the environment)"
            parser.add_argument("--keys", type=Path, metavar="FILE", help=keys)
        parser.add_argument("--release", action="append", metavar="SHA256", help="only this release (repeat)")


def _command(
    cache: "Subparsers[argparse.ArgumentParser]", name: str, run: object, help: str
) -> argparse.ArgumentParser:
    parser = cache.add_parser(name, help=help, description=help)
    parser.add_argument(
        "--folder",
        type=Path,
        default=_default(),
        help="the cache: `kept` in a node's folder, `cache` in a Master's (default: %(default)s)",
    )
    parser.set_defaults(run=run)
    return parser


def _default() -> Path:
    if root := os.environ.get("FREEHOLD_NODE_ROOT"):
        return Path(root) / "kept"
    if root := os.environ.get("FREEHOLD_MASTER_ROOT"):
        return Path(root) / "cache"
    home = Path("/srv/freehold") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "freehold-node"
    return home / "kept"


def _folder(options: argparse.Namespace) -> Folder:
    if not options.folder.is_dir():
        raise CacheError(f"There is no cache in {options.folder}; name one with --folder.")
    return Folder(options.folder)


def _show(options: argparse.Namespace) -> int:
    from freehold.cache import signing

    folder = _folder(options)
    lines = []
    for entry in (entry for _, entries in folder.all() for entry in entries):
        statement = read(entry)
        try:
            key = signing.signer(entry)
        except CacheError:
            key = ""
        moment = datetime.datetime.fromtimestamp(statement.at, datetime.UTC).isoformat(timespec="seconds")
        size = sum(file.size for file in statement.files)
        lines.append(
            CacheLine(
                statement.kind,
                statement.release,
                statement.platform,
                statement.builder,
                key,
                bool(entry.voucher),
                moment,
                size,
                len(statement.files),
            )
        )
    if options.json:
        json_output.print_answer(options, lines)
        return 0
    for line in lines:
        key = f"key {line.key}" if line.key else "FORGED"
        by = f"by {line.builder or 'nobody'}, {key}{', vouched for' if line.vouched else ''}"
        print(f"{line.kind:<9} {line.release}  {line.platform}  {line.size / MEGA:.1f} MB  {line.at}  {by}")
    print(f"{len(lines)} entries, {folder.size() / MEGA:.1f} MB in {options.folder}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    findings = _folder(options).verify()
    for piece in findings.damaged:
        print(f"damaged, removed: piece {piece}")
    for path in findings.incomplete:
        print(f"misses pieces: {path}")
    print(f"{findings.entries} entries and {findings.pieces} pieces were looked at.")
    return 1 if findings.damaged or findings.incomplete else 0


def _prune(options: argparse.Namespace) -> int:
    folder = _folder(options)
    given_back = folder.prune(options.keep * MEGA)
    print(f"{given_back / MEGA:.1f} MB were given back; {folder.size() / MEGA:.1f} MB are left.")
    return 0


def _export(options: argparse.Namespace) -> int:
    if urlsplit(options.other).scheme == "":
        return _copy(_folder(options), Folder(Path(options.other)), options.other, options.release)
    if not is_bucket(options.other):
        raise CacheError(
            f"'{options.other}' is neither a folder nor a bucket, which looks like s3+https://HOST/BUCKET."
        )
    try:
        bucket = Bucket(options.other, keys_for(options.other, options.keys))
        return _copy(_folder(options), bucket, options.other, options.release)
    except OSError as error:
        raise CacheError(f"{options.other} cannot be filled: {error}. What it has is not sent again.") from None


def _import(options: argparse.Namespace) -> int:
    other_folder = Path(options.other)
    if not (other_folder / "entries").is_dir():
        raise CacheError(f"{other_folder} holds no cache: there is no folder 'entries' in it.")
    return _copy(Folder(other_folder), Folder(options.folder), str(options.folder), options.release)


def _copy(source: Folder, target: Folder | Bucket, place: str, releases: list[str] | None) -> int:
    count = size = 0
    for entry in _wanted(source, releases):
        for piece in pieces_of(read(entry)):
            if target.has(piece):
                continue
            content = source.blob(piece)
            if content is None:
                raise CacheError(f"Piece {piece} is missing or damaged in {source.root}; run `freehold cache verify`.")
            target.put(content)
            size += len(content)
        # Last: an entry in a cache promises its pieces.
        target.keep(entry)
        count += 1
    os.sync()
    print(f"{count} entries and {size / MEGA:.1f} MB were copied to {place}.")
    return 0


def _wanted(source: Folder, releases: list[str] | None) -> Iterator[CacheEntry]:
    # The one used last is copied last, and so stays the one used last.
    for _, entries in reversed(list(source.all())):
        for entry in reversed(entries):
            if releases is None or read(entry).release in releases:
                yield entry
