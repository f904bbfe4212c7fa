"""A device that holds passkeys, as a browser speaks for it."""

import hashlib
import json
import os
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

ORIGIN = "https://localhost:8443"
PRESENT, VERIFIED = 1, 4


class Device:
    """Has one key; counts its uses unless that is 0."""

    def __init__(self, *, host: str = "localhost", origin: str = ORIGIN, counts: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = os.urandom(32)
        self.host, self.origin, self.counts = host, origin, counts
        self.uses = 0
        self.flags = PRESENT | VERIFIED

    def make(self, asked: str) -> str:
        """Return what the browser says after `navigator.credentials.create`."""
        client = self._client("webauthn.create", asked)
        key = ES256.from_cryptography_key(self._key.public_key())
        credential = AttestedCredentialData.create(b"\0" * 16, self._id, key)
        data = AuthenticatorData.create(
            self._host_hash(), self.flags | AuthenticatorData.FLAG.AT, self.uses, bytes(credential)
        )
        attested = AttestationObject.create("none", data, {})
        return self._answer({"clientDataJSON": bytes(client), "attestationObject": bytes(attested)})

    def open(self, asked: str) -> str:
        """Return what the browser says after `navigator.credentials.get`."""
        self.uses += self.counts
        client = self._client("webauthn.get", asked)
        data = self._host_hash() + struct.pack(">BI", self.flags, self.uses)
        signature = self._key.sign(data + client.hash, ec.ECDSA(hashes.SHA256()))
        return self._answer({"clientDataJSON": bytes(client), "authenticatorData": data, "signature": signature})

    def _client(self, kind: str, asked: str) -> CollectedClientData:
        challenge = json.loads(asked)["challenge"]
        return CollectedClientData.create(type=kind, challenge=challenge, origin=self.origin)

    def _host_hash(self) -> bytes:
        return hashlib.sha256(self.host.encode()).digest()

    def _answer(self, response: dict[str, bytes]) -> str:
        name = websafe_encode(self._id)
        said: dict[str, Any] = {key: websafe_encode(value) for key, value in response.items()}
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": said, "clientExtensionResults": {}}
        )
