"""A node without network: its reports are carried to the Master by somebody, who can lose them and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.kit.waiting import until
from freehold.node.link.letter_crypto import SealOrder, seal
from freehold.protocol.letter import Letter, Receipt, Receipts, Sealed
from freehold.protocol.report import GENESIS, Report, ReportBatch, link
from support.machines import REPOSITORY, Cloud, Machine


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    """A node with a service, whose network is gone and whose agent is still."""
    made = cloud.machine(unprivileged=os.geteuid() != 0, title="mast")
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("shop", constraints={"node": "mast"})
    until(lambda: made.status()["reports_waiting"] == 0)
    made.kill()
    return made


@pytest.fixture
def letter(machine: Machine, tmp_path: Path) -> Path:
    """A letter with what happened since: the service's page was broken, then kept again."""
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    store = Store(Database(machine.root / "node.sqlite"))
    (shop,) = store.instances.planned()
    for kept in (False, True):
        store.results.record(shop.instance, shop.state_revision, "page", kept, "by courier", store.clock.now())
    store.close()
    path = tmp_path / "letter"
    done = _letter(machine, "write", path)
    assert done.returncode == 0, done.stderr
    return path


def _letter(machine: Machine, command: str, path: Path, *more: str) -> Any:
    root = () if command == "deliver" else ("--root", str(machine.root))
    arguments = [sys.executable, "-m", "freehold.cli", "node", "letter", command, *root, *more, str(path)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


def _results(cloud: Cloud) -> int:
    ((count,),) = cloud.master.sql("SELECT count(*) FROM monitoring_assessment WHERE message = 'by courier'")
    return int(count)


def test_a_letter_is_carried_there_and_its_receipt_back(cloud: Cloud, machine: Machine, letter: Path) -> None:
    before, waiting = _results(cloud), machine.status()["reports_waiting"]
    assert waiting >= 2
    assert "by courier" not in letter.read_text(), "who carries it cannot read it"
    assert letter.stat().st_mode & 0o077 == 0
    for _ in range(2):
        done = _letter(machine, "deliver", letter)
        assert done.returncode == 0, done.stderr
        assert _results(cloud) == before + 2, "brought twice, it counts once"
    assert machine.status()["reports_waiting"] == waiting, "not forgotten before there is a receipt"
    done = _letter(machine, "receipt", letter.with_name("letter.receipt"))
    assert (done.returncode, machine.status()["reports_waiting"]) == (0, 0), done.stderr
    machine.start()
    until(lambda: machine.status()["reports_waiting"] == 0)
    until(lambda: cloud.master.show("shop")["ready"])
    assert _results(cloud) == before + 2, "over its own connection it goes on where the letter ended"
    machine.kill()


def _change(letter: Path, change: Callable[[Letter], Letter]) -> None:
    letter.write_bytes(msgspec.json.encode(change(msgspec.json.decode(letter.read_bytes(), type=Letter))))


def _resealed(letter: Letter, machine: Machine, **other: Any) -> Letter:
    """Return a letter whose content somebody else wrote and sealed, with what they have."""
    report = Report(1, link(GENESIS, b"{}"), msgspec.Raw(b"{}"))
    order = {
        "node": letter.node,
        "key": str(machine.root / "identity/key.pem"),
        "certificate": str(machine.root / "identity/certificate.pem"),
        "authority": letter.authority,
        "now": 1.0,
        "contents": [msgspec.json.encode(ReportBatch(letter.epoch, [report]))],
        **other,
    }
    return msgspec.structs.replace(letter, sealed=seal(SealOrder(**order)))


def _headers(letter: Letter, **headers: str) -> Letter:
    first = letter.sealed[0]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return msgspec.structs.replace(letter, sealed=[Sealed({**first.headers, **named}, first.content)])


def test_a_letter_that_was_tampered_with_is_refused_and_changes_nothing(
    cloud: Cloud, machine: Machine, letter: Path, tmp_path: Path
) -> None:
    thief = cloud.machine(unprivileged=os.geteuid() != 0, title="thief", partitions=1, start=False)
    other_key = str(thief.root / "identity/key.pem")
    other_certificate = str(thief.root / "identity/certificate.pem")
    flipped = bytearray(msgspec.json.decode(letter.read_bytes(), type=Letter).sealed[0].content)
    flipped[-1] ^= 1
    cases: dict[str, tuple[Callable[[Letter], Letter], str]] = {
        "content changed": (
            lambda one: msgspec.structs.replace(one, sealed=[Sealed(one.sealed[0].headers, bytes(flipped))]),
            "signature does not hold",
        ),
        "signed with another key": (lambda one: _resealed(one, machine, key=other_key), "signature does not hold"),
        "in another's name": (
            lambda one: _resealed(one, machine, key=other_key, certificate=other_certificate),
            "signature does not hold",
        ),
        "no certificate": (lambda one: _headers(one, Client_Cert=""), "no Client-Cert header"),
        "a certificate of nobody": (lambda one: _headers(one, Client_Cert=":AAAA:"), "no Client-Cert header"),
        "for another Master": (
            lambda one: _resealed(one, machine, authority=Path(other_certificate).read_text()),
            "not for this Master",
        ),
        "no batch inside": (lambda one: _resealed(one, machine, contents=[b"garbage"]), "holds no batch"),
    }
    before = _results(cloud)
    whole = letter.read_bytes()
    for name, (change, words) in cases.items():
        letter.write_bytes(whole)
        _change(letter, change)
        done = _letter(machine, "deliver", letter)
        assert (done.returncode, words in done.stderr) == (1, True), (name, done.stderr)
    assert _results(cloud) == before
    letter.write_bytes(whole)
    assert _letter(machine, "deliver", letter).returncode == 0, "the true one still counts"


def test_a_receipt_that_the_master_did_not_sign_makes_the_node_forget_nothing(
    cloud: Cloud, machine: Machine, letter: Path
) -> None:
    waiting = machine.status()["reports_waiting"]
    assert _letter(machine, "deliver", letter).returncode == 0
    back = letter.with_name("letter.receipt")
    (true,) = msgspec.json.decode(back.read_bytes(), type=Receipts).sealed
    said = msgspec.json.decode(true.content, type=Receipt)
    forged = msgspec.json.encode(msgspec.structs.replace(said, sequence=10**9))
    for content in (forged, b""):
        back.write_bytes(msgspec.json.encode(Receipts([Sealed(true.headers, content)])))
        done = _letter(machine, "receipt", back)
        assert (done.returncode, machine.status()["reports_waiting"]) == (1, waiting), done.stdout
    back.write_bytes(b"{}")
    assert "not what it should be" in _letter(machine, "receipt", back).stderr


def test_a_revoked_node_writes_to_nobody(cloud: Cloud, machine: Machine, letter: Path) -> None:
    cloud.master.api("POST", "/projects/provider/nodes/mast/revoke")
    done = _letter(machine, "deliver", letter)
    assert (done.returncode, "revoked" in done.stderr) == (1, True), done.stderr


def test_a_letter_to_nowhere_and_a_file_that_is_none(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert "cannot be read" in _letter(machine, "deliver", path).stderr
    path.write_text("hello")
    assert "not what it should be" in _letter(machine, "deliver", path).stderr
