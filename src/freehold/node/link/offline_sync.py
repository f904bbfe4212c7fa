"""Letters: what waits for the Master, carried where there is no network. `freehold node letter …`."""

import http.client
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from freehold import durable
from freehold.node.errors import LinkDown, LinkError, SettingsError
from freehold.node.link.client import connection_to
from freehold.node.link.letter_crypto import Answers, SealOrder
from freehold.node.link.sync import BATCH, BATCH_BYTES
from freehold.node.settings import Paths, load
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol import UNREADABLE
from freehold.protocol.letter import PATH, Letter, Receipt, Receipts, Sealed
from freehold.protocol.problem import Problem
from freehold.protocol.report import ReportBatch

T = TypeVar("T")


def write(root: Path, path: Path) -> int:
    """Write all that waits into a file and return how many reports that is. They wait on, until there is a receipt."""
    settings, paths = load(root), Paths(root)
    if not settings.node:
        raise SettingsError(f"{root} is not enrolled yet: there is no Master to write to.")
    store = Store(Database(paths.store))
    try:
        contents, count, after = [], 0, 0
        while reports := store.outbox.hand_out(BATCH, BATCH_BYTES, after=after):
            contents.append(
                msgspec.json.encode(ReportBatch(store.outbox.epoch, reports, statement=store.outbox.statement))
            )
            count, after = count + len(reports), reports[-1].sequence
        authority = paths.authority.read_text()
        order = SealOrder(settings.node, str(paths.key), str(paths.certificate), authority, store.clock.now(), contents)
        letter = Letter(
            settings.master, authority, settings.node, store.outbox.epoch, _child("seal", order, list[Sealed])
        )
    finally:
        store.close()
    durable.replace(path, msgspec.json.encode(letter), 0o600)
    return count


def deliver(path: Path, master: str = "") -> Path:
    """Bring a letter to the Master and return the file with its receipts. Whoever has the file can: it takes no key."""
    letter = _read(path, Letter)
    try:
        context = ssl.create_default_context(cadata=letter.authority)
    except (ssl.SSLError, ValueError):
        raise SettingsError(f"{path} is damaged: its authority is no certificate.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    receipts = []
    connection = connection_to(master or letter.master, context, timeout=60)
    try:
        for sealed in letter.sealed:
            connection.request(
                "POST", PATH, sealed.content, {**sealed.headers, "Content-Type": "application/octet-stream"}
            )
            response = connection.getresponse()
            content = response.read()
            if response.status != http.HTTPStatus.OK:
                raise LinkError(f"The Master does not take this letter: {_why(content)}")
            signed = {name: response.headers[name] for name in ("Content-Digest", "Signature-Input", "Signature")}
            receipts.append(Sealed(signed, content))
    except (OSError, http.client.HTTPException) as error:
        raise LinkDown(f"{master or letter.master} cannot be reached: {error}") from None
    finally:
        connection.close()
    back = path.with_name(f"{path.name}.receipt")
    durable.replace(back, msgspec.json.encode(Receipts(receipts)), 0o600)
    return back


def acknowledge(root: Path, path: Path) -> int:
    """Forget what the Master receipted; return how many reports still wait."""
    settings, paths = load(root), Paths(root)
    answers = Answers(paths.authority.read_text(), _read(path, Receipts))
    receipts = _child("open", answers, list[Receipt])
    store = Store(Database(paths.store))
    try:
        for receipt in receipts:
            if (receipt.node, receipt.epoch) != (settings.node, store.outbox.epoch):
                raise SettingsError(f"{path} holds receipts of another node, or of before this one was enrolled anew.")
        if receipts:
            last = max(receipts, key=lambda receipt: receipt.sequence)
            store.outbox.acknowledge(last.sequence, last.statement)
        return store.outbox.count()
    finally:
        store.close()


def _child(verb: str, order: object, kind: type[T]) -> T:
    command = [sys.executable, "-m", "freehold.node.link.letter_crypto", verb]
    done = subprocess.run(command, input=msgspec.json.encode(order), capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise SettingsError(f"This letter cannot be made or believed: {last}")
    return msgspec.json.decode(done.stdout, type=kind)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from None
    except UNREADABLE as error:
        raise SettingsError(f"{path} is not what it should be, or damaged: {error}") from None


def _why(content: bytes) -> str:
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except UNREADABLE:
        return content[:200].decode(errors="replace")
    return f"{problem.detail} {problem.remedy}".strip()
