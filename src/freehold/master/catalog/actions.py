"""All writes about the catalogue."""

import json
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.db import IntegrityError

from freehold import durable
from freehold.master.catalog import schemas
from freehold.master.catalog.events import SellingEnded
from freehold.master.catalog.models import Product, Release, ReleaseType, SellingGrant
from freehold.master.foundation import clock, events, ids
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Project
from freehold.master.people.quotas import Quota
from freehold.protocol import UNREADABLE, archive, numbers
from freehold.protocol.descriptor import (
    DESCRIPTOR,
    MOST_REQUEST_TYPES,
    MOST_REQUESTS,
    NAME,
    VERSION,
    Descriptor,
    RequestDescriptor,
    TypeDescriptor,
)

LARGEST_FILE = 1024 * 1024


def publish(packed: bytes, project: str, *, acting: Caller) -> Release:
    """Put a release into the catalogue: its archive is kept, its descriptor and schemas are read.

    `project` is the name of the project that owns the product. Publishing the same archive again changes
    nothing. Raise Invalid when the archive is not a release, Conflict when the version exists with other
    content: a version, once published, never changes.
    """
    owner = acting.project(project, Scope.OPERATE)
    identity = archive.digest(packed)
    known = Release.objects.filter(id=identity).select_related("product").first()
    if known is not None and known.product.project_id == owner:
        return known
    descriptor, types = _read(packed)
    same_version = Release.objects.filter(product__name=descriptor.name, version=descriptor.version)
    if same_version.exclude(id=identity).exists():
        raise _taken(descriptor)
    _keep(identity, packed)
    try:
        with writing():
            product, _ = Product.objects.get_or_create(
                name=descriptor.name,
                defaults={"id": ids.new("prod"), "project_id": owner, "created_at": clock.now()},
            )
            quotas.check(owner, Quota.RELEASES, Release.objects.filter(product__project=owner).count)
            if product.project_id != owner:
                raise Forbidden(
                    f"The product '{product.name}' belongs to another project.",
                    remedy="Publish under another name.",
                )
            release = Release.objects.create(
                id=identity,
                product=product,
                version=descriptor.version,
                description=descriptor.description,
                size=len(packed),
                goes_back=descriptor.goes_back is not False,
                published_at=clock.now(),
            )
            ReleaseType.objects.bulk_create(ReleaseType(release=release, **fields) for fields in types)
            audit(
                acting.actor,
                "release.publish",
                identity,
                project=owner,
                product=product.name,
                version=release.version,
            )
    except IntegrityError:
        # Somebody published at the same moment: the same archive is no conflict.
        known = Release.objects.filter(id=identity, product__project=owner).select_related("product").first()
        if known is None:
            raise _taken(descriptor) from None
        return known
    return release


def grant_selling(project: str, product: str, to: str, *, acting: Caller) -> None:
    """Let another project offer a product of this one to others: at prices of its own, and on its nodes.

    `project` and `to` are names of projects. A project that is not there is no error, or owners of products could find
    out who is a customer of this Master: only its staff, who make the projects, are told (NotFound).
    """
    owned = _own_product(project, product, acting)
    target = Project.objects.filter(name=to).first()
    if target is None and acting.is_staff:
        raise NotFound(f"There is no project '{to}'.")
    with writing():
        other_grants = SellingGrant.objects.filter(product__project=owned.project_id).exclude(product=owned, name=to)
        quotas.check(owned.project_id, Quota.GRANTS, other_grants.count)
        SellingGrant.objects.update_or_create(
            product=owned, name=to, defaults={"project": target, "created_at": clock.now()}
        )
        audit(acting.actor, "selling.grant", owned.id, project=owned.project_id, product=product, to=to)


def end_selling(project: str, product: str, to: str, *, acting: Caller) -> None:
    """Take a grant back, effective at once; what was ordered at its offers goes on at its price."""
    owned = _own_product(project, product, acting)
    with writing():
        for grant in SellingGrant.objects.filter(product=owned, name=to):
            grant.delete()
            if grant.project_id is not None:
                events.send(SellingEnded(owned.id, grant.project_id))
        audit(acting.actor, "selling.end", owned.id, project=owned.project_id, product=product, to=to)


def _own_product(project: str, product: str, acting: Caller) -> Product:
    owner = acting.project(project, Scope.SELL)
    owned = Product.objects.filter(project=owner, name=product).first()
    if owned is None:
        raise NotFound(f"There is no product '{product}' of '{project}'.", remedy="Publish a release of it first.")
    return owned


def archive_path(release: str) -> Path:
    """Return where the archive of a release is kept."""
    return Path(settings.ROOT) / "releases" / f"{release}.tar.gz"


def _taken(descriptor: Descriptor) -> Conflict:
    return Conflict(
        f"{descriptor.name} {descriptor.version} is published already, with other content.",
        remedy="Raise the version in the release and publish again.",
    )


