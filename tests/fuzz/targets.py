"""What is fed with bytes from the network, on both sides: each may refuse them with an error of ours, and nothing else.

A target is a function that makes one, given a folder of its own: what is called with bytes, and examples that are as
they should be, from which they are made.
"""

import gzip
import io
import os
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from freehold.protocol import UNREADABLE

Feed = Callable[[bytes], object]
Target = Callable[[Path], tuple[Feed, list[bytes]]]
HASH = "a" * 64


def golden(*names: str) -> list[bytes]:
    """Return messages of the contract, as they are kept for all time."""
    folder = Path(__file__).parent.parent / "contract" / "v1"
    return [(folder / f"{name}.json").read_bytes() for name in names]


def all_golden(beginning: str) -> list[bytes]:
    folder = Path(__file__).parent.parent / "contract" / "v1"
    return [path.read_bytes() for path in sorted(folder.glob(f"{beginning}*.json"))]


# What a Master hears


def rooms(folder: Path) -> Any:
    """Make a Master with a node that has an instance; return its rooms, as a simulation has them."""
    from freehold.simulator.master import Rooms

    made = Rooms(folder / "master")
    made.begin()
    return made


def reports(folder: Path) -> tuple[Feed, list[bytes]]:
    """Bodies of reports in a node's chain, applied."""
    made = rooms(folder)
    from freehold.master.fleet import actions
    from freehold.master.fleet.models import Node
    from freehold.master.foundation.errors import MasterError
    from freehold.master.gateway.reports import ReportJob, Writer
    from freehold.node.link.keys import signing_request
    from freehold.protocol.report import Report, ReportBatch, link

    token = actions.make_enrol_token("provider", "here", acting=made.owner)
    node = actions.enrol(token.secret, "fuzzed", signing_request(folder / "key.pem")).node
    batches = [msgspec.json.decode(one, type=ReportBatch) for one in all_golden("batch")]
    examples = [bytes(report.body) for batch in batches for report in batch.reports]
    from freehold.master.ordering.models import Instance

    for instance in set(re.findall(r"inst-\w+", b"".join(examples).decode())):
        Instance.objects.create(
            id=instance, project_id=Node.objects.get().project_id, tree=instance, title=instance, product="simulated",
            release=made.release, type="default", parameters="{}", constraints="{}", requested_state="started",
            wanted="started", seed="", node_id=node, partition=instance, weight=1, revision=1, created_at=1,
            changed_at=1,
        )  # fmt: skip
    writer = Writer(made.url)
    writer._connection._open().execute("PRAGMA synchronous=OFF")
    end = [0, "0" * 64]

    def feed(body: bytes) -> None:
        try:
            raw = msgspec.json.decode(body, type=msgspec.Raw)
        except UNREADABLE:
            return
        end[:] = [int(end[0]) + 1, link(str(end[1]), bytes(raw))]
        answers: list[Any] = []
        writer.apply([ReportJob(node, 1, [Report(int(end[0]), str(end[1]), raw)], len(body), answers.append)])
        (answer,) = answers
        if isinstance(answer, Exception) and not isinstance(answer, MasterError):
            raise answer
        assert answer.sequence == end[0]

    return feed, examples


def batches(folder: Path) -> tuple[Feed, list[bytes]]:
    """The body of a request with reports, and the question for a feed."""
    from freehold.master.foundation.errors import MasterError
    from freehold.master.gateway import app

    def feed(content: bytes) -> None:
        try:
            app._feed_query(content)
        except MasterError:
            pass
        try:
            app._batches.decode(content)
        except UNREADABLE:
            pass

    return feed, [*all_golden("batch"), b"since=5&wait=50", b"since=1e9&wait=nan"]


def signing_requests(folder: Path) -> tuple[Feed, list[bytes]]:
    from freehold.master.fleet.authority import create_authority
    from freehold.master.foundation.errors import MasterError
    from freehold.node.link.keys import signing_request

    authority = create_authority(folder / "authority", "fuzz")

    def feed(content: bytes) -> None:
        try:
            authority.sign_client(content.decode("utf-8", "surrogateescape"), kind="node", subject="node-1")
        except MasterError:
            pass

    return feed, [signing_request(folder / "key.pem").encode()]


def letters(folder: Path) -> tuple[Feed, list[bytes]]:
    """Letters: their headers, signatures and content, as a courier brings them."""
    _django(folder)
    from freehold.master.fleet.authority import create_authority
    from freehold.master.foundation.errors import MasterError
    from freehold.master.offline_sync import letters as courier
    from freehold.node.link.keys import signing_request
    from freehold.node.link.letter_crypto import SealOrder, seal
    from freehold.protocol.letter import Sealed

    authority = create_authority(folder / "authority", "fuzz")
    request = signing_request(folder / "key.pem")
    (folder / "node.pem").write_text(authority.sign_client(request, kind="node", subject="node-1").pem)
    # Whose certificate it is stands in the database; here it is always the node's.
    courier.queries.identify = lambda *arguments, **more: "node-1"  # type: ignore[assignment]
    contents = all_golden("batch")
    order = SealOrder("node-1", str(folder / "key.pem"), str(folder / "node.pem"), authority.pem, time.time(), contents)

    def feed(content: bytes) -> None:
        try:
            courier.open_letter(msgspec.json.decode(content, type=Sealed), authority)
        except (MasterError, *UNREADABLE):
            pass

    return feed, [msgspec.json.encode(one) for one in seal(order)]


