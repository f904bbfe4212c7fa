"""Machines that become nodes, and what they may say."""

import http.client
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from freehold.master.foundation.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master


def _enrol(master: "Master", token: str, title: str = "machine", request: str | None = None) -> tuple[int, Any]:
    pocket = master.pocket()
    body = {
        "token": token.split(".")[1] if "." in token else token,
        "title": title,
        "signing_request": pocket.signing_request() if request is None else request,
    }
    return pocket.call("POST", "/node/v1/enrol", body)


@pytest.fixture(scope="module")
def site(master: "Master") -> str:
    master.site("here", "eu")
    return "here"


def test_a_token_makes_one_node(master: "Master", site: str) -> None:
    token = master.enrol_token(site)
    assert _enrol(master, token, "first")[0] == 200
    status, problem = _enrol(master, token, "second")
    assert (status, problem["detail"]) == (401, "This enrolment token is already used.")
    assert [row["title"] for row in master.api("GET", "/projects/provider/nodes")] == ["first"]


def test_the_token_carries_the_fingerprint_of_the_authority(master: "Master", site: str) -> None:
    token = master.enrol_token(site)
    pem = master.call("GET", "/authority.pem").body
    assert token.split(".")[2] == x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def test_an_expired_token_makes_no_node(master: "Master", site: str) -> None:
    token = master.enrol_token(site)
    master.sql("UPDATE fleet_enroltoken SET expires_at = 1 WHERE used_by IS NULL")
    status, problem = _enrol(master, token)
    assert (status, problem["detail"]) == (401, "This enrolment token is expired.")


@pytest.mark.parametrize("token", ["wrong", "", "fh1.x.y", "\0"])
def test_a_wrong_token_makes_no_node(master: "Master", site: str, token: str) -> None:
    status, problem = _enrol(master, token)
    assert (status, problem["detail"]) == (401, "This enrolment token is unknown.")


@pytest.mark.parametrize("title", ["", "Two Words", "a/b", "x" * 64, "é", "node\0"])
def test_a_node_has_a_plain_title(master: "Master", site: str, title: str) -> None:
    status, problem = _enrol(master, master.enrol_token(site), title)
    assert (status, problem["errors"][0]["field"]) == (422, "title")


def _request(key: Any, name: str = "node-of-others", tampered: bool = False) -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    if not tampered:
        return request.public_bytes(serialization.Encoding.PEM).decode()
    import base64

    damaged = bytearray(request.public_bytes(serialization.Encoding.DER))
    damaged[-1] ^= 1
    text = base64.encodebytes(bytes(damaged)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"


BAD_REQUESTS = {
    "words": lambda: "this is no request",
    "empty": lambda: "",
    "rsa": lambda: _request(rsa.generate_private_key(65537, 2048)),
    "another curve": lambda: _request(ec.generate_private_key(ec.SECP384R1())),
    "not proven": lambda: _request(ec.generate_private_key(ec.SECP256R1()), tampered=True),
}


@pytest.mark.parametrize("make", BAD_REQUESTS.values(), ids=list(BAD_REQUESTS))
def test_a_bad_signing_request_does_not_use_up_the_token(master: "Master", site: str, make: Any) -> None:
    token = master.enrol_token(site)
    assert _enrol(master, token, request=make())[0] == 422
    assert _enrol(master, token, "good-after-bad")[0] == 200


def test_a_machine_does_not_choose_whom_its_certificate_names(master: "Master", site: str) -> None:
    status, answer = _enrol(
        master, master.enrol_token(site), "humble", _request(ec.generate_private_key(ec.SECP256R1()))
    )
    assert status == 200
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    names = {one.rfc4514_string() for one in certificate.subject.rdns}
    assert names == {f"CN={answer['node']}", "OU=node"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"token": 7}', b'{"token": "a", "title": "b"}'],
    ids=lambda body: body.decode(),
)
def test_garbage_is_no_enrolment(master: "Master", body: bytes) -> None:
    answer = master.call("POST", "/node/v1/enrol", raw=body)
    assert (answer.status, answer.kind) == (400, "application/problem+json")
    assert master.call("GET", "/node/v1/enrol").status == 400


