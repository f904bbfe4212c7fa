"""`/node/v1/cache/…`: builders bring builds and downloads, nodes take them. See `freehold.protocol.cache`."""

import hashlib
import shutil
from pathlib import Path

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from freehold.cache import signing
from freehold.cache.folder import CacheError, Folder, pieces_of, read
from freehold.failpoints import failpoint
from freehold.master.fleet import actions
from freehold.master.fleet.models import Certificate, Node, Supply
from freehold.master.fleet.peer import node_of
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Forbidden, Invalid, Malformed, NotFound, OutOfStorage
from freehold.master.foundation.problem_responses import with_problems
from freehold.master.people.identity import NODE
from freehold.protocol import UNREADABLE
from freehold.protocol.cache import CacheEntry, CacheKind, Entries, Missing, is_hash, is_platform

_ROOM = 1024**3
"""Bytes of the disk that the cache leaves to the Master."""
_MOST_MISSING = 10_000


def folder() -> Folder:
    """Return this Master's cache."""
    return Folder(Path(settings.ROOT) / "cache")


@declares(NODE)
@with_problems
def builder(request: HttpRequest) -> HttpResponse:
    """`GET …/builder`: whether this node's builds are wanted here."""
    _builder(request)
    return HttpResponse(status=204)


@declares(NODE)
@csrf_exempt
@with_problems
def blob(request: HttpRequest, start: str, piece: str) -> HttpResponse:
    """`GET` or `PUT …/blobs/HH/SHA256`: a piece. Who knows its name may have it; builders bring it."""
    if not is_hash(piece) or not piece.startswith(start):
        raise NotFound("That is no name of a piece.")
    if request.method == "PUT":
        _builder(request)
        if hashlib.sha256(request.body).hexdigest() != piece:
            raise Invalid("The piece is not what its name says.", remedy="Send it again.")
        if shutil.disk_usage(settings.ROOT).free < _ROOM:
            raise OutOfStorage("The Master's disk is almost full.", remedy="Make room there: freehold cache prune.")
        folder().put(request.body)
        return HttpResponse(status=204)
    node_of(request)
    content = folder().blob(piece)
    if content is None:
        raise NotFound(f"There is no piece {piece} here.")
    return HttpResponse(content, content_type="application/octet-stream")


@declares(NODE)
@csrf_exempt
@with_problems
def entries(request: HttpRequest, kind: str, release: str, platform: str) -> HttpResponse:
    """`GET` or `PUT …/entries/KIND/RELEASE/PLATFORM.json`: what builders say of a release that this node must have."""
    if kind not in list(CacheKind) or not is_hash(release) or not is_platform(platform):
        raise NotFound("That is no name of an entry.")
    node = _builder(request) if request.method == "PUT" else node_of(request)
    if not Supply.objects.filter(node=node, release=release).exists():
        raise NotFound(f"Release {release} is not supplied to this node.")
    if request.method == "PUT":
        return _answer(_take(node, _entry(request, (CacheKind(kind), release, platform))))
    known = folder().entries(CacheKind(kind), release, platform)
    # A project vouches for its own builders only: those of others would run their code on its nodes.
    owner = Node.objects.values_list("project_id", flat=True).get(id=node)
    trusted = set(Node.objects.filter(builder=True, project=owner).values_list("id", flat=True))
    # A builder that is none any more is none at once, also for what it said before.
    return _answer(Entries([entry for entry in known if read(entry).builder in trusted]))


def _take(node: str, entry: CacheEntry) -> Missing | CacheEntry:
    """Keep an entry whose pieces are all here, vouched for; or say which are missing."""
    shelf = folder()
    missing = [piece for piece in pieces_of(read(entry)) if not shelf.has(piece)]
    if missing:
        return Missing(missing[:_MOST_MISSING])
    vouched = signing.vouch(entry, actions.the_authority().private_key)
    failpoint("entry-vouched")
    shelf.keep(vouched)
    shelf.prune(settings.CACHE_MB * 1024 * 1024)
    return vouched


def _entry(request: HttpRequest, named: tuple[CacheKind, str, str]) -> CacheEntry:
    """Return the entry that a builder brings: its own, signed with the key that it shows."""
    node = node_of(request)
    try:
        entry = msgspec.json.decode(request.body, type=CacheEntry)
        statement, _ = read(entry), signing.signer(entry)
        known = signing.certificate_sha256(entry.certificate)
    except (CacheError, *UNREADABLE) as error:
        raise Malformed(f"Not an entry of a cache: {error}") from None
    if not Certificate.objects.filter(fingerprint=known, subject=node, kind="node").exists():
        raise Forbidden("A builder speaks only for itself.")
    if (statement.kind, statement.release, statement.platform) != named or statement.builder != node:
        raise Forbidden("A builder says of a build only what it is: its own, and where it is sent.")
    return entry


def _builder(request: HttpRequest) -> str:
    node = node_of(request)
    if not Node.objects.filter(id=node, builder=True).exists():
        raise Forbidden("This node's builds are not wanted here.", remedy="An operator says: freehold node builder.")
    return node


def _answer(message: msgspec.Struct) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(message), content_type="application/json")
