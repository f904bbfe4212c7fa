"""Messages of every released version, as they travelled: they must be read for ever."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.protocol import descriptor, enrol, feed, problem, report, size, stream

GOLDEN = Path(__file__).parent
KINDS: dict[str, Any] = {
    "feed": feed.Feed,
    "feed-empty": feed.Feed,
    "feed-tree": feed.Feed,
    "feed-cluster": feed.Feed,
    "feed-stream": feed.Feed,
    "feed-restart": feed.Feed,
    "feed-size": feed.Feed,
    "stream-part": stream.StreamPart,
    "stream-answer": stream.StreamAnswer,
    "batch": report.ReportBatch,
    "applied": report.Applied,
    "body": report.ReportBody,
    "body-heartbeat": report.ReportBody,
    "item-host": report.Item,
    "item-host-protections": report.Item,
    "item-software": report.Item,
    "item-instance": report.Item,
    "item-instance-processes": report.Item,
    "item-publication": report.Item,
    "item-assessment": report.Item,
    "item-aside": report.Item,
    "item-usage": report.Item,
    "item-usage-unmeasured": report.Item,
    "item-usage-series": report.Item,
    "item-farewell": report.Item,
    "enrol-request": enrol.EnrolRequest,
    "enrol-answer": enrol.EnrolAnswer,
    "certificate-request": enrol.CertificateRequest,
    "certificate-answer": enrol.CertificateAnswer,
    "epoch-answer": enrol.EpochAnswer,
    "problem": problem.Problem,
    "problem-no-place": problem.Problem,
    "descriptor": descriptor.Descriptor,
}
MESSAGES = sorted(GOLDEN.glob("v*/*.json"))


def _id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_kind_of_message_has_a_golden_one() -> None:
    assert {path.stem for path in MESSAGES if path.parent.name == "v1"} == set(KINDS)
    told = {type(msgspec.json.decode(path.read_bytes(), type=KINDS[path.stem])) for path in MESSAGES}
    structs = {
        value
        for module in (feed, report, enrol, problem, descriptor, stream)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    }
    # These stand inside others.
    inner = {
        feed.Installation, feed.WantedInstance, feed.SharedInstance, feed.WantedRestart,
        feed.WantedSibling, feed.WantedMembership, feed.WantedPeer, stream.StreamRequest,
        stream.StreamPiece,
        report.PartitionFacts, report.HostPromise,
        report.Report, report.MeterValues,
        problem.FieldError, problem.Reason, descriptor.TypeDescriptor, descriptor.RequestDescriptor, enrol.Token,
        size.Size, size.WantedSize,
    }  # fmt: skip
    assert structs - inner == told


@pytest.mark.parametrize("path", MESSAGES, ids=_id)
def test_a_message_is_read_and_written_as_it_was(path: Path) -> None:
    text = path.read_bytes()
    message = msgspec.json.decode(text, type=KINDS[path.stem])
    assert json.loads(msgspec.json.encode(message)) == json.loads(text)


@pytest.mark.parametrize("path", MESSAGES, ids=_id)
def test_what_a_later_version_adds_is_ignored(path: Path) -> None:
    text = path.read_bytes()
    later = json.dumps(_with_more(json.loads(text))).encode()
    kind = KINDS[path.stem]
    first, second = msgspec.json.decode(text, type=kind), msgspec.json.decode(later, type=kind)
    if path.stem == "batch":  # bodies are kept as they came, for the hash covers their bytes
        first, second = (msgspec.structs.replace(one, reports=[]) for one in (first, second))
    assert _plain(first) == _plain(second)


def _with_more(value: Any) -> Any:
    """Return a message with an unknown field in each of its objects, but for those whose keys are values."""
    if isinstance(value, list):
        return [_with_more(one) for one in value]
    if not isinstance(value, dict):
        return value
    free = {"values", "parameters", "given", "software-type", "value", "protections", "published"}
    grown = {
        key: ({name: _with_more(one) for name, one in inner.items()} if key == "software-type" else inner)
        if key in free
        else _with_more(inner)
        for key, inner in value.items()
    }
    return {**grown, "later": {"than": ["this"]}}


def _plain(message: Any) -> Any:
    return json.loads(msgspec.json.encode(message))


def test_the_chain_of_the_golden_batch_holds() -> None:
    batch = msgspec.json.decode((GOLDEN / "v1" / "batch.json").read_bytes(), type=report.ReportBatch)
    before = report.GENESIS
    for one in batch.reports:
        assert report.link(before, bytes(one.body)) == one.hash
        before = one.hash


def test_a_token_is_one_word() -> None:
    word = f"fh1.abc_DEF-1.{'0' * 64}"
    assert str(enrol.Token.parse(f"  {word}\n")) == word


@pytest.mark.parametrize("word", ["", "fh1", "fh1..", f"fh2.a.{'0' * 64}", "fh1.a.0", f"fh1..{'0' * 64}"])
def test_what_is_no_token_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="fh1"):
        enrol.Token.parse(word)