def test_an_enrolment_of_another_version_is_refused(master: "Master") -> None:
    body = {"token": "x", "title": "y", "signing_request": "z", "version": 99}
    status, problem = master.call("POST", "/node/v1/enrol", body)
    assert (status, problem["remedy"]) == (400, "Use a version from 1 to 1.")


def test_a_reinstalled_machine_is_the_same_node_in_a_new_epoch(master: "Master", site: str) -> None:
    master.publish()
    old = master.node("reborn")
    master.supply("tiny", "reborn")
    lives = master.request("survivor", constraints={"node": "reborn"})["instance"]
    assert old.feed()[0] == 200
    new = master.pocket()
    new.enrol(master.enrol_token(site), "reborn")
    assert (new.node, new.epoch) == (old.node, old.epoch + 1)
    # At once, on every door, also on the connection that was open.
    assert master.until(lambda: old.feed()[0] == 401)
    assert old.report()[0] == 401
    assert old.call("POST", "/node/v1/certificate", {"signing_request": old.signing_request()})[0] == 401
    status, feed = new.feed()
    assert status == 200
    assert [one["instance"] for one in feed["instances"]] == [lives["id"]]
    assert new.report()[1]["sequence"] == 1
    assert new.offer()[0] == 200


def test_a_revoked_node_is_nobody_at_once(master: "Master", site: str) -> None:
    node = master.node("revoked")
    assert node.feed()[0] == 200
    assert master.call(
        "POST", "/api/v1/projects/provider/nodes/revoked/revoke", token=master.owner
    ).status == 204  # fmt: skip
    assert master.until(lambda: node.feed()[0] == 401)
    status, problem = node.report()
    assert (status, problem["detail"]) == (401, "This certificate was revoked.")


def test_a_node_that_waits_when_it_is_revoked_learns_nothing_more(master: "Master", site: str) -> None:
    from threading import Thread

    node = master.node("waiting-revoked")
    revision = node.feed()[1]["revision"]
    answers: list[Any] = []
    waiting = Thread(target=lambda: answers.append(node.feed(revision, 30)))
    waiting.start()
    master.api("POST", "/projects/provider/nodes/waiting-revoked/revoke")
    waiting.join(10)
    assert answers[0][0] == 401, answers


def test_who_was_away_for_longer_than_its_certificate_may_renew_it_and_nothing_else(
    master: "Master", site: str
) -> None:
    pocket = master.pocket()
    pocket.enrol(master.enrol_token(site), "late")
    master.sql("UPDATE fleet_certificate SET not_after = 1 WHERE subject = ?", pocket.node)
    request = {"signing_request": pocket.signing_request()}
    for status, problem in (
        pocket.feed(),
        pocket.report(),
        pocket.call("GET", "/node/v1/releases/" + "0" * 64),
        pocket.call("POST", "/node/v1/instances/inst-1/certificate", request),
    ):
        assert (status, problem["detail"]) == (401, "This certificate has expired.")
        assert problem["remedy"].startswith("Renew it: POST /node/v1/certificate")
    status, answer = pocket.call("POST", "/node/v1/certificate", request)
    assert status == 200, answer
    pocket.keep(answer["certificate"])
    assert pocket.feed()[0] == 200


def test_one_revoked_while_it_was_away_may_not_even_renew(master: "Master", site: str) -> None:
    pocket = master.pocket()
    pocket.enrol(master.enrol_token(site), "stolen")
    master.sql("UPDATE fleet_certificate SET not_after = 1 WHERE subject = ?", pocket.node)
    master.api("POST", "/projects/provider/nodes/stolen/revoke")
    status, problem = pocket.call("POST", "/node/v1/certificate", {"signing_request": pocket.signing_request()})
    assert (status, problem["detail"]) == (401, "This certificate was revoked.")


