"""Who is believed: the builders that are named, and those for whom the node's own Master vouches."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freehold.cache.folder import CacheError
from freehold.cache.signing import Trust, believe, fingerprint, sign, signer, vouch
from freehold.master.fleet.authority import Authority, create_authority
from freehold.node.link.keys import signing_request
from freehold.protocol.cache import CacheEntry
from support.messages import statement

SAID = statement("a" * 64, ["b" * 64])


class Builder:
    """A node with a key and a certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        folder.mkdir()
        request = signing_request(folder / "key.pem")
        self.key = (folder / "key.pem").read_bytes()
        self.certificate = authority.sign_client(request, kind="node", subject=folder.name).pem
        self.name = fingerprint(self.certificate)

    def says(self) -> CacheEntry:
        return sign(SAID, self.key, self.certificate)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "ours", "Ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "theirs", "Theirs")


@pytest.fixture
def builder(tmp_path: Path, ours: Authority) -> Builder:
    return Builder(tmp_path / "builder", ours)


def test_a_named_key_and_a_vouched_builder_are_believed(builder: Builder, ours: Authority) -> None:
    entry = builder.says()
    assert signer(entry) == builder.name
    assert believe(entry, Trust(frozenset({builder.name}))) == SAID
    assert believe(vouch(entry, ours.private_key), Trust(frozenset(), ours.pem)) == SAID


def test_nobody_else_is(builder: Builder, ours: Authority, theirs: Authority, tmp_path: Path) -> None:
    entry = builder.says()
    thief = Builder(tmp_path / "thief", ours)
    by_us, by_them = vouch(entry, ours.private_key), vouch(entry, theirs.private_key)
    other = msgspec.json.encode(msgspec.structs.replace(SAID, release="c" * 64))
    stolen = msgspec.structs.replace(thief.says(), voucher=by_us.voucher)
    cases: list[tuple[CacheEntry, str]] = [
        (entry, "nobody here trusts"),
        (by_them, "does not vouch"),
        (stolen, "does not vouch"),
        (msgspec.structs.replace(by_us, statement=other), "signature does not hold"),
        (msgspec.structs.replace(by_us, certificate=thief.certificate), "signature does not hold"),
        (msgspec.structs.replace(by_us, signature=by_us.voucher), "signature does not hold"),
        (msgspec.structs.replace(by_us, signature=b""), "signature does not hold"),
        (msgspec.structs.replace(by_us, certificate="none"), "certificate cannot be read"),
    ]
    for forged, why in cases:
        with pytest.raises(CacheError, match=why):
            believe(forged, Trust(frozenset({"f" * 64}), ours.pem))


def test_a_key_of_another_kind_signs_nothing(builder: Builder, tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    entry = sign(SAID, other.private_bytes(*form), builder.certificate)
    with pytest.raises(CacheError, match="signature does not hold"):
        signer(entry)