def releases(folder: Path) -> tuple[Feed, list[bytes]]:
    """A release's archive, before it is compressed: its descriptor read by the Master, all of it unpacked by a node."""
    _django(folder)
    from freehold.master.catalog import actions
    from freehold.master.foundation.errors import MasterError
    from freehold.protocol import archive
    from support.running import tiny_release

    number = [0]

    def feed(plain: bytes) -> None:
        packed = gzip.compress(plain, 1)
        try:
            actions._read(packed)
        except MasterError:
            pass
        number[0] += 1
        inside = folder / f"unpacked-{number[0]}"
        try:
            archive.unpack(packed, inside)
        except archive.ArchiveError:
            assert not inside.exists() or not any(inside.iterdir())
        _removed(inside)

    return feed, [gzip.decompress(tiny_release())]


def entries(folder: Path) -> tuple[Feed, list[bytes]]:
    """What is said of builds, signed or not: at the Master, at a node, and of no release at all."""
    from freehold.cache.folder import CacheError, read
    from freehold.cache.signing import Trust, believe, certificate_sha256, sign
    from freehold.master.fleet.authority import create_authority
    from freehold.node.link.keys import signing_request
    from freehold.protocol.cache import BuildStatement, CacheKind, Entries, File

    authority = create_authority(folder / "authority", "fuzz")
    certificate = authority.sign_client(signing_request(folder / "key.pem"), kind="node", subject="n").pem
    said = BuildStatement(CacheKind.BUILD, HASH, "x86_64-debian-12-py3.11", "n", 1.0, [File("build.tar.gz", 5, [HASH])])
    trust = Trust(frozenset(), authority.pem)

    def feed(content: bytes) -> None:
        try:
            found = msgspec.json.decode(content, type=Entries).entries
        except UNREADABLE:
            return
        for entry in found:
            for look in (read, lambda one: believe(one, trust), lambda one: certificate_sha256(one.certificate)):
                try:
                    look(entry)  # type: ignore[operator]
                except CacheError:
                    pass

    made = sign(said, (folder / "key.pem").read_bytes(), certificate)
    return feed, [msgspec.json.encode(Entries([made]))]


# What a node hears


def feeds(folder: Path) -> tuple[Feed, list[bytes]]:
    """The Master's feed: taken over, then planned."""
    from freehold.node import plan
    from freehold.node.link.sync import _feeds
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    store = Store(Database(folder / "node.sqlite"))
    store.database.execute("PRAGMA synchronous=OFF")

    def feed(content: bytes) -> None:
        try:
            heard = _feeds.decode(content.decode())
        except UNREADABLE:
            return
        store.apply_feed(heard)
        plan.plan(store.software.planned(), store.instances.planned(), time.time())
        store.instances.all()
        assert 0 <= store.revision < 2**63

    return feed, all_golden("feed")


def answers(folder: Path) -> tuple[Feed, list[bytes]]:
    """Whatever else a Master answers: what it applied, problems, dates, tokens that an operator pastes."""
    from freehold.node import clock
    from freehold.node.link.sync import _answers
    from freehold.protocol.enrol import Token
    from freehold.protocol.problem import Problem

    def feed(content: bytes) -> None:
        for decode in (_answers.decode, lambda one: msgspec.json.decode(one, type=Problem)):
            try:
                decode(content)
            except UNREADABLE:
                pass
        text = content.decode("utf-8", "surrogateescape")
        clock.date(text)
        try:
            Token.parse(text)
        except ValueError:
            pass

    dates = [b"Tue, 24 Nov 2026 21:40:36 GMT", b"Tue, 24 Nov 2026 21:40:36 +9999"]
    return feed, [*golden("applied"), *dates, f"fh1.secret.{HASH}".encode()]


