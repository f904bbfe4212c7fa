"""What nodes ask rarely: enrolment, certificates, archives of releases."""

from typing import TypeVar

import msgspec
from django.http import FileResponse, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from freehold.master.catalog.actions import archive_path
from freehold.master.fleet import actions
from freehold.master.fleet.models import Partition, Supply
from freehold.master.fleet.peer import node_of
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Forbidden, Malformed, NotFound
from freehold.master.foundation.problem_responses import with_problems
from freehold.master.people.identity import ANYBODY, NODE
from freehold.protocol import OLDEST_VERSION, UNREADABLE, VERSION
from freehold.protocol.enrol import CertificateAnswer, CertificateRequest, EnrolRequest, EpochAnswer

M = TypeVar("M", EnrolRequest, CertificateRequest)


@declares(ANYBODY)
@with_problems
def authority_pem(request: HttpRequest) -> HttpResponse:
    """The authority's certificate; a newcomer checks its fingerprint against the token."""
    return HttpResponse(actions.the_authority().pem, content_type="application/x-pem-file")


@declares(ANYBODY)
@csrf_exempt
@with_problems
def enrol(request: HttpRequest) -> HttpResponse:
    """`POST /node/v1/enrol`."""
    enrolment = _message(request, EnrolRequest)
    return _answer(actions.enrol(enrolment.token, enrolment.title, enrolment.signing_request))


@declares(NODE)
@csrf_exempt
@with_problems
def node_certificate(request: HttpRequest) -> HttpResponse:
    """`POST /node/v1/certificate`: a node renews its own, also when it was away for longer than it is valid."""
    node = node_of(request, renewing=True)
    renewal = _message(request, CertificateRequest)
    issued = actions.renew("node", node, renewal.signing_request, actor=f"node:{node}")
    return _answer(CertificateAnswer(issued.pem, actions.the_authority().pem))


@declares(NODE)
@csrf_exempt
@with_problems
def node_epoch(request: HttpRequest) -> HttpResponse:
    """`POST /node/v1/epoch`: a node that lost its store begins its reports anew."""
    node = node_of(request)
    if request.method != "POST":
        raise Malformed(f"{request.method} is not part of the protocol here; use POST.")
    return _answer(EpochAnswer(actions.begin_epoch(node)))


@declares(NODE)
@csrf_exempt
@with_problems
def instance_certificate(request: HttpRequest, instance: str) -> HttpResponse:
    """`POST /node/v1/instances/ID/certificate`: a node asks for an instance that lives on it."""
    node = node_of(request)
    if not Partition.objects.filter(node=node, instance=instance).exists():
        raise Forbidden(f"Instance {instance} does not live on this node.")
    renewal = _message(request, CertificateRequest)
    issued = actions.renew("instance", instance, renewal.signing_request, actor=f"node:{node}")
    return _answer(CertificateAnswer(issued.pem, actions.the_authority().pem))


@declares(NODE)
@with_problems
def release_archive(request: HttpRequest, release: str) -> HttpResponse:
    """`GET /node/v1/releases/DIGEST`: the archive of a release that this node must have."""
    node = node_of(request)
    path = archive_path(release)
    if not Supply.objects.filter(node=node, release=release).exists() or not path.exists():
        raise NotFound(f"Release {release} is not supplied to this node.")
    return FileResponse(path.open("rb"), content_type="application/gzip")  # type: ignore[return-value]


def _message(request: HttpRequest, kind: type[M]) -> M:
    if request.method != "POST":
        raise Malformed(f"{request.method} is not part of the protocol here; use POST.")
    try:
        message = msgspec.json.decode(request.body, type=kind)
    except UNREADABLE as error:
        raise Malformed(f"Not a {kind.__name__}: {error}") from None
    if not OLDEST_VERSION <= message.version <= VERSION:
        raise Malformed(
            f"Protocol version {message.version} is not spoken here.",
            remedy=f"Use a version from {OLDEST_VERSION} to {VERSION}.",
        )
    return message


def _answer(message: msgspec.Struct) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(message), content_type="application/json")
