"""The Master's cache: who may bring builds and who may take them, and what is refused."""

import hashlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from freehold.cache import signing
from freehold.protocol.cache import PREFIX, CacheEntry, CacheKind, blob_path, entries_path
from support.messages import statement
from support.protocol_node import Pocket

if TYPE_CHECKING:
    from support.running import Master

PLATFORM = "x86_64-debian-12-py3.11"


@pytest.fixture(scope="module")
def release(master: "Master") -> str:
    return master.publish()


@pytest.fixture(scope="module")
def builder(master: "Master", release: str) -> Pocket:
    return _node(master, "builder", builder=True)


@pytest.fixture(scope="module")
def other(master: "Master", release: str) -> Pocket:
    return _node(master, "other")


def _node(master: "Master", title: str, *, builder: bool = False) -> Pocket:
    node = master.node(title, partitions=1)
    master.supply("tiny", title)
    if builder:
        row = master.api("PATCH", f"/projects/provider/nodes/{title}", {"builder": True})
        assert row["builder"]
    return node


def _says(node: Pocket, release: str, content: bytes, **other: Any) -> CacheEntry:
    said = statement(release, [hashlib.sha256(content).hexdigest()], **{"builder": node.node, **other})
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    text = (node.folder / "pocket.pem").read_text()
    certificate = text[text.index("-----BEGIN CERTIFICATE") :]
    return signing.sign(said, node.key.private_bytes(*form), certificate)


def _put(node: Pocket, path: str, content: bytes) -> tuple[int, Any]:
    return node.call("PUT", PREFIX + path, raw=content)


def _entry(release: str) -> str:
    return entries_path(CacheKind.BUILD, release, PLATFORM)


def _bring(node: Pocket, release: str, content: bytes) -> tuple[int, Any]:
    piece = hashlib.sha256(content).hexdigest()
    assert _put(node, blob_path(piece), content)[0] == 204
    return _put(node, _entry(release), msgspec.json.encode(_says(node, release, content)))


def test_a_builder_brings_what_is_missing_and_others_take_it(
    master: "Master", builder: Pocket, other: Pocket, release: str
) -> None:
    assert builder.call("GET", f"{PREFIX}builder")[0] == 204
    entry = msgspec.json.encode(_says(builder, release, b"whole build"))
    piece = hashlib.sha256(b"whole build").hexdigest()
    assert _put(builder, _entry(release), entry) == (200, {"pieces": [piece]})
    assert other.call("GET", PREFIX + _entry(release)) == (200, {"entries": []}), "not before it is whole"
    status, vouched = _bring(builder, release, b"whole build")
    assert (status, bool(vouched["voucher"])) == (200, True)
    status, found = other.call("GET", PREFIX + _entry(release))
    trust = signing.Trust(frozenset(), master.authority.read_text())
    (said,) = signing.believed(msgspec.convert(found["entries"], list[CacheEntry]), trust)
    assert (said.release, said.builder) == (release, builder.node)
    assert other.call("GET", PREFIX + blob_path(piece)) == (200, b"whole build")


def test_who_is_no_builder_brings_nothing(master: "Master", builder: Pocket, other: Pocket, release: str) -> None:
    assert other.call("GET", f"{PREFIX}builder")[0] == 403
    piece = hashlib.sha256(b"sneaked in").hexdigest()
    assert _put(other, blob_path(piece), b"sneaked in")[0] == 403
    assert _put(other, _entry(release), msgspec.json.encode(_says(other, release, b"whole build")))[0] == 403
    assert builder.call("GET", PREFIX + blob_path(piece))[0] == 404


def test_a_builder_speaks_only_for_itself_and_says_what_it_means(
    master: "Master", builder: Pocket, other: Pocket, release: str
) -> None:
    _bring(builder, release, b"true build")
    content = b"true build"
    stranger = "f" * 64
    forged = msgspec.structs.replace(_says(builder, release, content), signature=b"forged")
    cases = [
        (_says(other, release, content, builder=other.node), 403),
        (_says(other, release, content, builder=builder.node), 403),
        (_says(builder, release, content, builder=other.node), 403),
        (_says(builder, stranger, content), 403),
        (_says(builder, release, content, platform="other"), 403),
        (forged, 400),
    ]
    for entry, status in cases:
        assert _put(builder, _entry(release), msgspec.json.encode(entry))[0] == status
    for garbage in (b"", b"{}", b'{"statement": "AA==", "certificate": "", "signature": ""}', b"\xff" * 100):
        assert _put(builder, _entry(release), garbage)[0] == 400
    assert _put(builder, _entry(stranger), msgspec.json.encode(_says(builder, stranger, content)))[0] == 404
    (kept,) = other.call("GET", PREFIX + _entry(release))[1]["entries"]
    assert hashlib.sha256(content).hexdigest() in str(msgspec.json.decode(msgspec.convert(kept, CacheEntry).statement))


def test_a_piece_is_what_its_name_says_and_no_larger_than_a_request(builder: Pocket) -> None:
    piece = hashlib.sha256(b"one thing").hexdigest()
    assert _put(builder, blob_path(piece), b"another")[0] == 422
    assert builder.call("GET", PREFIX + blob_path(piece))[0] == 404
    for path in (f"blobs/{piece[:2]}/..%2f..%2fsecret.key", f"blobs/xx/{piece}", "blobs/aa/short"):
        assert builder.call("GET", PREFIX + path)[0] == 404
    status, problem = _put(builder, blob_path(piece), b"x" * (4 * 1024 * 1024 + 1))
    assert status == 413, problem


def test_strangers_and_nodes_without_the_release_see_nothing(master: "Master", builder: Pocket, release: str) -> None:
    _bring(builder, release, b"private")
    piece = hashlib.sha256(b"private").hexdigest()
    for path in (blob_path(piece), _entry(release), "builder"):
        assert master.call("GET", PREFIX + path).status == 401
    without = master.node("without", partitions=1)
    assert without.call("GET", PREFIX + _entry(release))[0] == 404


def test_a_builder_that_is_none_any_more_is_not_repeated(
    master: "Master", builder: Pocket, other: Pocket, release: str
) -> None:
    _bring(builder, release, b"once trusted")
    master.api("PATCH", "/projects/provider/nodes/builder", {"builder": False})
    try:
        assert other.call("GET", PREFIX + _entry(release)) == (200, {"entries": []})
        assert _bring_refused(builder, release)
    finally:
        master.api("PATCH", "/projects/provider/nodes/builder", {"builder": True})
    assert other.call("GET", PREFIX + _entry(release))[1]["entries"]


def _bring_refused(node: Pocket, release: str) -> bool:
    now = msgspec.json.encode(_says(node, release, b"once trusted", at=time.time()))
    return _put(node, _entry(release), now)[0] == 403