def _read(packed: bytes) -> tuple[Descriptor, list[dict[str, Any]]]:
    """Return the descriptor of an archive and the rows of its types; raise Invalid when it has none."""
    if len(packed) > archive.LARGEST_PACKED:
        raise TooLarge(f"The archive has {len(packed)} bytes; at most {archive.LARGEST_PACKED} are accepted.")
    files = _small_files(packed)
    if DESCRIPTOR not in files:
        raise Invalid(
            f"The archive has no {DESCRIPTOR} at its top.",
            remedy="Run `freehold software schema` in the release's folder, then publish again.",
        )
    try:
        descriptor = msgspec.json.decode(files[DESCRIPTOR], type=Descriptor)
    except UNREADABLE as error:
        raise Invalid(f"{DESCRIPTOR}: {error}", remedy="Correct the descriptor.") from None
    if not NAME.fullmatch(descriptor.name) or not VERSION.fullmatch(descriptor.version):
        raise Invalid(f"{DESCRIPTOR}: name or version is not usable: {descriptor.name!r} {descriptor.version!r}")
    texts = [descriptor.description]
    for name, described in descriptor.types.items():
        texts += [name, described.title, described.description]
    if any("\0" in text for text in texts):
        raise Invalid(f"{DESCRIPTOR}: a text holds a zero character, which no database keeps.")
    if not descriptor.types:
        raise Invalid(f"{DESCRIPTOR}: it names no software type.")
    rows = []
    for name, described in descriptor.types.items():
        if not 1 <= described.weight <= 1000:
            raise Invalid(f"{DESCRIPTOR}: the weight of type {name!r} is not 1 to 1000.")
        host = descriptor.types.get(described.host) if described.shared else None
        if described.shared and (host is None or host.shared):
            raise Invalid(
                f"{DESCRIPTOR}: the shared type {name!r} names {described.host!r} as its host, which is no type here.",
                remedy="Name in software-type a type of this release that is not shared.",
            )
        if abs(described.index) > 1_000_000:
            raise Invalid(f"{DESCRIPTOR}: the index of type {name!r} is not within a million of 0.")
        request_schema = _schema(files, described.request)
        rows.append(
            {
                "name": name,
                "title": described.title,
                "description": described.description,
                "index": described.index,
                "weight": described.weight,
                "holds_data": described.data,
                "requests": msgspec.json.encode(_requests(name, described, request_schema)).decode(),
                "shared": described.shared,
                "is_orderable": described.orderable,
                "knows_peers": described.peers,
                "size": described.size.text(),
                "host": described.host if described.shared else "",
                "request_schema": request_schema,
                "response_schema": _schema(files, described.response),
            }
        )
    return descriptor, rows


def _requests(name: str, described: TypeDescriptor, request_schema: str) -> tuple[RequestDescriptor, ...]:
    """Return what instances of a type may request of others; raise Invalid when that is not clear."""
    parameters = json.loads(request_schema).get("properties", {})
    subject = f"{DESCRIPTOR}: type {name!r} declares requests"
    if len(described.requests) > MOST_REQUEST_TYPES:
        raise Invalid(f"{subject} of {len(described.requests)} types; {MOST_REQUEST_TYPES} are the most.")
    kinds = [(request.product, request.type) for request in described.requests]
    for request in described.requests:
        kind = f"{request.product} ({request.type})"
        if kinds.count((request.product, request.type)) > 1:
            raise Invalid(f"{subject} of {kind} twice.")
        if not NAME.fullmatch(request.product) or not request.type or "\0" in request.type:
            raise Invalid(f"{subject} of {kind}, which cannot be a product and a type.")
        if request.apart and request.shared:
            raise Invalid(f"{subject} of {kind} apart, which are shared: they are where their host is.")
        if isinstance(request.number, str):
            parameter = parameters.get(request.number)
            if not isinstance(parameter, dict) or parameter.get("type") != "integer":
                raise Invalid(
                    f"{subject} of {kind} as many as the parameter {request.number!r} says, which is no integer.",
                    remedy="Name an integer at the top of its request schema, or give a number.",
                )
        elif not 1 <= request.number <= MOST_REQUESTS:
            raise Invalid(f"{subject} of {request.number} {kind}; the number is 1 to {MOST_REQUESTS}.")
    return described.requests


def _small_files(packed: bytes) -> dict[str, bytes]:
    """Return the JSON files at the top of an archive."""
    try:
        files = archive.top_files(packed, ".json", LARGEST_FILE)
    except archive.ArchiveError as error:
        raise Invalid(f"Not a release's archive: {error}", remedy="Use `freehold release publish`.") from None
    return files


def _schema(files: dict[str, bytes], name: str) -> str:
    if name not in files:
        raise Invalid(f"{DESCRIPTOR} names the schema {name!r}, which is not at the top of the archive.")
    try:
        schema = json.loads(files[name], parse_float=numbers.read)
    except ValueError as error:
        raise Invalid(f"{name} is not JSON: {error}") from None
    if not numbers.is_kept_whole(schema):
        raise Invalid(f"{name} holds a number with more digits than are kept of it.", remedy="Write it with 15 digits.")
    schemas.check_schema(name, schema)
    return json.dumps(schema, separators=(",", ":"))


def _keep(identity: str, packed: bytes) -> None:
    # Two may publish the same release at once.
    durable.replace(archive_path(identity), packed, 0o600, apart=True)