def test_a_certificate_past_its_date_still_gets_an_answer_that_says_so(
    master: "Master", site: str, tmp_path: Path
) -> None:
    """The handshake lets it through, so that the machine's operator learns what to do."""
    from datetime import UTC, datetime, timedelta

    key = ec.generate_private_key(ec.SECP256R1())
    path = _certificate(master.root / "authority", key, tmp_path, datetime.now(UTC) - timedelta(days=60))
    answer = master.call("GET", "/node/v1/feed", certificate=path)
    assert (answer.status, answer.kind) == (401, "application/problem+json")


def _certificate(authority: Path, key: ec.EllipticCurvePrivateKey, folder: Path, start: Any) -> Path:
    """Return a client certificate of 30 days signed with the authority's key, known to no table."""
    from datetime import timedelta

    issuer = x509.load_pem_x509_certificate((authority / "authority.pem").read_bytes())
    signer: Any = serialization.load_pem_private_key((authority / "authority.key").read_bytes(), None)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node-x")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .sign(signer, hashes.SHA256())
    )
    path = folder / "made.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_certificate_that_is_in_no_table_is_nobody(master: "Master", tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    path = _certificate(
        master.root / "authority", ec.generate_private_key(ec.SECP256R1()), tmp_path,
        datetime.now(UTC) - timedelta(days=1),
    )  # fmt: skip
    for method, door in (
        ("GET", "/node/v1/feed"),
        ("POST", "/node/v1/certificate"),
        ("GET", "/api/v1/instance"),
    ):
        answer = master.call(method, door, certificate=path)
        assert (answer.status, answer.body["detail"]) == (401, "This certificate was not issued here.")


def test_a_certificate_of_another_authority_ends_in_the_handshake(master: "Master", tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from freehold.master.fleet.authority import create_authority

    create_authority(tmp_path / "foreign", "Freehold")
    path = _certificate(tmp_path / "foreign", ec.generate_private_key(ec.SECP256R1()), tmp_path, datetime.now(UTC))
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        master.call("GET", "/node/v1/feed", certificate=path)


def test_a_node_renews_its_certificate_with_a_new_key(master: "Master", site: str) -> None:
    node = master.node("renewing")
    node.key = ec.generate_private_key(ec.SECP256R1())
    status, answer = node.call("POST", "/node/v1/certificate", {"signing_request": node.signing_request()})
    assert status == 200
    node.keep(answer["certificate"])
    assert node.feed()[0] == 200
    assert node.report()[0] == 200, "the chain goes on"


def test_a_node_gets_certificates_for_its_own_instances_only(master: "Master", site: str) -> None:
    master.publish("own")
    mine, theirs = master.node("mine"), master.node("theirs")
    master.supply("own", "mine", "theirs")
    instance = master.request("kept", "own", constraints={"node": "theirs"})["instance"]["id"]
    ask = {"signing_request": mine.signing_request()}
    assert mine.call("POST", f"/node/v1/instances/{instance}/certificate", ask)[0] == 403
    assert mine.call("POST", "/node/v1/instances/lost/certificate", ask)[0] == 403
    assert theirs.call("POST", f"/node/v1/instances/{instance}/certificate", ask)[0] == 200


def test_a_node_gets_the_archives_it_must_build_and_no_others(master: "Master", site: str) -> None:
    release, other = master.publish("archived"), master.publish("kept-back")
    node = master.node("builder")
    master.supply("archived", "builder")
    assert node.call("GET", f"/node/v1/releases/{release}") == (200, master.release("archived"))
    for unknown in (other, "0" * 64, "..", "%2e%2e%2fsecret.key"):
        assert node.call("GET", f"/node/v1/releases/{unknown}")[0] == 404


def test_what_a_node_says_of_releases_is_shown(master: "Master", site: str) -> None:
    release = master.publish("seen")
    node = master.node("teller")
    master.supply("seen", "teller")

    def shown() -> tuple[str, str]:
        rows = master.api("GET", "/projects/provider/supplies")
        (row,) = [row for row in rows if row["product"] == "seen"]
        return row["observed"], row["message"]

    node.report({"kind": "software", "release": release, "state": "failed", "message": "no space"})
    master.until(lambda: shown() == ("failed", "no space"))
    node.report({"kind": "software", "release": release, "state": "available"})
    master.until(lambda: shown() == ("available", ""))


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "two partitions of one name": {"partitions": [{"name": "p", "address": "a"}] * 2},
    "more memory than a number holds": {"memory_mb": 2**70},
    "more CPUs than a number holds": {"cpus": 2**40},
    "less than nothing": {"cpus": -1},
    "a zero in a name": {"partitions": [{"name": "p\0", "address": "a"}]},
    "a zero in an address": {"partitions": [{"name": "p", "address": "a\0"}]},
    "a name without end": {"partitions": [{"name": "p" * 5000, "address": "a"}]},
    "no name": {"partitions": [{"name": "", "address": "a"}]},
    "a zero in the system": {"system": "\0"},
}