def strangers(folder: Path) -> tuple[Feed, list[bytes]]:
    """Whatever a partition answers: a layout, results of promises, words. What passes is told and kept."""
    from freehold.node.errors import ConfigureError
    from freehold.node.partition import gate
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store
    from freehold.protocol.report import AsideReport, ReportBody
    from freehold.protocol.states import Observed

    store = Store(Database(folder / "node.sqlite"))
    store.database.execute("PRAGMA synchronous=OFF")
    store.database.execute(
        "INSERT INTO instance (instance, revision, partition, release, type, wanted, title, parameters) "
        "VALUES ('i', 1, 'p0', 'r', 't', 'started', 'x', '{}')"
    )

    def feed(content: bytes) -> None:
        try:
            gate.read_result(content)
        except ValueError:
            pass
        layout, words = None, gate.words(content)
        try:
            layout = gate.read_layout(content, store.clock.now())
        except ConfigureError as error:
            words = str(error)
        assert layout is not None or words.isprintable()
        store.instances.record_state("i", 1, Observed.STARTED, message=words, layout=layout)
        (report,) = store.outbox.hand_out(10, 10_000_000)
        items = msgspec.json.decode(report.body, type=ReportBody).items
        assert not any(isinstance(item, AsideReport) for item in items)
        assert layout is None or store.instances.all()[0].layout.services == layout.services
        store.outbox.acknowledge(report.sequence)

    layout = (
        b'{"services": [{"name": "web", "digest": "1", "after": ["db"], "stop_timeout": 3.5, "stop_signal": "INT"}], '
        b'"promises": ["etc/plugin/page.py"], "published": {"url": ["http://x", 1, null]}, "outcome": {"network": '
        b'{"tcp": [80], "connect": ["[2001:db8::1]:443", "192.0.2.0/24", ":25"]}, "logs": [{"path": "srv/log", '
        b'"most": 1, "keep": 1}], "requests": [{"title": "db", "spec": {"product": "p"}}], "missing": ["db"], '
        b'"served": {"inst-1": {"error": "no"}}, "renew_at": 1800000000.5}}'
    )
    return feed, [layout, b'{"id": 1, "kept": true, "message": "caf\\u00e9", "period": 60, "timeout": 5}', b"caf\xe9"]


def receipts(folder: Path) -> tuple[Feed, list[bytes]]:
    _django(folder)
    from http_message_signatures import InvalidSignature

    from freehold.master.fleet.authority import create_authority
    from freehold.master.offline_sync.letters import sign
    from freehold.node.link.letter_crypto import Answers, open_receipts
    from freehold.protocol.letter import Receipt, Receipts

    authority = create_authority(folder / "authority", "fuzz")

    def feed(content: bytes) -> None:
        try:
            open_receipts(Answers(authority.pem, msgspec.json.decode(content, type=Receipts)))
        except (InvalidSignature, *UNREADABLE):
            pass

    return feed, [msgspec.json.encode(Receipts([sign(Receipt("node-1", 1, 5), authority)]))]


def builds(folder: Path) -> tuple[Feed, list[bytes]]:
    """A finished build from a cache, before it is compressed: nothing is ever written outside of its folder."""
    from freehold.cache.folder import CacheError
    from freehold.cache.packing import PACKED, pack, unpack
    from freehold.protocol.cache import File

    source = folder / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "tool").write_text(f"#!{source}/bin/python\n")
    (source / "link").symlink_to(source / "bin")
    pieces: list[bytes] = []
    pack(source, lambda piece: (pieces.append(piece), str(len(pieces)))[1])
    number, outside = [0], folder / "outside"
    outside.mkdir()

    def feed(plain: bytes) -> None:
        number[0] += 1
        inside = folder / f"unpacked-{number[0]}"
        packed = gzip.compress(plain, 1)
        try:
            unpack(File(PACKED, 1, ["one"]), lambda name: packed, inside, place=str(source), mentions=["bin/tool"])
        except CacheError:
            pass
        assert not any(outside.iterdir())
        _removed(inside)

    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as tar:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("a/b"), io.BytesIO())
    return feed, [gzip.decompress(b"".join(pieces)), evil.getvalue()]


def statements(folder: Path) -> tuple[Feed, list[bytes]]:
    from freehold.master.foundation.errors import MasterError
    from freehold.master.payments.statements import read
    from support import statements as bank

    def feed(content: bytes) -> None:
        try:
            lines = read(content)
        except MasterError:
            return
        assert all(len(line.key) == 64 for line in lines)

    entries = bank.terse("1.00", "FR-2026-000001") + bank.numbered("12.00", "thank", "you")
    part = bank.batch("3.00", ("1.00", "E1", "RF40FR2026000001"), ("2.00", "E2", "x"))
    return feed, [bank.file(entries), bank.file(part, entries, version="08")]


def _django(folder: Path) -> None:
    """Have the Master's modules be there, without a database."""
    os.environ["FREEHOLD_MASTER_ROOT"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "freehold.master.settings"
    import django

    django.setup()


def _removed(folder: Path) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(parent, name))
        for name in folders:
            path = os.path.join(parent, name)
            (os.unlink if os.path.islink(path) else os.rmdir)(path)
    if folder.exists():
        folder.rmdir()


TARGETS: dict[str, Target] = {
    one.__name__: one
    for one in [
        reports,
        batches,
        signing_requests,
        letters,
        releases,
        entries,
        feeds,
        answers,
        strangers,
        receipts,
        builds,
        statements,
    ]
}