@pytest.mark.parametrize("facts", IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_nonsense_of_one_node_does_not_keep_others_from_being_heard(
    master: "Master", site: str, facts: dict[str, Any]
) -> None:
    title = "nonsense"
    fool = master.pocket()
    fool.enrol(master.enrol_token(site), title)
    told = {"kind": "host", "partitions": [], "cpus": 1, **facts}
    status, answer = fool.report(told)
    assert (status, answer["refused"]) == (200, 1)
    wise = master.pocket()
    wise.enrol(master.enrol_token(site), "wise")
    assert wise.offer(3)[0] == 200
    master.until(lambda: master.node_row("wise")["partitions"] == 3)
    assert fool.offer(2)[0] == 200
    master.until(lambda: master.node_row(title)["partitions"] == 2)


# In this process: the rooms' own rules.


def test_the_newest_facts_of_a_node_hold(rooms: "Rooms") -> None:
    from freehold.master.fleet.models import Partition

    node = rooms.node("n", partitions=3)
    assert node.free == 3
    rooms.tell(node, partitions=["p2", "p0"], cpus=8)
    node.refresh_from_db()
    assert (node.free, node.cpus) == (2, 8)
    present = Partition.objects.filter(node=node, present=True).order_by("number")
    assert [one.name for one in present] == ["p2", "p0"]
    rooms.tell(node, partitions=["p0", "p1", "p2"])
    node.refresh_from_db()
    assert node.free == 3


def test_a_partition_that_vanishes_keeps_its_instance(rooms: "Rooms") -> None:
    from freehold.master.ordering.models import Instance

    node = rooms.node("n", partitions=2)
    rooms.supply(rooms.publish(rooms_release()), node)
    answer = rooms.request("a")
    assert answer.partition == "p0"
    rooms.tell(node, partitions=["p1"])
    node.refresh_from_db()
    assert node.free == 1
    assert Instance.objects.get(id=answer.instance).partition == "p0"
    rooms.request("a", state=_wanted("destroyed"))
    rooms.node_says(answer.instance, "destroyed")
    node.refresh_from_db()
    assert (node.free, node.used) == (1, 0), "a partition that is not offered any more is not free"


def rooms_release(**more: Any) -> bytes:
    from support.running import tiny_release

    return tiny_release(**more)


def _wanted(state: str) -> Any:
    from freehold.protocol.states import Wanted

    return Wanted(state)


def test_a_release_in_use_is_not_removed(rooms: "Rooms") -> None:
    from freehold.master.fleet.models import Supply
    from freehold.protocol.states import SoftwareWanted

    node, release = rooms.node("n"), rooms.publish(rooms_release())
    rooms.supply(release, node)
    answer = rooms.request("a")
    with pytest.raises(Conflict, match="1 instances on node 'n' use this release"):
        rooms.supply(release, node, wanted=SoftwareWanted.REMOVED)
    rooms.request("a", state=_wanted("destroyed"))
    rooms.node_says(answer.instance, "destroyed")
    rooms.supply(release, node, wanted=SoftwareWanted.REMOVED)
    assert Supply.objects.get().open is False


def test_supplying_again_changes_nothing(rooms: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow

    node, release = rooms.node("n"), rooms.publish(rooms_release())
    (first,) = rooms.supply(release, node)
    (again,) = rooms.supply(release, node)
    assert again.revision == first.revision
    assert AuditRow.objects.filter(verb="supply.available").count() == 1


def test_removing_what_was_never_supplied_does_nothing(rooms: "Rooms") -> None:
    from freehold.protocol.states import SoftwareWanted

    node, release = rooms.node("n"), rooms.publish(rooms_release())
    assert rooms.supply(release, node, wanted=SoftwareWanted.REMOVED) == []


def test_a_supply_the_node_removed_is_forgotten(rooms: "Rooms") -> None:
    from freehold.master.fleet import reconcile
    from freehold.master.fleet.models import SoftwareRow, Supply
    from freehold.protocol.states import SoftwareWanted

    node, release = rooms.node("n"), rooms.publish(rooms_release())
    rooms.supply(release, node)
    SoftwareRow.objects.create(node=node, release=release.id, state="removed", message="", at=1)
    reconcile.take_over()
    assert Supply.objects.get().observed == "removed", "wanted again meanwhile: it stays"
    rooms.supply(release, node, wanted=SoftwareWanted.REMOVED)
    SoftwareRow.objects.create(node=node, release=release.id, state="removed", message="", at=2)
    reconcile.take_over()
    assert not Supply.objects.exists()


def test_a_node_of_others_cannot_be_changed_or_supplied(rooms: "Rooms") -> None:
    from freehold.master.fleet import actions

    node = rooms.node("theirs", project=rooms.shop)
    release = rooms.publish(rooms_release())
    with pytest.raises(NotFound):
        rooms.supply(release, node)
    with pytest.raises(NotFound):
        actions.change_node(node.id, "provider", open=False, acting=rooms.owner)
    with pytest.raises(NotFound):
        actions.revoke_node(node.id, "provider", acting=rooms.owner)


@pytest.mark.parametrize("capacity", [-1, 2**31, 10**30])
def test_a_capacity_is_a_number_that_can_be_kept(rooms: "Rooms", capacity: int) -> None:
    from freehold.master.fleet import actions

    node = rooms.node("n")
    with pytest.raises(Invalid) as caught:
        actions.change_node(node.id, "provider", capacity=capacity, acting=rooms.owner)
    assert caught.value.errors[0].field == "capacity"


def test_tidying_forgets_old_tokens(rooms: "Rooms") -> None:
    from freehold.master.fleet.models import EnrolToken, Site
    from freehold.master.people.models import Person
    from freehold.master.tasks import lanes

    rooms.node("n")
    EnrolToken.objects.create(
        id="enrol-old", digest="x", project_id=rooms.provider, site=Site.objects.get(),
        created_by=Person.objects.first(), expires_at=1,
    )  # fmt: skip
    lanes.run_once(bulk=True)
    assert not EnrolToken.objects.exists()


def test_reconciling_twice_changes_nothing_more(rooms: "Rooms") -> None:
    from freehold.master.fleet.models import Node, RevisionClock
    from freehold.master.tasks import lanes

    rooms.node("n")
    before = Node.objects.values().get(), RevisionClock.objects.get().value
    lanes.run_once()
    assert (Node.objects.values().get(), RevisionClock.objects.get().value) == before
